"""Larger candles out of smaller ones, exactly as their digits say."""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from functools import reduce
from itertools import groupby
from typing import NamedTuple

from marketd.model.events import Candle
from marketd.model.intervals import Interval, Intervals
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, Timeframe
from marketd.model.timeframes import timeframe as named
from marketd.stores.archive import Row

EXACT = Context(prec=100)  # digits; the default keeps 28
Bar = Candle | Row  # either way a candle: what a venue says, or what is stored


class Resampled(NamedTuple):
    candles: list[Candle]  # closed, oldest first
    incomplete: list[Interval]  # larger candles of which some smaller ones are neither there nor known to be empty


def nests(smaller: Timeframe, larger: Timeframe) -> bool:
    """Whether every larger candle is a whole number of smaller ones."""
    if smaller.step == 0 or smaller.step > DAY or DAY % smaller.step:
        return False
    return larger.step == 0 or (larger.step > smaller.step and larger.step % smaller.step == 0)


def resampled(rows: Iterable[Bar], series: CandleSeries, span: Interval, empty: Intervals, ts_recv: int) -> Resampled:
    """The candles of `series` that open in `span` (on its grid), out of smaller `rows`, oldest first. `empty`: where the
    venue is known to have no smaller candle.

    A candle without volume repeats the price before it: the larger one opens, as at the venue, with the first that traded.
    """
    frame = named(series.timeframe)
    made: list[Candle] = []
    incomplete = Intervals()
    at = span.start
    within = (row for row in rows if span.start <= row.open_time < span.stop)
    for opened, group in groupby(within, key=lambda row: frame.open_of(row.open_time)):
        its = list(group)
        _unsaid(incomplete, Interval(at, opened), frame, empty)
        at = frame.close_of(opened)
        if any(empty.missing(*hole) for hole in _holes(its, opened, at)):
            incomplete.add(opened, at)
        else:
            made.append(_sum(its, series, opened, at, ts_recv))
    _unsaid(incomplete, Interval(at, span.stop), frame, empty)
    return Resampled(made, list(incomplete))


def _holes(rows: Sequence[Bar], opened: int, closes: int) -> list[Interval]:
    """Where the larger candle has no closed smaller one."""
    if len(rows) * (rows[0].close_time - rows[0].open_time) == closes - opened and all(row.closed for row in rows):
        return []
    return Intervals((row.open_time, row.close_time) for row in rows if row.closed).missing(opened, closes)


def _unsaid(incomplete: Intervals, gap: Interval, frame: Timeframe, empty: Intervals) -> None:
    """Of larger candles without any smaller one: those not known to be empty."""
    for hole in empty.missing(*gap):
        last = frame.open_of(hole.stop - 1)
        incomplete.add(frame.open_of(hole.start), frame.close_of(last))


def _sum(rows: Sequence[Bar], series: CandleSeries, opened: int, closes: int, ts_recv: int) -> Candle:
    volumes = [Decimal(row.volume) for row in rows]
    traded = [row for row, volume in zip(rows, volumes, strict=True) if volume] or rows
    return Candle(
        series.venue, series.symbol, None, ts_recv, series.timeframe, opened, closes,
        traded[0].open,
        max((row.high for row in traded), key=Decimal),
        min((row.low for row in traded), key=Decimal),
        traded[-1].close,
        format(reduce(EXACT.add, volumes), "f"),
        closed=True,
    )  # fmt: skip
