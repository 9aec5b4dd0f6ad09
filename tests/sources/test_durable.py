"""Events from JetStream: acknowledged when they are processed, and not before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.js.api import ConsumerInfo
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, open_link
from marketd.rooms import room
from marketd.sources import durable
from marketd.sources.durable import QUEUE_GROUP, DurableSource
from marketd.sources.nats import Intake
from marketd.sources.tolerant import TolerantReader
from tests.daemons import eventually
from tests.nats_servers import NatsServer
from tests.samples import trades

CLOCK = SystemClock()


class Member:
    """A source, and a consumer of what it publishes that processes when it is told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.may_process = asyncio.Event()
        self.may_process.set()

    @property
    def ids(self) -> list[int]:
        return [int(event.trade_id) for event in self.events if isinstance(event, Trade)]

    async def settled(self) -> None:
        await self.may_process.wait()


@asynccontextmanager
async def member(server: NatsServer, *, ready: bool = True) -> AsyncIterator[tuple[Member, DurableSource]]:
    config = NatsConfig.model_validate({"url": server.url, "enabled": True, "jetstream": True})
    async with open_link(config, "marketd-test", CLOCK) as link, room("test") as here:
        one = Member()
        source = DurableSource(
            link, "md.events", Intake(TolerantReader(CLOCK, Metrics()), one.events.extend, CLOCK), one.settled, CLOCK
        )
        here.start("source", source.run())
        if ready:
            await eventually(lambda: source.stream is not None)
        yield one, source


async def make_stream(server: NatsServer) -> None:
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="events", subjects=["md.events.>"])
    await client.close()


async def publish(server: NatsServer, first: int, last: int) -> None:
    client = await nats.connect(server.url)
    jetstream = client.jetstream()
    for event in trades(first, last):
        await jetstream.publish(f"md.events.trade.{event.symbol}", encode(event))
    await client.close()


async def consumer(server: NatsServer) -> ConsumerInfo:
    client = await nats.connect(server.url)
    info = await client.jetstream().consumer_info("events", QUEUE_GROUP)
    await client.close()
    return info


async def acknowledged(server: NatsServer) -> ConsumerInfo:
    """The consumer, once nothing waits for an acknowledgement."""
    info: ConsumerInfo = await eventually(lambda: consumer(server), holds=lambda info: not info.num_ack_pending)
    return info


async def test_what_the_stream_holds_comes_in_order_and_is_acknowledged(nats_server: NatsServer) -> None:
    await make_stream(nats_server)
    await publish(nats_server, 1, 100)
    async with member(nats_server) as (one, _):
        await eventually(lambda: len(one.ids) >= 100)
        await publish(nats_server, 101, 3000)
        await eventually(lambda: len(one.ids) >= 3000)
        info = await acknowledged(nats_server)

    assert list(range(1, 3001)) == one.ids
    assert 3000 == info.ack_floor.stream_seq


async def test_nothing_is_acknowledged_before_it_is_processed(nats_server: NatsServer) -> None:
    await make_stream(nats_server)
    async with member(nats_server) as (one, _):
        one.may_process.clear()
        await publish(nats_server, 1, 50)
        await eventually(lambda: len(one.ids) >= 50)
        before = (await consumer(nats_server)).num_ack_pending
        one.may_process.set()
        await acknowledged(nats_server)

    assert 50 == before


async def test_what_a_member_had_in_hand_when_it_died_comes_to_the_next(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "ACK_WAIT_S", 1.0)
    await make_stream(nats_server)
    async with member(nats_server) as (one, _):
        await publish(nats_server, 1, 10)
        await eventually(lambda: len(one.ids) >= 10)
        await acknowledged(nats_server)
        one.may_process.clear()
        await publish(nats_server, 11, 60)
        await eventually(lambda: len(one.ids) >= 60)
    async with member(nats_server) as (other, _):
        await publish(nats_server, 61, 70)
        await eventually(lambda: len(other.ids) >= 60)

    assert list(range(11, 71)) == sorted(other.ids)


async def test_a_server_that_dies_and_comes_back_costs_nothing(nats_server: NatsServer) -> None:
    await make_stream(nats_server)
    async with member(nats_server) as (one, source):
        await publish(nats_server, 1, 500)
        await eventually(lambda: one.ids)
        nats_server.restart()
        await publish(nats_server, 501, 600)
        await eventually(lambda: set(range(1, 601)) <= set(one.ids))

        assert "ok" == source.state[0]


async def test_a_server_without_jetstream_is_named_with_what_to_do(plain_nats_server: NatsServer) -> None:
    with capture_logs() as lines:
        async with member(plain_nats_server, ready=False) as (_, source):
            await eventually(lambda: "--js" in source.state[1])
            await asyncio.sleep(0)

            assert (
                "unhealthy",
                "the NATS server has no JetStream: start it with --js, or set USE_JETSTREAM=false",
            ) == source.state
    assert 1 == len([line for line in lines if line["event"] == "source.waiting"])


async def test_a_stream_that_is_not_there_yet_is_waited_for(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "RETRY_S", 0.1)
    async with member(nats_server, ready=False) as (one, source):
        await eventually(lambda: "no stream holds md.events.>" in source.state[1])
        await make_stream(nats_server)
        await publish(nats_server, 1, 5)
        await eventually(lambda: len(one.ids) >= 5)

        assert "ok" == source.state[0]


async def test_a_consumer_that_someone_deletes_is_made_again(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "RETRY_S", 0.1)
    await make_stream(nats_server)
    async with member(nats_server) as (one, _):
        await publish(nats_server, 1, 5)
        await eventually(lambda: len(one.ids) >= 5)
        client = await nats.connect(nats_server.url)
        await client.jetstream().delete_consumer("events", QUEUE_GROUP)
        await client.close()
        await publish(nats_server, 6, 9)
        await eventually(lambda: {6, 7, 8, 9} <= set(one.ids))


async def test_what_is_not_read_yet_is_not_said_to_be_read(nats_server: NatsServer) -> None:
    config = NatsConfig.model_validate({"url": nats_server.url, "enabled": True, "jetstream": True})
    async with open_link(config, "marketd-test", CLOCK) as link:
        one = Member()
        intake = Intake(TolerantReader(CLOCK, Metrics()), one.events.extend, CLOCK)
        source = DurableSource(link, "md.events", intake, one.settled, CLOCK)

        assert ("unhealthy", "looking for the stream of md.events.> for 0 s, nothing is read yet") == source.state
