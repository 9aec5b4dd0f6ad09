"""Reading a stream in order, from a real server that is killed meanwhile."""

import asyncio

import pytest

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.net.nats import NatsLink
from marketd.net.nats_api import NotThere, ask, stored_at
from marketd.sources.stored import Ordered
from tests.members import STREAM, linked, make_events_stream, store, trade
from tests.nats_servers import NatsServer


async def read(ordered: Ordered, count: int) -> list[int]:
    """The sequences of the next messages."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            try:
                found += [one.sequence for one in await ordered.next(0.1)]
            except DeliveryError:
                await asyncio.sleep(0.05)
    return found


async def read_on(ordered: Ordered, found: list[int]) -> None:
    for _ in range(100):
        found += [one.sequence for one in await ordered.next(0.1)]


async def fill(link: NatsLink, count: int) -> None:
    await make_events_stream(link)
    await store(link, [trade("BTCUSDT" if number % 2 else "ETHUSDT", number) for number in range(count)])


async def test_messages_come_in_order_also_those_stored_later_and_none_when_there_is_none(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 600)
        ordered = Ordered(link, STREAM, ["md.events.>"], SystemClock())

        assert list(range(1, 601)) == await read(ordered, 600)
        assert 0 == ordered.pending
        assert [] == await ordered.next(0.01)
        await store(link, [trade("BTCUSDT", 600)])
        assert [601] == await read(ordered, 1)
        await ordered.close()


async def test_reading_begins_after_a_sequence_or_at_a_time_and_keeps_to_its_subjects(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 10)
        fifth = await stored_at(link.session, STREAM, 5)
        assert fifth is not None

        assert [8, 10] == await read(Ordered(link, STREAM, ["md.events.trade.BTCUSDT"], SystemClock(), after=6), 2)
        since = Ordered(link, STREAM, ["md.events.trade.*"], SystemClock(), since_ns=fifth.time_ns)
        assert [5, 6, 7, 8, 9, 10] == await read(since, 6)


async def test_a_killed_server_costs_nothing_and_doubles_nothing(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 500)
        ordered = Ordered(link, STREAM, ["md.events.>"], SystemClock(), batch=16)
        found = await read(ordered, 100)
        nats_server.kill()
        with pytest.raises(DeliveryError):
            await read_on(ordered, found)
        nats_server.start()

        assert list(range(1, 501)) == found + await read(ordered, 500 - len(found))


async def test_a_consumer_that_the_server_forgot_is_made_anew(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 10)
        ordered = Ordered(link, STREAM, ["md.events.>"], SystemClock())
        await read(ordered, 10)
        for name in (await ask(link.session, f"CONSUMER.NAMES.{STREAM}", {}))["consumers"]:
            await ask(link.session, f"CONSUMER.DELETE.{STREAM}.{name}", {})
        await store(link, [trade("BTCUSDT", 11)])

        assert [11] == await read(ordered, 1)


async def test_what_is_not_there_is_said(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        await fill(link, 1)

        with pytest.raises(NotThere, match="stream not found"):
            await Ordered(link, "ELSE", ["md.events.>"], SystemClock()).next(0.1)
