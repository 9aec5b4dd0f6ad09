"""How a client gets its events, packed and as they are: in step, behind, at a pace of its own."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketd.api.section import StreamConfig
from marketd.api.stream.channel import Key
from marketd.api.stream.client import Client
from marketd.api.stream.hub import KEPT_S, Hub
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from tests.api.stream.conftest import TRADES, Held, Message
from tests.samples import candle, quote, trade, trades

Join = Callable[..., tuple[Client, Held]]
KEY = Key("trade", "binance", "BTCUSDT")
OTHERS = {**TRADES, "symbol": "ETHUSDT"}
CANDLES = {**TRADES, "type": "candle", "timeframe": "1m"}


def ask(client: Client, *channels: Message, **more: Any) -> None:
    client.hear(msgspec.json.encode({"op": "subscribe", "id": 1, "channels": channels or [TRADES], **more}))


def ids(events: list[Message], symbol: str = "BTCUSDT") -> list[str]:
    return [one["trade_id"] for one in events if one["type"] == "trade" and one["symbol"] == symbol]


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def test_clients_that_pack_and_clients_that_do_not_get_the_same(hub: Hub, join: Join) -> None:
    wires = []
    for packs in (True, False):
        client, wire = join(hub, packs=packs)
        ask(client, TRADES, OTHERS)
        wires.append(wire)
    hub.publish([trade(number, symbol=symbol) for number in range(1, 40) for symbol in ("BTCUSDT", "ETHUSDT")])
    sizes = [sum(map(len, wire.frames[1:])) for wire in wires]
    packed, plain = (wire.messages() for wire in wires)

    assert packed == plain
    assert sizes[0] * 4 < sizes[1]
    assert wires[0].unpacker.packed == 78


def test_a_flush_is_packed_once_for_all(hub: Hub, join: Join) -> None:
    (one, first), (two, second) = join(hub, packs=True), join(hub, packs=True)
    ask(one), ask(two)
    hub.publish(trades(1, 50))

    assert first.frames[-1] is second.frames[-1]
    assert hub.metrics.stream_deflate.labels("out")._value.get() == len(first.frames[-1])
    assert hub.metrics.stream_messages._value.get() >= 100


def test_who_was_behind_gets_the_pieces_that_were_packed_for_the_others(hub: Hub, join: Join) -> None:
    (slow, stalled), (fast, flowing) = join(hub, packs=True), join(hub, packs=True)
    ask(slow), ask(fast)
    hub.publish(trades(1, 10))
    stalled.full = True
    for at in range(11, 101, 10):
        hub.publish(trades(at, at + 9))
    stalled.full = False
    before = len(stalled.frames)
    slow.resume()
    flushes = flowing.frames[-8:]  # of those that came while it was stalled

    assert stalled.frames[before:] == [b"".join(flushes)]
    assert ids(stalled.events()) == numbers(1, 100)


@pytest.mark.parametrize("after", [0, 7, 10, 15, 99, 100])
def test_who_goes_on_in_the_middle_of_a_piece_gets_each_once(after: int, hub: Hub, join: Join) -> None:
    first, _ = join(hub, packs=True)
    ask(first)
    for at in range(1, 101, 10):
        hub.publish(trades(at, at + 9))
    client, wire = join(hub, packs=True)
    ask(client, {**TRADES, "epoch": hub.epoch, "after": after})
    hub.publish(trades(101, 105))

    assert ids(wire.events()) == numbers(after + 1, 105)


def test_what_is_packed_counts_among_what_is_held_and_goes_with_it(clock: ManualClock, join: Join) -> None:
    hub = Hub(StreamConfig(held=100, queue=100), clock, Metrics())
    client, wire = join(hub, packs=True)
    ask(client)
    for at in range(1, 2001, 10):
        hub.publish(trades(at, at + 9))
    (channel,) = hub.channels.values()

    assert ids(wire.events()) == numbers(1, 2000)
    assert hub.held.bytes == channel.held_bytes
    assert 125 * 180 < hub.held.bytes < 125 * 350
    client.gone()
    clock._now += int((KEPT_S + 1) * 1e9)
    hub.tend()
    assert hub.held.bytes == 0


def test_one_cannot_go_on_in_a_channel_that_was_not_held(clock: ManualClock, hub: Hub, join: Join) -> None:
    client, _ = join(hub)
    ask(client)
    hub.publish(trades(1, 10))
    client.gone()
    clock._now += int((KEPT_S + 1) * 1e9)
    hub.tend()
    hub.publish(trades(11, 20))
    again, wire = join(hub)
    ask(again, {**TRADES, "epoch": hub.epoch, "after": 5})

    assert wire.messages()[0]["channels"][0]["missed"]["reason"] == "the position is no longer held"


def test_at_a_pace_much_is_packed_and_little_is_not(clock: ManualClock, hub: Hub, join: Join) -> None:
    client, wire = join(hub, packs=True)
    ask(client, {**TRADES, "type": "quote", "max_hz": 10}, {**CANDLES, "max_hz": 10})
    hub.publish([quote(1)])
    hub.tend()
    few = wire.events()
    hub.publish([quote(2), *(candle(number, closed=True) for number in range(1, 30))])
    clock._now += 10**9
    hub.tend()

    assert len(few) == 1
    assert wire.unpacker.packed == 0
    assert len(wire.events()) == 30
    assert wire.unpacker.packed == 29


STEPS = st.lists(
    st.tuples(st.sampled_from(["publish", "stall", "flow", "candles"]), st.integers(0, 2), st.integers(1, 30)), max_size=30
)


@given(steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_clients_stall_each_gets_every_trade_once_and_in_order(steps: list[tuple[str, int, int]], join: Join) -> None:
    hub = Hub(StreamConfig(), ManualClock(), Metrics())
    crowd = [join(hub, packs=packs) for packs in (True, True, False)]
    for client, _ in crowd:
        ask(client, TRADES, OTHERS, CANDLES)
    last = minutes = 0
    for what, which, count in steps:
        client, wire = crowd[which]
        if what == "publish":
            for symbol in ("BTCUSDT", "ETHUSDT"):
                hub.publish([trade(last + number, symbol=symbol) for number in range(1, count + 1)])
            last += count
        elif what == "candles":
            hub.publish([candle(minutes + number, closed=number % 3 == 0) for number in range(1, count + 1)])
            minutes += count
        elif what == "stall":
            wire.full = True
        elif wire.full:
            wire.full = False
            client.resume()
    for client, wire in crowd:
        if wire.full:
            wire.full = False
            client.resume()
        events = wire.events()

        assert ids(events) == ids(events, "ETHUSDT") == numbers(1, last)
        assert wire.closed is None
        closed = [one["pos"] for one in events if one["type"] == "candle" and one["closed"]]
        assert closed == sorted(set(closed))
