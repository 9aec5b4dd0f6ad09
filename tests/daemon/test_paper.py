"""The role trader in a daemon: alone behind Redis, its books, health and what the API shows of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from marketd.clock import SystemClock
from marketd.config import Config, Flags, load
from marketd.metrics import Metrics
from marketd.model.timeframes import HOUR
from marketd.net.redis import RedisConfig, RedisLink
from marketd.paper.sight import Prices
from marketd.secrets import SecretUrl
from marketd.sim import open_sim
from marketd.stores.cache import Desk, MessageLogConfig, open_redis
from tests.daemon.test_features import Alone, Start
from tests.daemons import eventually
from tests.paper.cached import put, signal
from tests.paper.market import candle
from tests.redis_server import RedisServer


def config_of(url: str, directory: Path, **more: str) -> Config:
    environ = {"HTTP_PORT": "0", "MARKETD_DATA_DIR": str(directory / "data"), "REDIS_URL": url, **more}
    return load(Flags(profile="trader-bot"), environ=environ, cwd=directory)


@asynccontextmanager
async def cache_at(url: str) -> AsyncIterator[Desk]:
    clock = SystemClock()
    link = RedisLink(RedisConfig(url=SecretUrl(url)), "marketd-test", clock)
    async with open_redis(link, MessageLogConfig(), clock, Metrics()) as cache:
        yield cache.of("market-data")


def now_at(hours: int, price: str = "100") -> Prices:
    """A candle of so many hours from the one that is forming now."""
    return candle(0, price)._replace(open_time=SystemClock().now_ns() // HOUR * HOUR + hours * HOUR)


async def test_the_trader_by_its_profile(redis_server: RedisServer, tmp_path: Path) -> None:
    boundary = now_at(0).open_time
    candles = {"BTCUSDT": [now_at(-1), now_at(0)], "ETHUSDT": [now_at(-1), now_at(0)]}
    async with Alone(config_of(redis_server.url, tmp_path)) as daemon, cache_at(redis_server.url) as desk:
        await eventually(lambda: daemon.get("/health"), holds=lambda answer: answer.status_code == 200)
        before = (await daemon.get("/paper")).json()
        await eventually(lambda: redis_server.command("PUBSUB", "NUMPAT"))
        short = signal("ETHUSDT", boundary - HOUR, "short", "ribbon_down")
        await put(desk, candles, signal("BTCUSDT", boundary - HOUR), short)
        after = (await eventually(lambda: daemon.get("/paper"), holds=lambda answer: answer.json()["orders"] == 2)).json()
        held = (await daemon.get("/paper/positions")).json()
        orders = (await daemon.get("/paper/orders")).json()
        first = await daemon.get("/paper/orders", limit="1")
        second = await daemon.get("/paper/orders", limit="1", cursor=first.headers["X-Next-Cursor"])
        fills = (await daemon.get("/paper/fills")).json()
        equity = (await daemon.get("/paper/equity")).json()
        wrong = [(await daemon.get("/paper/fills", limit="0")), await daemon.get("/paper", symbol="X")]
        log = (await daemon.get("/api/redis/log", source="trader-bot", type="trade")).json()
        metrics = (await daemon.get("/metrics")).text
    async with Alone(config_of(redis_server.url, tmp_path)) as daemon:
        again = (await eventually(lambda: daemon.get("/paper"), holds=lambda answer: answer.status_code == 200)).json()

    assert (True, "10000", 0) == (before["paper"], before["equity"], before["orders"])
    # 1,000 at 100 and 7 bps, with 10 bps of fee: 1000 / (100.07 * 1.001) = 9.983021...
    assert ("long", "9.983021", "100.07", "97.0679") == tuple(held[0][key] for key in ("side", "size", "price", "stop"))
    value = "999.00091147"
    assert [(1, "buy", "entry", "0.99900091", value)] == [
        (one["seq"], one["side"], one["why"], one["fee"], f"{float(one['price']) * float(one['size']):.8f}") for one in fills
    ]
    assert [("ETHUSDT", "no_short"), ("BTCUSDT", None)] == [(one["symbol"], one["refusal"]) for one in orders]
    assert [2, 1] == [first.json()[0]["seq"], second.json()[0]["seq"]]
    assert "X-Next-Cursor" not in second.headers
    assert [("10000", 0)] == [(one["equity"], one["open"]) for one in equity]
    assert [400, 400] == [one.status_code for one in wrong]
    assert 2 == len(log)
    assert log[-1]["summary"].startswith("paper: bought 9.983021 BTCUSDT at 100.07")
    assert 'marketd_paper_orders_total{result="no_short",why="entry"} 1.0' in metrics
    # Bought at 100.07 and worth 100; the fee on top.
    assert ("-1.69781238", "-0.69881147", "0.99900091") == tuple(after[key] for key in ("profit", "unrealised", "fees"))
    assert {**after, "state": ""} == {**again, "state": ""}


async def test_other_roles_have_no_paper(redis_server: RedisServer, tmp_path: Path) -> None:
    config = load(
        Flags(profile="ta-service"),
        environ={"HTTP_PORT": "0", "MARKETD_DATA_DIR": str(tmp_path), "REDIS_URL": redis_server.url},
        cwd=tmp_path,
    )
    async with Alone(config) as daemon:
        answer = await daemon.get("/paper")

    assert (404, {"error": "role trader does not run here"}) == (answer.status_code, answer.json())


async def test_without_redis_or_its_database_it_says_so_and_comes_to_them_later(tmp_path: Path, postgres_url: str) -> None:
    with RedisServer() as server:
        server.kill()
        async with Alone(config_of(server.url, tmp_path, DATABASE_URL=postgres_url)) as daemon:
            away = await daemon.get("/health")
            server.start()
            well = await eventually(lambda: daemon.get("/health"), holds=lambda answer: answer.status_code == 200)

    assert (503, "unhealthy") == (away.status_code, away.json()["components"]["redis"]["status"])
    assert well.json()["components"]["trader"]["reason"].startswith("paper only; 0 positions")


async def test_in_one_process_without_redis_it_trades_on_paper_too(run_daemon: Start) -> None:
    environ = {"MARKETD__ROLES": "cache,ta,trader", "MARKETD__CACHE__SYMBOLS": "BTC,ETH", "MARKETD__CACHE__SPREAD": "0.05"}
    async with open_sim(["binance_us"], rate=50) as sim, run_daemon(sim, profile="all-in-one", environ=environ) as daemon:
        answer = await eventually(lambda: daemon.get("/paper"), holds=stepped, within_s=100)
        points = (await daemon.get("/paper/equity")).json()
        health = (await daemon.get("/health")).json()["components"]

    assert (True, "10000") == (answer.json()["paper"], answer.json()["start"])
    assert [(True, "10000")] == [(one["paper"], one["equity"]) for one in points]
    assert health["trader"]["reason"].startswith("paper only")
    assert "redis" not in health


def stepped(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["boundary"] is not None
