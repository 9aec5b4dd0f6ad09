"""`/ws` on a real server: subscribe, snapshot, live, who may connect, how it ends."""

from dataclasses import replace

import pytest

from marketd.api.views import Views
from marketd.clock import SystemClock
from marketd.errors import Refused
from tests.api.conftest import trade
from tests.api.stream.conftest import TRADES, Serve, listening


async def test_a_client_gets_the_snapshot_and_then_what_follows(serve: Serve) -> None:
    async with serve() as served, listening(served.url) as early, listening(served.url) as late:
        hello = await early.next()
        await early.subscribe(TRADES)
        served.bus.publish([trade(1)])
        first = await early.next()
        await late.next()
        answer = await late.subscribe(TRADES)
        snapshot = await late.next()
        served.bus.publish([trade(2), trade(3)])
        live = await late.take(2)

    assert (hello["op"], hello["version"], hello["auth"]) == ("hello", 1, "ok")
    assert (first["trade_id"], first["pos"], "snapshot" in first) == ("1", 1, False)
    assert answer["channels"] == [{**TRADES, "timeframe": None, "pos": 1, "resumed": None, "missed": None}]
    assert answer["epoch"] == hello["epoch"]
    assert (snapshot["trade_id"], snapshot["pos"], snapshot["snapshot"]) == ("1", 1, True)
    assert [(one["trade_id"], one["pos"]) for one in live] == [("2", 2), ("3", 3)]
    assert live[0]["price"] == "100.020"


async def test_after_unsubscribe_nothing_more_comes(serve: Serve) -> None:
    async with serve() as served, listening(served.url) as client:
        await client.subscribe(TRADES)
        served.bus.publish([trade(1)])
        await client.next()
        answer = await client.ask({"op": "unsubscribe", "id": "a", "channels": [TRADES]})
        served.bus.publish([trade(2)])
        pong = await client.ask({"op": "ping", "id": 7})

    assert (answer["op"], answer["id"]) == ("unsubscribed", "a")
    assert (pong["op"], pong["id"]) == ("pong", 7)
    assert client.heard.empty()


class Ahead(SystemClock):
    """This machine's, and so many seconds more."""

    seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.seconds


async def test_answers_and_events_stay_in_order(serve: Serve) -> None:
    clock = Ahead()
    async with serve(pace_ms=0, clock=clock) as served, listening(served.url) as client:
        await client.next()
        await client.subscribe(TRADES)
        heard = []
        for number in range(1, 200):
            served.bus.publish([trade(number)])
            client.socket.send(b'{"op":"ping","id":%d}' % number)
            if number % 50 == 0:
                heard += await client.take(100)
                clock.seconds += 1  # no more than a hundred messages a second
        heard += await client.take(2 * 49)

    assert [one["pos"] for one in heard if "pos" in one] == list(range(1, 200))
    assert [one["id"] for one in heard if "op" in one] == list(range(1, 200))


async def test_every_client_is_told_when_the_daemon_stops(serve: Serve) -> None:
    serving = serve()
    served = await serving.__aenter__()
    async with listening(served.url) as client:
        await client.next()
        await serving.__aexit__(None, None, None)
        code, words = await client.ended()

    assert code == 1001
    assert "marketd is stopping" in words


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({"Origin": "http://localhost:5173"}, None),
        ({"Origin": "http://127.0.0.1:8100"}, None),
        ({"Origin": "https://trusted.example"}, None),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
async def test_origins_and_hosts_on_loopback(headers: dict[str, str], status: int | None, serve: Serve) -> None:
    async with serve(origins=["https://trusted.example"]) as served:
        assert await handshake(served.url, **headers) == status


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://box:8100", "box:8100", None),
        ("https://box", "BOX", None),
        ("http://other:8100", "box:8100", 403),
        ("http://box:8101", "box:8100", 403),
        ("http://localhost:3000", "box:8100", None),
    ],
)
async def test_beyond_loopback_an_origin_must_be_the_apis_own_or_allowed(
    origin: str, host: str, status: int | None, serve: Serve
) -> None:
    async with serve(host="0.0.0.0") as served:
        assert await handshake(served.url, Origin=origin, Host=host) == status


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {"Authorization": "Bearer right"}, None),
        ("", {"Authorization": "Bearer wrong"}, 401),
        ("", {"Authorization": "Basic right"}, 401),
        ("?token=right", {}, None),
        ("?token=wrong", {}, 401),
        ("?token=", {}, 401),
        ("?token=%ff%fe", {}, 401),
        ("?token=right", {"Authorization": "Bearer wrong"}, 401),
        ("", {}, None),
    ],
)
async def test_tokens_in_the_handshake(query: str, headers: dict[str, str], status: int | None, serve: Serve) -> None:
    async with serve(token="right") as served:
        assert await handshake(served.url, query, **headers) == status


async def test_a_token_may_be_the_first_message(serve: Serve) -> None:
    async with serve(token="right") as served, listening(served.url) as client, listening(served.url) as wrong:
        hello = await client.next()
        refused = await client.subscribe(TRADES)
        let_in = await client.ask({"op": "auth", "id": 2, "token": "right"})
        subscribed = await client.subscribe(TRADES)
        wrong.socket.send(b'{"op":"auth","token":"wrong"}')
        code, words = await wrong.ended()

    assert hello["auth"] == "needed"
    assert (refused["op"], refused["field"], refused["allowed"], refused["id"]) == ("error", "op", ["auth"], 1)
    assert (let_in["op"], subscribed["op"]) == ("authenticated", "subscribed")
    assert code == 1008
    assert "token" in words


async def test_more_clients_than_configured_are_refused(serve: Serve) -> None:
    async with serve(clients=1) as served, listening(served.url) as client:
        await client.next()

        with pytest.raises(Refused) as refused:
            async with listening(served.url):
                pass
    assert (refused.value.status, refused.value.retry_after_s) == (503, 2.0)
    assert "too many clients" in str(refused.value)


async def test_a_process_without_events_has_no_stream(serve: Serve, only: Views, views: Views) -> None:
    async with serve(replace(only, bus=views.bus)) as served:
        assert await handshake(served.url) == 404


async def handshake(url: str, query: str = "", **headers: str) -> int | None:
    """The status that refused it."""
    try:
        async with listening(url, query, **headers) as client:
            await client.next()
    except Refused as refused:
        return refused.status
    return None
