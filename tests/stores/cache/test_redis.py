"""What only the cache in Redis has: a log that cannot be written, a server that goes away, and counts of what it costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import DeliveryError, Unreachable
from marketd.metrics import Metrics
from marketd.model.message_log import MIRROR, STREAM
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.stores.cache.cache import Message, Note, Publish, Resumed, Wanted, Write
from marketd.stores.cache.redis import RedisCache, open_redis
from marketd.stores.cache.section import MessageLogConfig
from tests.daemons import eventually
from tests.redis_server import RedisServer


@asynccontextmanager
async def opened(url: str, metrics: Metrics | None = None, **settings: Any) -> AsyncIterator[RedisCache]:
    link = RedisLink(RedisConfig(url=SecretUrl(url)), "marketd-test", SystemClock())
    async with open_redis(link, MessageLogConfig(**settings), SystemClock(), metrics or Metrics()) as cache:
        yield cache


def value_of(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


async def test_values_stand_under_their_keys_with_their_ttl(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as cache:
        await cache.of("market-data").do(Write("a", b"1", 120), Write("b", b"2", None), Write("c", b"3", 0.25))

    assert 119_000 < redis_server.command("PTTL", "a") <= 120_000
    assert redis_server.command("PTTL", "b") == -1
    assert redis_server.command("PTTL", "c") <= 250


async def test_a_cycle_is_one_round_trip_and_its_entries_ride_with_it(redis_server: RedisServer) -> None:
    metrics = Metrics()
    async with opened(redis_server.url, metrics) as cache:
        desk = cache.of("market-data")
        await desk.do(*(Write(f"key:{number}", b"x" * 1000, 60) for number in range(87)), Publish("market:update:1h", b"{}"))

        assert value_of(metrics, "marketd_cache_round_trips_total") == 1
        assert value_of(metrics, "marketd_cache_bytes_total", direction="sent") > 87_000
        assert value_of(metrics, "marketd_cache_bytes_total", direction="received") > 0
        assert redis_server.command("XLEN", STREAM) == 88

        await cache.of("dashboard").read("key:1", "key:2")
        await desk.do(Publish("a", b"1"))

        assert value_of(metrics, "marketd_cache_round_trips_total") == 3
        assert redis_server.command("XLEN", STREAM) == 91


async def test_an_entry_of_a_read_is_there_soon_though_nothing_else_happens(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as cache:
        await cache.of("dashboard").read("a")
        await eventually(lambda: redis_server.command("XLEN", STREAM))

    assert redis_server.command("XLEN", STREAM) == 1


async def test_an_entry_of_a_read_is_there_when_the_cache_is_left(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as cache:
        await cache.of("dashboard").read("a")

    assert redis_server.command("XLEN", STREAM) == 1


async def test_the_fields_are_those_that_others_read(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as cache:
        await cache.of("market-data").do(Write("market:price:BTCUSDT", b"{}", 60))
    ((_, fields),) = redis_server.command("XRANGE", STREAM, "-", "+")

    assert ["type", "channel", "source", "summary", "payload_size", "timestamp"] == list(
        fields[::2] if isinstance(fields, list) else fields
    )


async def test_the_mirror_has_the_same_entries(redis_server: RedisServer) -> None:
    async with opened(redis_server.url, mirror=MIRROR) as cache:
        await cache.of("market-data").do(Write("a", b"1", 60), Publish("b", b"2"))
        await cache.of("dashboard").read("a")
    log, mirror = ([fields for _, fields in redis_server.command("XRANGE", key, "-", "+")] for key in (STREAM, MIRROR))

    assert len(log) == 3
    assert log == mirror


async def test_a_log_that_is_off_is_not_written(redis_server: RedisServer) -> None:
    async with opened(redis_server.url, enabled=False) as cache:
        await cache.of("market-data").do(Write("a", b"1", 60), Note("error", "x", "y"))
        await cache.of("market-data").do(Note("error", "x", "y"))

        assert [b"1"] == await cache.of("dashboard").read("a")

    assert redis_server.command("EXISTS", STREAM) == 0


async def works(cache: RedisCache) -> None:
    """Everything but the log."""
    desk = cache.of("market-data")
    async with cache.of("dashboard").listen("c") as heard:
        await anext(heard)
        await desk.do(Write("a", b"1", 60), Publish("c", b"2"))

        assert Message("c", b"2") == await anext(heard)
    assert [b"1"] == await desk.read("a")


async def test_a_log_of_the_wrong_type_fails_nothing_and_is_said_once(redis_server: RedisServer) -> None:
    redis_server.command("SET", STREAM, "not a stream")
    metrics = Metrics()
    with capture_logs() as lines:
        async with opened(redis_server.url, metrics) as cache:
            for _ in range(3):
                await works(cache)
            with pytest.raises(DeliveryError, match="redis:message_log"):
                await cache.log(Wanted(), 10)
            redis_server.command("DEL", STREAM)
            await works(cache)
    said = [line["event"] for line in lines if line["event"].startswith("message_log.")]

    assert ["message_log.failing", "message_log.back"] == said
    assert next(line["lost"] for line in lines if line["event"] == "message_log.back") == value_of(
        metrics, "marketd_message_log_lost_total", stream=STREAM, reason="WRONGTYPE"
    )


async def test_a_user_that_may_not_write_the_log_does_everything_else() -> None:
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", "~a", "~c", "&*", "+@all")
        url = f"redis://md:opensesame@127.0.0.1:{server.port}/0"
        metrics = Metrics()
        async with opened(url, metrics) as cache:
            await works(cache)
            await eventually(lambda: value_of(metrics, "marketd_message_log_lost_total", stream=STREAM, reason="NOPERM") == 3)

        assert server.command("EXISTS", STREAM) == 0


async def test_a_server_without_memory_refuses_writes_and_goes_on_telling_and_reading() -> None:
    with RedisServer() as server:
        metrics = Metrics()
        async with opened(server.url, metrics) as cache:
            desk = cache.of("market-data")
            await desk.do(Write("a", b"1", 60))
            server.command("CONFIG", "SET", "maxmemory", "1mb")
            with pytest.raises(DeliveryError, match="out of memory"):
                await desk.do(Write("a", b"2", 60), Publish("c", b"2"))
            async with desk.listen("c") as heard:
                await anext(heard)
                await desk.do(Publish("c", b"3"))

                assert Message("c", b"3") == await anext(heard)
            assert [b"1"] == await desk.read("a")
            assert value_of(metrics, "marketd_message_log_lost_total", stream=STREAM, reason="OOM") > 0
            server.command("CONFIG", "SET", "maxmemory", "0")
            await desk.do(Write("a", b"4", 60))

            assert [b"4"] == await desk.read("a")


async def test_what_was_refused_is_not_in_the_log_but_that_it_was() -> None:
    with RedisServer() as server:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", "~a", f"~{STREAM}", "&*", "+@all")
        async with opened(f"redis://md:opensesame@127.0.0.1:{server.port}/0") as cache:
            with pytest.raises(DeliveryError, match="the user may not do this"):
                await cache.of("market-data").do(Write("a", b"1", 60), Write("elsewhere", b"2", 60), Note("trade", "x", "y"))
            entries = (await cache.log(Wanted(), 10)).entries

        assert [("error", "market-data")] == [(one.type, one.source) for one in entries]
        assert server.command("EXISTS", "a") == 0


async def test_a_server_that_is_away_is_said_to_be_and_listeners_are_resumed_once_it_is_back() -> None:
    with RedisServer() as server:
        async with opened(server.url) as cache:
            desk = cache.of("ta-service")
            async with desk.listen("c", "d:*") as heard:
                first = await anext(heard)
                await desk.do(Write("a", b"1", 60))
                server.kill()
                with pytest.raises(Unreachable):
                    await desk.do(Write("a", b"2", 60))

                assert not cache.state.connected

                server.start()
                async with asyncio.timeout(20):
                    again = await anext(heard)
                await desk.do(Publish("d:1", b"5"))

                assert isinstance(first, Resumed)
                assert isinstance(again, Resumed)
                assert again.missed is None
                assert Message("d:1", b"5") == await anext(heard)
                assert [b"1"] == await desk.read("a")
                assert cache.state.connected


async def test_a_server_that_was_never_there_is_waited_for() -> None:
    with RedisServer() as server:
        server.kill()
        async with opened(server.url) as cache, cache.of("dashboard").listen("c") as heard:
            with pytest.raises(Unreachable):
                await cache.of("dashboard").read("a")
            server.start()
            async with asyncio.timeout(20):
                assert isinstance(await anext(heard), Resumed)


async def test_who_is_cancelled_in_the_middle_leaves_the_connection_whole(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as cache:
        desk = cache.of("market-data")
        for number in range(50):
            asking = asyncio.ensure_future(desk.do(*(Write(f"k:{one}", b"%d" % number, 60) for one in range(50))))
            for _ in range(number % 7):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            seen = await desk.read("k:0", "k:49")

            assert seen[0] == seen[1]

    assert redis_server.command("XLEN", STREAM) > 100


async def test_many_at_once_are_all_done_and_logged(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as cache:
        desk = cache.of("market-data")
        await asyncio.gather(*(desk.do(Write(f"k:{number}", b"1", 60), Publish("c", b"2")) for number in range(200)))

    assert redis_server.command("XLEN", STREAM) == 400
