"""Health of a daemon on simulated venues: judged by data, with the reason and since when."""

from pathlib import Path

import httpx
from structlog.testing import capture_logs

from marketd.sim.server import open_sim
from tests.daemons import eventually
from tests.nats_listener import listening
from tests.nats_servers import NatsServer

COLLECTING = {"MARKETD__ROLES": "ingest,archive,features"}  # all-in-one without the roles that live off another venue


async def test_each_part_is_there_with_its_weight_and_a_reason(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=12) as sim, run_daemon(sim) as running:
        parts = running.views.health.components
        await eventually(lambda: parts()["venue.binance"].status == "ok" and parts()["venue.bybit"].status == "ok")
        found = parts()

    assert [name for name, one in found.items() if one.required] == ["venues"]
    assert {"venue.binance", "venue.bybit", "sink.sqlite", "sink.jsonl"} <= set(found)
    assert found["venues"].reason == "fresh data from binance, bybit"
    assert (found["venue.binance"].reason, found["venue.bybit"].reason) == ("data arrives", "standing by")
    assert all(one.reason for one in found.values())


async def test_it_is_unhealthy_when_no_venue_has_data_and_says_since_when(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=13) as sim, run_daemon(sim) as running:
        parts = running.views.health.components
        await eventually(lambda: parts()["venues"].status == "ok" and parts()["venue.bybit"].status == "ok")
        was = parts()["venues"].since
        for venue in ("binance", "bybit"):
            sim.fault(venue, "disconnect", for_s=60.0)
        await eventually(lambda: parts()["venues"].status == "unhealthy")
        down = parts()["venues"]
        health = await running.get("/health")

    assert down.reason == "no venue has fresh data"
    assert down.since > was
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")


async def test_an_archive_needs_its_store_and_answers_from_it_while_its_venue_is_away(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "exchanges: {bitfinex: {symbols: [BTCUSD], timeframes: [1h]}}\ndaemon: {backfill_days: 1}"
    )
    async with open_sim(["bitfinex"], rate=50, seed=16) as sim:
        sim.fault("bitfinex", "refuse", for_s=1000.0)
        async with run_daemon(sim, profile="candle-archive") as running:
            parts = running.views.health.components
            await eventually(lambda: parts()["venues"].status == "unhealthy")
            found = parts()
            health = await running.get("/health")

    assert {name for name, one in found.items() if one.required} == {"archive"}
    assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_a_symbol_that_a_venue_refuses_degrades_it_and_is_named(run_daemon) -> None:
    async with open_sim(["binance", "bybit"], rate=200, seed=14) as sim:
        sim.fault("bybit", "error", symbol="ETHUSDT", for_s=1000.0)
        async with run_daemon(sim) as running:
            parts = running.views.health.components
            await eventually(lambda: parts()["venue.bybit"].status == "degraded" and "refused" in parts()["venue.bybit"].reason)
            reason = parts()["venue.bybit"].reason
            await eventually(lambda: parts()["venues"].status == "ok")

    assert reason.startswith("ETHUSDT ")


async def test_a_venue_without_keys_is_healthy_and_said_to_be_dry(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("exchanges: {alpaca: {symbols: [AAPL], channels: [trade]}}")
    with capture_logs() as lines:
        async with open_sim(["alpaca"], rate=50, seed=1) as sim, run_daemon(sim, profile=None, environ=COLLECTING) as running:
            await eventually(lambda: running.views.feeds.subscriptions())
            health = (await running.get("/health")).json()
            status = (await running.get("/status")).json()["subscriptions"]

    assert health["status"] == "ok"
    assert health["components"]["venues"]["reason"] == "dry run: heartbeats only from alpaca"
    assert {one["state"] for one in status} == {"dry"}  # its trades, and its candles for the archive
    assert [(one["venue"], one["log_level"]) for one in lines if one["event"] == "venue.dry"] == [("alpaca", "warning")]


async def test_a_dry_venue_does_not_stand_for_one_that_is_down(run_daemon, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("exchanges: {binance: {symbols: [BTCUSDT]}, alpaca: {symbols: [AAPL]}}")
    async with open_sim(["binance", "alpaca"], rate=100, seed=2) as sim, run_daemon(sim, profile=None) as running:
        components = running.views.health.components
        await eventually(lambda: components()["venues"].reason == "fresh data from binance")
        sim.fault("binance", "disconnect", for_s=30.0)
        await eventually(lambda: components()["venues"].status == "unhealthy")

    assert components()["venues"].reason == "no venue has fresh data"


async def test_nats_that_was_asked_for_degrades_while_it_is_away_and_its_absence_is_said_once(
    run_daemon, nats_server: NatsServer
) -> None:
    nats_server.kill()
    environ = {"NATS_ENABLED": "true", "NATS_URL": nats_server.url}
    with capture_logs() as lines:
        async with open_sim(["binance", "bybit"], rate=200, seed=15) as sim, run_daemon(sim, environ=environ) as running:
            parts = running.views.health.components
            await eventually(lambda: parts()["venue.binance"].status == "ok" and parts()["venue.bybit"].status == "ok")
            away = (await running.get("/health")).json()
            spared = parts()["nats"]
            nats_server.start()
            async with listening(nats_server) as listener:
                await eventually(lambda: parts()["nats"].status == "ok" and parts()["sink.nats"].status == "ok")
                await eventually(lambda: listener.got)
                names = {one["name"] for one in monitored(nats_server)}

    assert ("degraded", "unhealthy", False) == (away["status"], spared.status, spared.required)
    assert f"{nats_server.url}: Connection refused" == spared.reason
    assert "marketd-live-ingest" in names
    assert ["nats.error"] == [line["event"] for line in lines if line["log_level"] == "warning" and "nats" in str(line)]


async def test_a_server_without_jetstream_is_one_error_and_the_rest_goes_on(run_daemon, plain_nats_server: NatsServer) -> None:
    environ = {"NATS_ENABLED": "true", "NATS_URL": plain_nats_server.url, "USE_JETSTREAM": "true"}
    with capture_logs() as lines:
        async with open_sim(["binance", "bybit"], rate=200, seed=17) as sim, run_daemon(sim, environ=environ) as running:
            parts = running.views.health.components
            await eventually(lambda: parts()["venue.binance"].status == "ok" and parts()["venue.bybit"].status == "ok")
            await eventually(lambda: parts()["nats"].status == "unhealthy")
            health = await running.get("/health")
            well = parts()["sink.sqlite"].status
            plain_nats_server.jetstream = True
            plain_nats_server.restart()
            await eventually(lambda: parts()["nats"].status == "ok" and parts()["sink.nats"].status == "ok")

    said = health.json()["components"]["nats"]["reason"]

    assert (200, "degraded", "ok") == (health.status_code, health.json()["status"], well)
    assert "--js" in said
    assert "USE_JETSTREAM=false" in said
    assert ["jetstream.off"] == [line["event"] for line in lines if line["log_level"] == "error"]


async def test_live_ingest_finds_nats_by_itself_and_is_well_without_it(run_daemon, nats_server: NatsServer) -> None:
    nats_server.kill()
    environ = {"NATS_ENABLED": "", "NATS_URL": nats_server.url}  # as the profile has it
    with capture_logs() as lines:
        async with open_sim(["binance", "bybit"], rate=200, seed=16) as sim, run_daemon(sim, environ=environ) as running:
            parts = running.views.health.components
            await eventually(lambda: parts()["venue.binance"].status == "ok" and parts()["venue.bybit"].status == "ok")
            without = (await running.get("/health")).json()
            nats_server.start()
            async with listening(nats_server) as listener:
                await eventually(lambda: {"trade", "quote", "book_l2"} <= {one.subject.split(".")[2] for one in listener.got})
                found = (await running.get("/health")).json()

    assert "ok" == without["status"]
    assert without["components"]["nats"]["reason"].startswith("not in use, since it is not there")
    assert "sink.nats" not in without["components"]
    assert ("ok", f"connected to {nats_server.url}") == (found["status"], found["components"]["nats"]["reason"])
    assert "ok" == found["components"]["sink.nats"]["status"]
    assert [] == [line for line in lines if line["log_level"] == "warning" and "nats" in str(line)]


def monitored(server: NatsServer) -> list[dict[str, str]]:
    """The connections that the server shows."""
    return [one for one in httpx.get(f"{server.monitor_url}/connz").json()["connections"] if one.get("name")]
