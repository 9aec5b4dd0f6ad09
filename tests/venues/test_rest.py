"""REST questions to a simulated venue: paid for, recorded, and stopped while it refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from marketd.clock import ManualClock
from marketd.errors import Disconnected, Refused
from marketd.metrics import Metrics
from marketd.net.capture import Recorder
from marketd.net.governor import FULL, Governor, Priority
from marketd.net.http import Http
from marketd.sim import Sim, open_sim
from marketd.venues.binance import Binance
from marketd.venues.rest import PAUSE_S_MIN, PAUSE_S_UNSTATED, Rest
from marketd.venues.venue import Request

TIME = Request("/api/v3/exchangeInfo", weight=20)


@asynccontextmanager
async def asking(clock: ManualClock, capture: Recorder | None = None) -> AsyncIterator[tuple[Rest, Sim]]:
    """A venue's REST side on a simulated venue; the clock stands still."""
    async with open_sim(["binance"], clock=clock) as sim, Http() as http:
        venue = Binance({})
        governor = Governor(clock, venue.limits.rest)
        yield Rest(venue, sim.env()["BINANCE_REST_URL"], http, governor, clock, Metrics(), capture), sim


async def test_an_answer_is_stamped_paid_for_and_recorded(clock: ManualClock) -> None:
    recorder = Recorder()
    async with asking(clock, recorder) as (rest, _):
        answer = await rest.ask(TIME, Priority.LIVE)
        recorded = json.loads(recorder.take())

        assert (answer.status, answer.ts_recv) == (200, clock.now_ns())
        assert rest.governor.used_ratio() >= 20 / (6000 * FULL)
        assert (recorded["k"], recorded["venue"], recorded["status"]) == ("rest", "binance", 200)
        assert recorded["url"].endswith("/api/v3/exchangeInfo")
        assert recorded["body"].encode() == answer.body


async def test_the_venues_own_count_of_the_weight_used_is_believed_when_it_is_higher(clock: ManualClock) -> None:
    async with asking(clock) as (rest, _):
        await rest.ask(replace(TIME, weight=1), Priority.LIVE)

        assert rest.governor.used_ratio() == pytest.approx(20 / (6000 * FULL))


@pytest.mark.parametrize(
    ("status", "retry_after_s", "paused_s"),
    [
        (429, 17.0, 17.0),
        (429, None, PAUSE_S_UNSTATED),
        (418, 120.0, 120.0),
        (418, None, PAUSE_S_UNSTATED),
        (403, None, PAUSE_S_UNSTATED),
        (503, 2.0, 2.0),
        (503, 1.0, PAUSE_S_MIN),
        (500, None, 0.0),
        (451, None, 0.0),
    ],
)
async def test_a_refusal_silences_us_for_as_long_as_the_venue_says(
    status: int, retry_after_s: float | None, paused_s: float, clock: ManualClock
) -> None:
    async with asking(clock) as (rest, sim):
        sim.fault("binance", "refuse", on="rest", status=status, retry_after_s=retry_after_s, for_s=1000.0)
        with capture_logs() as lines, pytest.raises(Refused) as refused:
            await rest.ask(TIME, Priority.LIVE)

        assert refused.value.status == status
        assert rest.governor.paused_s == pytest.approx(paused_s)
        assert [line["wait_s"] for line in lines if line["event"] == "rest.refused"] == ([paused_s] if paused_s else [])


async def test_nothing_is_asked_while_the_venue_wants_silence(clock: ManualClock) -> None:
    recorder = Recorder()
    async with asking(clock, recorder) as (rest, sim):
        sim.fault("binance", "refuse", on="rest", status=429, retry_after_s=30.0, for_s=5.0)
        with pytest.raises(Refused):
            await rest.ask(TIME, Priority.LIVE)
        sim.heal("binance")
        recorder.take()
        asked = asyncio.ensure_future(rest.ask(TIME, Priority.LIVE))
        await clock.advance(29.0)
        assert (asked.done(), recorder.take()) == (False, b"")
        await clock.advance(1.5)

        assert (await asked).status == 200


async def test_no_answer_is_counted_and_still_paid_for(clock: ManualClock) -> None:
    async with asking(clock) as (rest, _):
        rest.base = "http://127.0.0.1:1"
        with pytest.raises(Disconnected, match=r"127\.0\.0\.1:1/api"):
            await rest.ask(TIME, Priority.LIVE)

        assert rest._metrics.rest_requests.labels("binance", "no answer")._value.get() == 1
        assert rest.governor.used_ratio() == pytest.approx(20 / (6000 * FULL))


async def test_another_host_is_asked_only_where_the_base_is_the_venues_own(clock: ManualClock) -> None:
    async with asking(clock) as (rest, _):
        elsewhere = replace(TIME, base="http://127.0.0.1:1")

        assert (await rest.ask(elsewhere, Priority.LIVE)).status == 200
