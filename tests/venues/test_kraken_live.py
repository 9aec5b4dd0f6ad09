"""Kraken over a real socket against its simulated counterpart: what a feed publishes is what happened, whatever was lost."""

import asyncio
from decimal import Decimal

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import BookL2, Candle, Event, Gap, Trade
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.sim import open_sim
from marketd.venues.feed import Feed, FeedConfig
from marketd.venues.kraken import Kraken
from marketd.venues.rest import Rest
from marketd.venues.venue import Wanted
from tests.daemons import eventually

SYMBOLS = ("BTCUSD", "SOLUSD")


async def test_what_a_feed_publishes_is_the_truth_though_frames_are_lost_and_garbled() -> None:
    clock, metrics, venue = SystemClock(), Metrics(), Kraken()
    told: list[Event] = []
    wanted = [Wanted(channel, symbol) for symbol in SYMBOLS for channel in ("trade", "book")]
    wanted += [Wanted("candle", symbol, "1m") for symbol in SYMBOLS]
    async with open_sim(["kraken"]) as sim, Http() as http, asyncio.TaskGroup() as tasks:
        hosts, truth = sim.env(), sim.venue("kraken")
        rest = Rest(venue, hosts["KRAKEN_REST_URL"], http, Governor(clock, venue.limits.rest), clock, metrics)
        feed = Feed(venue, FeedConfig(), rest, hosts["KRAKEN_WS_URL"], told.extend, clock, metrics)
        feed.want(wanted)
        running = tasks.create_task(feed.run())
        await eventually(lambda: bool(feed.intake.streams) and all(one.state == "live" for one in feed.intake.streams.values()))
        await eventually(lambda: all(feed.intake.books.is_in_sync(symbol) for symbol in SYMBOLS))
        for fault in ("gap", "garble"):
            sim.step(40)
            sim.fault("kraken", fault, count=4, channel="trade")
            sim.step(80)
            sim.heal()
        sim.step(20)

        def published() -> dict[str, dict[str, Trade]]:
            return {
                symbol: {one.trade_id: one for one in told if isinstance(one, Trade) and one.symbol == symbol}
                for symbol in SYMBOLS
            }

        await eventually(lambda: all(one.trade_id in published()[symbol] for symbol in SYMBOLS for one in truth.trades(symbol)))
        in_sync = [feed.intake.books.is_in_sync(symbol) for symbol in SYMBOLS]
        running.cancel()
    for symbol in SYMBOLS:
        for one in truth.trades(symbol):
            mine = published()[symbol][one.trade_id]

            assert (Decimal(one.price), Decimal(one.size), one.side, one.ts_event) == (
                Decimal(mine.price), Decimal(mine.size), mine.side, mine.ts_event,
            )  # fmt: skip

    assert all(in_sync)
    assert len({(one.symbol, one.trade_id) for one in told if isinstance(one, Trade)}) == sum(
        isinstance(one, Trade) for one in told
    )
    assert any(isinstance(one, Gap) and one.channel == "trade" and one.state == "found" for one in told)
    assert {BookL2, Candle} <= {type(one) for one in told}
