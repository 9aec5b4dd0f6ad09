from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.net.redis import RedisConfig, RedisLink
from marketd.rooms import room
from marketd.sinks import redis_memory
from marketd.sinks.redis_memory import BYTES_PER_ENTRY, MIB, Budget, StreamsCare, weigh
from marketd.sinks.redis_streams import RedisStreams
from tests.daemons import eventually
from tests.redis_server import RedisServer
from tests.samples import trades

RAW = '{"e":"trade","E":1700000000123,"s":"BTCUSDT","t":4000000001,"p":"37123.45000000","q":"0.0015","T":1700000000122,"m":true}'


def config(server: RedisServer, **more: object) -> RedisConfig:
    return RedisConfig.model_validate({"url": server.url, "enabled": True, **more})


async def filled(server: RedisServer, settings: RedisConfig, count: int) -> RedisLink:
    link = RedisLink(settings, "marketd-test", SystemClock())
    async with RedisStreams(settings, link, SystemClock(), Path("unused")) as sink:
        await sink.write(trades(1, count, raw=RAW))
    return link


def test_the_budget_is_what_full_streams_take() -> None:
    budget = Budget(streams=200, maxlen=10_000, bytes_per_entry=250.0, maxmemory=256 * MIB, policy="noeviction")

    assert 200 * 10_100 * 250 == budget.needed
    assert budget.exceeds
    assert "up to 481.6 MiB of maxmemory 256.0 MiB (noeviction): 200 streams x 10,000 entries x 250 bytes" == budget.text


@pytest.mark.parametrize(
    ("maxmemory", "policy", "expected"),
    [(0, "noeviction", (False, False)), (10**12, "allkeys-lru", (False, True)), (0, "allkeys-lru", (False, False))],
)
def test_a_server_without_a_limit_never_has_too_little(maxmemory: int, policy: str, expected: tuple[bool, bool]) -> None:
    budget = Budget(200, 10_000, 250.0, maxmemory, policy=policy)

    assert expected == (budget.exceeds, budget.evicts)


async def test_entries_are_weighed_and_the_default_is_near(redis_server: RedisServer) -> None:
    settings = config(redis_server, stream_maxlen=2000)
    link = await filled(redis_server, settings, 2000)
    async with await link.open("test") as wire:
        budget = await weigh(link, wire, ["BTCUSDT", "NOTYETUSDT"], 2000)
        empty = await weigh(link, wire, [], 2000)

    assert (2, 2000, 0) == (budget.streams, budget.maxlen, budget.maxmemory)
    assert 0.7 < budget.bytes_per_entry / BYTES_PER_ENTRY < 1.3
    assert BYTES_PER_ENTRY == empty.bytes_per_entry


async def test_a_server_with_too_little_is_told_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_memory, "FIRST_S", 0.01)
    monkeypatch.setattr(redis_memory, "EVERY_S", 0.01)
    metrics = Metrics()
    with RedisServer(maxmemory="20mb", maxmemory_policy="noeviction", appendonly="no") as server, capture_logs() as lines:
        settings = config(server, stream_maxlen=1_000_000)
        care = StreamsCare(settings, await filled(server, settings, 500), SystemClock(), metrics)
        weighed = 0

        def count() -> list[str]:
            nonlocal weighed
            weighed += 1
            return ["BTCUSDT"]

        async with room("test") as here:
            here.start("care", care.run(count))
            await eventually(lambda: weighed >= 4)

        assert care.budget is not None
        assert 20 * MIB == metrics.redis_maxmemory._value.get()
        assert care.budget.needed == metrics.redis_needed._value.get()
    assert ["redis.memory"] == [line["event"] for line in lines if line["log_level"] == "warning"]


async def test_entries_beyond_their_age_go_from_quiet_streams_too(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_memory, "FIRST_S", 0.01)
    monkeypatch.setattr(redis_memory, "EVERY_S", 0.01)
    settings = config(redis_server, stream_max_age_s=1)
    link = await filled(redis_server, settings, 150)
    care = StreamsCare(settings, link, SystemClock(), Metrics())
    before = redis_server.command("XLEN", "trades:BTCUSDT")
    async with room("test") as here:
        here.start("care", care.run(lambda: ["BTCUSDT"]))
        await eventually(lambda: not redis_server.command("XLEN", "trades:BTCUSDT"))

    assert 150 == before
