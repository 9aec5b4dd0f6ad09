"""From the rows of a REST answer to candles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.errors import BadFrame
from marketd.model.instruments import Instrument
from marketd.model.timeframes import DAY, MINUTE, timeframe
from marketd.venues.rows import Row, read_rows
from marketd.venues.venue import Answer

BTC = Instrument("any", "BTCUSD", "tBTCUSD", "BTC", "USD")
ONE = timeframe("1m")
ANSWER = Answer(200, {}, b"[]")


def row(minute: int, close: object = "3.50") -> Row:
    return minute * MINUTE, "2.0", "9", "1.00", close, "0.10"


@given(st.lists(st.integers(0, 50), min_size=1))
def test_whatever_order_rows_come_in_candles_are_oldest_first_each_once_and_only_the_newest_is_open(minutes: list[int]) -> None:
    candles = read_rows("any", ANSWER, BTC, ONE, 7, map(row, minutes))

    assert [one.open_time for one in candles] == [minute * MINUTE for minute in sorted(set(minutes))]
    assert [one.closed for one in candles] == [True] * (len(candles) - 1) + [False]


def test_every_digit_stays_and_only_an_exponent_is_written_out() -> None:
    [candle] = read_rows("any", ANSWER, BTC, ONE, 7, [(60 * MINUTE, "1E-7", 12, "0.0000001000", "1.50", "0")])

    assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == ("0.0000001", "12", "0.0000001000", "1.50", "0")
    assert (candle.open_time, candle.close_time, candle.timeframe) == (60 * MINUTE, 61 * MINUTE, "1m")
    assert (candle.venue, candle.symbol, candle.ts_event, candle.ts_recv) == ("any", "BTCUSD", None, 7)


def test_two_different_rows_of_one_time_are_not_believed() -> None:
    with pytest.raises(BadFrame, match="two different candles open at 1970-01-01T00:01:00"):
        read_rows("any", ANSWER, BTC, ONE, 7, [row(1), row(1, "4")])


@pytest.mark.parametrize(("name", "day"), [("1w", 0), ("1M", 3), ("3d", 3), ("1d", 1)])
def test_a_row_off_the_grid_is_not_taken_for_ours(name: str, day: int) -> None:
    opened = day * DAY + (name == "1d") * 5 * 60 * MINUTE

    with pytest.raises(BadFrame, match=f"no candle of {name} opens at"):
        read_rows("any", ANSWER, BTC, timeframe(name), 7, [(opened, "1", "1", "1", "1", "1")])


@pytest.mark.parametrize("bad", [None, [], {}, "", "x", "nan", True])
def test_what_is_no_number_is_an_error(bad: object) -> None:
    with pytest.raises(BadFrame, match="number"):
        read_rows("any", ANSWER, BTC, ONE, 7, [row(1, bad)])


@pytest.mark.parametrize("opened", [10**30, -(10**30), -1])
def test_a_time_beyond_all_calendars_is_an_error_too(opened: int) -> None:
    with pytest.raises(BadFrame, match="opens at"):
        read_rows("any", ANSWER, BTC, ONE, 7, [(opened, "1", "1", "1", "1", "1")])


def test_no_rows_are_no_candles() -> None:
    assert read_rows("any", ANSWER, BTC, ONE, 7, []) == []
