"""One partition from being assigned to being released, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model import wire
from marketd.model.events import SYSTEM, Event, Quote, Share, Status, Trade
from marketd.net.nats import NatsLink
from marketd.sources import partition as partitions
from marketd.sources.leases import Claim, Leases
from marketd.sources.partition import Bound, Partition
from marketd.sources.partitioned import open_partitioned
from tests.daemons import eventually
from tests.members import PREFIX, arrived, linked, make_events_stream, store, trade
from tests.nats_servers import NatsServer

SECOND = 1_000_000_000


class Owner:
    """Owns the only partition; what it publishes is kept."""

    def __init__(self, link: NatsLink, window_s: float = 60.0) -> None:
        self.link, self.published = link, list[Event]()
        self.leases = Leases(link, "group", 30, SystemClock(), Metrics())
        self.bound = Bound(
            link,
            self.leases,
            lambda data, _: wire.decode(data),
            self.published.extend,
            self._settled,
            SystemClock(),
            window_s,
            64,
        )

    async def _settled(self) -> None:
        pass

    @asynccontextmanager
    async def owning(self, done: int = 0) -> AsyncIterator[Partition]:
        await self.leases.open()
        await self.leases.renew()
        before = (await self.leases.view()).claims.get(0, Claim(0))
        claim = await self.leases.write(before, member=self.leases.member, done=done)
        assert claim is not None
        held = Partition(claim, self.bound)
        task = asyncio.create_task(held.run())
        try:
            yield held
        finally:
            held.leave()
            await asyncio.wait_for(task, 20)

    @property
    def said(self) -> list[str]:
        """Trade ids, bids and what else was published, in short."""
        return [short(event) for event in self.published]


def short(event: Event) -> str:
    match event:
        case Trade():
            return event.trade_id
        case Quote():
            return f"bid {event.bid}"
        case Share():
            return f"{event.state} {' '.join(event.symbols)}"
        case _:
            return f"{event.state} {event.symbol}"  # type: ignore[attr-defined]


def quote(symbol: str, bid: str) -> Quote:
    return Quote("binance", symbol, None, 0, bid, "1", "2", "1")


@asynccontextmanager
async def owner(server: NatsServer, window_s: float = 60.0) -> AsyncIterator[Owner]:
    async with linked(server.url) as link:
        await make_events_stream(link)
        await open_partitioned(link.session, PREFIX, 1, SystemClock())
        yield Owner(link, window_s)


async def test_the_first_owner_begins_at_the_beginning_and_has_no_past(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", 1), trade("BTCUSDT", 2)])
        async with mine.owning():
            await eventually(lambda: len(mine.published) == 2)

        assert ["1", "2", "released BTCUSDT"] == mine.said


async def test_what_is_processed_is_noted_and_the_claim_released_at_the_end(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", 1), trade("BTCUSDT", 2)])
        async with mine.owning() as held:
            await eventually(lambda: held.claim.done == 2)

        found = (await mine.leases.view()).claims[0]
        assert (None, 2) == (found.member, found.done)


async def test_the_past_is_the_window_before_what_is_done_and_the_last_word_on_quiet_symbols(nats_server: NatsServer) -> None:
    now = SystemClock().now_ns()
    async with owner(nats_server, window_s=0.0) as mine:
        await store(mine.link, [trade("BTCUSDT", 1, ts=now), trade("ETHUSDT", 2, ts=now), quote("ETHUSDT", "7")])
        await arrived(mine.link, 3)
        done_ns = now + int(partitions.EARLIER_S * SECOND) + 5 * SECOND  # as if it had been stored later
        await store(mine.link, [trade("BTCUSDT", 3, ts=now), trade("BTCUSDT", 4, ts=done_ns)])
        async with mine.owning(done=4) as held:
            await eventually(lambda: held.done == 5)

        assert ["assigned BTCUSDT", "1", "assigned ETHUSDT", "2", "bid 7", "3", "ready BTCUSDT ETHUSDT", "4"] == mine.said[:-1]


async def test_a_quiet_symbols_last_trade_and_quote_come_first_though_the_window_begins_later(nats_server: NatsServer) -> None:
    async with owner(nats_server, window_s=-partitions.EARLIER_S) as mine:  # the window is the last message alone
        await store(mine.link, [trade("ETHUSDT", 1), trade("ETHUSDT", 2), quote("ETHUSDT", "7")])
        await arrived(mine.link, 3)
        await store(mine.link, [trade("BTCUSDT", 3, ts=SystemClock().now_ns() + SECOND)])
        await arrived(mine.link, 4)
        async with mine.owning(done=4) as held:
            await eventually(lambda: held.state == "live")

        assert ["assigned ETHUSDT", "2", "bid 7", "assigned BTCUSDT", "3", "ready BTCUSDT ETHUSDT"] == mine.said[:-1]


async def test_what_the_stream_no_longer_has_is_said_and_does_not_keep_it_from_going_on(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", 1), trade("BTCUSDT", 2)])
        await arrived(mine.link, 2)
        await mine.link.client.jetstream().purge_stream("senpai-partitions")
        with capture_logs() as lines:
            async with mine.owning(done=1) as held:
                await eventually(lambda: held.state == "live")
                await store(mine.link, [trade("BTCUSDT", 3)])
                await eventually(lambda: "3" in mine.said)

        assert [1] == [line["messages_max"] for line in lines if line["event"] == "source.lost"]


async def test_who_is_to_leave_in_the_middle_of_its_past_still_is_live_for_what_it_notes_as_done(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", number) for number in (1, 2, 3)])
        await arrived(mine.link, 3)
        holders: list[Partition] = []

        def read(data: bytes, _: str) -> Event:
            for holder in holders:
                if holder._stored is not None:
                    holder.leave()
            return wire.decode(data)

        mine.bound = mine.bound._replace(read=read)
        async with mine.owning(done=2) as held:
            holders.append(held)
            await eventually(lambda: held.state == "leaving")

        assert ["assigned BTCUSDT", "1", "2", "ready BTCUSDT", "3", "released BTCUSDT"] == mine.said
        assert 3 == (await mine.leases.view()).claims[0].done


async def test_what_a_venue_says_of_itself_is_said_of_each_symbol_here(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", 1), trade("ETHUSDT", 2)])
        await store(mine.link, [Status("binance", SYSTEM, None, 0, "switched", "why"), trade("BTCUSDT", 3)])
        async with mine.owning() as held:
            await eventually(lambda: held.done == 4)

        assert ["1", "2", "switched BTCUSDT", "switched ETHUSDT", "3"] == mine.said[:-1]


async def test_who_lost_the_claim_stops_and_its_symbols_are_forgotten(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", 1)])
        async with mine.owning() as held:
            await eventually(lambda: mine.said == ["1"])
            await eventually(lambda: held.claim.done == 1)
            assert await mine.leases.write(held.claim, member="another", done=1) is not None
            await store(mine.link, [trade("BTCUSDT", 2)])
            await eventually(lambda: held.lost)

        assert "released BTCUSDT" == mine.said[-1]
        assert "another" == (await mine.leases.view()).claims[0].member


async def test_a_claim_beyond_the_end_of_the_stream_is_said_and_marks_nothing_to_come_as_done(nats_server: NatsServer) -> None:
    async with owner(nats_server) as mine:
        await store(mine.link, [trade("BTCUSDT", 1), trade("BTCUSDT", 2)])
        await arrived(mine.link, 2)
        with capture_logs() as lines:
            async with mine.owning(done=2**62) as held:
                await eventually(lambda: held.state == "live")
                await store(mine.link, [trade("BTCUSDT", 3)])
                await eventually(lambda: held.claim.done == 3)

        assert ["assigned BTCUSDT", "1", "2", "ready BTCUSDT", "3"] == mine.said[:-1]
        assert [(2**62, 2)] == [(line["claimed"], line["last"]) for line in lines if line["event"] == "partition.ahead"]
