"""Snapshot and live together are the events, for every client, whatever its connection does meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketd.api.section import StreamConfig
from marketd.api.stream.channel import Key
from marketd.api.stream.client import Client
from marketd.api.stream.hub import KEPT_S, Hub
from marketd.api.stream.names import CollectedNames
from marketd.api.views import Views
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Gap, Status
from tests.api.stream.conftest import TRADES, Held, Message
from tests.samples import book, candle, quote, trade, trades

Join = Callable[..., tuple[Client, Held]]
KEY = Key("trade", "binance", "BTCUSDT")
CANDLES = {"type": "candle", "provider": "binance", "symbol": "BTCUSDT", "timeframe": "1m"}
QUOTES = {**TRADES, "type": "quote"}


def ask(client: Client, op: str = "subscribe", *channels: Message, **more: Any) -> None:
    client.hear(msgspec.json.encode({"op": op, "channels": channels or [TRADES], **more}))


def ids(messages: list[Message]) -> list[str]:
    return [one["trade_id"] for one in messages]


def small(clock: ManualClock, **config: Any) -> Hub:
    return Hub(StreamConfig(**config), clock, Metrics())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "publish", "pause", "resume", "again", "full", "tend"]),
        st.integers(0, 1),
        st.integers(1, 5),
    ),
    max_size=60,
)


@given(steps=STEPS, paced=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_snapshot_and_live_are_the_events_each_once_and_in_order(
    steps: list[tuple[str, int, int]], paced: bool, views: Views
) -> None:
    """Two clients subscribe, pause, come back and go on from where they were, in any order: each has every trade once."""
    hub = small(ManualClock())
    number = 1
    hub.publish([trade(number)])
    wires = [Held(), Held()]
    clients = [joined(hub, wire, views, paced and at == 1) for at, wire in enumerate(wires)]
    got: list[list[Message]] = [wire.events() for wire in wires]
    for what, who, count in steps:
        client, wire = clients[who], wires[who]
        if what == "publish":
            hub.publish(trades(number + 1, number + count))
            number += count
        elif what == "pause":
            client.pause()
        elif what == "full":
            wire.full = True
        elif what == "resume":
            wire.full = False
            client.resume()
        elif what == "tend":
            hub.tend()
        else:
            client.gone()
            got[who] += wire.events()
            wires[who] = Held()
            clients[who] = joined(hub, wires[who], views, paced and who == 1, got[who][-1]["pos"])
    for client, wire in zip(clients, wires, strict=True):
        wire.full = False
        client.resume()
        client.deliver_due(float("inf"))
    got = [before + wire.events() for before, wire in zip(got, wires, strict=True)]

    assert [ids(one) for one in got] == [[str(one) for one in range(1, number + 1)]] * 2
    assert [one["pos"] for one in got[0]] == list(range(1, number + 1))


def joined(hub: Hub, wire: Held, views: Views, paced: bool, after: int | None = None) -> Client:
    client = wire.client = Client(hub, CollectedNames(replace(views, feeds=None)), wire, None)
    more = {} if after is None else {"epoch": hub.epoch, "after": after}
    ask(client, "subscribe", {**TRADES, **more, **({"max_hz": 1} if paced else {})})
    return client


@given(kinds=st.lists(st.sampled_from(["forming", "closed", "gap"]), max_size=30), pauses=st.sets(st.integers(0, 30)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_is_slow_gets_every_closed_candle_and_gap_and_ends_with_the_newest(
    kinds: list[str], pauses: set[int], views: Views
) -> None:
    hub = small(ManualClock())
    wire = Held()
    client = wire.client = joined(hub, wire, views, False)
    ask(client, "subscribe", CANDLES)
    wire.events()
    for number, kind in enumerate(kinds):
        if number in pauses:
            client.pause()
        gap = Gap("binance", "BTCUSDT", None, 5, "candle", "found", None, None, number, number + 1, "test")
        hub.publish([gap if kind == "gap" else candle(number, closed=kind == "closed")])
        if number % 7 == 6:
            client.resume()
    client.resume()
    got = wire.events()

    assert [one["pos"] for one in got] == sorted(one["pos"] for one in got)
    firm = [at for at, kind in enumerate(kinds, 1) if kind != "forming"]
    assert [one["pos"] for one in got if one["type"] == "gap" or one["closed"]] == firm
    assert [one["pos"] for one in got][-1:] == [len(kinds)][: len(kinds)]


def test_in_step_everyone_gets_the_same_bytes(hub: Hub, join: Join) -> None:
    (one, first), (two, second) = join(hub), join(hub)
    for client in (one, two):
        ask(client, "subscribe", TRADES, QUOTES)
    first.frames.clear(), second.frames.clear()
    hub.publish([trade(1), quote(1), trade(2)])

    assert len(first.frames) == 1
    assert first.frames[0] is second.frames[0]
    assert hub.metrics.stream_messages._value.get() >= 6


def test_a_slow_client_is_closed_with_a_reason_and_the_others_get_every_trade(clock: ManualClock, join: Join) -> None:
    hub = small(clock, queue=100, held=100)
    (slow, stalled), (fast, flowing) = join(hub), join(hub)
    ask(slow), ask(fast)
    flowing.frames.clear()
    stalled.full = True
    for number in range(1, 301):
        hub.publish([trade(number)])
    written = len(stalled.frames)
    clock._now += 10**9
    hub.tend()

    assert stalled.closed is not None
    assert stalled.closed[0] == 1013
    assert "too slow" in stalled.closed[1]
    assert written <= 3
    assert ids(flowing.events()) == [str(number) for number in range(1, 301)]
    assert hub.metrics.stream_closed.labels("slow")._value.get() == 1
    assert hub.clients == {fast}


def test_of_quotes_and_books_a_slow_client_gets_the_newest_and_stays(clock: ManualClock, join: Join) -> None:
    hub = small(clock, queue=10, held=10)
    client, wire = join(hub)
    ask(client, "subscribe", QUOTES, {**TRADES, "type": "book"})
    wire.messages()
    client.pause()
    for number in range(1, 1001):
        hub.publish([quote(number), book(number)])
    clock._now += 10**9
    hub.tend()
    client.resume()

    assert wire.closed is None
    assert sorted((one["type"], one["seq"], one["pos"]) for one in wire.events()) == [
        ("book_l2", 1000, 1000),
        ("quote", 1000, 1000),
    ]


def test_a_pace_of_its_own_conflates_quotes_and_gathers_trades(clock: ManualClock, join: Join) -> None:
    hub = small(clock)
    client, wire = join(hub)
    ask(client, "subscribe", {**TRADES, "max_hz": 2}, {**QUOTES, "max_hz": 2})
    wire.messages()
    got: list[list[Message]] = []
    for number in range(1, 101):
        hub.publish([trade(number), quote(number)])
        clock._now += 20_000_000
        hub.tend()
        if wire.frames:
            got.append(wire.events())
    clock._now += 10**9
    hub.tend()
    got.append(wire.events())

    assert 4 <= len(got) <= 6
    assert ids([one for part in got for one in part if one["type"] == "trade"]) == [str(number) for number in range(1, 101)]
    assert [sum(one["type"] == "quote" for one in part) for part in got] == [1] * len(got)
    assert got[-1][-1]["seq"] == 100


def test_what_is_held_is_bounded_in_each_channel_and_in_all(clock: ManualClock, join: Join) -> None:
    hub = small(clock, held=100, held_mib=1)
    client, _ = join(hub)
    symbols = [f"A{number}USDT" for number in range(60)]
    ask(client, "subscribe", *({**TRADES, "symbol": symbol} for symbol in symbols))
    for number in range(1, 400):
        hub.publish([trade(number, symbol=symbol) for symbol in symbols])

        assert hub.held.bytes <= 1 << 20
    assert hub.held.bytes == sum(one.held_bytes for one in hub.channels.values())
    assert all(len(one) <= 125 for one in hub.channels.values())


def test_a_log_without_readers_is_kept_for_a_while(clock: ManualClock, join: Join) -> None:
    hub = small(clock)
    client, _ = join(hub)
    ask(client)
    hub.publish(trades(1, 10))
    client.gone()
    hub.publish(trades(11, 20))
    again, wire = join(hub)
    ask(again, "subscribe", {**TRADES, "epoch": hub.epoch, "after": 5})

    assert ids(wire.events()) == [str(number) for number in range(6, 21)]
    again.gone()
    clock._now += int((KEPT_S + 1) * 1e9)
    hub.tend()
    assert (hub.channels[KEY].is_open, hub.held.bytes) == (False, 0)


def test_a_channel_that_nothing_came_of_is_forgotten_with_its_last_reader(hub: Hub, join: Join) -> None:
    client, _ = join(hub)
    ask(client, "subscribe", {**TRADES, "symbol": "NOSUCH"}, {**CANDLES, "symbol": "NOSUCH"})

    assert len(hub.channels) == 2
    client.gone()
    assert len(hub.channels) == 0


def test_states_go_to_who_asked_for_the_venue_or_for_the_symbol(hub: Hub, join: Join) -> None:
    (one, venue), (two, symbol) = join(hub), join(hub)
    ask(one, "subscribe", {"type": "status", "provider": "binance"})
    ask(two, "subscribe", {**TRADES, "type": "status"})
    events: list[Event] = [
        Status("binance", "__system__", None, 1, "connected", ""),
        Status("binance", "BTCUSDT", None, 2, "stale", ""),
        Status("bybit", "BTCUSDT", None, 3, "stale", ""),
    ]
    hub.publish(events)

    assert [one["ts_recv"] for one in venue.events()] == [1, 2]
    assert [one["ts_recv"] for one in symbol.events()] == [2]


def test_a_gap_is_said_where_something_is_missing(hub: Hub, join: Join) -> None:
    client, wire = join(hub)
    ask(client, "subscribe", TRADES, CANDLES)
    wire.messages()
    gap = Gap("binance", "BTCUSDT", None, 5, "trade", "found", "2", "3", None, None, "test")
    hub.publish([trade(1), gap, replace_channel(gap), trade(4)])

    got = [(one["type"], one["pos"], one.get("timeframe")) for one in wire.events()]

    assert got == [("trade", 1, None), ("gap", 2, None), ("trade", 3, None), ("gap", 1, "1m")]


def replace_channel(gap: Gap) -> Gap:
    return msgspec.structs.replace(gap, channel="candle")


def test_after_a_loss_on_the_way_here_everyone_begins_anew(hub: Hub, join: Join) -> None:
    client, wire = join(hub)
    ask(client)
    hub.publish([trade(1)])
    before = hub.epoch
    hub.start_anew("stream: too slow")
    again, other = join(hub)
    ask(again, "subscribe", {**TRADES, "epoch": before, "after": 1})
    (answer,) = other.messages()

    assert wire.closed is not None
    assert wire.closed[0] == 1012
    assert answer["channels"][0]["resumed"] is False
    assert answer["channels"][0]["missed"]["first"] is None
