"""Profile trade-streams as it ships, in a process of its own: 200 discovered pairs under load into Redis Streams. Nothing is
lost, whatever the ranking of coins answers."""

import asyncio
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.sim import Sim, open_sim, several
from tests.daemons import eventually
from tests.redis_server import RedisServer
from tests.scenarios.processes import Row, run_process

MARKETS, LIMIT, PER_CONNECTION = 230, 200, 50
EVENTS_PER_TRADE = 8 / 5 * MARKETS / LIMIT  # trades of collected pairs: five of eight events are trades
TURN_S = 0.005


class Market:
    """The simulated market at a pace, from the loop of the test."""

    def __init__(self, sim: Sim, trades_per_s: float) -> None:
        self.sim, self.events_per_s, self.trades, self.lag_s = sim, trades_per_s * EVENTS_PER_TRADE, 0, 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        started, done = loop.time(), 0
        while True:
            due = int((loop.time() - started) * self.events_per_s) - done
            self.lag_s = max(self.lag_s, due / self.events_per_s)
            for _ in range(0, due, 500):
                self.trades += self.sim.venue("binance").step(min(500, due))
                done, due = done + min(500, due), due - 500
                await asyncio.sleep(0)
            self.sim.tick()
            await asyncio.sleep(TURN_S)


class Daemon:
    """What it says of itself."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str) -> Any:
        try:
            return (await self.client.get(path)).json()
        except httpx.TransportError:
            return {}

    async def until(self, path: str, holds: Any, within_s: float = 60.0) -> Any:
        return await eventually(lambda: self.get(path), within_s, holds)


def streams(server: RedisServer) -> dict[str, list[Row]]:
    """Every entry of every stream of trades, in its order."""
    found: dict[str, list[Row]] = {}
    with server.client() as client:
        for key in client.scan_iter("trades:*", count=1000):
            entries = client.xrange(key)
            found[key.removeprefix("trades:")] = [(one["trade_id"], one["price"], one["qty"]) for _, one in entries]
    return found


def ends(server: RedisServer, symbols: Sequence[str]) -> dict[str, str]:
    """The last trade of each stream."""
    with server.client() as client:
        pipeline = client.pipeline(transaction=False)
        for symbol in symbols:
            pipeline.xrevrange(f"trades:{symbol}", count=1)
        return {symbol: entry[0][1]["trade_id"] for symbol, entry in zip(symbols, pipeline.execute(), strict=True) if entry}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def discovered_under_load(tmp_path: Path, trades_per_s: float, seconds: float, seed: int) -> dict[str, Any]:
    with RedisServer(appendfsync="no") as server:
        return await against(server, tmp_path, trades_per_s, seconds, seed)


async def against(server: RedisServer, tmp_path: Path, trades_per_s: float, seconds: float, seed: int) -> dict[str, Any]:
    data_dir, port = tmp_path / "data", free_port()
    async with open_sim(["binance"], symbols=several(MARKETS), seed=seed, limits=False) as sim:
        sim.coins.swaps = 0
        environ = {
            **sim.env(),
            "HTTP_PORT": "",
            "HEALTH_PORT": str(port),
            "COINGECKO_PLAN": "pro",
            "COINGECKO_API_KEY": "k",
            "PAIRS_LIMIT": str(LIMIT),
            "DISCOVERY_REFRESH_SEC": "1",
            "REDIS_URL": server.url,
            "STREAM_MAXLEN": "1000000",
        }
        async with (
            run_process(environ, data_dir, "--profile", "trade-streams") as process,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
        ):
            daemon = Daemon(client)
            pairs = await daemon.until("/pairs", lambda found: found.get("count") == LIMIT)
            await eventually(lambda: len(subscribed(sim)) >= LIMIT)

            assert pairs["pairs"] == sorted(pairs["pairs"])
            assert set(several(3)) <= set(pairs["pairs"]) <= set(several(MARKETS))
            assert len(sim.venue("binance").sessions) >= LIMIT / PER_CONNECTION

            market = Market(sim, trades_per_s)
            running = asyncio.create_task(market.run())
            await asyncio.sleep(seconds / 4)
            accepted = sim.venue("binance").accepted
            comes, goes = next(one for one in several(MARKETS) if one not in pairs["pairs"]), "AABUSDT"
            sim.coins.move(comes.removesuffix("USDT"), 0)
            sim.coins.move(goes.removesuffix("USDT"), len(sim.coins.order) - 1)
            await daemon.until("/pairs", lambda found: comes in found["pairs"] and goes not in found["pairs"])

            assert sim.venue("binance").accepted == accepted

            for fault, words in (("refuse", "HTTP 429"), ("garbage", "expected a list of coins"), ("empty", "is empty")):
                sim.fault("coingecko", fault, retry_after_s=1)
                health = await daemon.until("/health", lambda found, words=words: words in json.dumps(found))
                before = await daemon.get("/pairs")

                assert health["components"]["discovery"]["status"] == "degraded"
                assert health["status"] == "degraded"
                assert before["count"] == LIMIT
                sim.heal("coingecko")
                await daemon.until("/health", lambda found: found["components"]["discovery"]["status"] == "ok")
            sim.fault("coingecko", "hang")
            asked = len(sim.coins.asked)
            await eventually(lambda: len(sim.coins.asked) > asked)
            hung = await daemon.get("/pairs")
            await asyncio.sleep(seconds / 4)

            assert hung == await daemon.get("/pairs")
            sim.heal("coingecko")
            running.cancel()
            status, stats = await daemon.get("/status"), await daemon.get("/stats")
            metrics = (await client.get("/metrics")).text
            last = {symbol: sim.venue("binance").trades(symbol)[-1].trade_id for symbol in hung["pairs"]}
            await eventually(lambda: ends(server, hung["pairs"]) == last)
            components = (await daemon.get("/health"))["components"]

            assert await process.stop() == 0
        kept = streams(server)
        for symbol, rows in kept.items():
            truth = [(one.trade_id, one.price, one.size) for one in sim.venue("binance").trades(symbol)]
            ids = [int(row[0]) for row in rows]

            assert ids == list(range(ids[0], ids[-1] + 1)), f"{symbol} has a hole"
            assert set(rows) <= set(truth)
            if symbol in last:  # still collected at the end: to the last trade
                assert rows == truth[-len(rows) :]
        venue = status["venues"][0]

        assert set(last) <= set(kept)
        assert {name for name, one in components.items() if one["required"]} == {"venues", "redis"}
        assert (components["venues"]["status"], components["redis"]["status"]) == ("ok", "ok")
        assert (stats["pairs_count"], len(stats["pairs_sample"]), stats["drops"]) == (LIMIT, 10, 0)
        assert stats["ingest"]["active_connections"] == len({50, 100, 150, 200})
        assert (stats["ingest"]["error_messages"], stats["ingest"]["connection_errors"]) == (0, 0)
        assert stats["publisher"]["error_count"] == 0
        assert 0 < stats["publisher"]["publish_count"] <= sum(map(len, kept.values()))
        assert venue["lag_ms_p99"] is not None
        assert 'marketd_discovery_pairs{venue="binance"} 200.0' in metrics
        assert 'market_exchange_latency_ms_bucket{le="1000.0",provider="binance"}' in metrics
        return {
            "trades": sum(map(len, kept.values())),
            "made": market.trades,
            "behind_s": market.lag_s,
            "lag_ms_p50": venue["lag_ms_p50"],
            "lag_ms_p99": venue["lag_ms_p99"],
            "published": stats["publisher"]["publish_count"],
            "stats": stats,
        }


def subscribed(sim: Sim) -> set[str]:
    return {topic[1] for topic in sim.venue("binance").watching}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1])
async def test_200_discovered_pairs_lose_nothing_whatever_the_ranking_answers(tmp_path: Path, seed: int) -> None:
    await discovered_under_load(tmp_path, 3_000, 4.0, seed)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
async def test_200_discovered_pairs_at_20_000_trades_a_second(tmp_path: Path, seed: int) -> None:
    found = await discovered_under_load(tmp_path, 20_000, 40.0, seed)
    (tmp_path / "figures.json").write_text(json.dumps(found, indent=1))

    assert found["trades"] > 200_000
