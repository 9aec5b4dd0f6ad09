"""Other programs' operations in the message log, by redis-py on a real server: both twins, bytes or text."""

import inspect
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
import redis.asyncio

from marketd.client import message_log
from marketd.client.message_log import MessageLog, SyncMessageLog
from marketd.model.message_log import STREAM
from tests.daemons import eventually
from tests.redis_server import RedisServer


class Both:
    """One face over the twins: what the sync one gives at once, the other one is awaited for."""

    def __init__(self, log: MessageLog | SyncMessageLog) -> None:
        self.log = log

    async def __call__(self, name: str, *words: Any, **more: Any) -> Any:
        answer = getattr(self.log, name)(*words, **more)
        return await answer if inspect.isawaitable(answer) else answer


@pytest.fixture(params=["async", "sync", "sync-text"])
async def asking(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[Both]:
    if request.param == "async":
        async with redis.asyncio.Redis.from_url(redis_server.url) as client, MessageLog(client, "trader-bot") as log:
            yield Both(log)
        return
    sync = redis.Redis.from_url(redis_server.url, decode_responses=request.param == "sync-text")
    with sync, SyncMessageLog(sync, "trader-bot") as log:
        yield Both(log)


def entries(server: RedisServer) -> list[dict[str, str]]:
    with server.client() as client:
        return [fields for _, fields in client.xrange(STREAM)]


async def test_each_operation_has_its_entry_in_order(asking: Both, redis_server: RedisServer) -> None:
    await asking("write", "a", "1é", 60)
    listening = await asking("publish", "market:signal:x", b"12345", signal=True, summary="long x")
    found = await asking("read", "a", "none")
    await asking("note", "trade", "x", "bought 1", 3)
    await asking("write", "trades:x", "1", None)

    assert listening == 0
    assert ["1é", None] == [each.decode() if isinstance(each, bytes) else each for each in found]
    assert redis_server.command("PTTL", "a") > 59_000
    assert [
        ("cache_write", "a", "wrote a, 3 bytes, ttl=60", "3"),
        ("signal", "market:signal:x", "long x", "5"),
        ("cache_read", "a", "read a, 3 bytes", "3"),
        ("cache_read", "none", "read none, nothing there", "0"),
        ("trade", "x", "bought 1", "3"),
    ] == [(one["type"], one["channel"], one["summary"], one["payload_size"]) for one in entries(redis_server)]
    assert {"trader-bot"} == {one["source"] for one in entries(redis_server)}


async def test_the_entry_of_a_read_is_there_soon_though_nothing_else_happens(asking: Both, redis_server: RedisServer) -> None:
    await asking("read", "a")
    found = await eventually(lambda: entries(redis_server))

    assert ["cache_read"] == [one["type"] for one in found]


async def test_a_log_that_cannot_be_written_fails_nothing_and_is_counted(asking: Both, redis_server: RedisServer) -> None:
    redis_server.command("SET", STREAM, "no stream")
    await asking("write", "a", "1", None)
    await asking("note", "error", "x", "y")
    await asking("read", "a")
    await asking("flush")

    assert asking.log.entries.lost == 3
    assert "WRONGTYPE" in asking.log.entries.why or "wrong kind" in asking.log.entries.why
    assert redis_server.command("GET", "a") == "1"


async def test_what_was_refused_is_an_error_and_logged_as_one(asking: Both, redis_server: RedisServer) -> None:
    redis_server.command("CONFIG", "SET", "maxmemory", "1mb")
    try:
        with pytest.raises(redis.exceptions.RedisError):
            await asking("write", "a", "1", None)
    finally:
        redis_server.command("CONFIG", "SET", "maxmemory", "0")
    await asking("flush")

    assert ["error"] == [one["type"] for one in entries(redis_server)]


async def test_a_server_that_is_away_is_the_operations_own_error_and_none_of_a_note() -> None:
    client = redis.Redis(port=1, retry=None)
    with SyncMessageLog(client, "dashboard") as log:
        with pytest.raises(redis.exceptions.ConnectionError):
            log.write("a", "1", None)
        log.note("error", "x", "y")

    assert log.entries.lost == 2


def test_who_it_is_and_what_it_notes_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    client = redis.Redis(port=1, retry=None)
    with pytest.raises(ValueError, match="expected one of market-data, ta-service, dashboard, trader-bot"):
        SyncMessageLog(client, "me")  # type: ignore[arg-type]
    log = SyncMessageLog(client, "dashboard")
    with pytest.raises(ValueError, match="expected one of signal, trade, error"):
        log.note("publish", "x", "y")  # type: ignore[arg-type]
    monkeypatch.setattr(message_log, "WAITING_MAX", 2)
    log.entries.wait(*[("XADD",)] * 5)

    assert (2, 3) == (len(log.entries), log.entries.lost)
