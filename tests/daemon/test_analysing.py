"""The roles scanner and ta in a daemon: alone behind Redis, each by its profile."""

from pathlib import Path

import msgspec

from marketd.analysis.closed import of_stored
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import analyse
from marketd.clock import SystemClock
from marketd.config import Config, Flags, load
from marketd.metrics import Metrics
from marketd.model.series import CandleSeries
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.sim import open_sim
from marketd.stores.cache import MessageLogConfig, open_redis
from tests.analysis.candles import walk
from tests.analysis.keeping import Keeper
from tests.daemon.test_features import Alone, Start, told
from tests.daemons import eventually
from tests.redis_server import RedisServer

ROWS = walk(501, 1)


def config_of(profile: str, url: str, directory: Path, **more: str) -> Config:
    environ = {"HTTP_PORT": "0", "MARKETD_DATA_DIR": str(directory / profile), "REDIS_URL": url, **more}
    return load(Flags(profile=profile), environ=environ, cwd=directory)


async def fill(url: str, timeframe: str = "1h") -> None:
    """What the cache's poller would have written and told."""
    clock = SystemClock()
    link = RedisLink(RedisConfig(url=SecretUrl(url)), "marketd-test", clock)
    async with open_redis(link, MessageLogConfig(), clock, Metrics()) as cache:
        keeper = Keeper(cache)
        await keeper.put("BTCUSDT", ROWS, timeframe)
        await keeper.price("BTCUSDT", "99.50")
        await keeper.announce(["BTCUSDT"], ["XUSD"], timeframe)


async def test_the_scanner_by_its_profile(redis_server: RedisServer, tmp_path: Path) -> None:
    async with Alone(config_of("scanner", redis_server.url, tmp_path)) as daemon:
        before = (await daemon.get("/scanner")).json()
        await eventually(lambda: redis_server.command("PUBSUB", "NUMSUB", "market:update:1h")[1])
        waiting = (await daemon.get("/health")).json()["components"]["scanner"]
        await fill(redis_server.url)
        found = await eventually(lambda: told(daemon, "/scanner"), holds=lambda answer: answer["coins"])
        health = await daemon.get("/health")
        metrics = (await daemon.get("/metrics")).text
        others = [
            (await daemon.get("/analysis", symbol="BTCUSDT", timeframe="1h")).json(),
            (await daemon.get("/pairs")).json(),
        ]

    components = health.json()["components"]

    assert {"timeframe": "1h", "timestamp": None, "coins": []} == before
    assert ("ok", "waits for the first update of 1h") == (waiting["status"], waiting["reason"])
    assert [("BTCUSDT", 1, "99.50"), ("XUSD", None, None)] == [
        (one["symbol"], one["rank"], one["price"]) for one in found["coins"]
    ]
    assert ("binance_us", "1h") == (found["coins"][0]["scan"]["provider"], found["coins"][0]["scan"]["timeframe"])
    assert (200, "ok", True) == (health.status_code, components["redis"]["status"], components["redis"]["required"])
    assert components["scanner"]["reason"].startswith("2 coins, without 1: XUSD: no candles in the cache")
    assert 'marketd_analysis_readings_total{role="scanner",timeframe="1h"} 2.0' in metrics
    assert [{"error": "role ta does not run here"}, {"error": "role ingest does not run here"}] == others


async def test_the_technical_analysis_by_its_profile(redis_server: RedisServer, tmp_path: Path) -> None:
    async with Alone(config_of("ta-service", redis_server.url, tmp_path)) as daemon:
        unknown = await daemon.get("/analysis", symbol="BTCUSDT", timeframe="1h")
        await eventually(lambda: redis_server.command("PUBSUB", "NUMSUB", "market:update:1h")[1])
        await fill(redis_server.url)
        asked = {"symbol": "BTCUSDT", "timeframe": "1h"}
        found = await eventually(lambda: daemon.get("/analysis", **asked), holds=lambda answer: answer.status_code == 200)
        health = (await daemon.get("/health")).json()["components"]
        other = (await daemon.get("/scanner")).json()

    series = CandleSeries("binance_us", "BTCUSDT", "1h")

    assert 404 == unknown.status_code
    assert msgspec.json.encode(analyse(of_stored(series, ROWS[:500]).window(), AnalysisConfig())) == found.content
    assert ("ok", "waits for the first update of 5m, 4h") == (health["ta"]["status"], health["ta"]["reason"])
    assert {"error": "role scanner does not run here"} == other


async def test_without_redis_it_starts_and_says_so_and_comes_to_it_later(tmp_path: Path) -> None:
    with RedisServer() as server:
        server.kill()
        async with Alone(config_of("ta-service", server.url, tmp_path)) as daemon:
            away = await daemon.get("/health")
            server.start()
            await eventually(lambda: daemon.get("/health"), holds=lambda answer: answer.status_code == 200)
            await eventually(lambda: server.command("PUBSUB", "NUMSUB", "market:update:1h")[1])
            await fill(server.url)
            await eventually(lambda: server.command("EXISTS", "market:analysis:BTCUSDT:1h"))

    redis = away.json()["components"]["redis"]

    assert (503, "unhealthy", True) == (away.status_code, redis["status"], redis["required"])


async def test_in_one_process_without_redis_they_live_off_the_cache_in_memory(run_daemon: Start) -> None:
    environ = {"MARKETD__ROLES": "cache,scanner,ta", "MARKETD__CACHE__SYMBOLS": "BTC,ETH", "MARKETD__CACHE__SPREAD": "0.05"}
    async with open_sim(["binance_us"], rate=50) as sim, run_daemon(sim, profile="all-in-one", environ=environ) as daemon:
        ranking = await eventually(lambda: told(daemon, "/scanner"), holds=lambda answer: answer["coins"], within_s=100)
        symbol = ranking["coins"][0]["symbol"]
        asked = {"symbol": symbol, "timeframe": "1h"}
        reading = await eventually(lambda: told(daemon, "/analysis", **asked), holds=lambda answer: "ribbon" in answer)
        health = (await told(daemon, "/health"))["components"]

    assert {"BTCUSDT", "ETHUSDT"} == {one["symbol"] for one in ranking["coins"]}
    assert [1, 2] == [one["rank"] for one in ranking["coins"]]
    assert None not in {ranking["coins"][0]["price"], ranking["coins"][0]["scan"]["score"]}
    assert (True, "binance_us") == (reading["quality"]["ok"], reading["provider"])
    assert ("ok", "ok") == (health["scanner"]["status"], health["ta"]["status"])
    assert "redis" not in health
