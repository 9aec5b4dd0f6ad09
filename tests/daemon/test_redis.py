"""Redis Streams as a part of the daemon: what the venue made is in the streams, and health says how Redis is."""

import json
from pathlib import Path

import pytest

from marketd.clock import SystemClock
from marketd.config import Config
from marketd.daemon.redis import open_streaming
from marketd.metrics import Metrics
from marketd.sim.server import Sim, open_sim
from marketd.sinks.redis_memory import MIB, Budget
from tests.daemons import Running, eventually
from tests.redis_server import RedisServer

ON = {
    "MARKETD__REDIS__ENABLED": "true",
    "MARKETD__DISCOVERY__ENABLED": "false",
    "MARKETD__EXCHANGES__BINANCE__SYMBOLS": "BTCUSDT,ETHUSDT,SOLUSDT",
}


def config(url: str = "redis://127.0.0.1:1", profile: str = "trade-streams", **more: object) -> Config:
    return Config.model_validate({"profile": profile, "redis": {"url": url, "enabled": True}, **more})


def entries(server: RedisServer, symbol: str) -> list[dict[str, str]]:
    with server.client() as client:
        return [fields for _, fields in client.xrange(f"trades:{symbol}")]


def word(running: Running, name: str = "redis") -> str:
    return str(running.views.health.components()[name].status)


def made(sim: Sim, symbol: str, first: str, count: int) -> list[tuple[str, str, str]]:
    truth = [
        (one.trade_id, one.price, one.size) for one in sim.venue("binance").trades(symbol) if int(one.trade_id) >= int(first)
    ]
    return truth[:count]


async def test_what_the_venue_made_is_in_the_streams_with_its_own_words(run_daemon, redis_server: RedisServer) -> None:
    environ = {**ON, "REDIS_URL": redis_server.url}
    async with open_sim(["binance"], rate=600, seed=3) as sim:
        async with run_daemon(sim, profile="trade-streams", environ=environ) as running:
            await eventually(lambda: len(entries(redis_server, "BTCUSDT")) > 200 and word(running) == "ok")
            answer = await running.get("/health")
        for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
            found = entries(redis_server, symbol)
            raws = [json.loads(one["raw_json"]) for one in found]

            assert made(sim, symbol, found[0]["trade_id"], len(found)) == [
                (one["trade_id"], one["price"], one["qty"]) for one in found
            ]
            assert [(one["trade_id"], one["price"], one["pair"]) for one in found] == [
                (str(raw["t"]), raw["p"], raw["s"]) for raw in raws
            ]
    assert (200, True) == (answer.status_code, answer.json()["components"]["redis"]["required"])


async def test_a_restart_repairs_the_time_in_between(run_daemon, redis_server: RedisServer) -> None:
    environ = {**ON, "REDIS_URL": redis_server.url}
    async with open_sim(["binance"], rate=600, seed=4) as sim:
        async with run_daemon(sim, profile="trade-streams", environ=environ):
            await eventually(lambda: len(entries(redis_server, "BTCUSDT")) > 100)
        before = entries(redis_server, "BTCUSDT")
        await eventually(lambda: len(made(sim, "BTCUSDT", before[-1]["trade_id"], 100)) >= 100)
        async with run_daemon(sim, profile="trade-streams", environ=environ):
            await eventually(lambda: len(entries(redis_server, "BTCUSDT")) > len(before) + 200)
        found = entries(redis_server, "BTCUSDT")

        assert [one[0] for one in made(sim, "BTCUSDT", found[0]["trade_id"], len(found))] == [one["trade_id"] for one in found]


@pytest.mark.parametrize(("profile", "code", "status"), [("trade-streams", 503, "unhealthy"), ("live-ingest", 200, "degraded")])
async def test_without_redis_it_is_unhealthy_where_redis_is_what_it_is_for(
    run_daemon, profile: str, code: int, status: str
) -> None:
    server = RedisServer()
    environ = {**ON, "REDIS_URL": server.url}
    async with (
        open_sim(["binance", "bybit"], rate=200, seed=5) as sim,
        run_daemon(sim, profile=profile, environ=environ) as running,
    ):
        await eventually(lambda: word(running, "venues") == "ok" and word(running) == "unhealthy")
        away = await running.get("/health")
        with server:
            await eventually(lambda: word(running) == "ok" and word(running, "sink.redis") == "ok")
            await eventually(lambda: len(entries(server, "BTCUSDT")) > 10)
            back = await running.get("/health")

    assert (code, status) == (away.status_code, away.json()["status"])
    assert "Connection refused" in away.json()["components"]["redis"]["reason"]
    assert (200, "ok") == (back.status_code, back.json()["components"]["redis"]["status"])


@pytest.mark.parametrize("config", [config(roles=["archive"]), Config.model_validate({"redis": {"enabled": False}})])
async def test_where_nothing_goes_to_redis_nobody_asks_for_it(config: Config) -> None:
    async with open_streaming(config, SystemClock(), Metrics()) as streaming:
        assert streaming is None


async def test_another_writer_too_little_memory_and_a_loss_degrade(redis_server: RedisServer) -> None:
    async with open_streaming(config(redis_server.url), SystemClock(), Metrics()) as streaming:
        assert streaming is not None
        await eventually(lambda: streaming.link.state.connected)
        well = streaming.health(None)
        streaming.care.budget = Budget(200, 10_000, 250, maxmemory=MIB)
        short = streaming.health(None)
        streaming.sink.noticed._others["trades:BTCUSDT"] = ("host:1:ab", SystemClock().now_ns())
        shared = streaming.health(None)
        streaming.sink.noticed._lost = ("it is gone", SystemClock().now_ns())
        lost = streaming.health(None)

    assert ("ok", True, f"answers at {redis_server.url}") == well
    assert short[0] == "degraded"
    assert "maxmemory 1.0 MiB" in short[2]
    assert ("degraded", True, "trades:BTCUSDT is written by another marketd too: host:1:ab") == shared
    assert ("degraded", True, "it is gone") == lost


async def test_a_replayed_capture_goes_to_the_streams_that_are_configured(redis_server: RedisServer, tmp_path: Path) -> None:
    from marketd.daemon import replay

    trade = {
        "e": "trade",
        "E": 1700000000123,
        "s": "BTCUSDT",
        "t": 5,
        "p": "0.10",
        "q": "1.00",
        "T": 1700000000122,
        "m": True,
        "M": True,
    }
    raw = json.dumps(trade, separators=(",", ":"))
    record = {"ts": 1700000000124000000, "k": "in", "venue": "binance", "conn": 1}
    path = tmp_path / "session.jsonl"
    path.write_text(json.dumps({**record, "frame": f'{{"stream":"btcusdt@trade","data":{raw}}}'}) + "\n")
    settings = config(redis_server.url, data_dir=tmp_path / "data")
    await replay(settings, path)

    assert [raw] == [one["raw_json"] for one in entries(redis_server, "BTCUSDT")]
