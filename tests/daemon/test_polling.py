"""The role cache as a part of the daemon."""

import pytest

from marketd.config import Config
from marketd.daemon.polling import its_config, polled_venue
from marketd.errors import ConfigError
from marketd.sim import open_sim
from tests.daemons import eventually
from tests.redis_server import RedisServer

SMALL = {"MARKETD__CACHE__SYMBOLS": "BTC,ETC", "MARKETD__CACHE__TIMEFRAMES": "5m"}


def test_a_venue_that_cannot_be_polled_ends_the_start_and_those_that_can_are_named() -> None:
    with pytest.raises(ConfigError, match=r"cache\.venue: kraken cannot be polled; allowed: binance, binance_us"):
        polled_venue(Config.model_validate({"cache": {"venue": "kraken"}}))
    with pytest.raises(ConfigError, match=r"cache\.timeframes: binance_us has no candles of 7m; allowed: 1m, 3m"):
        polled_venue(Config.model_validate({"cache": {"timeframes": ["7m"]}}))


def test_the_venue_is_found_where_its_own_section_says_or_the_caches() -> None:
    elsewhere = {"cache": {"rest_url": "http://there"}}
    both = {**elsewhere, "exchanges": {"binance_us": {"rest_url": "http://here"}}}

    assert ["http://there", "http://here"] == [its_config(Config.model_validate(one)).rest_url for one in (elsewhere, both)]


async def test_candle_cache_fills_redis_and_says_so(run_daemon, redis_server: RedisServer) -> None:
    environ = {**SMALL, "REDIS_URL": redis_server.url}
    async with open_sim(["binance_us"], seed=3) as sim, run_daemon(sim, profile="candle-cache", environ=environ) as running:
        parts = running.views.health.components
        await eventually(lambda: parts()["cache.binance_us"].reason.endswith("are fresh"))
        health, status = (await running.get("/health")).json(), (await running.get("/status")).json()
        keys = redis_server.command("KEYS", "market:*")
        agents = sim.visits.agents

    assert {"market:ohlcv:BTCUSDT:5m", "market:before:ETCUSD:5m", "market:price:ETCUSD", "market:log"} <= set(keys)
    assert (True, "ok") == (health["components"]["cache.binance_us"]["required"], health["status"])
    assert {("market:ohlcv:BTCUSDT:5m", 500, True), ("market:price:ETCUSD", None, True)} <= {
        (one["key"], one["candles"], one["fresh"]) for one in status["cache"]
    }
    assert {"marketd (candle cache)"} == agents


async def test_all_in_one_polls_into_its_own_memory(run_daemon) -> None:
    environ = {**SMALL, "MARKETD__ROLES": "ingest,cache"}
    async with (
        open_sim(["binance", "bybit", "binance_us"], rate=50, seed=3) as sim,
        run_daemon(sim, profile="all-in-one", environ=environ) as running,
    ):
        parts = running.views.health.components
        await eventually(lambda: parts()["cache.binance_us"].reason.endswith("are fresh"))
        found = parts()
        kinds = {visit.kind for visit in sim.visits.all if "(candle cache)" in visit.agent}

    assert not found["cache.binance_us"].required
    assert "redis" not in found
    assert {"rest"} == kinds
