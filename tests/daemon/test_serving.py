"""The daemon as a whole: what the venue made is what the stores hold, and stopping loses nothing."""

from pathlib import Path

import apsw
import msgspec
import pytest

from marketd.errors import StartError
from marketd.model.wire import decode_lines
from marketd.sim.server import Sim, open_sim
from tests.daemons import eventually


def stored(data_dir: Path, venue: str, symbol: str) -> list[tuple[str, str, str]]:
    # The same library as the store's own: two copies of SQLite in one process break each other's file locks.
    db = apsw.Connection(str(data_dir / "market_data.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        sql = "SELECT trade_id, price, size FROM trades WHERE provider = ? AND symbol = ? ORDER BY CAST(trade_id AS INTEGER)"
        return db.execute(sql, (venue, symbol)).fetchall()
    finally:
        db.close()


def written(data_dir: Path, venue: str, symbol: str) -> list[tuple[str, str, str]]:
    events = decode_lines((data_dir / "events.jsonl").read_bytes())
    trades = [event for event in events if msgspec.structs.asdict(event).get("trade_id") and event.venue == venue]
    found = [(one.trade_id, one.price, one.size) for one in trades if one.symbol == symbol]
    return sorted(found, key=lambda one: int(one[0]))


def made(sim: Sim, venue: str, symbol: str, first: str) -> list[tuple[str, str, str]]:
    return [(one.trade_id, one.price, one.size) for one in sim.venue(venue).trades(symbol) if int(one.trade_id) >= int(first)]


async def test_what_the_venue_made_is_what_both_stores_hold(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=400, seed=3) as sim:
        async with run_daemon(sim) as running:
            await eventually(lambda: sum(one.events_per_s for one in running.views.feeds.venues()) > 100)
            await eventually(lambda: len(stored(running.data_dir, "binance", "BTCUSDT")) > 200)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            rows = stored(running.data_dir, "binance", symbol)
            lines = written(running.data_dir, "binance", symbol)
            truth = made(sim, "binance", symbol, rows[0][0])[: len(rows)]

            assert truth == rows
            assert rows == lines


async def test_a_restart_repairs_the_time_in_between_without_a_duplicate(run_daemon, tmp_path: Path) -> None:
    async with open_sim(["binance", "bybit"], rate=400, seed=4) as sim:
        async with run_daemon(sim) as running:
            await eventually(lambda: len(stored(running.data_dir, "binance", "BTCUSDT")) > 100)
        before = stored(running.data_dir, "binance", "BTCUSDT")
        await eventually(lambda: len(made(sim, "binance", "BTCUSDT", before[-1][0])) > 100)
        async with run_daemon(sim) as running:
            await eventually(lambda: len(stored(running.data_dir, "binance", "BTCUSDT")) > len(before) + 200)
        after = stored(running.data_dir, "binance", "BTCUSDT")

        assert made(sim, "binance", "BTCUSDT", before[0][0])[: len(after)] == after
        assert after == written(running.data_dir, "binance", "BTCUSDT")


async def test_every_endpoint_answers_while_it_runs(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=5) as sim, run_daemon(sim) as running:
        await eventually(lambda: running.views.latest.trade("binance", "BTCUSDT") is not None)
        paths = ["/", "/livez", "/readyz", "/health", "/status", "/latest?symbol=BTCUSDT", "/trades?symbol=BTCUSDT"]
        paths += ["/bus-stats", "/stats", "/pairs", "/metrics", "/openapi.json", "/docs"]
        answers = {path: (await running.get(path)).status_code for path in paths}

        assert answers == dict.fromkeys(paths, 200)


async def test_a_venue_that_goes_away_is_said_and_comes_back(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=6) as sim, run_daemon(sim) as running:
        await eventually(lambda: running.views.health.components()["venue.binance"].status == "ok")
        sim.fault("binance", "disconnect", for_s=1.0)
        await eventually(lambda: running.views.health.components()["venue.binance"].status == "unhealthy")
        health = (await running.get("/health")).json()

        assert health["status"] == "degraded"
        await eventually(lambda: running.views.health.components()["venue.binance"].status == "ok")


async def test_the_profile_api_serves_what_another_process_stores_and_writes_nothing(run_daemon, tmp_path: Path) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=7) as sim, run_daemon(sim) as running:
        await eventually(lambda: len(stored(running.data_dir, "binance", "BTCUSDT")) > 20)
        async with run_daemon(sim, profile="api") as looking:
            trades = (await looking.get("/trades?symbol=BTCUSDT&limit=5")).json()
            pairs = await looking.get("/pairs")

    assert [trade["symbol"] for trade in trades] == ["BTCUSDT"] * 5
    assert (pairs.status_code, pairs.json()["error"]) == (404, "role ingest does not run here")


async def test_a_second_daemon_on_the_same_files_is_refused_with_what_to_change(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=50, seed=8) as sim, run_daemon(sim):
        with pytest.raises(BaseExceptionGroup) as refused:
            async with run_daemon(sim):
                pass

    assert refused.group_contains(StartError, match="another marketd writes here; give each its own --data-dir")


async def test_a_data_directory_in_which_nothing_can_be_made_is_said_in_one_line(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "data" / "marketd.lock").mkdir(parents=True)
    async with open_sim(["binance"]) as sim:
        with pytest.raises(BaseExceptionGroup) as refused:
            async with run_daemon(sim):
                pass

    assert refused.group_contains(StartError, match="data: marketd.lock: Is a directory; change it with --data-dir")
