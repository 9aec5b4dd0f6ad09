"""Events in a JetStream stream, against a real server that is there, absent, without JetStream, killed and back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from structlog.testing import capture_logs

from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.events import BookDelta, Event
from marketd.model.identity import identity
from marketd.model.marks import Mark
from marketd.model.wire import decode, encode
from marketd.net.nats import NatsConfig, open_link
from marketd.sinks.delivery import Deliveries, run_sinks
from marketd.sinks.jetstream import JetStream, message_id
from marketd.sinks.nats import subject_of
from marketd.sinks.sink import DurableSink
from tests.daemons import eventually
from tests.nats_servers import NatsServer, kept
from tests.samples import book, candle, delta, gap, one_of_each, quote, trade, trades


def config(server: NatsServer, **more: Any) -> NatsConfig:
    return NatsConfig.model_validate({"url": server.url, "enabled": True, "jetstream": True, **more})


@asynccontextmanager
async def sink_to(server: NatsServer, metrics: Metrics | None = None, **more: Any) -> AsyncIterator[JetStream]:
    settings = config(server, **more)
    async with (
        open_link(settings, "marketd-test", SystemClock()) as link,
        JetStream(settings, link, SystemClock(), metrics or Metrics()) as sink,
    ):
        yield sink


@asynccontextmanager
async def delivering(server: NatsServer, data_dir: Path, **more: Any) -> AsyncIterator[tuple[Bus, Deliveries]]:
    settings, bus, clock = config(server, **more), Bus(Metrics()), SystemClock()
    async with (
        open_link(settings, "marketd-test", clock) as link,
        run_sinks([JetStream(settings, link, clock, bus.metrics)], bus, clock, data_dir=data_dir) as view,
    ):
        yield bus, view


async def events_of(server: NatsServer) -> list[Event]:
    return [decode(one.data) for one in await kept(server.url)]


async def test_each_type_is_on_its_subject_and_known_by_its_identity(nats_server: NatsServer) -> None:
    events = [event for event in one_of_each(1) if not isinstance(event, BookDelta)]
    async with sink_to(nats_server) as sink:
        assert all(sink.types is not None and event.__class__ in sink.types for event in events)
        await sink.write(events)
        await sink.write([])
        await sink.write(events[:3])

    assert [(subject_of("md.events", event), encode(event), identity(event)) for event in events] == [
        (one.subject, one.data, (one.headers or {})["Nats-Msg-Id"]) for one in await kept(nats_server.url)
    ]


async def test_an_open_candle_never_takes_the_place_of_the_closed_one(nats_server: NatsServer) -> None:
    forming = [candle(1, closed=False, close=price) for price in ("37123.40", "37125.00", "37123.40")]
    async with sink_to(nats_server) as sink:
        for one in (*forming, candle(1), candle(1), candle(1, closed=False), candle(1, revision=1, volume="12.6")):
            await sink.write([one])

    assert [*forming[:2], candle(1), candle(1, revision=1, volume="12.6")] == await events_of(nats_server)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (quote(1, seq=None, ts_event=None), quote(1, seq=None, ts_event=None, ts_recv=5)),
        (book(1, seq=None, ts_event=None), book(1, seq=None, ts_event=None, ts_recv=5)),
        (delta(1, seq=None, ts_event=None), delta(1, seq=None, ts_event=None, ts_recv=5)),
        (gap(1, 2, from_id=None, from_ts=None), gap(1, 2, from_id=None, from_ts=None, ts_recv=5)),
        (gap(1, 2, to_id=None, to_ts=None), gap(1, 2, to_id=None, to_ts=None, ts_recv=5)),
    ],
)
def test_what_only_looks_the_same_is_no_copy(one: Event, other: Event) -> None:
    assert identity(one) == identity(other)
    assert message_id(one) != message_id(other)


@pytest.mark.parametrize("event", [trade(1), candle(1), quote(1), book(1), gap(1, 2), trade(1, repaired=True, ts_recv=7)])
def test_what_the_venue_numbers_or_dates_is_known_by_that(event: Event) -> None:
    assert identity(event) == message_id(event)


async def test_many_events_keep_their_order_and_come_once(nats_server: NatsServer) -> None:
    events = trades(1, 10_000)
    async with sink_to(nats_server) as sink:
        for at in range(0, len(events), 1000):
            await sink.write(events[max(0, at - 500) : at + 1000])

    assert events == await events_of(nats_server)


class Cancelling(list[Event]):
    """Whoever reads it is cancelled when it has come so far, once."""

    at: int | None = None

    def __iter__(self) -> Iterator[Event]:
        for number, one in enumerate(super().__iter__()):
            if number == self.at:
                self.at = None
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            yield one


@pytest.mark.parametrize("at", [0, 1, 300, 3999])
async def test_a_write_that_is_cancelled_on_its_way_is_made_anew(nats_server: NatsServer, at: int) -> None:
    """Messages are made while the first ones are stored: those that were not made yet must not be forgotten."""
    events = Cancelling(trades(1, 4000))
    events.at = at
    async with sink_to(nats_server) as sink:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(sink.write(events))
        await sink.write(events)

    assert list(events) == await events_of(nats_server)


async def test_what_the_server_or_the_stream_takes_in_no_message_is_left_out_counted_and_said(nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="MD_EVENTS", subjects=["md.events.>"], max_msg_size=2000)
    await client.close()
    metrics, large = Metrics(), book(2, bids=[("37123.40", "1.20")] * 200)
    with capture_logs() as lines:
        async with sink_to(nats_server, metrics) as sink:
            await sink.write([trade(1), large, trade(3)])
            await sink.write([large])

    assert [trade(1), trade(3)] == await events_of(nats_server)
    assert 'events_dropped_total{consumer="nats",reason="too_large",type="book_l2"} 2.0' in metrics.text().decode()
    assert ["nats.too_large"] * 2 == [line["event"] for line in lines if line["log_level"] == "error"]


async def test_a_stream_of_other_limits_is_used_as_it_is_and_said_once(nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["md.>"], duplicate_window=60)
    await client.close()
    events = [trade(number, symbol=symbol) for number in range(1, 200) for symbol in ("A", "B")]
    with capture_logs() as lines:
        async with sink_to(nats_server, stream={"name": "KEPT"}) as sink:
            for at in range(0, len(events), 50):
                await sink.write(events[at : at + 50])
            nats_server.restart()
            with pytest.raises(DeliveryError):
                await sink.write([trade(999)])
            await eventually(lambda: sink._link.state.connected)
            await sink.write([trade(999)])

    found = await events_of(nats_server)

    assert [trade(number, symbol="A") for number in range(1, 200)] == [one for one in found if one.symbol == "A"]
    assert [trade(number, symbol="B") for number in range(1, 200)] == [one for one in found if one.symbol == "B"]
    assert trade(999) == found[-1]
    said = [line for line in lines if line["event"] == "stream.differs"]

    assert ["stream-differs"] == [line["code"] for line in said]
    assert "duplicate_window_s is 60, configured 600" in said[0]["text"]


async def test_a_server_without_jetstream_is_said_once_and_the_rest_goes_on(
    plain_nats_server: NatsServer, tmp_path: Path
) -> None:
    """And once it is started with it, what waited comes in order."""
    server, events = plain_nats_server, trades(1, 500)
    with capture_logs() as lines:
        async with delivering(server, tmp_path, capacity=64) as (bus, view):
            for event in events:
                bus.publish([event])
            await eventually(lambda: view.states[0].retries > 2)
            state = view.states[0]
            before = (state.healthy, state.reason)
            server.jetstream = True
            server.restart()
            await eventually(lambda: state.healthy and state.delivered >= len(events))

    assert events == await events_of(server)
    assert not before[0]
    assert "has no JetStream; start it with --js" in before[1]
    assert "set USE_JETSTREAM=false for plain subjects; until then events wait on disk" in before[1]
    assert ["jetstream.off"] == [line["event"] for line in lines if line["log_level"] == "error"]
    assert [] == [line for line in lines if line["event"] == "sink.failing"]


async def test_without_a_server_trades_wait_on_disk_and_come_in_order_once_it_is_there(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.kill()
    events = trades(1, 3000)
    with capture_logs() as lines:
        async with delivering(nats_server, tmp_path, capacity=64) as (bus, view):
            for at in range(0, len(events), 10):
                bus.publish(events[at : at + 10])
            state = view.states[0].as_dict()
            nats_server.start()
            await eventually(lambda: view.states[0].delivered == len(events))

    assert (False, True) == (state["healthy"], state["spilled"] > 2900)
    assert ["nats.error"] == [line["event"] for line in lines if line["log_level"] == "warning"]
    assert events == await events_of(nats_server)


async def test_a_stream_that_was_deleted_is_made_again(nats_server: NatsServer, tmp_path: Path) -> None:
    async with delivering(nats_server, tmp_path) as (bus, view):
        bus.publish(trades(1, 10))
        await eventually(lambda: view.states[0].delivered == 10)
        client = await nats.connect(nats_server.url)
        await client.jetstream().delete_stream("MD_EVENTS")
        await client.close()
        bus.publish(trades(11, 20))
        await eventually(lambda: view.states[0].delivered == 20)

    assert trades(11, 20) == await events_of(nats_server)


async def test_a_restart_knows_how_far_the_stream_has_got(nats_server: NatsServer) -> None:
    async with sink_to(nats_server) as sink:
        first = dict(sink.progress())
        await sink.write([*trades(1, 5), *trades(1, 7, symbol="ETHUSDT"), quote(9)])
    client = await nats.connect(nats_server.url)
    await client.jetstream().publish("md.events.trade.OTHERS", b"no event")
    await client.close()
    async with sink_to(nats_server) as sink:
        assert isinstance(sink, DurableSink)
        again = dict(sink.progress())

    assert {} == first
    assert {
        ("binance", "BTCUSDT"): Mark("5", trade(5).ts_event),
        ("binance", "ETHUSDT"): Mark("7", trade(7).ts_event),
    } == again


@pytest.mark.timeout(60)
async def test_a_server_that_hangs_is_said_and_costs_nothing(nats_server: NatsServer, tmp_path: Path) -> None:
    async with delivering(nats_server, tmp_path) as (bus, view):
        state = view.states[0]
        bus.publish(trades(1, 10))
        await eventually(lambda: state.delivered == 10)
        nats_server.freeze()
        try:
            bus.publish(trades(11, 3000))
            await eventually(lambda: not state.healthy)
            why = state.reason
        finally:
            nats_server.thaw()
        await eventually(lambda: state.healthy and state.delivered == 3000)

    assert "no acknowledgement" in why
    assert trades(1, 3000) == await events_of(nats_server)


async def test_what_the_server_forbids_is_said_in_its_words() -> None:
    rules = 'authorization {users: [{user: me, password: word, permissions: {publish: {deny: "md.events.trade.>"}}}]}'
    with NatsServer(rules) as server:
        settings = config(server, url=server.url.replace("://", "://me:word@"))
        async with (
            open_link(settings, "marketd-test", SystemClock()) as link,
            JetStream(settings, link, SystemClock(), Metrics()) as sink,
        ):
            await sink.write([quote(1)])
            with pytest.raises(DeliveryError, match=r"the server refuses: .*permissions violation for publish to"):
                await sink.write([trade(1)])
