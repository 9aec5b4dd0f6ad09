"""One connection, to a real server."""

import asyncio
import time
from contextlib import suppress

import pytest

from marketd.errors import Disconnected
from marketd.net import redis_wire
from marketd.net.redis_wire import Address, ReplyError, open_wire, pack, refusal
from tests.redis_server import RedisServer


def at(server: RedisServer, **more: object) -> Address:
    return Address("127.0.0.1", server.port, **{"password": server.password, **more})  # type: ignore[arg-type]


async def test_answers_come_in_the_order_of_what_was_asked(redis_server: RedisServer) -> None:
    async with await open_wire(at(redis_server), "marketd-test") as wire:
        first = await wire.ask(("SET", "a", 1), ("GET", "a"), ("CLIENT", "GETNAME"), within_s=5)
        second = await wire.send(pack("GET", "a") + pack("GET", b"b"), 2)

    assert [b"OK", b"1", b"marketd-test"] == first
    assert [b"1", None] == second
    assert wire.client_id is not None


async def test_no_question_has_no_answers() -> None:
    with RedisServer() as server:
        async with await open_wire(at(server), "marketd-test") as wire:
            server.freeze()

            assert [] == await wire.ask(within_s=5)


async def test_an_error_is_an_answer_like_another(redis_server: RedisServer) -> None:
    async with await open_wire(at(redis_server), "marketd-test") as wire:
        told, after = await wire.ask(("NONESUCH",), ("PING",), within_s=5)

    assert isinstance(told, ReplyError)
    assert b"PONG" == after


async def test_another_database_is_another_one(redis_server: RedisServer) -> None:
    async with await open_wire(at(redis_server, db=3), "marketd-test") as wire:
        await wire.ask(("SET", "only-here", "1"), within_s=5)

    assert redis_server.command("EXISTS", "only-here") == 0


async def test_what_was_asked_fails_when_the_server_dies_and_what_is_asked_later_too() -> None:
    with RedisServer() as server:
        async with await open_wire(at(server), "marketd-test") as wire:
            server.freeze()
            answers = wire.send(pack("PING"), 1)
            server.kill()
            with pytest.raises(Disconnected, match=r"closed the connection|reset"):
                await answers
            with pytest.raises(Disconnected):
                await wire.ask(("PING",), within_s=5)

    assert not wire.is_open


async def test_who_waits_in_vain_gives_the_connection_up() -> None:
    with RedisServer() as server:
        async with await open_wire(at(server), "marketd-test") as wire:
            server.freeze()
            with pytest.raises(Disconnected, match=r"no answer within 0\.05 s"):
                await wire.ask(("PING",), within_s=0.05)

            assert not wire.is_open


@pytest.mark.parametrize("password", [None, "wrong"])
async def test_who_has_not_the_password_is_told_so(password: str | None) -> None:
    with (
        RedisServer(requirepass="opensesame") as server,
        pytest.raises(Disconnected, match=r"set it in REDIS_URL|is wrong") as refused,
    ):
        await open_wire(at(server, password=password), "marketd-test")

    assert "opensesame" not in str(refused.value)


async def test_a_user_with_a_password_is_let_in() -> None:
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", "~*", "+@all")
        async with await open_wire(at(server, username="md", password="opensesame"), "marketd-test") as wire:
            (who,) = await wire.ask(("ACL", "WHOAMI"), within_s=5)

    assert b"md" == who


async def test_nobody_there_is_said_in_words() -> None:
    with pytest.raises(Disconnected, match="Connection refused"):
        await open_wire(Address("127.0.0.1", RedisServer().port), "marketd-test")


async def test_a_process_that_stood_still_does_not_take_the_server_for_away(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_wire, "CONNECT_S", 0.3)
    loop = asyncio.get_running_loop()
    opening = asyncio.ensure_future(open_wire(at(redis_server), "marketd-test"))
    await asyncio.sleep(0)  # it has begun
    time.sleep(1)  # noqa: ASYNC251  # as an import does
    begun = loop.time()

    async with await opening as wire:
        assert wire.is_open
    assert loop.time() - begun < 30


async def test_a_server_that_speaks_something_else_is_not_taken_for_redis() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Disconnected, match="no Redis server answers there"):
            await open_wire(Address("127.0.0.1", port), "marketd-test")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (b"+PONG\r\n:1\r\n+OK\r\n" + b"+unasked\r\n" * 1000, "what nobody asked"),
        (b"+" + b"x" * 5_000_000, "more than 1 MiB to one question"),
    ],
)
async def test_a_server_that_answers_without_end_is_given_up(answers: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_wire, "ANSWERS_BYTES", 1024 * 1024)

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(answers)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Disconnected, match=said):
            await open_wire(Address("127.0.0.1", port), "marketd-test")


async def test_an_answer_that_nobody_asked_for_ends_the_connection(redis_server: RedisServer) -> None:
    async with await open_wire(at(redis_server), "marketd-test") as wire:
        await wire.send(pack("PING") + pack("PING"), 2)
        wire.data_received(b"+more\r\n")

        assert "the server answers what nobody asked" == wire.why


async def test_who_is_turned_away_before_asking_is_told_why(redis_server: RedisServer) -> None:
    async with await open_wire(at(redis_server), "marketd-test") as wire:
        wire.data_received(b"-ERR max number of clients reached\r\n")

        assert "ERR max number of clients reached" == wire.why


def test_refusals_are_explained_with_the_servers_own_words() -> None:
    told = refusal(ReplyError("OOM command not allowed when used memory > 'maxmemory'."))

    assert told.startswith("out of memory")
    assert told.endswith("(OOM command not allowed when used memory > 'maxmemory'.)")
    assert "ERR something new" == refusal(ReplyError("ERR something new"))


async def test_who_listens_hears_as_it_comes_and_learns_of_the_end() -> None:
    heard: list[object] = []
    with RedisServer() as server:
        async with await open_wire(at(server), "marketd-test") as wire, await open_wire(at(server), "marketd-test") as other:
            wire.listen(pack("SUBSCRIBE", "a", "b"), heard.append)
            for number in range(3):
                while await other.ask(("PUBLISH", "b", number), within_s=5) == [0]:
                    pass
            async with asyncio.timeout(5):
                while len(heard) < 5:
                    await other.ask(("PING",), within_s=5)
                server.kill()
                why = await wire.ended()

    assert [[b"subscribe", b"a", 1], [b"subscribe", b"b", 2]] == heard[:2]
    assert [[b"message", b"b", b"%d" % number] for number in range(3)] == heard[2:]
    assert why
    assert not wire.is_open


async def test_a_refusal_is_heard_like_anything_else(redis_server: RedisServer) -> None:
    heard: list[object] = []
    async with await open_wire(at(redis_server), "marketd-test") as wire:
        wire.listen(pack("SUBSCRIBE"), lambda said: (heard.append(said), wire.abort("refused"))[0])
        async with asyncio.timeout(5):
            why = await wire.ended()

    assert isinstance(heard[0], ReplyError)
    assert why == "refused"
