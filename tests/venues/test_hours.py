"""When New York's exchanges are open, in UTC."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.intervals import Interval, Intervals
from marketd.model.times import iso_of_ns, ns_of_iso
from marketd.venues.alpaca import Alpaca
from marketd.venues.binance import Binance
from marketd.venues.hours import NewYorkHours, hours_of

HOURS = NewYorkHours()


def day(text: str, days: int = 1) -> Interval:
    start = ns_of_iso(f"{text}T00:00:00Z")
    return Interval(start, start + days * 86_400 * 10**9)


def said(parts: list[Interval]) -> list[tuple[str, str]]:
    return [(iso_of_ns(a)[5:16], iso_of_ns(b)[5:16]) for a, b in parts]


def test_a_winter_day_has_five_hours_to_utc_a_summer_day_four() -> None:
    assert [("01-10T00:00", "01-10T14:30"), ("01-10T21:00", "01-11T00:00")] == said(HOURS.quiet(day("2024-01-10")))
    assert [("07-10T00:00", "07-10T13:30"), ("07-10T20:00", "07-11T00:00")] == said(HOURS.quiet(day("2024-07-10")))
    assert [("01-10T01:00", "01-10T09:00")] == said(HOURS.shut(day("2024-01-10")))


def test_from_friday_evening_to_monday_morning_it_is_shut_across_a_change_of_the_clocks() -> None:
    weekend = Interval(ns_of_iso("2024-03-08T20:00:00Z"), ns_of_iso("2024-03-11T13:30:00Z"))

    assert [("03-09T01:00", "03-11T08:00")] == said(HOURS.shut(weekend))


@pytest.mark.parametrize(
    "holiday", ["2024-01-01", "2024-01-15", "2024-03-29", "2024-06-19", "2024-07-04", "2024-11-28", "2018-12-05", "2025-01-09"]
)
def test_holidays_and_days_of_mourning_are_shut(holiday: str) -> None:
    noon = ns_of_iso(f"{holiday}T17:00:00Z")

    assert [(noon, noon + 1)] == HOURS.shut(Interval(noon, noon + 1))


def test_half_days_end_at_one_and_are_not_shut_in_the_afternoon() -> None:
    assert ("11-29T18:00", "11-30T00:00") == said(HOURS.quiet(day("2024-11-29")))[-1]
    assert [("11-29T00:00", "11-29T09:00")] == said(HOURS.shut(day("2024-11-29")))


def test_a_market_without_a_calendar_never_closes() -> None:
    assert hours_of(Binance()) is None
    assert hours_of(Alpaca()) is not None


@given(st.integers(0, 365 * 30), st.integers(1, 20))
def test_what_is_shut_is_quiet_and_both_lie_within_what_was_asked(first: int, days: int) -> None:
    start = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=first)
    span = day(start.date().isoformat(), days)
    shut, quiet = HOURS.shut(span), HOURS.quiet(span)

    assert all(span.start <= part.start < part.stop <= span.stop for part in (*shut, *quiet))
    assert list(Intervals(quiet)) == list(Intervals([*shut, *quiet]))
    assert days < 7 or sum(part.length for part in shut) >= 48 * 3600 * 10**9
