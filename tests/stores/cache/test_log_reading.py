"""The log in Redis: what is gone is said, and what others wrote there is read all the same."""

import pytest

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.model.message_log import STREAM
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.stores.cache import log_reading
from marketd.stores.cache.cache import Resumed, Wanted
from marketd.stores.cache.log_reading import follow, page
from tests.redis_server import RedisServer


def link_to(server: RedisServer) -> RedisLink:
    return RedisLink(RedisConfig(url=SecretUrl(server.url)), "marketd-test", SystemClock())


def fill(server: RedisServer, start: int, stop: int) -> None:
    with server.client() as client, client.pipeline(transaction=False) as pipeline:
        for number in range(start, stop):
            pipeline.execute_command(
                "XADD", STREAM, f"{number}-0", "type", "error" if number % 500 else "trade", "summary", number
            )
        pipeline.execute()


async def test_who_was_away_too_long_is_told_that_entries_are_gone(redis_server: RedisServer) -> None:
    fill(redis_server, 1, 11)
    redis_server.command("XTRIM", STREAM, "MAXLEN", 5)
    missed = follow(link_to(redis_server), "3-0")
    whole = follow(link_to(redis_server), "7-0")
    first, second = await anext(missed), await anext(missed)

    assert isinstance(first, Resumed)
    assert [6, 7, 8, 9, 10] == [int(one.summary) for one in second]  # type: ignore[union-attr]
    assert [8, 9, 10] == [int(one.summary) for one in await anext(whole)]  # type: ignore[union-attr]
    await missed.aclose()  # type: ignore[attr-defined]
    await whole.aclose()  # type: ignore[attr-defined]


async def test_a_page_looks_through_chunks_and_not_for_ever(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(redis_server, 1, 5001)
    link = link_to(redis_server)
    all_at_once = await page(link, Wanted(type="trade"), 100, None)
    monkeypatch.setattr(log_reading, "CHUNKS_MAX", 1)
    found, cursor = [], None
    for _ in range(6):
        each = await page(link, Wanted(type="trade"), 100, cursor)
        found += each.entries
        cursor = each.cursor

    assert list(range(5000, 0, -500)) == [int(one.summary) for one in all_at_once.entries]
    assert all_at_once.cursor is None
    assert all_at_once.entries == found
    assert cursor is None


async def test_since_is_the_time_of_the_id(redis_server: RedisServer) -> None:
    fill(redis_server, 1, 11)
    found = await page(link_to(redis_server), Wanted(since=7_000_001), 100, None)

    assert [10, 9, 8] == [int(one.summary) for one in found.entries]


async def test_entries_of_others_are_read_as_far_as_they_go(redis_server: RedisServer) -> None:
    redis_server.command("XADD", STREAM, "1-1", "other", "x", "payload_size", "many", "summary", "half")
    (entry,) = (await page(link_to(redis_server), Wanted(), 10, None)).entries

    assert ("half", 0, "", "1-1") == (entry.summary, entry.payload_size, entry.type, entry.id)


async def test_a_key_that_is_no_stream_is_said_to_be_none(redis_server: RedisServer) -> None:
    redis_server.command("SET", STREAM, "1")
    with pytest.raises(DeliveryError, match="no stream"):
        await page(link_to(redis_server), Wanted(), 10, None)
    with pytest.raises(DeliveryError, match="no stream"):
        await anext(follow(link_to(redis_server), None))
