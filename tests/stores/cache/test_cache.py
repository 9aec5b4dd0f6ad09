"""The promises of the shared cache, asked of each of its twins."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from marketd.clock import ManualClock, SystemClock
from marketd.metrics import Metrics
from marketd.model.message_log import TYPES
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.stores.cache.cache import (
    Cache,
    Logged,
    Message,
    Note,
    Publish,
    Resumed,
    Wanted,
    Write,
    entries_of,
    entries_of_read,
    is_pattern,
    ms_of,
    place_of,
)
from marketd.stores.cache.memory import open_memory
from marketd.stores.cache.redis import open_redis
from marketd.stores.cache.section import MessageLogConfig
from tests.redis_server import RedisServer


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, clock: ManualClock, redis_server: RedisServer) -> AsyncIterator[Cache]:
    if request.param == "memory":
        async with open_memory(clock, Metrics(), maxlen=10_000) as memory:
            yield memory
        return
    link = RedisLink(RedisConfig(url=SecretUrl(redis_server.url)), "marketd-test", SystemClock())
    async with open_redis(link, MessageLogConfig(maxlen=10_000), SystemClock(), Metrics()) as redis:
        yield redis


async def whole_log(cache: Cache) -> list[Logged]:
    """Oldest first, those of reads included, which ride on the next pipeline."""
    await cache.of("dashboard").do(Note("error", "last", "last"))
    return [one for one in await so_far(cache) if one.channel != "last"]


async def so_far(cache: Cache) -> list[Logged]:
    return (await cache.log(Wanted(), 10_000)).entries[::-1]


async def test_what_was_written_is_read_and_what_is_not_there_is_none(cache: Cache) -> None:
    desk = cache.of("market-data")
    await desk.do(Write("a", b"1", 60), Write("b", b"\x00\xff", None), Write("a", b"2", 60))

    assert [b"2", None, b"\x00\xff"] == await cache.of("dashboard").read("a", "none", "b")


async def test_every_operation_has_its_entry_in_order_with_size_and_source(cache: Cache) -> None:
    poller, bot = cache.of("market-data"), cache.of("trader-bot")
    await poller.do(Write("a", b"123", 120), Publish("c", b"12345"), Note("error", "ETHUSDT", "no answer", 7))
    await bot.read("a", "none")
    await bot.do(Publish("s", b"1", signal=True, summary="long BTCUSDT"), Note("trade", "BTCUSDT", "bought 1"))

    assert [
        ("cache_write", "a", "market-data", "wrote a, 3 bytes, ttl=120", 3),
        ("publish", "c", "market-data", "published to c, 5 bytes", 5),
        ("error", "ETHUSDT", "market-data", "no answer", 7),
        ("cache_read", "a", "trader-bot", "read a, 3 bytes", 3),
        ("cache_read", "none", "trader-bot", "read none, nothing there", 0),
        ("signal", "s", "trader-bot", "long BTCUSDT", 1),
        ("trade", "BTCUSDT", "trader-bot", "bought 1", 0),
    ] == [(one.type, one.channel, one.source, one.summary, one.payload_size) for one in await whole_log(cache)]


async def test_the_log_and_the_streams_of_trades_are_not_logged(cache: Cache) -> None:
    desk = cache.of("market-data")
    await desk.do(Write("trades:BTCUSDT:newest", b"1", 1), Publish("trades:BTCUSDT", b"1"), Note("error", "x", "seen"))

    assert ["seen"] == [one.summary for one in await whole_log(cache)]


async def test_the_log_keeps_about_ten_thousand_entries_the_newest(cache: Cache) -> None:
    desk = cache.of("market-data")
    for start in range(0, 12_000, 100):
        await desk.do(*(Note("error", "x", str(number)) for number in range(start, start + 100)))
    kept = [int(one.summary) for one in await so_far(cache)]

    assert list(range(12_000 - len(kept), 12_000)) == kept
    assert 10_000 <= len(kept) <= 10_200


async def test_nothing_to_do_is_done_at_once(cache: Cache) -> None:
    desk = cache.of("market-data")
    await desk.do()

    assert [] == await desk.read()
    assert [] == await whole_log(cache)


async def test_a_listener_is_resumed_first_and_hears_what_it_asked_for(cache: Cache) -> None:
    desk = cache.of("market-data")
    async with desk.listen("market:update:1h", "market:signal:*") as heard:
        assert isinstance(await anext(heard), Resumed)
        await desk.do(
            Publish("market:update:5m", b"0"),
            Publish("market:update:1h", b"1"),
            Publish("market:signal:BTCUSDT", b"2"),
            Publish("market:signal:ETHUSDT", b"3"),
        )
        got = [await anext(heard) for _ in range(3)]

    assert [
        Message("market:update:1h", b"1"),
        Message("market:signal:BTCUSDT", b"2"),
        Message("market:signal:ETHUSDT", b"3"),
    ] == got


async def test_pages_hold_each_entry_once_however_much_is_written_meanwhile(cache: Cache) -> None:
    desk = cache.of("market-data")
    for number in range(25):
        await desk.do(Note("error", "x", f"old {number}"))
    page = await cache.log(Wanted(), 10)
    found = [one.summary for one in page.entries]
    while page.cursor is not None:
        await desk.do(Note("error", "x", "new"), Note("trade", "x", "new"))
        page = await cache.log(Wanted(), 10, page.cursor)
        found += [one.summary for one in page.entries]

    assert [f"old {number}" for number in range(24, -1, -1)] == found


async def test_the_log_is_asked_by_type_source_channel_and_time(cache: Cache) -> None:
    for source in ("market-data", "trader-bot"):
        for number in range(20):
            await cache.of(source).do(Write(f"key:{number % 2}", b"1", 1), Note("trade", "key:0", f"{number}"))  # type: ignore[arg-type]
    page = await cache.log(Wanted(type="trade", source="trader-bot", channel="key:0"), 15)
    rest = await cache.log(Wanted(type="trade", source="trader-bot", channel="key:0"), 15, page.cursor)
    newest = page.entries[0]
    since = ms_of(newest.id) * 1_000_000

    assert [str(number) for number in range(19, -1, -1)] == [one.summary for one in (*page.entries, *rest.entries)]
    assert rest.cursor is None
    assert newest in (await cache.log(Wanted(since=since), 1000)).entries
    assert [] == (await cache.log(Wanted(since=since + 1), 1000)).entries


async def test_a_page_that_is_full_and_the_last_has_no_cursor(cache: Cache) -> None:
    await cache.of("dashboard").do(*(Note("error", "x", str(number)) for number in range(3)))

    assert (await cache.log(Wanted(), 3)).cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "1", "-1-2", "1-2-3", f"{2**64}-0", "１-0"])
async def test_a_cursor_that_is_none_is_refused(cache: Cache, cursor: str) -> None:
    with pytest.raises(ValueError, match="is no id of the log"):
        await cache.log(Wanted(), 10, cursor)
    with pytest.raises(ValueError, match="is no id of the log"):
        await anext(aiter(cache.follow(cursor)))


async def test_who_follows_gets_each_entry_once_and_in_order_and_goes_on_where_it_was(cache: Cache) -> None:
    desk = cache.of("ta-service")
    await desk.do(Note("error", "x", "before"))
    got: list[Logged] = []

    async def follow(after: str | None, count: int) -> None:
        following = aiter(cache.follow(after))
        first = await anext(following)  # from here on
        assert not isinstance(first, Resumed)
        got.extend(first)
        ready.set()
        while len(got) < count:
            batch = await anext(following)
            assert not isinstance(batch, Resumed)
            got.extend(batch)

    async def write(start: int, stop: int) -> None:
        await ready.wait()
        for number in range(start, stop):
            await desk.do(Note("error", "x", str(number)))

    for after, start, stop in ((None, 0, 5), ("last", 5, 12)):
        ready = asyncio.Event()
        if after is not None:
            after = got[-1].id
            await desk.do(Note("error", "x", "5"))
            start = 6
        async with asyncio.timeout(20):
            await asyncio.gather(follow(after, stop), write(start, stop))

    assert [str(number) for number in range(12)] == [one.summary for one in got]


def test_entries_are_one_each() -> None:
    operations = (Write("a", b"1", 1), Publish("b", b"12"), Publish("b", b"3", signal=True), Note("trade", "c", "d"))
    entries = entries_of(operations, "dashboard", 0)

    assert ["cache_write", "publish", "signal", "trade"] == [entry.type for entry in entries]
    assert {entry.type for entry in entries} <= set(TYPES)
    assert [3, 0] == [entry.payload_size for entry in entries_of_read(["a", "b"], [b"123", None], "dashboard", 0)]


def test_ids_are_compared_as_numbers() -> None:
    assert place_of("9-10") > place_of("9-9")
    assert place_of("10-0") > place_of("9-99")
    assert is_pattern("a:*")
    assert not is_pattern("a:b")
