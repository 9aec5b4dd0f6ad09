"""One connection to a simulated venue, from greeting to end, on a clock that the test moves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from marketd.clock import ManualClock
from marketd.errors import Disconnected
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.net.capture import Recorder
from marketd.sim import Sim, open_sim
from marketd.venues import venue_named
from marketd.venues.connection import Connection
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.notices import Notice
from marketd.venues.venue import Wanted
from tests.daemons import eventually

BTC, ETH = Wanted("trade", "BTCUSDT"), Wanted("trade", "ETHUSDT")
LISTED = Instruments(
    [Instrument("any", symbol, symbol, symbol.removesuffix("USDT"), "USDT") for symbol in ("BTCUSDT", "ETHUSDT")]
)


class Talk:
    """A connection, what it published, recorded and asked."""

    def __init__(self, sim: Sim, name: str, clock: ManualClock, wanted: list[Wanted], base: str | None = None) -> None:
        self.sim, self.clock, self.name = sim, clock, name
        self.events: list[Event] = []
        self.recorder = Recorder()
        self.written: list[dict[str, str]] = []
        venue = venue_named(name, {})
        self.intake = Intake(venue, self.events.extend, self, Metrics())
        self.intake.instruments = LISTED
        self.intake.want(wanted, clock.now_ns())
        base = base or sim.env()[f"{name.upper()}_WS_URL"]
        self.connection = Connection(venue, base, LISTED, self.intake, clock, self.recorder, wanted)

    def repair(self, repair: Repair) -> None: ...

    def notice(self, connection: int, notice: Notice) -> None:
        self.connection.hear(notice)

    def recorded(self, kind: str) -> list[str]:
        self.written += [json.loads(line) for line in self.recorder.take().splitlines()]
        return [one.get("frame", one.get("url", "")) for one in self.written if one["k"] == kind]

    async def until_acked(self, *wanted: Wanted) -> None:
        await eventually(lambda: self.connection.acked >= set(wanted), 10.0)


@asynccontextmanager
async def talking(name: str, clock: ManualClock, wanted: list[Wanted]) -> AsyncIterator[tuple[Talk, "asyncio.Task[str]"]]:
    async with open_sim([name], clock=clock) as sim:
        talk = Talk(sim, name, clock, wanted)
        running = asyncio.ensure_future(talk.connection.run())
        try:
            yield talk, running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("name", ["binance", "bybit"])
async def test_it_subscribes_hears_the_answer_and_reads(name: str, clock: ManualClock) -> None:
    async with talking(name, clock, [BTC]) as (talk, _):
        await talk.until_acked(BTC)
        talk.sim.step(50)
        await eventually(lambda: any(isinstance(one, Trade) for one in talk.events))

        assert talk.connection.is_open
        assert talk.connection.first_data()
        assert not talk.connection.first_data()
        assert len(talk.recorded("open")) == 1
        assert talk.recorded("in")


@pytest.mark.parametrize("name", ["binance", "bybit"])
async def test_subscriptions_come_and_go_on_the_open_line(name: str, clock: ManualClock) -> None:
    async with talking(name, clock, [BTC]) as (talk, running):
        await talk.until_acked(BTC)
        talk.intake.want([ETH], clock.now_ns())
        talk.connection.subscribe([BTC, ETH])
        await clock.advance(1.0)
        await talk.until_acked(ETH)
        talk.connection.unsubscribe([BTC])
        await clock.advance(1.0)
        await eventually(lambda: any("BTCUSDT" in one.upper() and "unsub" in one.lower() for one in talk.recorded("out")))

        assert list(talk.connection.wanted) == [ETH]
        assert talk.connection.acked == {ETH}
        assert not running.done()


async def test_control_frames_go_no_faster_than_the_venue_allows(clock: ManualClock) -> None:
    async with talking("bybit", clock, [BTC]) as (talk, _):
        await talk.until_acked(BTC)
        await clock.advance(5.0)
        before = len(talk.recorded("out"))
        for _ in range(20):
            talk.connection.again([BTC])
        await clock.advance(0)
        sent = len(talk.recorded("out")) - before
        await clock.advance(1.0)

        assert sent == 1
        assert len(talk.recorded("out")) - before <= 12  # 10 a second


async def test_closing_ends_it_with_the_reason_and_is_recorded(clock: ManualClock) -> None:
    async with talking("binance", clock, [BTC]) as (talk, running):
        await talk.until_acked(BTC)
        talk.connection.close("replaced")
        talk.connection.close("too late")

        assert await asyncio.wait_for(running, 5.0) == "replaced"
        assert talk.recorded("close") == ["replaced"]
        assert not talk.connection.is_open


async def test_closing_while_it_dials_ends_it_all_the_same(clock: ManualClock) -> None:
    async with talking("binance", clock, [BTC]) as (talk, running):
        talk.connection.close("nobody wants it any more")

        assert await asyncio.wait_for(running, 5.0) == "nobody wants it any more"


async def test_the_end_that_the_venue_makes_is_told(clock: ManualClock) -> None:
    async with talking("binance", clock, [BTC]) as (talk, running):
        await talk.until_acked(BTC)
        talk.sim.fault("binance", "disconnect")

        assert await asyncio.wait_for(running, 5.0) == "the connection broke"


async def test_one_that_never_opens_says_where(clock: ManualClock) -> None:
    async with open_sim(["binance"], clock=clock) as sim:
        talk = Talk(sim, "binance", clock, [BTC], base="ws://127.0.0.1:1")
        with pytest.raises(Disconnected, match=r"ws://127\.0\.0\.1:1"):
            await talk.connection.run()


async def test_a_frame_that_cannot_be_read_is_counted_and_the_next_one_is_read(clock: ManualClock) -> None:
    async with talking("binance", clock, [BTC]) as (talk, _):
        await talk.until_acked(BTC)
        talk.connection._on_frame(b'{"stream":')
        talk.sim.step(50)
        await eventually(lambda: any(isinstance(one, Trade) for one in talk.events))

        assert talk.intake.frames_bad == 1


async def test_an_answer_that_does_not_come_is_asked_for_once_more_and_then_said(clock: ManualClock) -> None:
    async with talking("bybit", clock, [BTC]) as (talk, running):
        await talk.until_acked(BTC)
        talk.sim.fault("bybit", "stall", for_s=1000.0)
        talk.intake.want([ETH], clock.now_ns())
        talk.connection.subscribe([ETH])
        await clock.advance(25.0)
        asked = [one for one in talk.recorded("out") if "ETHUSDT" in one]

        assert len(asked) == 2
        assert talk.intake.streams[ETH].state == "quiet"
        assert "never confirmed" in talk.intake.streams[ETH].reason
        await clock.advance(30.0)

        assert (await asyncio.wait_for(running, 5.0)).startswith("silent for")
