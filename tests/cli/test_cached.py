"""What `check` says of the shared cache and of those who live off it."""

from marketd.cli.cached import ask, is_in_redis, plan
from marketd.config import Config
from tests.redis_server import RedisServer


def config(profile: str, *roles: str, url: str | None = None, **more: object) -> Config:
    return Config.model_validate({"profile": profile, "roles": roles, "redis": {} if url is None else {"url": url}, **more})


def test_who_reads_and_writes_what_is_told() -> None:
    assert [
        "scanner reads the cached candles of binance_us: 1h every 120 s; publishes and keeps market:scanner",
        "ta reads the cached candles of binance_us: 5m every 30 s, 4h every 300 s; publishes market:signal:SYMBOL, "
        "keeps market:analysis:SYMBOL:TIMEFRAME",
    ] == plan(config("all-in-one", "scanner", "ta", analysis={"timeframes": ["5m", "4h"]}))
    assert [] == plan(config("live-ingest", "ingest"))


def test_a_timeframe_that_the_cache_of_this_process_does_not_keep_is_named() -> None:
    lines = plan(config("all-in-one", "cache", "ta", analysis={"timeframes": ["5m", "15m"]}))

    assert "ta: 15m is not in cache.timeframes: nothing will come of it" == lines[-1]


def test_a_trader_is_said_to_be_on_paper_and_so_is_a_timeframe_that_nobody_makes_signals_of() -> None:
    assert [
        "trader trades ON PAPER ONLY, book main: signals of 15m, at most 5 positions; no order goes to a venue",
        "trader: 15m is not in analysis.timeframes: nothing will come of it",
        "trader: 15m is not in cache.timeframes: nothing will come of it",
    ] == plan(config("all-in-one", "cache", "ta", "trader", paper={"timeframe": "15m"}))[1:]


async def test_the_server_is_asked_where_there_is_one(redis_server: RedisServer) -> None:
    there = await ask(config("ta-service", "ta", url=redis_server.url))
    away = await ask(config("ta-service", "ta", url="redis://me:hunter2@127.0.0.1:1/0"))
    memory = await ask(config("all-in-one", "cache", "ta"))

    assert there is not None
    assert (True, True) == (there.is_well, there.is_required)
    assert there.lines[0].startswith(f"shared cache in Redis {redis_server.url}: ok, Valkey ")
    assert away is not None
    assert (False, True) == (away.is_well, away.is_required)
    assert away.lines[0].startswith("shared cache in Redis redis://me:***@127.0.0.1:1/0: no: ")
    assert away.lines[0].endswith("required by ta: the daemon would start and wait for it")
    assert memory is not None
    assert (True, False) == (memory.is_well, memory.is_required)
    assert await ask(config("live-ingest", "ingest")) is None


def test_it_is_in_redis_unless_one_process_has_both_ends_of_it() -> None:
    assert is_in_redis(config("scanner", "scanner"))
    assert not is_in_redis(config("all-in-one", "cache", "scanner"))
    assert not is_in_redis(config("live-ingest", "ingest"))
