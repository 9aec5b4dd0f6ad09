"""When a market that closes is open, in UTC: nights, weekends, holidays and half days of New York's stock exchanges.

Sessions: https://www.nyse.com/markets/hours-calendars (state of 2026-11). Holidays, half days and days of mourning come from
the package `holidays`; a closing that it does not know yet is asked for like any other time.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from marketd.model.intervals import Interval, Intervals
from marketd.model.timeframes import SECOND
from marketd.venues.venue import Venue

DAY = timedelta(days=1)
FIRST, OPENS, CLOSES, CLOSES_EARLY, LAST = time(4), time(9, 30), time(16), time(13), time(20)


class Hours(Protocol):
    """A venue's calendar. A venue that never closes has none."""

    def shut(self, span: Interval) -> list[Interval]:
        """The parts of `span` (ns) in which nobody can trade."""
        ...

    def quiet(self, span: Interval) -> list[Interval]:
        """The parts outside of the regular session: trades may be there, and nothing is odd when there are none."""
        ...


def hours_of(venue: Venue) -> Hours | None:
    """A venue's attribute `hours`, which one that never closes need not have."""
    hours: Hours | None = getattr(venue, "hours", None)
    return hours


class NewYorkHours:
    """From 4:00 to 20:00, regularly from 9:30 to 16:00, on half days to 13:00."""

    def shut(self, span: Interval) -> list[Interval]:
        return Intervals((day.first, day.last) for day in _days(span)).missing(*span)

    def quiet(self, span: Interval) -> list[Interval]:
        return Intervals((day.opens, day.closes) for day in _days(span)).missing(*span)


class _Day(NamedTuple):
    """A trading day; ns."""

    first: int
    opens: int
    closes: int
    last: int


def _days(span: Interval) -> Iterator[_Day]:
    """The trading days that can touch `span`."""
    at = datetime.fromtimestamp(span.start // SECOND, UTC).date() - DAY
    last = datetime.fromtimestamp(span.stop // SECOND, UTC).date() + DAY
    while at <= last:
        closed, half = _exceptions(at.year)
        if at.weekday() < 5 and at not in closed:
            closes = CLOSES_EARLY if at in half else CLOSES
            yield _Day(*(_ns(at, clock) for clock in (FIRST, OPENS, closes, LAST)))
        at += DAY


def _ns(day: date, clock: time) -> int:
    return int(datetime.combine(day, clock, ZoneInfo("America/New_York")).timestamp()) * SECOND


@lru_cache(maxsize=64)
def _exceptions(year: int) -> tuple[frozenset[date], frozenset[date]]:
    """Weekdays without a session, and with half of one."""
    from holidays.constants import HALF_DAY  # takes a third of a second to load, and few need it
    from holidays.financial.ny_stock_exchange import NewYorkStockExchange

    closed = NewYorkStockExchange(years=year)  # type: ignore[no-untyped-call]
    half = NewYorkStockExchange(years=year, categories=(HALF_DAY,))  # type: ignore[no-untyped-call]
    return frozenset(closed), frozenset(half) - frozenset(closed)
