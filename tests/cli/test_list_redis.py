"""`marketd tail redis:list`: which streams there are, for programs and for people."""

import json

import pytest

from marketd.cli import entries
from tests.cli.conftest import Ask
from tests.redis_server import RedisServer

KEY = "trades:BTCUSDT"


@pytest.fixture
def streams(redis_server: RedisServer) -> dict[str, str]:
    """Where a server is that holds two streams, one with a group, and a key that is none."""
    for _ in range(25):
        redis_server.command("XADD", KEY, "*", "pair", "BTCUSDT")
    redis_server.command("XADD", "other", "5-0", "a", "b")
    redis_server.command("SET", "market:price:BTC", "1")
    redis_server.command("XGROUP", "CREATE", KEY, "mine", "0")
    redis_server.command("XREADGROUP", "GROUP", "mine", "one", "COUNT", 3, "STREAMS", KEY, ">")
    return {"REDIS_URL": redis_server.url}


def test_the_list_has_lengths_times_and_groups(ask: Ask, streams: dict[str, str]) -> None:
    said = ask("tail", "redis:list", environ=streams)
    other, trades = (json.loads(line) for line in said.out.splitlines())

    assert ("other", 1, None, []) == (other["stream"], other["length"], other["first"], other["groups"])
    assert (KEY, 25) == (trades["stream"], trades["length"])
    assert trades["first"] <= trades["last"]
    assert trades["last"].endswith("+00:00")
    assert trades["bytes"] > 0
    assert [{"name": "mine", "consumers": 1, "pending": 3, "lag": 22}] == trades["groups"]


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries.Output, "is_read_by_people", property(lambda self: True, lambda self, value: None), raising=False)


@pytest.mark.usefixtures("on_a_terminal")
def test_on_a_terminal_it_is_a_table(ask: Ask, streams: dict[str, str]) -> None:
    said = ask("tail", "redis:list", environ=streams)
    head, other, trades, count = said.out.splitlines()

    assert head.split()[:3] == ["stream", "entries", "first"]
    assert other.split()[:4] == ["other", "1", "-", "-"]
    assert trades.split()[:2] == [KEY, "25"]
    assert trades.endswith("mine (1, 3, 22)")
    assert count.startswith("2 streams at redis://127.0.0.1:")


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.usefixtures("on_a_terminal")
def test_a_narrow_terminal_shows_names_whole(
    ask: Ask, streams: dict[str, str], width: int, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "trades:1000000MOGUSDT"
    redis_server.command("XADD", name, "*", "pair", "1000000MOGUSDT")
    monkeypatch.setenv("COLUMNS", str(width))
    *table, count = ask("tail", "redis:list", environ=streams).out.splitlines()

    assert [name, KEY] == [line.split()[0] for line in table[2:]]
    assert width >= max(map(len, table))
    assert ("; a wider terminal also shows: " in count) is (width < 120)


def test_an_empty_server_is_one_sentence_beside_the_output(ask: Ask, redis_server: RedisServer) -> None:
    said = ask("tail", "redis:list", environ={"REDIS_URL": redis_server.url})

    assert (0, "", f"no streams at {redis_server.url}\n") == (said.code, said.out, said.err)


def test_a_server_that_is_away_is_said_in_words(ask: Ask) -> None:
    said = ask("tail", "redis:list", environ={"REDIS_URL": "redis://me:hunter2@127.0.0.1:1/0"})

    assert 1 == said.code
    assert "redis at redis://me:***@127.0.0.1:1/0 does not answer: Connection refused; REDIS_URL says where it is" in said.err
