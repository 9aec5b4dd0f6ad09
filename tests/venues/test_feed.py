"""A feed against a simulated venue: subscriptions that change, instruments that do not come, and what it says of itself."""

import pytest

from marketd.clock import SystemClock
from marketd.model.events import Heartbeat
from marketd.model.marks import Mark
from marketd.sim import open_sim
from marketd.venues.feed import FeedConfig
from marketd.venues.venue import Wanted
from tests.daemons import eventually
from tests.net.test_websocket import TEXT, frame, listening, speaking
from tests.venues.live import live

BTC, ETH = Wanted("trade", "BTCUSDT"), Wanted("trade", "ETHUSDT")
both = pytest.mark.parametrize("name", ["binance", "bybit"])


@both
async def test_what_the_market_did_is_published_once_and_in_order(name: str) -> None:
    async with open_sim([name]) as sim, live(sim, name, [BTC, Wanted("quote", "BTCUSDT"), Wanted("book", "BTCUSDT")]) as here:
        await here.until_confirmed()
        await here.step(200)
        await eventually(lambda: here.statuses("connected"))
        published = [one.trade_id for one in here.trades()]
        truth = [one.trade_id for one in sim.venue(name).trades("BTCUSDT")]

        assert published == truth[-len(published) :]
        assert here.gaps() == []
        assert len(here.statuses("connected")) == 1


@both
async def test_symbols_change_without_a_reconnect(name: str) -> None:
    async with open_sim([name]) as sim, live(sim, name, [BTC]) as here:
        await here.until_confirmed()
        before = here.sessions
        here.feed.want([BTC, ETH])
        await eventually(lambda: ETH in here.feed.intake.streams)
        await here.until_confirmed()
        await here.step()
        here.feed.want([ETH])
        await eventually(lambda: BTC not in here.feed.intake.streams)
        count = len(here.trades())
        await here.step()

        assert here.sessions == before
        assert len(here.trades()) == count
        assert here.feed.reconnects == 0


async def test_nothing_wanted_is_no_connection_and_the_first_symbol_makes_one() -> None:
    async with open_sim(["binance"]) as sim, live(sim, "binance", []) as here:
        await eventually(here.feed.loaded.is_set)
        assert here.sessions == []
        here.feed.want([BTC])
        await eventually(lambda: BTC in here.feed.intake.streams)
        await here.until_confirmed()

        assert here.feed.connections_open == 1


async def test_a_symbol_that_the_venue_does_not_list_is_named_and_the_rest_is_collected() -> None:
    async with open_sim(["binance"]) as sim, live(sim, "binance", [BTC, Wanted("trade", "NOPENOPE")]) as here:
        await here.until_confirmed()

        assert here.feed.unlisted == {"NOPENOPE"}
        assert set(here.states()) == {BTC}


async def test_channels_that_the_venue_lacks_are_left_out() -> None:
    async with (
        open_sim(["bitfinex"]) as sim,
        live(sim, "bitfinex", [Wanted("trade", "BTCUSD"), Wanted("status", "BTCUSD")]) as here,
    ):  # type: ignore[arg-type]
        assert here.feed.wanted == [Wanted("trade", "BTCUSD")]


async def test_the_instrument_list_is_asked_for_until_it_comes_and_the_wait_is_said() -> None:
    async with open_sim(["binance"], faults="refuse:on=rest,status=500,for=0.5s") as sim, live(sim, "binance", [BTC]) as here:
        await here.until_confirmed()

        assert "instruments" in here.statuses("disconnected")[0].reason


async def test_symbols_beyond_a_connections_limit_open_another_one() -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT"]
    wanted = [Wanted(channel, symbol) for symbol in symbols for channel in ("trade", "quote")]
    async with open_sim(["binance"], symbols=symbols) as sim, live(sim, "binance", []) as here:
        await eventually(here.feed.loaded.is_set)
        limit = here.feed.venue.limits.symbols_per_connection
        assert limit is not None
        here.feed.want(wanted)
        await eventually(lambda: len(here.feed.intake.streams) == len(wanted))
        shards = [{one.symbol for one in shard.wanted} for shard in here.feed.shards]

        assert all(len(one) <= limit for one in shards)
        assert sum(len(one) for one in shards) == len(symbols)


async def test_a_silent_venue_says_so_itself() -> None:
    async with open_sim(["binance"]) as sim, live(sim, "binance", [BTC], config=FeedConfig(heartbeat_s=0.1)) as here:
        await eventually(lambda: [one for one in here.events if isinstance(one, Heartbeat)])


async def test_a_lost_connection_is_made_again_and_what_was_missed_is_fetched() -> None:
    async with open_sim(["binance"]) as sim, live(sim, "binance", [BTC]) as here:
        await here.until_confirmed()
        await here.step()
        sim.fault("binance", "disconnect")
        await eventually(lambda: here.feed.reconnects == 1)
        sim.step(50)
        await eventually(lambda: here.feed.connections_open == 1)
        await here.until_confirmed()
        await here.step()
        truth = [one.trade_id for one in sim.venue("binance").trades("BTCUSDT")]
        await eventually(lambda: {one.trade_id for one in here.trades()} >= set(truth[-100:]))
        published = [one.trade_id for one in here.trades()]

        assert sorted(published, key=int) == truth[-len(published) :]
        assert len(set(published)) == len(published)


def told(number: int) -> bytes:
    """A trade of now as Binance sends it."""
    now_ms = SystemClock().now_ns() // 1_000_000
    body = f'"e":"trade","E":{now_ms},"s":"BTCUSDT","t":{number},"p":"100.10","q":"0.5","T":{now_ms},"m":true,"M":true'
    return frame(TEXT, f'{{"stream":"btcusdt@trade","data":{{{body}}}}}'.encode())


async def test_a_first_trade_with_a_wrong_id_hides_nothing_of_what_follows_on_the_wire() -> None:
    first = [9_000_000_000_000, *range(1000, 1010)]
    async with (
        open_sim(["binance"]) as sim,
        listening(speaking(*(told(number) for number in first))) as url,
        live(sim, "binance", [Wanted("trade", "BTCUSDT")], stream=url) as here,
    ):
        await eventually(lambda: here.trades() and here.trades()[-1].trade_id == "1009")

        assert [int(one.trade_id) for one in here.trades()] == first
        assert [(one.state, one.cause) for one in here.gaps()] == [
            ("unrecoverable", "the venue's numbering went back from 9000000000000 to 1000")
        ]


@pytest.mark.parametrize(("age_h", "is_repaired"), [(0, True), (5, False)])
async def test_a_symbol_wanted_later_goes_on_from_what_is_recent_and_else_begins_anew(age_h: int, is_repaired: bool) -> None:
    async with open_sim(["binance"]) as sim:
        sim.step(200)
        known = sim.venue("binance").trades("ETHUSDT")[3]
        marks = {"ETHUSDT": Mark(known.trade_id, known.ts_event - age_h * 3_600_000_000_000)}
        async with live(sim, "binance", [BTC], marks=marks) as here:
            await here.until_confirmed()
            here.feed.want([BTC, ETH])
            await eventually(lambda: ETH in here.feed.intake.streams)
            await here.until_confirmed()
            await here.step()
            await eventually(lambda: here.trades("ETHUSDT"))
            found = {int(one.trade_id) for one in here.trades("ETHUSDT")}

            assert (int(known.trade_id) + 1 in found) == is_repaired
            assert bool(here.gaps("ETHUSDT")) == is_repaired


async def test_what_was_wanted_from_the_start_goes_on_however_long_it_was_away() -> None:
    async with open_sim(["binance"]) as sim:
        sim.step(200)
        known = sim.venue("binance").trades("BTCUSDT")[3]
        marks = {"BTCUSDT": Mark(known.trade_id, known.ts_event - 5 * 3_600_000_000_000)}
        async with live(sim, "binance", [BTC], marks=marks) as here:
            await eventually(lambda: str(int(known.trade_id) + 1) in {one.trade_id for one in here.trades()})

            assert here.gaps() != []
