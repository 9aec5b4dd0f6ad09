"""The role archive in a whole daemon: history, live candles, health, and the role beside ingest."""

import asyncio
import json
from pathlib import Path

from structlog.testing import capture_logs

from marketd.config import Flags, load
from marketd.daemon.archive import fed, lacking, series_of
from marketd.history.planning import open_spans
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, MINUTE, timeframe
from marketd.sim.server import open_sim
from marketd.venues.binance import Binance
from tests.daemons import eventually
from tests.nats_listener import listening
from tests.nats_servers import NatsServer

MINUTES = CandleSeries("binance", "BTCUSDT", "1m")


def config(tmp_path: Path, yaml: str, environ: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    (tmp_path / "config.yaml").write_text(yaml)
    return load(Flags(), environ={"MARKETD_DATA_DIR": str(tmp_path / "data"), **(environ or {})}, cwd=tmp_path)


async def test_history_is_complete_and_live_candles_follow(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive, ingest]\nexchanges: {binance: {symbols: [BTCUSDT], timeframes: [1m, 1h]}}\ndaemon: {backfill_days: 1}\n"
    )
    async with open_sim(["binance"], rate=100) as sim, run_daemon(sim, profile=None) as running:
        archiving = running.views.archive
        assert archiving is not None
        await eventually(lambda: all(one.due_s > 0 and one.progress is None for one in archiving.keeper.kept))
        await eventually(lambda: MINUTES in archiving.live.last and not archiving.keeper.is_filling)
        now = running.views.clock.now_ns()
        ledger = await archiving.archive.ledger(MINUTES)
        newest = (await archiving.archive.candles(MINUTES, 0, 2**62, limit=1, newest=True))[0]
        health = (await running.get("/health")).json()

    assert [] == open_spans(ledger, Interval(now - DAY + HOUR, now - 5 * MINUTE))
    assert timeframe("1m").open_of(now) - newest.open_time <= MINUTE
    assert "ok" == health["components"]["archive"]["status"]
    assert health["components"]["archive"]["required"]
    assert "ok" == health["components"]["sink.archive"]["status"]


async def test_a_second_start_asks_for_nothing_that_is_known(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT], timeframes: [1h]}}\ndaemon: {backfill_days: 3}\n"
    )
    jobs: list[int] = []
    async with open_sim(["binance"]) as sim:
        for _ in range(2):
            async with run_daemon(sim, profile=None) as running:
                kept = running.views.archive.keeper
                await eventually(lambda kept=kept: kept.kept[0].due_s > 0 and not kept.is_filling)
                await eventually(lambda kept=kept, clock=running.views.clock: kept.kept[0].due_s > clock.monotonic() + 60)
                jobs.append(len(await running.views.archive.archive.jobs()))

    assert 1 == jobs[0]
    assert jobs[1] <= 2  # a second one only where an hour has passed in between
    assert (tmp_path / "data" / "archive.db").exists()
    assert not (tmp_path / "data" / "market_data.db").exists()


def test_the_series_are_those_of_the_config_that_the_venue_has(tmp_path: Path) -> None:
    found = config(tmp_path, "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT, ETHUSDT], timeframes: [1m, 7m]}}\n")

    assert [("BTCUSDT", "1m"), ("ETHUSDT", "1m")] == [one[1:] for one in series_of(found, {"binance": Binance({})})]
    assert {"binance": ["7m"]} == lacking(found, {"binance": Binance({})})


async def test_a_timeframe_that_the_venue_lacks_is_warned_of(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT], timeframes: [2m, 1h]}}\ndaemon: {backfill_days: 1}\n"
    )
    with capture_logs() as lines:
        async with open_sim(["binance"]) as sim, run_daemon(sim, profile=None) as running:
            kept = [one.series.timeframe for one in running.views.archive.keeper.kept]

    assert ["1h"] == kept
    assert [["2m"]] == [line["timeframes"] for line in lines if line["event"] == "archive.timeframe_unknown"]


def test_the_archive_alone_listens_to_candles_only(tmp_path: Path) -> None:
    yaml = "exchanges: {binance: {symbols: [BTCUSDT], timeframes: [1m]}}\n"
    alone, beside = config(tmp_path, "roles: [archive]\n" + yaml), config(tmp_path, "roles: [archive, ingest]\n" + yaml)

    assert ("candle",) == fed(alone)["binance"].wanted
    assert ("trade", "quote", "book", "candle") == fed(beside)["binance"].wanted


async def test_nothing_waits_for_ever_at_the_end(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {bitfinex: {symbols: [BTCUSD], timeframes: [1m]}}\ndaemon: {backfill_days: 300}\n"
    )
    async with open_sim(["bitfinex"]) as sim:
        async with asyncio.timeout(30), run_daemon(sim, profile=None) as running:
            await eventually(lambda: running.views.archive.keeper.is_filling)
        async with run_daemon(sim, profile=None) as running:
            jobs = await eventually(
                running.views.archive.archive.jobs,
                holds=lambda found: found and {job.status for job in found} <= {"running", "completed"},
            )

    assert 1 == len(jobs)


async def test_candles_are_served_by_the_daemon_that_stores_them_and_by_one_that_only_looks(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT], timeframes: [1m]}}\ndaemon: {backfill_days: 1}\n"
    )
    url = "/candles?exchange=binance&symbol=BTCUSDT&tf=1m"
    async with open_sim(["binance"], rate=100) as sim, run_daemon(sim, profile=None) as running:
        await eventually(lambda: MINUTES in running.views.archive.live.last and not running.views.archive.keeper.is_filling)
        end = timeframe("1m").open_of(running.views.clock.now_ns() - HOUR)
        there = await running.get(f"{url}&start={end - HOUR}&end={end}")
        newest = (await running.get("/candles/latest?symbol=BTCUSDT&tf=1m&limit=2&include=closed")).json()
        (status,) = (await running.get("/status")).json()["series"]
        symbols = [(await running.get(path)).json() for path in ("/symbols", "/symbols?exchange=binance")]
        (tmp_path / "config.yaml").unlink()
        async with run_daemon(sim, profile="api") as looking:
            seen = await looking.get(f"{url}&start={end - HOUR}&end={end}")
            gaps = await looking.get("/gaps?open=true")

    assert 60 == len(there.json())
    assert there.json() == seen.json()
    assert there.headers["etag"] == seen.headers["etag"]
    assert 2 == len(newest)
    assert (True, True, 0) == (status["live"], status["count"] > 1000, status["gaps"])
    assert {"binance": ["BTCUSDT"]} == symbols[0]
    assert "BTCUSDT" in symbols[1]["binance"]
    assert 200 == gaps.status_code


async def test_what_cannot_be_repaired_is_an_alert_on_nats(run_daemon, tmp_path: Path, nats_server: NatsServer) -> None:
    (tmp_path / "config.yaml").write_text(
        "roles: [archive]\nexchanges: {binance: {symbols: [BTCUSDT, NOPE], timeframes: [1h]}}\ndaemon: {backfill_days: 1}\n"
    )
    environ = {"NATS_ENABLED": "true", "NATS_URL": nats_server.url}
    async with (
        listening(nats_server, "senpai.>") as listener,
        open_sim(["binance"]) as sim,
        run_daemon(sim, profile=None, environ=environ),
    ):
        await eventually(lambda: listener.got)
    alert = json.loads(listener.got[0].data)

    assert "senpai.alerts" == listener.got[0].subject
    assert ["detail", "kind", "symbol", "ts"] == sorted(alert)
    assert ("gap", "NOPE") == (alert["kind"], alert["symbol"])
    assert alert["detail"].startswith("binance 1h candles: ")
