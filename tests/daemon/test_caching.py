"""The shared cache as a part of the daemon: where it is, and what health says of it."""

from pathlib import Path

import pytest

from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.config import Config
from marketd.daemon.caching import is_in_memory, open_caching
from marketd.daemon.health import Health
from marketd.metrics import Metrics
from marketd.sinks.delivery import run_sinks
from marketd.stores.cache import Note, Wanted
from tests.daemons import eventually
from tests.redis_server import RedisServer


def config(profile: str, *roles: str, url: str | None = None) -> Config:
    return Config.model_validate({"profile": profile, "roles": roles, "redis": {} if url is None else {"url": url}})


@pytest.mark.parametrize(
    ("expected", "one"),
    [
        (True, config("all-in-one", "ingest", "cache", "ta")),
        (False, config("all-in-one", "cache", url="redis://localhost:6379/0")),
        (False, config("all-in-one", "ta")),  # what it would read, nobody here writes
        (False, config("candle-cache", "cache")),
    ],
)
def test_it_is_in_memory_only_where_who_writes_and_who_reads_are_one_process(expected: bool, one: Config) -> None:
    assert expected == is_in_memory(one)


async def test_a_process_whose_roles_use_no_cache_has_none() -> None:
    async with open_caching(config("live-ingest", "ingest"), SystemClock(), Metrics(), None) as caching:
        assert caching is None


async def test_without_redis_everything_is_in_this_process() -> None:
    async with open_caching(config("all-in-one", "cache"), SystemClock(), Metrics(), None) as caching:
        assert caching is not None
        await caching.cache.of("dashboard").do(Note("error", "x", "y"))

        assert len((await caching.cache.log(Wanted(), 10)).entries) == 1
        assert ("ok", "in this process's memory") == caching.health


async def test_health_needs_the_server_and_says_when_it_goes_and_comes(tmp_path: Path) -> None:
    clock, metrics = SystemClock(), Metrics()
    with RedisServer() as server:
        opening = open_caching(config("ta-service", "ta", url=server.url), clock, metrics, None)
        async with opening as caching, run_sinks([], Bus(metrics), clock, data_dir=tmp_path) as sinks:
            health = Health(sinks, None, clock, caching=caching)

            def word() -> tuple[str, bool]:
                found = health.components()["redis"]
                return found.status, found.required

            await eventually(lambda: word() == ("ok", True))
            server.kill()
            await eventually(lambda: word() == ("unhealthy", True))
            server.start()
            await eventually(lambda: word() == ("ok", True))
