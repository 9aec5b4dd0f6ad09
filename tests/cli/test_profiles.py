"""Profiles as a user starts them: by name, with the lines that `marketd sim` prints, on real servers, and stopped again."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import WITHIN_S, Ask, Program, Start
from tests.daemons import eventually_sync
from tests.nats_servers import NatsServer
from tests.redis_server import RedisServer

NOBODY = {"NATS_URL": "nats://127.0.0.1:1", "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def all_venues(start: Start) -> dict[str, str]:
    """The variables that `marketd sim` prints."""
    program = start("sim", "--venue", "all", "--port", "0", "--rate", "100")
    program.wait_for("COINGECKO_URL")
    return dict(line.removeprefix("export ").split("=", 1) for line in program.said["out"])


def run(start: Start, profile: str, *words: str, environ: dict[str, str]) -> tuple[Program, str]:
    program = start("run", "--profile", profile, *words, environ={"HTTP_PORT": "0", **environ})
    return program, str(json.loads(program.wait_for("daemon.started"))["address"])


def get(address: str, path: str) -> Any:
    return httpx.get(f"{address}{path}", timeout=10).json()


def until_well(address: str, word: str = "ok") -> dict[str, Any]:
    """The components, once the whole is so."""
    health = eventually_sync(lambda: get(address, "/health"), WITHIN_S, lambda health: health["status"] == word)
    components: dict[str, Any] = health["components"]
    return components


@pytest.mark.parametrize(
    ("profile", "port", "data_dir"),
    [("live-ingest", 8891, "."), ("trade-streams", 8099, "marketd-data"), ("features", 8892, "marketd-data")],
)
def test_a_profile_has_its_own_port_and_directory(ask: Ask, profile: str, port: int, data_dir: str) -> None:
    said = ask("check", "--profile", profile, environ=NOBODY).out

    assert f"http://127.0.0.1:{port}" in said
    assert f"\ndata directory   {data_dir} " in said


def test_live_ingest_and_features_are_two_processes(
    start: Start, all_venues: dict[str, str], nats_server: NatsServer, tmp_path: Path
) -> None:
    environ = {**all_venues, "NATS_URL": nats_server.url}
    features, answers = run(start, "features", environ=environ)
    ingest, collects = run(start, "live-ingest", environ=environ)
    collecting, listening = until_well(collects), until_well(answers)

    assert {"venue.binance", "venue.bybit", "venues", "sink.sqlite", "sink.jsonl", "nats"} <= collecting.keys()
    assert [True, False] == [collecting[name]["required"] for name in ("venues", "nats")]
    assert listening["nats"]["required"]
    eventually_sync(lambda: get(answers, "/features/latest?symbol=BTCUSDT")["features"]["trade_vwap_10s"], WITHIN_S)
    assert "binance" == get(answers, "/state/latest?symbol=BTCUSDT")["provider"]
    assert (0, 0) == (ingest.end(), features.end())
    assert {"market_data.db", "events.jsonl"} <= {path.name for path in tmp_path.iterdir()}
    assert not any("Traceback" in line for program in (ingest, features) for line in program.said["err"])


def test_live_ingest_is_well_without_nats_which_is_only_welcome(start: Start, all_venues: dict[str, str]) -> None:
    ingest, collects = run(start, "live-ingest", environ={**all_venues, **NOBODY})
    components = until_well(collects)

    assert not components["nats"]["required"]
    assert 0 == ingest.end()


def test_features_without_nats_say_that_it_is_required_and_stop_all_the_same(start: Start) -> None:
    features, answers = run(start, "features", environ=NOBODY)
    health = httpx.get(f"{answers}/health")

    assert (503, "unhealthy", True) == (
        health.status_code,
        health.json()["status"],
        health.json()["components"]["nats"]["required"],
    )
    assert 0 == features.end()


def test_trade_streams_finds_its_pairs_and_fills_their_streams(
    start: Start, all_venues: dict[str, str], redis_server: RedisServer, tmp_path: Path
) -> None:
    program, address = run(start, "trade-streams", environ={**all_venues, "REDIS_URL": redis_server.url})
    components = until_well(address)
    eventually_sync(lambda: redis_server.command("XLEN", "trades:BTCUSDT"), WITHIN_S)

    assert {"redis", "venues"} <= {name for name, one in components.items() if one["required"]}
    assert "BTCUSDT" in get(address, "/pairs")["pairs"]
    assert 0 == program.end()
    fields = redis_server.command("XRANGE", "trades:BTCUSDT", "-", "+", "COUNT", 1)
    assert "exchange pair price qty ts side trade_id raw_json" in " ".join(fields[0][1])
    assert not (tmp_path / "marketd-data" / "market_data.db").exists()


def test_trade_streams_without_redis_say_that_it_is_required_and_stop_all_the_same(
    start: Start, all_venues: dict[str, str]
) -> None:
    program, address = run(start, "trade-streams", environ={**all_venues, **NOBODY})
    components = until_well(address, "unhealthy")

    assert ("unhealthy", True) == (components["redis"]["status"], components["redis"]["required"])
    assert 0 == program.end()
