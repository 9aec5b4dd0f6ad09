"""Simulated venue, live-ingest and features as three processes on their own ports, with NATS between them.

Features come at no more than ten a second, signals when the price moves by more than the threshold and not otherwise, and every
endpoint and metric that is promised is there. In `make soak` for ten minutes.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import msgspec
import nats
import pytest

from marketd.analysis.payloads import NAMES
from tests.nats_servers import NatsServer
from tests.scenarios.processes import Process, run_program
from tests.server_process import LOOPBACK, free_ports

SYMBOL, STILL = "BTCUSDT", "ETHUSDT"
SECOND = 1_000_000_000
JUMP = 0.003  # between two trades: only a move does that
INGEST_PATHS = {
    "/health": 200, "/readyz": 200, "/livez": 200, "/status": 200, "/latest?symbol=BTCUSDT": 200, "/trades?symbol=BTCUSDT": 200,
    "/bus-stats": 200, "/stats": 200, "/pairs": 200, "/metrics": 200, "/docs": 200, "/openapi.json": 200,
    "/features/latest?symbol=BTCUSDT": 404, "/state/latest?symbol=BTCUSDT": 404,
}  # fmt: skip
FEATURES_PATHS = {
    "/health": 200, "/readyz": 200, "/livez": 200, "/metrics": 200, "/stats": 200, "/bus-stats": 200, "/status": 200,
    "/state/latest?symbol=BTCUSDT": 200, "/features/latest?symbol=BTCUSDT": 200, "/features/latest?symbol=NOTHING": 200,
    "/features/latest": 400, "/state/latest?symbol=a%20b": 400, "/pairs": 404,
}  # fmt: skip
METRICS = (
    "senpai_events_in_total", "senpai_events_dropped_total", "senpai_queue_fill_ratio", "senpai_processing_latency_ms",
    "senpai_feature_publish_total", "senpai_signals_emitted_total", "senpai_nats_connected", "senpai_alerts_total",
    "senpai_publish_errors_total", "senpai_tracked_symbols",
)  # fmt: skip


@dataclass
class Heard:
    """What went over NATS, by the symbol."""

    features: dict[str, list[Any]] = field(default_factory=dict)
    signals: list[Any] = field(default_factory=list)
    alerts: list[Any] = field(default_factory=list)
    trades: list[tuple[int, float]] = field(default_factory=list)  # of SYMBOL: time, price

    async def take(self, message: Any) -> None:
        said = msgspec.json.decode(message.data)
        match message.subject.split("."):
            case ["senpai", "features", symbol]:
                self.features.setdefault(symbol, []).append(said)
            case ["senpai", "signals", _]:
                self.signals.append(said)
            case ["senpai", "alerts"]:
                self.alerts.append(said)
            case ["md", "events", "trade", _]:
                self.trades.append((said["ts_event"], float(said["price"])))

    @property
    def moves(self) -> list[tuple[int, str]]:
        """When the price moved, by the trades themselves, and which way."""
        self.trades.sort(key=lambda one: one[0])  # of one millisecond as they came
        return [
            (at, "long" if price > before else "short")
            for (_, before), (at, price) in pairwise(self.trades)
            if abs(price / before - 1) > JUMP
        ]

    @property
    def span_s(self) -> float:
        stamps = [one["ts"] for one in self.features.get(SYMBOL, [])]
        return (stamps[-1] - stamps[0]) / SECOND if stamps else 0.0


@dataclass
class Running:
    ingest: Process
    features: Process
    ingest_url: str
    features_url: str
    heard: Heard


@asynccontextmanager
async def three_processes(
    server: NatsServer, directory: Path, move_every_s: int, more: Mapping[str, str]
) -> AsyncIterator[Running]:
    sim_port, ingest_port, features_port = free_ports(3)
    base = f"{LOOPBACK}:{sim_port}"
    venues = {f"{name}_{kind}": f"{scheme}://{base}/{name.lower()}" for name in ("BINANCE", "BYBIT") for kind, scheme in KINDS}
    moves = f"move:symbol={SYMBOL},bps=40,every={move_every_s}s"
    heard = Heard()
    async with AsyncExitStack() as stack:
        client = await nats.connect(server.url)
        stack.push_async_callback(client.close)
        for subject in ("senpai.>", f"md.events.trade.{SYMBOL}"):
            await client.subscribe(subject, cb=heard.take)
        await client.flush()

        async def start(environ: Mapping[str, str], *words: str) -> Process:
            return await stack.enter_async_context(run_program({"NATS_URL": server.url, **more, **environ}, directory, *words))

        await start(
            {}, "sim", "--venue", "binance,bybit", "--port", str(sim_port), "--rate", "300", "--seed", "7", "--faults", moves
        )
        await answers(f"http://{base}/binance/api/v3/ping")
        ingest = await start({"HTTP_PORT": str(ingest_port), **venues}, "run", "--profile", "live-ingest")
        features = await start({"HTTP_PORT": str(features_port)}, "run", "--profile", "features")
        yield Running(ingest, features, f"http://{LOOPBACK}:{ingest_port}", f"http://{LOOPBACK}:{features_port}", heard)


KINDS = (("WS_URL", "ws"), ("REST_URL", "http"))


async def answers(url: str, *, status: int | None = None) -> None:
    """Until something answers there, with that status if one is named."""
    async with httpx.AsyncClient() as client, asyncio.timeout(60):
        while True:
            try:
                if status in (None, (await client.get(url)).status_code):
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)


async def statuses(url: str, paths: Mapping[str, int]) -> dict[str, int]:
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        return {path: (await client.get(path)).status_code for path in paths}


async def watch(server: NatsServer, directory: Path, seconds: int, move_every_s: int, **more: str) -> None:
    async with three_processes(server, directory, move_every_s, more) as running:
        heard = running.heard
        await answers(f"{running.ingest_url}/health", status=200)
        await answers(f"{running.features_url}/health", status=200)
        async with asyncio.timeout(seconds * 2 + 60):
            while heard.span_s < seconds:  # noqa: ASYNC110 (of event time)
                await asyncio.sleep(0.2)
        ingest, features = (
            await statuses(running.ingest_url, INGEST_PATHS),
            await statuses(running.features_url, FEATURES_PATHS),
        )
        async with httpx.AsyncClient(base_url=running.features_url) as client:
            metrics = (await client.get("/metrics")).text
            health = (await client.get("/health")).json()
            latest = (await client.get("/features/latest", params={"symbol": SYMBOL})).json()
        codes = [await running.features.stop(), await running.ingest.stop()]
    log = (directory / "daemon.log").read_text()

    assert INGEST_PATHS == ingest
    assert FEATURES_PATHS == features
    assert [] == [name for name in METRICS if name not in metrics]
    assert "senpai_nats_connected 1.0" in metrics
    assert {SYMBOL, STILL} == set(health["symbols"])
    assert list(NAMES) == list(latest["features"])
    assert [0, 0] == codes
    assert "Traceback" not in log
    for symbol in (SYMBOL, STILL):
        stamps = [one["ts"] for one in heard.features[symbol]]

        assert stamps == sorted(stamps)
        assert seconds <= len(stamps) <= 10 * (stamps[-1] - stamps[0]) / SECOND + 10
    judge_signals(heard)


def judge_signals(heard: Heard) -> None:
    """Each move has a signal of its direction within its ten seconds, and each signal such a move."""
    moves = heard.moves

    assert moves
    assert {SYMBOL} == {signal["symbol"] for signal in heard.signals}
    for at, direction in moves:
        if at > heard.features[SYMBOL][-1]["ts"] - SECOND:
            continue  # the end came before it could be seen
        assert [
            signal for signal in heard.signals if signal["direction"] == direction and at <= signal["ts"] <= at + 10 * SECOND
        ], f"no signal for the {direction} move at {at}: {[one['ts'] for one in heard.signals]}"
    for signal in heard.signals:
        assert abs(signal["inputs"]["return_10s"]) > 0.003
        assert [at for at, way in moves if way == signal["direction"] and at <= signal["ts"] <= at + 10 * SECOND], signal


@pytest.mark.timeout(300)
async def test_half_a_minute_of_features_and_signals(plain_nats_server: NatsServer, tmp_path: Path) -> None:
    await watch(plain_nats_server, tmp_path, 30, 13)


@pytest.mark.timeout(300)
async def test_the_same_through_a_stream(nats_server: NatsServer, tmp_path: Path) -> None:
    await watch(nats_server, tmp_path, 18, 11, USE_JETSTREAM="true")


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_ten_minutes_of_features_and_signals(plain_nats_server: NatsServer, tmp_path: Path) -> None:
    await watch(plain_nats_server, tmp_path, 600, 45)
