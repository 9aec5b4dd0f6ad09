"""Redis streams as a user looks at them: nothing changes on the server unless a group was asked for."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Ask, Program, Said, Start
from tests.redis_server import RedisServer

KEY = "trades:BTCUSDT"


@pytest.fixture
def streams(redis_server: RedisServer) -> RedisServer:
    """25 trades of one pair."""
    add(redis_server, range(1, 26))
    return redis_server


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def add(server: RedisServer, numbers: range, *words: str | int) -> None:
    with server.client() as client:
        for number in numbers:
            client.execute_command("XADD", KEY, *words, "*", "pair", "BTCUSDT", "trade_id", str(number))


def ids(lines: str | list[str]) -> list[int]:
    each = lines.splitlines() if isinstance(lines, str) else lines
    return [int(json.loads(line)["trade_id"]) for line in each]


def tail(ask: Ask, server: RedisServer, *words: str) -> Said:
    return ask("tail", *words, environ={"REDIS_URL": server.url})


def state(server: RedisServer) -> Any:
    """All that a reader could have changed."""
    return server.command("KEYS", "*"), server.command("XLEN", KEY), server.command("XINFO", "GROUPS", KEY)


def test_the_last_ten_by_default_and_nothing_is_changed(ask: Ask, streams: RedisServer) -> None:
    before = state(streams)
    said = tail(ask, streams, f"redis:{KEY}")

    assert (0, list(range(16, 26)), "") == (said.code, ids(said.out), said.err)
    assert [24, 25] == ids(tail(ask, streams, f"redis:{KEY}", "--count", "2").out)
    assert 25 == len(ids(tail(ask, streams, f"redis:{KEY}", "--count", "1000").out))
    assert before == state(streams)


def test_a_stream_that_is_not_there_is_said_with_those_that_are(ask: Ask, streams: RedisServer) -> None:
    said = tail(ask, streams, "redis:trades:BTCUSD")

    assert (1, "marketd: redis trades:BTCUSD: there is no such stream; there are trades:BTCUSDT\n") == (said.code, said.err)


def test_a_key_that_is_no_stream_is_said(ask: Ask, streams: RedisServer) -> None:
    streams.command("SET", "market:price:BTC", "1")
    said = tail(ask, streams, "redis:market:price:BTC")

    assert 1 == said.code
    assert "redis market:price:BTC: holds a string, expected a stream" in said.err


def test_a_member_takes_and_acknowledges_what_its_group_has_not_had(ask: Ask, streams: RedisServer) -> None:
    words = (f"redis:{KEY}", "--group", "mine", "--count")
    first = tail(ask, streams, *words, "10")
    second = tail(ask, streams, *words, "20", "--consumer", "two")

    assert list(range(1, 11)) == ids(first.out)
    assert first.err == f"redis {KEY}: made group mine, which begins with the oldest entry\n"
    assert (list(range(11, 26)), "") == (ids(second.out), second.err)
    assert "" == tail(ask, streams, *words, "5").out
    assert 0 == streams.command("XPENDING", KEY, "mine")["pending"]


def test_a_member_begins_with_what_it_took_and_never_acknowledged(ask: Ask, streams: RedisServer) -> None:
    streams.command("XGROUP", "CREATE", KEY, "mine", "0")
    streams.command("XREADGROUP", "GROUP", "mine", "one", "COUNT", 3, "STREAMS", KEY, ">")
    said = tail(ask, streams, f"redis:{KEY}", "--group", "mine", "--consumer", "one", "--count", "5")

    assert list(range(1, 6)) == ids(said.out)
    assert 0 == streams.command("XPENDING", KEY, "mine")["pending"]


def test_what_was_trimmed_from_under_a_group_is_said(ask: Ask, streams: RedisServer) -> None:
    streams.command("XGROUP", "CREATE", KEY, "mine", "0")
    streams.command("XREADGROUP", "GROUP", "mine", "tail", "COUNT", 3, "STREAMS", KEY, ">")
    streams.command("XTRIM", KEY, "MAXLEN", "=", 10)
    said = tail(ask, streams, f"redis:{KEY}", "--group", "mine", "--count", "50")

    assert list(range(16, 26)) == ids(said.out)
    assert 3 == said.err.count("was trimmed before it was acknowledged")
    assert f"redis {KEY}: 12 entries were trimmed before they could be read\n" in said.err


def follow(start: Start, server: RedisServer, *words: str) -> Program:
    return start("tail", f"redis:{KEY}", "--count", "0", *words, environ={"REDIS_URL": server.url})


def until_heard(server: RedisServer, program: Program) -> int:
    """Add entries until one arrives: only then does the program follow. The number of the last one."""
    number = 1000
    while not program.said["out"]:
        assert program.process.poll() is None, program.said
        number += 1
        add(server, range(number, number + 1))
    return number


@pytest.mark.parametrize("words", [(), ("--group", "mine")])
def test_following_gives_each_new_entry_once_and_ends_with_ctrl_c(
    start: Start, redis_server: RedisServer, words: tuple[str, ...]
) -> None:
    add(redis_server, range(1))
    program = follow(start, redis_server, *words)
    last = until_heard(redis_server, program)
    add(redis_server, range(last + 1, last + 3001))
    program.wait_for(f'"{last + 3000}"')

    assert 0 == program.end(signal.SIGINT)
    heard = ids(program.said["out"])
    assert heard[-1] == last + 3000
    assert heard == [*([0] if words else []), *range(heard[1 if words else 0], last + 3001)]


def test_a_stream_may_come_later_than_its_follower(start: Start, redis_server: RedisServer) -> None:
    program = follow(start, redis_server)
    last = until_heard(redis_server, program)

    assert 0 == program.end()
    assert ids(program.said["out"])[0] <= last


def test_following_outlives_a_restart_of_the_server(start: Start, own_server: RedisServer) -> None:
    program = follow(start, own_server)
    last = until_heard(own_server, program)
    own_server.kill()
    program.wait_for("does not answer")
    own_server.start()
    add(own_server, range(last + 1, last + 4))
    program.wait_for(f'"{last + 3}"')

    assert 0 == program.end()
    heard = ids(program.said["out"])
    assert list(range(heard[0], last + 4)) == heard
    assert program.said["err"][-1].endswith("answers again")


def test_what_was_trimmed_from_under_a_follower_is_counted(start: Start, own_server: RedisServer) -> None:
    program = follow(start, own_server)
    last = until_heard(own_server, program)
    program.wait_for(f'"{last}"')
    program.process.send_signal(signal.SIGSTOP)
    add(own_server, range(last + 1, last + 101), "MAXLEN", "=", "10")
    program.process.send_signal(signal.SIGCONT)
    program.wait_for(f'"{last + 100}"')

    assert 0 == program.end()
    heard = ids(program.said["out"])
    told = sum(int(line.split()[2]) for line in program.said["err"])
    assert last + 100 - heard[0] + 1 == len(heard) + told
    assert told > 0
