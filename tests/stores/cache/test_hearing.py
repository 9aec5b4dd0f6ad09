"""Listening where the server does not agree, or falls silent."""

import asyncio

import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.stores.cache import hearing
from marketd.stores.cache.cache import Resumed
from marketd.stores.cache.redis import open_redis
from marketd.stores.cache.section import MessageLogConfig
from tests.redis_server import RedisServer


def link_to(url: str) -> RedisLink:
    return RedisLink(RedisConfig(url=SecretUrl(url)), "marketd-test", SystemClock())


async def test_who_may_not_listen_is_told_once_and_heard_as_soon_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "REFUSED_S", 0.05)
    with RedisServer() as server, capture_logs() as lines:
        server.command("ACL", "SETUSER", "md", "on", ">opensesame", "~*", "resetchannels", "+@all")
        link = link_to(f"redis://md:opensesame@127.0.0.1:{server.port}/0")
        opening = open_redis(link, MessageLogConfig(), SystemClock(), Metrics())
        async with opening as cache, cache.of("dashboard").listen("c") as heard, asyncio.timeout(20):
            while not any(line["event"] == "cache.not_heard" for line in lines):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
            server.command("ACL", "SETUSER", "md", "&c")

            assert isinstance(await anext(heard), Resumed)
    said = [line for line in lines if line["event"] == "cache.not_heard"]

    assert ["the user may not do this"] == [line["reason"].partition(" (")[0] for line in said]


async def test_a_server_that_falls_silent_is_left_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "SILENT_S", 0.1)
    with RedisServer() as server:
        opening = open_redis(link_to(server.url), MessageLogConfig(), SystemClock(), Metrics())
        async with opening as cache, cache.of("dashboard").listen("c") as heard, asyncio.timeout(20):
            await anext(heard)
            server.freeze()
            while cache.state.connected:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
            server.thaw()

            assert isinstance(await anext(heard), Resumed)
