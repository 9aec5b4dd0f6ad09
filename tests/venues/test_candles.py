"""A venue's candles over REST: asked on a simulated venue, vetted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace as copied
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from marketd.clock import ManualClock
from marketd.errors import BadFrame
from marketd.metrics import Metrics
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval
from marketd.model.timeframes import MINUTE, Timeframe, timeframe
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.net.quarantine import Quarantine
from marketd.sim import open_sim
from marketd.venues.binance import Binance
from marketd.venues.candles import LIST_AGE_S, CandleDesk
from marketd.venues.rest import Rest
from marketd.venues.venue import Answer, Request

M1 = timeframe("1m")


class Lying(Binance):
    """Its second row of every answer has its high below its low."""

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        rows = super().read_candles(answer, instrument, timeframe, ts_recv)
        return [replace(row, high="1", low="2") if number == 1 else row for number, row in enumerate(rows)]


class Cutting(Binance):
    """Cuts each page after two rows, and goes on from there."""

    is_endless = False

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        asked = super().candles_request(instrument, timeframe, span)
        return copied(asked, params={**asked.params, "limit": "2"})

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        start = int(asked.params["startTime"]) + 2 * MINUTE // 1_000_000
        if start > int(asked.params["endTime"]) and not self.is_endless:
            return None
        return copied(asked, params={**asked.params, "startTime": str(start)})


@asynccontextmanager
async def desk(
    clock: ManualClock, metrics: Metrics, venue: Binance | None = None, quarantine: Quarantine | None = None
) -> AsyncIterator[CandleDesk]:
    async with open_sim(["binance"], clock=clock) as sim, Http() as http:
        venue = venue or Binance({})
        governor = Governor(clock, venue.limits.rest)
        rest = Rest(venue, sim.env()["BINANCE_REST_URL"], http, governor, clock, metrics)
        yield CandleDesk(rest, clock, metrics, quarantine)


async def test_a_page_is_the_venues_candles_of_the_span(clock: ManualClock) -> None:
    async with desk(clock, Metrics()) as asking:
        instrument = await asking.instrument("BTCUSDT")
        assert instrument is not None
        stop = M1.open_of(clock.now_ns())
        found = await asking.ask(instrument, M1, Interval(stop - 5 * MINUTE, stop))

        assert [stop - number * MINUTE for number in (5, 4, 3, 2, 1)] == [one.open_time for one in found]
        assert await asking.instrument("NOPE") is None


async def test_a_page_that_the_venue_cuts_is_put_together_again(clock: ManualClock) -> None:
    stop = M1.open_of(clock.now_ns())
    async with desk(clock, Metrics(), Cutting({})) as asking:
        instrument = await asking.instrument("BTCUSDT")
        assert instrument is not None
        found = await asking.ask(instrument, M1, Interval(stop - 7 * MINUTE, stop))

        assert [stop - number * MINUTE for number in range(7, 0, -1)] == [one.open_time for one in found]
        assert [True] * 6 + [False] == [one.closed for one in found]


async def test_a_page_without_an_end_is_given_up(clock: ManualClock) -> None:
    venue = Cutting({})
    venue.is_endless = True
    async with desk(clock, Metrics(), venue) as asking:
        instrument = await asking.instrument("BTCUSDT")
        assert instrument is not None

        with pytest.raises(BadFrame, match="more than 100 parts"):
            await asking.ask(instrument, M1, Interval(clock.now_ns() - 7 * MINUTE, clock.now_ns()))


async def test_the_list_is_asked_for_again_after_an_hour(clock: ManualClock) -> None:
    async with desk(clock, metrics := Metrics()) as asking:
        for wait_s in (0, 1, LIST_AGE_S):
            await clock.advance(wait_s)
            await asking.instruments()

        assert 2 == metrics.rest_requests.labels("binance", "ok")._value.get()


async def test_a_row_that_cannot_be_is_kept_aside_and_counted(clock: ManualClock, tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    async with desk(clock, metrics := Metrics(), Lying({}), quarantine) as asking:
        instrument = await asking.instrument("BTCUSDT")
        assert instrument is not None
        stop = M1.open_of(clock.now_ns())
        with capture_logs() as logs:
            found = await asking.ask(instrument, M1, Interval(stop - 3 * MINUTE, stop))

        why = "high and low do not enclose open and close"
        assert [stop - 3 * MINUTE, stop - MINUTE] == [one.open_time for one in found]
        assert 1 == metrics.events_quarantined.labels("binance", why)._value.get()
        assert ["feed.quarantined"] == [one["event"] for one in logs]
        assert 1 == quarantine.kept
