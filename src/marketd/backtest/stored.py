"""The candles of a back-test: what the archive holds of a series, with the 500 before the span, and what is missing in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from marketd.analysis.closed import CANDLES, VOLUME, Candles, Closed, NotClosed, Window, of_stored
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.paper.sight import Prices
from marketd.stores.archive import Archive, Row

NS_MAX = 2**63 - 1


class Hole(NamedTuple):
    """Candles that are not stored between two that are."""

    start: int  # ns, open time of the first missing one
    stop: int  # ns, open time of the next one that is there
    candles: int


@dataclass(frozen=True)
class Stored:
    """One coin: closed candles, those of the span preceded by up to 500 to begin with."""

    series: CandleSeries
    candles: Candles
    prices: Sequence[Prices]  # the same candles, exact
    traded: npt.NDArray[np.bool_]  # of each, whether anything was
    after: Prices | None  # the candle after them, not closed or not in the span, if anything was traded in it
    first: int  # position of the first one in the span
    holes: tuple[Hole, ...]

    def opening(self, at: int) -> Prices | None:
        """The candle at position `at`, of which the open may be traded on; None where it is not stored or had no trade."""
        if at < len(self.prices):
            return self.prices[at] if self.traded[at] else None
        return self.after

    def proved(self, at: int) -> int:
        """When (ns) the candle at position `at` is known to be closed: where the next one opens, which a hole puts off."""
        if at + 1 < len(self.candles):
            return int(self.candles.opens[at + 1])
        return timeframe(self.series.timeframe).close_of(int(self.candles.opens[at]))

    def window(self, at: int) -> Window:
        """The 500 candles up to that at position `at`; none before a hole, where it is known too late that it is closed."""
        found = self.candles.window(at + 1)
        if isinstance(found, Closed) and self.proved(at) != found.close_time:
            reason = "the candle after it is missing"
            return NotClosed(self.series, reason, CANDLES, found.open_time, found.close_time, found.close_text)
        return found


async def read_stored(archive: Archive, series: CandleSeries, span: Interval) -> Stored | str:
    """Candles that open in `span`, those to begin with, and the open of the one after; or why nothing can be done with them."""
    step = timeframe(series.timeframe).step
    rows = await archive.candles(series, max(0, span.start - CANDLES * step), min(span.stop + step, NS_MAX))
    return stored_of(series, rows, span)


def stored_of(series: CandleSeries, rows: Sequence[Row], span: Interval) -> Stored | str:
    """Of rows oldest first."""
    closed = [row for row in rows if row.closed and row.open_time < span.stop]
    before = sum(row.open_time < span.start for row in closed)
    if len(closed) <= CANDLES:
        lacking = f"the first {CANDLES} are needed before anything can be said"
        return f"{len(closed):,} closed candles are stored from {CANDLES} before the span on; {lacking}"
    if before == len(closed):
        return "no closed candle is stored in the span"
    try:
        candles = of_stored(series, closed)
    except ValueError as error:
        return str(error)
    after = next((row for row in rows[len(closed) :] if row.open_time == closed[-1].close_time), None)
    return Stored(
        series,
        candles,
        _Exact(closed),
        candles.ohlcv[VOLUME] > 0,
        _prices(after) if after is not None and Decimal(after.volume) > 0 else None,
        before,
        tuple(_holes(series, candles)),
    )


class _Exact(Sequence[Prices]):
    """Made from the rows' text when they are looked at, which takes a third of the memory."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Prices: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Prices]: ...
    def __getitem__(self, at: int | slice) -> Prices | Sequence[Prices]:
        return _Exact(self._rows[at]) if isinstance(at, slice) else _prices(self._rows[at])


def _prices(row: Row) -> Prices:
    return Prices(row.open_time, Decimal(row.open), Decimal(row.high), Decimal(row.low), Decimal(row.close))


def _holes(series: CandleSeries, candles: Candles) -> list[Hole]:
    frame = timeframe(series.timeframe)
    found = []
    for at in candles.breaks:
        start, stop = frame.close_of(int(candles.opens[at - 1])), int(candles.opens[at])
        found.append(Hole(start, stop, (stop - start) // frame.step))
    return found
