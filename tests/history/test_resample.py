"""Smaller candles make larger ones, exactly; recorded ones of 21 markets make the venue's own."""

import csv
from collections.abc import Sequence
from decimal import Decimal
from gzip import open as open_gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.candles.build import built
from marketd.history.resample import nests, resampled
from marketd.model.intervals import Interval, Intervals
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, MINUTE, timeframe
from marketd.stores.archive import Row
from tests.samples import trade

START = 1_700_006_400 * 10**9  # a whole hour
M5 = CandleSeries("binance", "BTCUSDT", "5m")


def row(number: int, opened: str, high: str, low: str, close: str, volume: str, *, closed: bool = True) -> Row:
    at = START + number * MINUTE
    return Row(at, at + MINUTE, opened, high, low, close, volume, closed, 0, "backfill")


def flat(number: int, price: str = "10") -> Row:
    return row(number, price, price, price, price, "0")


def made(rows: Sequence[Row], empty: Intervals | None = None, minutes: int = 5) -> tuple[list[tuple[str, ...]], list[Interval]]:
    found = resampled(rows, M5, Interval(START, START + minutes * MINUTE), empty or Intervals(), 7)
    return [(one.open, one.high, one.low, one.close, one.volume) for one in found.candles], found.incomplete


def test_the_digits_of_the_smaller_ones_are_kept() -> None:
    rows = [row(0, "1.50", "1.9", "1.4", "1.6", "0.1"), *(row(n, "1.6", "1.90", "1.2", "1.7", "0.20") for n in (1, 2, 3, 4))]

    assert ([("1.50", "1.9", "1.2", "1.7", "0.90")], []) == made(rows)


def test_one_that_is_not_there_leaves_the_larger_one_incomplete_unless_the_venue_has_none() -> None:
    rows = [row(n, "1", "1", "1", "1", "1") for n in (0, 1, 3, 4)]

    assert ([], [(START, START + 5 * MINUTE)]) == made(rows)
    assert ([("1", "1", "1", "1", "4")], []) == made(rows, Intervals([(START + 2 * MINUTE, START + 3 * MINUTE)]))


def test_one_that_forms_leaves_the_larger_one_incomplete() -> None:
    rows = [*(row(n, "1", "1", "1", "1", "1") for n in range(4)), row(4, "1", "1", "1", "1", "1", closed=False)]

    assert ([], [(START, START + 5 * MINUTE)]) == made(rows)


def test_nothing_at_all_is_incomplete_unless_it_is_known_to_be_empty() -> None:
    rows = [row(n, "1", "1", "1", "1", "1") for n in range(5, 10)]

    assert ([("1", "1", "1", "1", "5")], [(START, START + 5 * MINUTE), (START + 10 * MINUTE, START + 15 * MINUTE)]) == (
        made(rows, minutes=15)[0],
        made(rows, minutes=15)[1],
    )
    assert [] == made(rows, Intervals([(START, START + 5 * MINUTE)]), minutes=10)[1]


def test_the_larger_one_opens_with_the_first_that_traded() -> None:
    traded = [row(n, "11", "12", "11", "12", "1") for n in (1, 2, 3, 4)]

    assert [("11", "12", "11", "12", "4")] == made([flat(0, "10"), *traded])[0]
    assert [("10", "10", "10", "10", "0")] == made([flat(n) for n in range(5)])[0]


def test_volumes_add_up_to_any_number_of_digits() -> None:
    rows = [row(n, "1", "1", "1", "1", "12345678901234567890.000000000000000000001") for n in range(5)]

    assert "61728394506172839450.000000000000000000005" == made(rows)[0][0][4]


@pytest.mark.parametrize(
    ("smaller", "larger", "expected"),
    [("1m", "5m", True), ("1h", "1M", True), ("1d", "1w", True), ("1d", "3d", True), ("8h", "12h", False), ("1w", "1M", False),
     ("3d", "1w", False), ("5m", "5m", False), ("7m", "14m", False)],
)  # fmt: skip
def test_only_timeframes_that_divide_are_put_together(smaller: str, larger: str, expected: bool) -> None:
    assert expected == nests(timeframe(smaller), timeframe(larger))


@given(st.lists(st.tuples(st.integers(0, 599), st.integers(1, 500), st.integers(1, 90)), min_size=1, max_size=200))
def test_put_together_from_minutes_is_built_from_trades(said: list[tuple[int, int, int]]) -> None:
    trades = [
        trade(ts_event=START + second * 10**9, price=str(price), size=f"0.{size}", trade_id=str(number))
        for number, (second, price, size) in enumerate(sorted(said))
    ]
    span = Interval(START, START + 10 * MINUTE)
    minutes = [Row(one.open_time, one.close_time, one.open, one.high, one.low, one.close, one.volume, True, 0, None)
               for one in built(trades, timeframe("1m"))]  # fmt: skip
    empty = Intervals(Intervals((one.open_time, one.close_time) for one in minutes).missing(*span))
    found = resampled(minutes, M5, span, empty, 7)

    assert [] == found.incomplete
    assert [(one.open_time, *map(Decimal, (one.open, one.high, one.low, one.close, one.volume))) for one in found.candles] == [
        (one.open_time, *map(Decimal, (one.open, one.high, one.low, one.close, one.volume)))
        for one in built(trades, timeframe("5m"))
    ]


def stored(path: Path, step: int) -> list[Row]:
    with open_gzip(path, "rt") as lines:
        rows = [(int(ms) * 10**6, *numbers) for ms, *numbers in list(csv.reader(lines))[1:]]
    return [Row(at, at + step, *numbers, True, 0, None) for at, *numbers in rows]


def not_close(mine: str, theirs: str) -> bool:
    return abs(Decimal(mine) - Decimal(theirs)) > Decimal(theirs) * Decimal("1e-14")


def compared(directory: Path, smaller: str, larger: str) -> tuple[int, int, list[str]]:
    """Over all markets: whole larger candles, larger ones of which the venue lacks smaller ones, and those that differ."""
    whole, partial, wrong = 0, 0, []
    steps = {"1h": HOUR, "4h": 4 * HOUR, "1d": DAY}
    for path in sorted(directory.glob(f"*-{larger}.csv.gz")):
        symbol = path.name.split("-")[0]
        small = stored(path.with_name(f"{symbol}-{smaller}.csv.gz"), steps[smaller])
        large = {row.open_time: row for row in stored(path, steps[larger])}
        step = steps[larger]
        # Up to the last larger candle that has ended in both files; within, what is not there the venue does not have.
        span = Interval(min(large), min(max(large), small[-1].close_time // step * step - step) + step)
        had = Intervals((row.open_time, row.close_time) for row in small)
        series = CandleSeries("binance", symbol, larger)
        for one in resampled(small, series, span, Intervals(had.missing(*span)), 0).candles:
            theirs = large.get(one.open_time)
            if had.missing(one.open_time, one.close_time):
                partial += 1
            else:
                whole += 1
            mine = [Decimal(text) for text in (one.open, one.high, one.low, one.close)]
            is_same = theirs is not None and mine == [Decimal(t) for t in (theirs.open, theirs.high, theirs.low, theirs.close)]
            # These files were written by way of floats, so their volumes are good for fifteen digits.
            if theirs is None or not is_same or not_close(one.volume, theirs.volume):
                wrong.append(f"{symbol} {one.open_time}")
    return whole, partial, wrong


@pytest.mark.recorded("binance/candles/freqtrade_dl/BTCUSDT-1h.csv.gz")
def test_recorded_hours_of_21_markets_make_the_venues_four_hours_and_days(recording: Path) -> None:
    assert (155_523, 490, []) == compared(recording.parent, "1h", "4h")
    assert (25_929, 87, []) == compared(recording.parent, "4h", "1d")
