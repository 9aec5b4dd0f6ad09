"""Trades into the streams of a real server: each once and in order."""

import asyncio
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import Declined, DeliveryError, Unreachable
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.model.marks import Mark
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.sinks import redis_look, redis_streams
from marketd.sinks.redis_held import RECORD
from marketd.sinks.redis_memory import StreamsCare, weigh
from marketd.sinks.redis_streams import RedisStreams
from tests.redis_server import RedisServer
from tests.samples import T0, trade, trades

BTC = "trades:BTCUSDT"


NOWHERE = Path("/nowhere/that/may/be/used")  # for sinks in which nothing waits


def sink_on(server: RedisServer, directory: Path = NOWHERE, **more: Any) -> RedisStreams:
    config = RedisConfig.model_validate({"url": server.url, "enabled": True, **more})
    return RedisStreams(config, RedisLink(config, "marketd-test", SystemClock()), SystemClock(), directory)


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
    monkeypatch.setattr(redis_look, "PAGE", 7)
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


@pytest.mark.parametrize("kind", ["another type", "last id", "mended meanwhile", "after it"])
async def test_a_key_spoilt_in_the_write_whose_connection_breaks_costs_and_doubles_nothing(tmp_path: Path, kind: str) -> None:
    """The record says that all is there, and of one pair it is not, or not all."""
    with RedisServer() as server:
        async with sink_on(server, tmp_path) as sink:
            live = SystemClock().now_ns() + 1
            batch = [trade(number, symbol=symbol, ts_recv=live) for number in range(11, 21) for symbol in ("BTCUSDT", "ETHUSDT")]
            await sink.write([*trades(1, 10, ts_recv=live), *trades(1, 10, symbol="ETHUSDT", ts_recv=live)])
            send = sink._wire.send  # type: ignore[union-attr]

            def spoil_it() -> None:
                server.command("RENAME", BTC, "before")
                if kind == "last id":  # three more find room
                    server.command("XADD", BTC, f"{2**64 - 1}-{2**64 - 4}", "exchange", "another")
                else:
                    server.command("SET", BTC, "1")

            if kind != "after it":
                spoil_it()

            def cut(commands: bytes, count: int) -> Any:
                with socket.create_connection(("127.0.0.1", server.port)) as other:
                    other.sendall(commands)
                    while server.command("XLEN", "trades:ETHUSDT") < 20:
                        pass
                if kind == "mended meanwhile":
                    server.command("RENAME", "before", BTC)
                if kind == "after it":
                    spoil_it()
                server.kill()
                return send(commands, count)

            sink._wire.send = cut  # type: ignore[union-attr, method-assign]
            with pytest.raises(Unreachable):
                await sink.write(batch)
            server.start()
            await write(sink, batch)
            await write(sink, trades(21, 30, ts_recv=live))
            record = server.command("HGET", RECORD, "binance:BTCUSDT")
            if kind != "mended meanwhile":
                server.command("RENAME", BTC, "spoilt")
                server.command("RENAME", "before", BTC)
            await sink.release()
        with server.client() as client:
            took = [int(one["trade_id"]) for _, one in client.xrange("spoilt") if "trade_id" in one] if kind == "last id" else []

        assert ([11, 12, 13] if kind == "last id" else []) == took
        assert record.startswith('["13",' if kind == "last id" else '["10",')
        assert list(range(1, 21)) == ids(server, "trades:ETHUSDT")
        assert [one for one in range(1, 31) if one not in took] == ids(server)
        assert [] == list(tmp_path.iterdir())


async def test_a_key_spoilt_after_what_waited_was_written_and_the_connection_broke_costs_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    with RedisServer() as server:
        async with sink_on(server, tmp_path) as sink:
            live = SystemClock().now_ns() + 1
            await sink.write(trades(1, 10, ts_recv=live))
            server.command("RENAME", BTC, "before")
            server.command("SET", BTC, "1")
            await write(sink, trades(11, 20, ts_recv=live))
            server.command("RENAME", "before", BTC)
            send = sink._wire.send  # type: ignore[union-attr]

            def cut(commands: bytes, count: int) -> Any:
                if b"XADD" not in commands:
                    return send(commands, count)
                with socket.create_connection(("127.0.0.1", server.port)) as other:
                    other.sendall(commands)
                    while server.command("XLEN", BTC) < 20:
                        pass
                server.command("RENAME", BTC, "before")
                server.command("SET", BTC, "1")
                server.kill()
                return send(commands, count)

            sink._wire.send = cut  # type: ignore[union-attr, method-assign]
            with pytest.raises(Unreachable):
                await sink.release()
            server.start()
            with pytest.raises(Declined):
                await sink.release()
            server.command("RENAME", "before", BTC)
            await sink.release()
            await sink.write(trades(21, 30, ts_recv=live))

        assert list(range(1, 31)) == ids(server)


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


def spoil(server: RedisServer, kind: str, stream: str = BTC) -> None:
    """Nothing can be added there any more."""
    if kind == "another type":
        server.command("DEL", stream)
        server.command("SET", stream, "1")
    else:
        server.command("XADD", stream, f"{2**64 - 1}-{2**64 - 1}", "a", "b")


SPOILT = {"another type": "holds a string, expected a stream; rename or delete it", "last id": "has the highest last id there is"}


@pytest.mark.parametrize("kind", SPOILT)
async def test_a_stream_that_cannot_be_written_holds_up_its_own_pair_only(
    redis_server: RedisServer, tmp_path: Path, kind: str
) -> None:
    spoil(redis_server, kind)
    with capture_logs() as lines:
        async with sink_on(redis_server, tmp_path) as sink:
            for first in (1, 11, 21):
                await sink.write([*trades(first, first + 9), *trades(first, first + 9, symbol="ETHUSDT")])
                await sink.release()
            there, said, is_all = ids(redis_server, "trades:ETHUSDT"), sink.waiting.reason, sink.takes_nothing
            redis_server.command("DEL", BTC)
            await sink.release()
            await sink.write([*trades(31, 40), *trades(31, 40, symbol="ETHUSDT")])

            assert sink.waiting.reason is None
    told = [line["event"] for line in lines]

    assert list(range(1, 31)) == there
    assert said is not None
    assert said.startswith(f"{BTC} {SPOILT[kind]}")
    assert said.endswith("; 30 trades of it wait")
    assert not is_all
    assert (list(range(1, 41)), list(range(1, 41))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))
    assert ["redis.held", "redis.released"] == [one for one in told if one in ("redis.held", "redis.released")]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", SPOILT)
async def test_a_key_spoilt_between_two_writes_costs_and_doubles_nothing(
    redis_server: RedisServer, tmp_path: Path, kind: str
) -> None:
    async with sink_on(redis_server, tmp_path) as sink:
        await sink.write([*trades(1, 5), *trades(1, 5, symbol="ETHUSDT")])
        redis_server.command("DEL", BTC)
        spoil(redis_server, kind)
        await sink.write([trade(number, symbol=symbol) for number in range(6, 2001) for symbol in ("BTCUSDT", "ETHUSDT")])
        record, there = redis_server.command("HGET", RECORD, "binance:BTCUSDT"), ids(redis_server, "trades:ETHUSDT")
        await sink.release()
        redis_server.command("DEL", BTC)
        await sink.write([*trades(2001, 2010), *trades(2001, 2010, symbol="ETHUSDT")])
        await sink.release()
        await sink.write(trades(2011, 2020))

    assert record.startswith('["5",')
    assert list(range(1, 2001)) == there
    assert (list(range(6, 2021)), list(range(1, 2011))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))


async def test_a_spoilt_key_whose_trades_cannot_wait_holds_up_all_and_costs_nothing(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    batch = [trade(number, symbol=symbol) for number in range(6, 2001) for symbol in ("BTCUSDT", "ETHUSDT")]
    async with sink_on(redis_server, tmp_path / "file" / "held") as sink:
        await sink.write([*trades(1, 5), *trades(1, 5, symbol="ETHUSDT")])
        redis_server.command("RENAME", BTC, "kept")
        redis_server.command("SET", BTC, "1")
        for _ in range(2):
            with pytest.raises(DeliveryError, match="its trades cannot wait: cannot use"):
                await sink.write(batch)
        record = redis_server.command("HGET", RECORD, "binance:BTCUSDT")
        redis_server.command("RENAME", "kept", BTC)
        await sink.write(batch)

    assert record.startswith('["5",')
    assert (list(range(1, 2001)), list(range(1, 2001))) == (ids(redis_server), ids(redis_server, "trades:ETHUSDT"))


async def test_a_stream_that_fills_its_last_ids_keeps_what_it_took(redis_server: RedisServer, tmp_path: Path) -> None:
    """Three more find room; the record says so, and the others come behind once there is room again."""
    redis_server.command("XADD", BTC, f"{2**64 - 1}-{2**64 - 4}", "a", "b")
    async with sink_on(redis_server, tmp_path) as sink:
        await sink.write(trades(1, 10))
        record = redis_server.command("HGET", RECORD, "binance:BTCUSDT")
        redis_server.command("RENAME", BTC, "kept")
        await sink.release()
    with redis_server.client() as client:
        kept = [int(fields["trade_id"]) for _, fields in client.xrange("kept") if "trade_id" in fields]

    assert record.startswith('["3",')
    assert ([1, 2, 3], list(range(4, 11))) == (kept, ids(redis_server))


async def test_what_waits_for_a_key_outlives_a_restart_and_comes_in_order_and_once(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    now = SystemClock().now_ns()
    async with sink_on(redis_server, tmp_path) as sink:
        await sink.write([*trades(1, 5, ts_recv=now), *trades(1, 5, symbol="ETHUSDT")])
        redis_server.command("RENAME", BTC, "kept")
        redis_server.command("SET", BTC, "1")
        await sink.write(trades(6, 20, ts_recv=now))
    async with sink_on(redis_server, tmp_path) as sink:
        later = SystemClock().now_ns() + 1
        await sink.release()
        said = sink.waiting.reason
        await sink.write([*trades(6, 25, repaired=True, ts_recv=later), *trades(26, 30, ts_recv=later)])
        await sink.write([*trades(6, 7, symbol="ETHUSDT")])
        redis_server.command("RENAME", "kept", BTC)
        await sink.release()
        await sink.write(trades(31, 33, ts_recv=later))

    assert said is not None
    assert list(range(1, 34)) == ids(redis_server)
    assert list(range(1, 8)) == ids(redis_server, "trades:ETHUSDT")


async def test_a_pair_that_waits_while_the_server_is_killed_again_and_again_comes_once_and_in_order(tmp_path: Path) -> None:
    with RedisServer() as server:
        server.command("SET", BTC, "1")
        async with sink_on(server, tmp_path) as sink:
            for first in range(1, 6001, 300):
                both = [trade(number, symbol=symbol) for number in range(first, first + 300) for symbol in ("BTCUSDT", "ETHUSDT")]
                if first == 2401:
                    server.command("DEL", BTC)
                if first % 900 == 1:
                    killing = asyncio.create_task(asyncio.to_thread(server.restart))
                    await write(sink, both)
                    await killing
                else:
                    await write(sink, both)
                with suppress(DeliveryError):
                    await sink.release()
            await sink.release()

        assert (list(range(1, 6001)), list(range(1, 6001))) == (ids(server), ids(server, "trades:ETHUSDT"))


async def test_a_key_that_the_user_may_not_use_holds_up_its_own_pair_only(tmp_path: Path) -> None:
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", "~trades:ETH*", "~marketd:*", "+@all")
        config = RedisConfig(url=SecretUrl(f"redis://md:opensesame@127.0.0.1:{server.port}"), enabled=True)
        link = RedisLink(config, "marketd-test", SystemClock())
        async with RedisStreams(config, link, SystemClock(), tmp_path) as sink:
            await sink.write([*trades(1, 5), *trades(1, 5, symbol="ETHUSDT")])
            said = sink.waiting.reason
            server.command("ACL", "SETUSER", "md", "~trades:*")
            await sink.release()

        assert said is not None
        assert "the user may not do this" in said
        assert (list(range(1, 6)), list(range(1, 6))) == (ids(server), ids(server, "trades:ETHUSDT"))


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


async def test_a_record_and_a_stream_replaced_at_once_are_told_apart(redis_server: RedisServer, tmp_path: Path) -> None:
    async with sink_on(redis_server, tmp_path) as sink:
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
        await sink.release()
    async with sink_on(redis_server, tmp_path) as sink:
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
            assert sink.noticed.lost is None
            redis_server.command(*command)
            for first in (11, 21):
                await sink.write(trades(first, first + 9))
                await sink.write(trades(first, first + 9, symbol="ETHUSDT"))

            assert sink.noticed.lost is not None
            assert sink.noticed.lost.endswith("no longer has what it had acknowledged, in trades:BTCUSDT, trades:ETHUSDT")
    assert ["trades:BTCUSDT, trades:ETHUSDT"] == [line["streams"] for line in lines if line["event"] == "redis.lost"]
    assert list(range(11, 31)) == ids(redis_server)[-20:] == ids(redis_server, "trades:ETHUSDT")[-20:]


async def test_another_writer_of_the_same_stream_is_noticed(redis_server: RedisServer) -> None:
    with capture_logs() as lines:
        async with sink_on(redis_server) as one, sink_on(redis_server) as other:
            await one.write(trades(1, 5))
            await other.write(trades(1, 5, symbol="ETHUSDT"))
            assert not one.noticed.others
            assert not other.noticed.others

            await other.write(trades(6, 7))
            await one.write(trades(6, 7))

            assert {BTC: other.writer} == one.noticed.others
    assert [("redis.two_writers", "BTCUSDT")] == [(line["event"], line["symbol"]) for line in lines]


async def test_another_writer_of_many_streams_is_told_once(redis_server: RedisServer) -> None:
    symbols = [f"S{number}USDT" for number in range(20)]
    with capture_logs() as lines:
        async with sink_on(redis_server) as one, sink_on(redis_server) as other:
            for first in range(1, 50, 2):
                for sink in (one, other):
                    await sink.write([trade(first + at, symbol=symbol) for at in (0, 1) for symbol in symbols])
            streams = len(one.noticed.others)

    assert (20, 2) == (streams, len([line for line in lines if line["event"] == "redis.two_writers"]))


async def test_two_that_share_the_symbols_are_no_matter(redis_server: RedisServer) -> None:
    async with sink_on(redis_server) as one, sink_on(redis_server) as other:
        for first in (1, 6):
            await one.write(trades(first, first + 4))
            await other.write(trades(first, first + 4, venue="bybit"))

        assert (one.noticed.others, other.noticed.others) == ({}, {})


async def test_the_documented_permissions_suffice(slow_is_soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "redis-streams.md").read_text()
    (rules,) = re.findall(r"`(~trades:\*[^`]*)`", page)
    monkeypatch.setattr(redis_streams, "STUCK_S", 0.1)
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", *rules.split())
        config = RedisConfig(url=SecretUrl(f"redis://md:opensesame@127.0.0.1:{server.port}"), enabled=True)
        link = RedisLink(config, "marketd-test", SystemClock())
        for _ in range(2):  # the second time it looks back
            async with RedisStreams(config, link, SystemClock(), NOWHERE) as sink:
                await sink.write(trades(1, 10))
        async with RedisStreams(config, link, SystemClock(), NOWHERE) as sink:
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
