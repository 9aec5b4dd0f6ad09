"""Trades into the streams of a real server: each once and in order."""

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import DeliveryError, Unreachable
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.model.marks import Mark
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.sinks import redis_streams
from marketd.sinks.redis_held import RECORD
from marketd.sinks.redis_memory import StreamsCare, weigh
from marketd.sinks.redis_streams import RedisStreams
from tests.redis_server import RedisServer
from tests.samples import T0, trade, trades

BTC = "trades:BTCUSDT"


def sink_on(server: RedisServer, **more: Any) -> RedisStreams:
    config = RedisConfig.model_validate({"url": server.url, "enabled": True, **more})
    return RedisStreams(config, RedisLink(config, "marketd-test", SystemClock()), SystemClock())


def ids(server: RedisServer, stream: str = BTC) -> list[int]:
    with server.client() as client:
        return [int(fields["trade_id"]) for _, fields in client.xrange(stream)]


async def write(sink: RedisStreams, batch: Sequence[Event], within_s: float = 30.0) -> None:
    """As the delivery does: until it is taken."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                await sink.write(batch)
            except DeliveryError:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.fixture
def slow_is_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_streams, "SLOW_S", 0.05)


async def test_trades_of_many_pairs_are_in_their_streams_in_order(redis_server: RedisServer) -> None:
    symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    batch = [trade(number, symbol=symbols[number % 3]) for number in range(1, 3001)]
    async with sink_on(redis_server) as sink:
        await sink.write(batch)

    assert {symbol: [number for number in range(1, 3001) if symbols[number % 3] == symbol] for symbol in symbols} == {
        symbol: ids(redis_server, f"trades:{symbol}") for symbol in symbols
    }


async def test_a_stream_keeps_about_as_many_as_it_should(redis_server: RedisServer) -> None:
    async with sink_on(redis_server, stream_maxlen=500) as sink:
        await sink.write(trades(1, 5000))

    kept = ids(redis_server)
    assert 500 <= len(kept) <= 700
    assert list(range(5001 - len(kept), 5001)) == kept


async def test_a_restart_goes_on_from_what_the_streams_hold(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as sink:
        await sink.write([*trades(1, 50), *trades(1, 3, venue="bybit")])
    async with sink_on(redis_server) as sink:
        progress = dict(sink.progress())
        await sink.write(trades(41, 60))

    assert {
        ("binance", "BTCUSDT"): Mark("50", trade(50).ts_event),
        ("bybit", "BTCUSDT"): Mark("3", trade(3).ts_event),
    } == progress
    assert [*range(1, 51), 1, 2, 3, *range(51, 61)] == ids(redis_server)


async def test_late_repairs_neither_count_as_progress_nor_are_written_twice(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as sink:
        await sink.write([*trades(1, 10), *trades(21, 30), *trades(11, 15, repaired=True)])
    async with sink_on(redis_server) as sink:
        progress = dict(sink.progress())
        await sink.write([*trades(11, 20, repaired=True), *trades(31, 32)])

    assert {("binance", "BTCUSDT"): Mark("30", trade(30).ts_event)} == progress
    assert [*range(1, 11), *range(21, 31), *range(11, 21), 31, 32] == ids(redis_server)


async def test_repairs_held_back_before_the_next_live_trade_are_not_written_twice(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as sink:
        await sink.write([*trades(1, 10), *trades(11, 15, repaired=True)])
    async with sink_on(redis_server) as sink:
        await sink.write([*trades(11, 20, repaired=True), *trades(21, 22)])

    assert list(range(1, 23)) == ids(redis_server)


async def test_what_came_from_the_spill_and_comes_again_by_repair_is_there_once(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as sink:
        await sink.write(trades(1, 10))
    async with sink_on(redis_server) as sink:
        now = SystemClock().now_ns()
        await sink.write(trades(11, 20))  # received in an earlier run
        await sink.write([*trades(11, 25, repaired=True, ts_recv=now + 1), *trades(26, 27, ts_recv=now + 2)])

    assert list(range(1, 28)) == ids(redis_server)


async def test_ids_that_are_no_numbers_are_told_apart_too(redis_server: RedisServer) -> None:
    some = [trade(number, venue="alpaca", trade_id=f"V-2026-01-02-{number}") for number in range(1, 31)]
    for _ in range(2):
        async with sink_on(redis_server) as sink:
            await sink.write(some)

    assert 30 == redis_server.command("XLEN", BTC)


async def test_a_look_back_goes_as_far_as_it_must(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_streams, "PAGE", 7)
    for _ in range(2):
        async with sink_on(redis_server) as sink:
            await sink.write(trades(1, 100))

    assert list(range(1, 101)) == ids(redis_server)


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_connection_cut_in_a_write_costs_and_doubles_nothing(is_there: bool) -> None:
    """The server is gone before it answers; once with all of the write on its disk, once with nothing."""
    with RedisServer() as server:
        async with sink_on(server) as sink:
            await sink.write(trades(1, 10))
            send = sink._wire.send  # type: ignore[union-attr]

            def cut(commands: bytes, count: int) -> Any:
                if is_there:
                    with socket.create_connection(("127.0.0.1", server.port)) as other:
                        other.sendall(commands)
                        while server.command("XLEN", BTC) < 20:
                            pass
                server.kill()
                return send(commands, count)

            sink._wire.send = cut  # type: ignore[union-attr, method-assign]
            with pytest.raises(Unreachable):
                await sink.write(trades(11, 20))
            server.start()
            await write(sink, trades(11, 20))

        assert list(range(1, 21)) == ids(server)


async def test_a_server_killed_again_and_again_under_load_holds_each_trade_once_and_in_order() -> None:
    with RedisServer() as server:
        async with sink_on(server) as sink:
            done = asyncio.Event()

            async def kill() -> None:
                while not done.is_set():
                    await asyncio.sleep(0.15)
                    await asyncio.to_thread(server.restart)

            async with asyncio.TaskGroup() as group:
                killing = group.create_task(kill())
                for first in range(1, 9001, 300):
                    await write(sink, trades(first, first + 299))
                    await asyncio.sleep(0.02)
                done.set()
                await killing

        assert list(range(1, 9001)) == ids(server)


async def test_a_frozen_server_is_waited_for_and_nothing_is_sent_twice(slow_is_soon: None) -> None:
    with RedisServer() as server:
        async with sink_on(server) as sink:
            await sink.write(trades(1, 10))
            server.freeze()
            for _ in range(3):
                with pytest.raises(DeliveryError, match="no answer yet"):
                    await sink.write(trades(11, 1300))
            server.thaw()
            await write(sink, trades(11, 1300))

        assert list(range(1, 1301)) == ids(server)


async def test_a_connection_given_up_executes_nothing_later(slow_is_soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the frozen server has of it, unread, must not come after the same trades sent over another connection."""
    monkeypatch.setattr(redis_streams, "STUCK_S", 0.1)
    with RedisServer() as server:
        async with sink_on(server) as sink:
            await sink.write(trades(1, 10))
            server.freeze()
            with pytest.raises(DeliveryError):
                await sink.write(trades(11, 20))
            await asyncio.sleep(0.2)
            with pytest.raises(DeliveryError):
                await sink.write(trades(11, 20))
            server.thaw()
            await write(sink, trades(11, 20))

        assert list(range(1, 21)) == ids(server)


async def test_out_of_memory_is_said_and_nothing_is_lost() -> None:
    with RedisServer(maxmemory="8mb", maxmemory_policy="noeviction") as server:
        async with sink_on(server, stream_maxlen=1_000_000) as sink:
            said, first = "", 1
            while not said:
                try:
                    await sink.write(trades(first, first + 1999))
                    first += 2000
                except DeliveryError as error:
                    said = str(error)
            server.command("CONFIG", "SET", "maxmemory", "100mb")
            await write(sink, trades(first, first + 1999))

        assert "out of memory: maxmemory is reached" in said
        assert list(range(1, first + 2000)) == ids(server)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min-replicas-to-write": "1"}, "NOREPLICAS"),
        ({"replicaof": "127.0.0.1 1"}, "it is a replica"),
        ({"requirepass": "opensesame"}, "it asks for a password"),
    ],
)
async def test_what_the_server_refuses_is_said_and_written_later(settings: dict[str, str], said: str) -> None:
    with RedisServer() as server:
        async with sink_on(server) as sink:
            await sink.write(trades(1, 10))
            with server.client() as client:
                for name, value in settings.items():
                    if name == "replicaof":
                        client.execute_command("REPLICAOF", *value.split())
                    else:
                        client.config_set(name, value)
                if "requirepass" in settings:  # asked for of who comes, so the sink has to come again
                    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    with pytest.raises(DeliveryError):
                        await sink.write(trades(11, 20))
                with pytest.raises(DeliveryError, match=said):
                    await sink.write(trades(11, 20))
                if "replicaof" in settings:
                    client.execute_command("REPLICAOF", "NO", "ONE")
                else:
                    for name in settings:
                        client.config_set(name, "0" if name.startswith("min") else "")
            await write(sink, trades(11, 20))

        assert list(range(1, 21)) == ids(server)


async def test_a_key_that_holds_something_else_is_named_and_its_trades_wait(redis_server: RedisServer) -> None:
    redis_server.command("SET", BTC, "1")
    batch = [*trades(1, 10), *trades(1, 10, symbol="ETHUSDT")]
    async with sink_on(redis_server) as sink:
        with pytest.raises(DeliveryError, match="trades:BTCUSDT holds a string, expected a stream"):
            await sink.write(batch)
        redis_server.command("DEL", BTC)
        await sink.write(batch)

    assert (list(range(1, 11)), list(range(1, 11))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))


async def test_a_key_replaced_between_two_writes_costs_nothing_either(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as sink:
        await sink.write([*trades(1, 5), *trades(1, 5, symbol="ETHUSDT")])
        redis_server.command("DEL", BTC)
        redis_server.command("SET", BTC, "1")
        batch = [*trades(6, 10), *trades(6, 10, symbol="ETHUSDT")]
        with pytest.raises(DeliveryError, match="no stream"):
            await sink.write(batch)
        record = redis_server.command("HGET", RECORD, "binance:BTCUSDT")
        redis_server.command("DEL", BTC)
        await sink.write(batch)

    assert record.startswith('["5",')
    assert (list(range(6, 11)), list(range(1, 11))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))


async def test_a_record_replaced_and_repaired_costs_and_doubles_nothing(redis_server: RedisServer) -> None:
    """The transaction's entries are written all the same: they are not written again, and the record learns of them."""
    both = [*trades(1, 5), *trades(1, 5, symbol="ETHUSDT")]
    async with sink_on(redis_server) as sink:
        await sink.write(both)
        redis_server.command("DEL", RECORD)
        redis_server.command("SET", RECORD, "x")
        for _ in range(3):
            with pytest.raises(DeliveryError, match="marketd:trades: holds something else, expected a hash"):
                await sink.write(trades(6, 10))
        redis_server.command("DEL", RECORD)
        await sink.write(trades(6, 10))
    async with sink_on(redis_server) as sink:
        await sink.write([*both, *trades(6, 12)])

    assert (list(range(1, 13)), list(range(1, 6))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))


async def test_a_record_and_a_stream_replaced_at_once_are_told_apart(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as sink:
        await sink.write([*trades(1, 5), *trades(1, 5, symbol="ETHUSDT")])
        for key in (RECORD, BTC):
            redis_server.command("DEL", key)
            redis_server.command("SET", key, "x")
        batch = [*trades(6, 10), *trades(6, 10, symbol="ETHUSDT")]
        with pytest.raises(DeliveryError):
            await sink.write(batch)
        for key in (RECORD, BTC):
            redis_server.command("DEL", key)
        await sink.write(batch)
    async with sink_on(redis_server) as sink:
        await sink.write(batch)

    assert (list(range(6, 11)), list(range(1, 11))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))


async def test_a_server_that_forgot_what_it_acknowledged_is_told_on() -> None:
    with RedisServer(appendonly="no") as server, capture_logs() as lines:
        async with sink_on(server) as sink:
            await sink.write([*trades(1, 10), *trades(1, 10, symbol="ETHUSDT")])
            server.restart()
            await write(sink, trades(11, 20))

        assert list(range(11, 21)) == ids(server)
    (lost,) = [line for line in lines if line["event"] == "redis.lost"]
    assert "trades:BTCUSDT, trades:ETHUSDT" == lost["streams"]


@pytest.mark.parametrize("command", [("FLUSHALL",), ("DEL", RECORD)])
async def test_what_was_deleted_while_connected_is_told_once(redis_server: RedisServer, command: tuple[str, ...]) -> None:
    both = [*trades(1, 10), *trades(1, 10, symbol="ETHUSDT")]
    with capture_logs() as lines:
        async with sink_on(redis_server) as sink:
            await sink.write(both)
            assert sink.lost is None
            redis_server.command(*command)
            for first in (11, 21):
                await sink.write(trades(first, first + 9))
                await sink.write(trades(first, first + 9, symbol="ETHUSDT"))

            assert sink.lost is not None
            assert sink.lost.endswith("no longer has what it had acknowledged, in trades:BTCUSDT, trades:ETHUSDT")
    assert ["trades:BTCUSDT, trades:ETHUSDT"] == [line["streams"] for line in lines if line["event"] == "redis.lost"]
    assert list(range(11, 31)) == ids(redis_server)[-20:] == ids(redis_server, "trades:ETHUSDT")[-20:]


async def test_another_writer_of_the_same_stream_is_noticed(redis_server: RedisServer) -> None:
    with capture_logs() as lines:
        async with sink_on(redis_server) as one, sink_on(redis_server) as other:
            await one.write(trades(1, 5))
            await other.write(trades(1, 5, symbol="ETHUSDT"))
            assert not one.others
            assert not other.others

            await other.write(trades(6, 7))
            await one.write(trades(6, 7))

            assert {BTC: other.writer} == one.others
    assert [("redis.two_writers", "BTCUSDT")] == [(line["event"], line["symbol"]) for line in lines]


async def test_two_that_share_the_symbols_are_no_matter(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as one, sink_on(redis_server) as other:
        for first in (1, 6):
            await one.write(trades(first, first + 4))
            await other.write(trades(first, first + 4, venue="bybit"))

        assert (one.others, other.others) == ({}, {})


async def test_the_documented_permissions_suffice(slow_is_soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "redis-streams.md").read_text()
    (rules,) = re.findall(r"`(~trades:\*[^`]*)`", page)
    monkeypatch.setattr(redis_streams, "STUCK_S", 0.1)
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", *rules.split())
        config = RedisConfig(url=SecretUrl(f"redis://md:opensesame@127.0.0.1:{server.port}"), enabled=True)
        link = RedisLink(config, "marketd-test", SystemClock())
        for _ in range(2):  # the second time it looks back
            async with RedisStreams(config, link, SystemClock()) as sink:
                await sink.write(trades(1, 10))
        async with RedisStreams(config, link, SystemClock()) as sink:
            server.freeze()
            with pytest.raises(DeliveryError):
                await sink.write(trades(11, 20))
            await asyncio.sleep(0.2)
            with pytest.raises(DeliveryError):
                await sink.write(trades(11, 20))
            server.thaw()
            await write(sink, trades(11, 20))
        async with await link.open("test") as wire:
            budget = await weigh(link, wire, ["BTCUSDT"], 10_000)
            await StreamsCare(config, link, SystemClock(), Metrics()).trim(wire, ["BTCUSDT"], 3600)
        refused = server.command("ACL", "LOG")

        assert list(range(1, 21)) == ids(server)
    assert budget.used > 0
    assert [] == refused


async def test_a_server_that_is_away_is_unreachable_and_not_a_fault() -> None:
    server = RedisServer()
    with pytest.raises(Unreachable, match="Connection refused"):
        async with sink_on(server):
            pass


def test_a_password_is_in_no_reason() -> None:
    config = RedisConfig(url=SecretUrl("redis://:hunter2@localhost:1/0"))

    assert "hunter2" not in f"{config!r} {config.shown_url} {RedisLink(config, 'x', SystemClock()).state}"
    assert T0
