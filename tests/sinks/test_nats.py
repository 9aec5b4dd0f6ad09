"""Events on core NATS, against a real server that is there, absent, killed and back."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.events import BookDelta, Trade
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, NatsLink, open_link
from marketd.sinks.delivery import BATCH, Deliveries, run_sinks
from marketd.sinks.nats import Nats, subject_of
from tests.daemons import eventually
from tests.nats_listener import listening
from tests.nats_servers import NatsServer
from tests.samples import book, delta, heartbeat, one_of_each, quote, trade, trades


def config(server: NatsServer, **more: object) -> NatsConfig:
    return NatsConfig.model_validate({"url": server.url, "enabled": True, **more})


@asynccontextmanager
async def sink_to(server: NatsServer, **more: object) -> AsyncIterator[Nats]:
    settings = config(server, **more)
    async with open_link(settings, "marketd-test", SystemClock()) as link, Nats(settings, link, Metrics()) as sink:
        yield sink


async def test_each_type_is_on_its_subject_in_the_form_of_every_wire(nats_server: NatsServer) -> None:
    events = [event for event in one_of_each(1) if not isinstance(event, BookDelta)]
    async with listening(nats_server) as listener, sink_to(nats_server) as sink:
        assert all(sink.types is not None and event.__class__ in sink.types for event in events)
        await sink.write(events)
        await eventually(lambda: len(listener.got) == len(events))

    assert [(subject_of("md.events", event), encode(event)) for event in events] == [
        (one.subject, one.data) for one in listener.got
    ]
    assert {"trade.BTCUSDT", "heartbeat.__system__", "status.__system__", "gap.BTCUSDT", "quote.BTCUSDT", "candle.BTCUSDT"} < {
        one.subject.removeprefix("md.events.") for one in listener.got
    }


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("BRK.B", "x.y.trade.BRK_B"), ("A B*>", "x.y.trade.A_B__"), ("", "x.y.trade._"), ("ÄÖ", "x.y.trade.ÄÖ")],
)
async def test_a_symbol_that_is_no_token_is_made_one(nats_server: NatsServer, symbol: str, expected: str) -> None:
    assert expected == subject_of("x.y", trade(symbol=symbol))
    async with listening(nats_server) as listener, sink_to(nats_server, subject_prefix="md.y") as sink:
        await sink.write([trade(symbol=symbol), trade(symbol=symbol)])
        await eventually(lambda: len(listener.got) == 2)

    assert {expected.replace("x.", "md.", 1)} == {one.subject for one in listener.got}
    assert symbol == listener.events[0].symbol


async def test_deltas_of_books_go_out_where_they_were_asked_for(nats_server: NatsServer) -> None:
    async with listening(nats_server) as listener, sink_to(nats_server, deltas=True) as sink:
        assert sink.types is not None
        assert BookDelta in sink.types
        await sink.write([delta(1)])
        await eventually(lambda: listener.got)

    assert ["md.events.book_delta.BTCUSDT"] == [one.subject for one in listener.got]


async def test_many_messages_keep_their_order_and_none_is_lost(nats_server: NatsServer) -> None:
    events = trades(1, 20_000)
    async with listening(nats_server) as listener, sink_to(nats_server) as sink:
        for at in range(0, len(events), 4096):
            await sink.write(events[at : at + 4096])
        await eventually(lambda: len(listener.got) == len(events))

    assert events == listener.events


async def test_what_the_server_takes_in_no_message_is_left_out_counted_and_said() -> None:
    with NatsServer("max_payload: 2000") as server, capture_logs() as lines:
        settings, metrics = config(server), Metrics()
        large = book(2, bids=[("37123.40", "1.20")] * 200)
        async with (
            listening(server) as listener,
            open_link(settings, "marketd-test", SystemClock()) as link,
            Nats(settings, link, metrics) as sink,
        ):
            await sink.write([trade(1), large, trade(3)])
            await eventually(lambda: len(listener.got) == 2)

            assert 0 == link.state.reconnects

    assert [trade(1), trade(3)] == listener.events
    assert 'events_dropped_total{consumer="nats",reason="too_large",type="book_l2"} 1.0' in metrics.text().decode()
    assert ["nats.too_large"] == [line["event"] for line in lines if line["log_level"] == "error"]


async def test_what_the_server_forbids_is_not_delivered() -> None:
    rules = 'authorization {users: [{user: me, password: word, permissions: {publish: {deny: "md.events.trade.>"}}}]}'
    with NatsServer(rules) as server:
        settings = NatsConfig.model_validate({"url": server.url.replace("://", "://me:word@")})
        async with open_link(settings, "marketd-test", SystemClock()) as link, Nats(settings, link, Metrics()) as sink:
            await sink.write([quote(1)])
            with pytest.raises(
                DeliveryError, match=r"refuses: .*permissions violation for publish to \"md\.events\.trade\.btcusdt"
            ):
                await sink.write([trade(1)])
            await sink.write([quote(2)])


# From here on as the daemon runs it.


@asynccontextmanager
async def delivering(
    server: NatsServer, data_dir: Path, clock: SystemClock | None = None, **more: object
) -> AsyncIterator[tuple[Bus, Deliveries, NatsLink]]:
    settings, bus, clock = config(server, **more), Bus(Metrics()), clock or SystemClock()
    async with (
        open_link(settings, "marketd-test", clock) as link,
        run_sinks([Nats(settings, link, bus.metrics)], bus, clock, data_dir=data_dir) as view,
    ):
        yield bus, view, link


class Held(SystemClock):
    """A clock that lets nobody connect before `gate` is open: until then our listener is back."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(delay_s)
        await self.gate.wait()


async def test_without_a_server_trades_wait_on_disk_and_come_in_order_once_it_is_there(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    nats_server.kill()
    clock = Held()
    clock.gate.clear()
    events = trades(1, 3000)
    with capture_logs() as lines:
        async with delivering(nats_server, tmp_path, clock, capacity=64) as (bus, view, _):
            for at in range(0, len(events), 10):
                bus.publish(events[at : at + 10])
                bus.publish([quote(at), heartbeat()])
            state = view.states[0].as_dict()
            nats_server.start()
            async with listening(nats_server) as listener:
                clock.gate.set()
                await eventually(lambda: events == [one for one in listener.events if isinstance(one, Trade)])

    assert (False, True) == (state["healthy"], state["spilled"] > 2900)
    assert ["nats.error"] == [line["event"] for line in lines if line["log_level"] == "warning"]


async def test_what_a_stopping_daemon_could_not_deliver_is_delivered_by_the_next(nats_server: NatsServer, tmp_path: Path) -> None:
    nats_server.kill()
    async with asyncio.timeout(8):  # nobody waits for a server that is away
        async with delivering(nats_server, tmp_path) as (bus, _, _):
            bus.publish(trades(1, 500))
    clock = Held()
    clock.gate.clear()
    async with delivering(nats_server, tmp_path, clock) as (bus, _, _):
        bus.publish(trades(501, 600))
        nats_server.start()
        async with listening(nats_server) as listener:
            clock.gate.set()
            await eventually(lambda: trades(1, 600) == listener.events)


SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.soak)])
async def test_kills_of_the_server_under_load_cost_nothing_but_what_it_took_with_it(
    nats_server: NatsServer, tmp_path: Path, kills: int
) -> None:
    """A batch that the server had not answered for is offered to the next one, from its first event on: at a kill the ids of
    a symbol go back, or go on. What the server had read and not passed on is the only thing that may be missing.
    """
    clock, published, stop = Held(), dict.fromkeys(SYMBOLS, 0), asyncio.Event()

    async def load(bus: Bus) -> None:
        while not stop.is_set():
            for symbol in SYMBOLS:
                bus.publish(trades(published[symbol] + 1, published[symbol] + 10, symbol=symbol))
                published[symbol] += 10
            await asyncio.sleep(0.001)

    async with (
        listening(nats_server) as listener,
        delivering(nats_server, tmp_path, clock) as (bus, view, link),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(load(bus))
        for _ in range(kills):
            there = len(listener.got) + 4000
            await eventually(lambda: len(listener.got) > there)  # noqa: B023
            clock.gate.clear()
            nats_server.kill()
            await eventually(lambda: not link.state.connected)
            nats_server.start()
            await listener.back()
            clock.gate.set()
            await link.opened()
        stop.set()
        await eventually(lambda: f'"trade_id":"{published["XRPUSDT"]}"'.encode() in listener.got[-1].data, 60.0)
        got = listener.events

    assert 0 == sum(view.states[0].subscription.dropped.values())
    for symbol in SYMBOLS:
        ids = [int(one.trade_id) for one in got if isinstance(one, Trade) and one.symbol == symbol]
        steps = [(before, after) for before, after in itertools.pairwise(ids) if after != before + 1]
        lost = sum(max(0, after - before - 1) for before, after in steps)

        assert len(steps) <= kills
        assert lost <= kills * BATCH  # measured: none
        assert published[symbol] - lost == len(set(ids))
