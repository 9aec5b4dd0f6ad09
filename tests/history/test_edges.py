"""Where a series begins and ends at a venue, and how little is asked to know it."""

from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.history.backfill import Backfill
from marketd.history.settling import NO_TRADES
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY
from marketd.model.times import ns_of_iso
from tests.history.desks import driven, rooms

NOW = ns_of_iso("2020-03-01T00:00:00Z")  # two months after the simulated markets were listed
SPAN = Interval(ns_of_iso("2017-07-14T02:00:00Z"), NOW)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def test_before_the_listing_nothing_is_asked_page_by_page(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("bitfinex", "BTCUSD", "1h")
    async with rooms("bitfinex", clock, tmp_path) as here:
        progress = await driven(clock, Backfill(here.desk, here.archive, clock).fill(series, SPAN))
        first = (await here.archive.ledger(series))[0]

        assert ("known_empty", "before listing") == (first.state, first.cause)
        assert progress.requests < 20


async def test_a_quiet_start_of_a_short_span_is_no_listing(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("bitfinex", "BTCUSD", "1m")
    async with rooms("bitfinex", clock, tmp_path) as here:
        await driven(clock, Backfill(here.desk, here.archive, clock).fill(series, Interval(clock.now_ns() - DAY, clock.now_ns())))

        assert {NO_TRADES} == {part.cause for part in await here.archive.ledger(series) if part.state == "known_empty"}


async def test_the_day_of_the_listing_is_asked_for_once_for_all_timeframes(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("bitfinex", clock, tmp_path) as here:
        backfill = Backfill(here.desk, here.archive, clock)
        first = await driven(clock, backfill.fill(CandleSeries("bitfinex", "BTCUSD", "1h"), SPAN))
        second = await driven(clock, backfill.fill(CandleSeries("bitfinex", "BTCUSD", "6h"), SPAN))
        alone = await driven(
            clock, Backfill(here.desk, here.archive, clock).fill(CandleSeries("bitfinex", "BTCUSD", "12h"), SPAN)
        )

        assert first.failed == second.failed == alone.failed == []
        assert second.requests < alone.requests
