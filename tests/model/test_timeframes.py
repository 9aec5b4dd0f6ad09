"""Candle timeframes on the UTC grid."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.timeframes import SECOND, timeframe
from tests.model.strategies import times

names = st.sampled_from(["1s", "1m", "5m", "15m", "1h", "4h", "1d", "3d", "1w", "1M"])


def day(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[arg-type,misc]


@given(names, times)
def test_a_time_lies_in_its_candle(name: str, ts: int) -> None:
    frame = timeframe(name)
    opened = frame.open_of(ts)

    assert opened <= ts < frame.close_of(opened)
    assert opened == frame.open_of(opened)


@given(names, times)
def test_a_candle_ends_where_its_successor_opens(name: str, ts: int) -> None:
    frame = timeframe(name)
    closed = frame.close_of(frame.open_of(ts))

    assert closed == frame.open_of(closed)


@given(names, times)
def test_the_next_opening_is_the_first_at_or_after_a_time(name: str, ts: int) -> None:
    frame = timeframe(name)
    opened = frame.open_from(ts)

    assert opened == frame.open_of(opened)
    assert ts <= opened < ts + frame.length_at(ts)
    assert frame.length_at(ts) == frame.close_of(frame.open_of(ts)) - frame.open_of(ts)


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    sunday = day(2024, 3, 3)

    assert (day(2024, 2, 26), day(2024, 3, 4)) == (timeframe("1w").open_of(sunday), timeframe("1w").close_of(day(2024, 2, 26)))
    assert (day(2024, 3, 1), day(2025, 1, 1)) == (timeframe("1M").open_of(sunday), timeframe("1M").close_of(day(2024, 12, 1)))


def test_three_days_lie_as_the_venue_that_has_them_lays_them() -> None:
    listed = day(2017, 12, 18)  # the first such candle of a symbol, recorded

    assert (listed, day(2017, 12, 21)) == (timeframe("3d").open_of(day(2017, 12, 20)), timeframe("3d").close_of(listed))


@pytest.mark.parametrize("name", ["", "m", "0m", "01m", "1", "1x", "2M", "-1m", "1.5h", "1 m", "１m"])
def test_what_is_no_timeframe_is_told_which_are(name: str) -> None:
    with pytest.raises(ValueError, match="1m, 5m, 1h, 1d"):
        timeframe(name)
