"""One client: what it is answered, and what it goes on from."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from marketd.api.section import StreamConfig
from marketd.api.stream.client import AUTH_WITHIN_S, REQUESTS_MAX, Client
from marketd.api.stream.frames import PING_FRAME
from marketd.api.stream.hub import Hub
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from tests.api.stream.conftest import TRADES, Held, Message
from tests.samples import candle, trade, trades

Join = Callable[..., tuple[Client, Held]]


def ask(client: Client, op: str = "subscribe", *channels: Message, **more: Any) -> None:
    client.hear(msgspec.json.encode({"op": op, "id": 1, "channels": channels or [TRADES], **more}))


def error(wire: Held) -> Message:
    (found,) = wire.messages()

    assert found["op"] == "error"
    return found


def test_a_mistake_closes_nothing_and_changes_nothing(hub: Hub, join: Join) -> None:
    client, wire = join(hub)
    ask(client, "subscribe", TRADES, {**TRADES, "type": "candle"})

    assert error(wire)["field"] == "channels[1].timeframe"
    hub.publish([trade(1)])
    assert wire.messages() == []
    assert wire.closed is None
    ask(client)
    assert [one.get("op", one.get("type")) for one in wire.messages()] == ["subscribed", "trade"]


def test_what_cannot_be_subscribed_is_named(clock: ManualClock, join: Join) -> None:
    hub = Hub(StreamConfig(channels=2), clock, Metrics())
    client, wire = join(hub)
    for channels, field in [
        ([TRADES, {**TRADES, "symbol": "btcusdt"}], "channels[1]"),
        ([{**TRADES, "symbol": f"A{number}"} for number in range(3)], "channels"),
        ([{**TRADES, "after": 1}], "channels[0].epoch"),
        ([{**TRADES, "epoch": "x"}], "channels[0].after"),
        ([{**TRADES, "type": "quote", "epoch": "x", "after": 1}], "channels[0].after"),
    ]:
        ask(client, "subscribe", *channels)

        assert error(wire)["field"] == field
    ask(client, "unsubscribe")
    assert error(wire)["field"] == "channels[0]"


def test_going_on_from_a_position_gives_what_followed_and_no_snapshot(hub: Hub, join: Join) -> None:
    first, _ = join(hub)
    ask(first)
    hub.publish(trades(1, 10))
    client, wire = join(hub)
    ask(client, "subscribe", {**TRADES, "epoch": hub.epoch, "after": 7})
    hub.publish([trade(11)])
    answer, *events = wire.messages()

    assert (answer["channels"][0]["resumed"], answer["channels"][0]["pos"]) == (True, 7)
    assert [(one["pos"], "snapshot" in one) for one in events] == [(8, False), (9, False), (10, False), (11, False)]


@pytest.mark.parametrize(
    ("epoch", "after", "first", "words"),
    [("other", 7, None, "another run"), (None, 99, None, "newest position is 200"), (None, 50, 76, "no longer held")],
)
def test_a_position_that_is_not_held_is_said_with_what_is(
    epoch: str | None, after: int, first: int | None, words: str, clock: ManualClock, join: Join
) -> None:
    hub = Hub(StreamConfig(held=100), clock, Metrics())
    reader, _ = join(hub)
    ask(reader)
    for number in range(1, 201):
        hub.publish([trade(number)])
    client, wire = join(hub)
    ask(client, "subscribe", {**TRADES, "epoch": epoch or hub.epoch, "after": after if after != 99 else 999})
    answer, snapshot = wire.messages()
    missed = answer["channels"][0]["missed"]

    assert answer["channels"][0]["resumed"] is False
    assert (missed["first"] is None) is (first is None)
    assert words in missed["reason"]
    assert (snapshot["snapshot"], snapshot["pos"]) == (True, 200)


def test_subscribing_again_begins_anew_and_doubles_nothing(hub: Hub, join: Join) -> None:
    client, wire = join(hub)
    ask(client)
    hub.publish([trade(1)])
    ask(client)
    hub.publish([trade(2)])

    assert [(one["pos"], "snapshot" in one) for one in wire.events()] == [(1, False), (1, True), (2, False)]
    client.gone()
    assert [one.readers for one in hub.channels.values()] == [0]


@pytest.mark.parametrize("kind", ["trade", "candle"])
def test_subscribing_again_before_anything_came_loses_nothing(kind: str, hub: Hub, join: Join) -> None:
    client, wire = join(hub)
    channel = {**TRADES, "type": kind, **({"timeframe": "1m"} if kind == "candle" else {})}
    ask(client, "subscribe", channel)
    ask(client, "subscribe", channel)
    hub.publish([trade(1), candle(1)])

    assert [(one["type"], one["pos"]) for one in wire.events()] == [(kind, 1)]


def test_who_resumes_too_far_behind_what_is_held_is_closed(clock: ManualClock, join: Join) -> None:
    hub = Hub(StreamConfig(held=10), clock, Metrics())
    client, wire = join(hub)
    ask(client)
    client.pause()
    for number in range(1, 100):
        hub.publish([trade(number)])
    client.resume()

    assert wire.closed is not None
    assert wire.closed[0] == 1013


def test_a_flood_of_messages_is_closed(hub: Hub, join: Join, clock: ManualClock) -> None:
    client, wire = join(hub)
    for _ in range(REQUESTS_MAX):
        client.hear(b'{"op":"ping"}')
    clock._now += 10**9
    client.hear(b'{"op":"ping"}')

    assert wire.closed is None
    for _ in range(REQUESTS_MAX):
        client.hear(b"x")
    assert wire.closed is not None
    assert wire.closed[0] == 1008


def test_who_says_no_token_is_let_go(hub: Hub, join: Join, clock: ManualClock) -> None:
    late, late_wire = join(hub, token="right")
    client, wire = join(hub, token="right")
    client.hear(b'{"op":"auth","token":"right"}')
    clock._now += int((AUTH_WITHIN_S + 1) * 1e9)
    hub.tend()

    assert late_wire.closed is not None
    assert (late_wire.closed[0], late.is_open) == (1008, False)
    assert (wire.closed, client.is_open) == (None, True)


@pytest.mark.parametrize("token", ["wrong", "", "right ", "\ud800", "é"])
def test_a_wrong_token_is_let_go(token: str, hub: Hub, join: Join) -> None:
    client, wire = join(hub, token="right")
    client.hear(b'{"op":"auth","token":%s}' % (b'"\\ud800"' if token == "\ud800" else msgspec.json.encode(token)))

    assert client.is_open is False or wire.messages()[0]["op"] == "error"


def test_the_silent_are_pinged_once_an_interval_and_then_let_go(hub: Hub, join: Join, clock: ManualClock) -> None:
    client, wire = join(hub)
    alive, _ = join(hub)
    for _ in range(100):
        clock._now += 500_000_000
        alive.heard_s = clock.monotonic()
        hub.tend()

    assert wire.frames == [PING_FRAME]
    assert wire.closed is not None
    assert (wire.closed[0], client.is_open, alive.is_open) == (1011, False, True)
