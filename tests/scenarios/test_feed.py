"""The feed of each venue against its simulated twin: what one venue shows by itself. Each fault on each venue: test_faults.py."""

from itertools import pairwise
from pathlib import Path

import pytest

from marketd.model.events import BookL2, Heartbeat, Trade
from marketd.net.quarantine import Quarantine
from marketd.sim.server import SIM_VENUES
from marketd.venues import VENUES
from marketd.venues.venue import Wanted
from tests.scenarios.feeds import scenario, wanted

NAMES = [name for name in VENUES if name in SIM_VENUES]
CASES = [(name, seed) for name in NAMES for seed in ((1, 2) if name == "binance" else (1,))]
DOLLARS = ("BTCUSD", "ETHUSD")
SYMBOLS = {"alpaca": ("AAPL", "MSFT"), "bitfinex": DOLLARS, "coinbase": DOLLARS, "kraken": DOLLARS}


def symbols_of(name: str) -> tuple[str, str]:
    return SYMBOLS.get(name, ("BTCUSDT", "ETHUSDT"))


@pytest.mark.parametrize("name", NAMES)
async def test_without_faults_everything_arrives_once_and_nothing_is_said_to_be_missing(name: str) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1) as here:
        await here.flows(one, 200)
        await here.complete(one, other)

        assert here.gaps("trade") == []
        assert here.gaps("book") == []
        here.check_live_order(one)
        assert not any(stream.state == "dead" for stream in here.feed.intake.streams.values())


@pytest.mark.parametrize(("name", "seed"), CASES)
async def test_garbled_frames_are_counted_and_the_stream_goes_on(name: str, seed: int, tmp_path: Path) -> None:
    one, other = symbols_of(name)
    quarantine = Quarantine(tmp_path / "quarantine.jsonl")
    async with scenario(name, (one, other), seed=seed, quarantine=quarantine) as here:
        here.fault("garble", p=0.05, for_s=20.0)
        await here.flows(one, 200)
        here.heal()
        await here.eventually(lambda: here.feed.intake.frames_bad > 0, "a bad frame")
        await here.flows(other, 30)
        connections = list(here.feed.connections)

        assert len(connections) == 1
        assert here.metrics.faults._metrics == {}
        published = [item.trade_id for item in here.trades(one)]
        assert len(published) == len(set(published))


@pytest.mark.parametrize("name", NAMES)
async def test_a_stall_delays_and_loses_nothing(name: str) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1) as here:
        here.fault("stall", for_s=5.0)
        await here.flows(one, 100)
        await here.complete(one, other)


@pytest.mark.parametrize("name", NAMES)
async def test_refused_handshakes_are_tried_less_and_less_often(name: str) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1) as here:
        here.fault("refuse", on="ws", status=503)
        here.fault("disconnect", count=1)
        await here.eventually(lambda: here.feed.reconnects >= 5, "five tries")
        gone = [status.ts_recv for status in here.statuses("disconnected")]
        pauses = [later - earlier for earlier, later in pairwise(gone)]
        await here.complete(one, other)

        assert pauses[-1] > 2 * pauses[0]


async def test_a_book_is_not_asked_for_and_not_shown_while_its_line_is_down() -> None:
    async with scenario("binance", seed=1) as here:
        await here.eventually(lambda: here.feed.intake.books.is_in_sync("BTCUSDT"), "in sync")
        here.fault("disconnect", count=1, for_s=3600.0)
        await here.eventually(lambda: here.feed.reconnects >= 1, "the line is down")
        asked, shown = here.truth.requests.copy(), len(here.of(BookL2))
        await here.eventually(lambda: here.feed.reconnects >= 5, "five tries")

        assert asked == here.truth.requests
        assert shown == len(here.of(BookL2))
        await here.complete("BTCUSDT")
        await here.eventually(lambda: here.feed.intake.books.is_in_sync("BTCUSDT"), "in sync again")


async def test_a_handshake_refusal_with_a_waiting_time_is_obeyed() -> None:
    async with scenario("binance", seed=1) as here:
        here.fault("refuse", on="ws", status=429, retry_after_s=30.0, count=1)
        here.fault("disconnect", count=1)
        await here.eventually(lambda: here.feed.reconnects >= 2, "the refusal")
        refused_s, accepted = here.clock.monotonic(), here.truth.accepted
        await here.eventually(lambda: here.truth.accepted > accepted, "the next connection")

        assert here.clock.monotonic() - refused_s > 25


async def test_a_snapshot_slower_than_the_deltas_still_joins() -> None:
    async with scenario("binance", seed=1, settle=False) as here:
        here.fault("slow", path="depth", by_s=3.0)
        await here.eventually(lambda: here.feed.intake.books.is_in_sync("BTCUSDT"), "in sync")
        await here.flows("BTCUSDT", 100)

        assert here.gaps("book") == []
        assert here.of(BookL2, "BTCUSDT")


@pytest.mark.parametrize("by_s", [-8.0, 8.0])
@pytest.mark.parametrize("name", NAMES)
async def test_a_venue_with_another_idea_of_the_time_loses_nothing(name: str, by_s: float) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1, faults=f"skew:by={by_s}s") as here:
        here.truth.deck.heal("disconnect")
        await here.flows(one, 50)
        before = here.feed.reconnects
        here.fault("disconnect", count=1)
        await here.eventually(lambda: here.feed.reconnects > before, "a reconnect")
        await here.flows(one, 50)
        here.is_moving = False
        for symbol in (one, other):
            await here.eventually(lambda mine=symbol: not here.missing(mine), f"{symbol} complete")  # type: ignore[misc]
            here.check_trades(symbol)


@pytest.mark.parametrize("name", NAMES)
async def test_a_symbol_that_the_venue_refuses_says_so_and_the_others_go_on(name: str) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1) as here:
        here.feed.want(wanted(here.venue, [one]))
        await here.eventually(lambda: all(item.symbol == one for item in here.feed.intake.streams), "the other is gone")
        here.fault("error", symbol=other, message="not for you")
        here.feed.want(wanted(here.venue, [one, other]))
        refused = Wanted("trade", other)
        streams = here.feed.intake.streams
        await here.eventually(lambda: refused in streams and streams[refused].state == "refused", "refused")
        await here.flows(one, 50)

        assert "not for you" in here.feed.intake.streams[refused].reason
        assert here.feed.intake.streams[Wanted("trade", one)].state == "live"
        assert {other} == {status.symbol for status in here.statuses("refused")}


@pytest.mark.parametrize("name", NAMES)
async def test_symbols_come_and_go_without_a_reconnect(name: str) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=1) as here:
        before = list(here.feed.connections)
        here.feed.want(wanted(here.venue, [one]))
        await here.flows(one, 20)
        await here.eventually(lambda: len(here.feed.intake.streams) == len(wanted(here.venue, [one])), "only one symbol")
        gone_at = len(here.events)
        await here.flows(one, 100)
        late = [item for item in here.events[gone_at:] if isinstance(item, Trade) and item.symbol == other]
        here.feed.want(wanted(here.venue, [one, other]))
        await here.flows(other, 30)

        assert late == []
        assert before == list(here.feed.connections)


async def test_a_symbol_listed_after_the_start_is_found() -> None:
    async with scenario("binance", ("BTCUSDT", "ETHUSDT"), seed=1) as here:
        del here.feed.instruments._ours["ETHUSDT"]
        here.feed.want(wanted(here.venue, ["BTCUSDT"]))
        await here.eventually(lambda: len(here.feed.intake.streams) == 3, "only one symbol")
        here.feed.want(wanted(here.venue, ["BTCUSDT", "ETHUSDT"]))
        await here.eventually(lambda: here.feed.unlisted == {"ETHUSDT"}, "unlisted")
        await here.flows("ETHUSDT", 30)

        assert here.feed.unlisted == set()


async def test_symbols_that_change_while_the_connection_is_made_are_subscribed_once() -> None:
    async with scenario("binance", ("BTCUSDT", "ETHUSDT", "SOLUSDT"), seed=1) as here:
        here.fault("disconnect", every_s=1.0, for_s=0.5)
        for _ in range(6):
            here.feed.want(wanted(here.venue, ["BTCUSDT", "SOLUSDT"]))
            await here.eventually(lambda seen=here.feed.reconnects: here.feed.reconnects > seen, "a reconnect")  # type: ignore[misc]
            here.feed.want(wanted(here.venue, ["BTCUSDT", "ETHUSDT"]))
            await here.eventually(lambda seen=here.feed.reconnects: here.feed.reconnects > seen, "a reconnect")  # type: ignore[misc]
        here.heal()
        await here.flows("ETHUSDT", 30)
        await here.complete("BTCUSDT")

        assert here.statuses("refused") == []
        assert {"BTCUSDT", "ETHUSDT"} == {one.symbol for one in here.feed.intake.streams}
        assert all(stream.state == "live" for stream in here.feed.intake.streams.values())


async def test_a_closed_market_does_not_reconnect_in_a_loop() -> None:
    async with scenario("alpaca", ("AAPL", "MSFT"), seed=1, speed=30.0) as here:
        await here.flows("AAPL", 100)
        here.is_moving = False
        began_s = here.clock.monotonic()
        await here.eventually(lambda: here.clock.monotonic() - began_s > 150, "night")

        assert here.feed.reconnects == 0
        assert {"quiet"} == {stream.state for stream in here.feed.intake.streams.values()}
        assert here.of(Heartbeat)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10, 20))
@pytest.mark.parametrize("name", NAMES)
async def test_minutes_of_everything_at_once(name: str, seed: int) -> None:
    one, other = symbols_of(name)
    async with scenario(name, (one, other), seed=seed) as here:
        here.fault("gap", channel="trade", every="7s", count=4)
        here.fault("duplicate", p=0.05)
        here.fault("reorder", p=0.02)
        here.fault("disconnect", every="23s")
        here.fault("mute", every="61s", for_s=15.0)
        await here.flows(one, 3000)
        if here.venue.proofs["trade"].detects == "overlap":
            here.check_trades(one)
        else:
            await here.complete(one, other)
