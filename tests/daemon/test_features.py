"""The role features in a daemon: beside the venues in one process, or alone behind NATS."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from marketd.analysis.payloads import NAMES
from marketd.api.views import Views
from marketd.clock import SystemClock
from marketd.config import Config, Flags, load
from marketd.daemon import serve
from marketd.errors import StartError
from marketd.model.wire import encode
from marketd.sim import open_sim
from tests.daemons import Running, eventually
from tests.nats_servers import NatsServer
from tests.samples import quote, trade

Start = Callable[..., AbstractAsyncContextManager[Running]]
MS = 1_000_000


async def told(daemon: "Running | Alone", path: str, **parameters: str) -> Any:
    async with httpx.AsyncClient(base_url=daemon.address) as client:
        response = await client.get(path, params=parameters)
    return response.json()


def is_well(answer: httpx.Response) -> bool:
    return answer.status_code == 200


async def until_published(daemon: Running, symbol: str) -> Any:
    """Features of a symbol with a trade and a quote behind them."""

    def is_whole(found: Any) -> bool:
        return found["features"]["mid"] is not None and bool(found["features"]["trade_count_10s"])

    return await eventually(lambda: told(daemon, "/features/latest", symbol=symbol), holds=is_whole)


@pytest.mark.parametrize("roles", ["ingest,features", "ingest,archive,features"])
async def test_features_beside_the_venues_need_no_server(run_daemon: Start, roles: str) -> None:
    async with open_sim(["binance", "bybit"], rate=300) as sim, run_daemon(sim, environ={"MARKETD__ROLES": roles}) as daemon:
        found = await until_published(daemon, "BTCUSDT")
        state = await told(daemon, "/state/latest", symbol="BTCUSDT")
        health = await told(daemon, "/health")
        stats = await told(daemon, "/stats")

    assert "binance" == found["provider"] == state["provider"]
    assert set(NAMES) == set(found["features"])
    assert {"BTCUSDT", "ETHUSDT"} == set(health["symbols"])
    assert ("ok", True) == (health["components"]["features"]["status"], health["components"]["features"]["required"])
    assert 0 == stats["features"]["publish_errors"]


async def test_in_one_process_what_is_published_goes_to_nats_where_it_is_there(
    run_daemon: Start, plain_nats_server: NatsServer
) -> None:
    heard: list[str] = []
    client = await nats.connect(plain_nats_server.url)

    async def hear(message: Any) -> None:
        heard.append(message.subject)

    await client.subscribe("senpai.>", cb=hear)
    await client.flush()
    environ = {"MARKETD__ROLES": "ingest,features", "NATS_URL": plain_nats_server.url, "NATS_ENABLED": "true"}
    async with open_sim(["binance", "bybit"], rate=300) as sim, run_daemon(sim, environ=environ) as daemon:
        await until_published(daemon, "BTCUSDT")
        await eventually(lambda: "senpai.features.BTCUSDT" in heard)
        health = await told(daemon, "/health")
        doubled = (await told(daemon, "/stats"))["features"]["other_venues_events"]
    await client.close()

    assert "takes the events of this process" == health["components"]["features"]["reason"]
    assert 0 == doubled


def features_config(server: NatsServer, directory: Path, **more: str) -> Config:
    environ = {"HTTP_PORT": "0", "MARKETD_DATA_DIR": str(directory / "features"), "NATS_URL": server.url, **more}
    return load(Flags(profile="features"), environ=environ, cwd=directory)


class Alone:
    """A daemon with the profile features, in this process."""

    def __init__(self, config: Config) -> None:
        self._config, self._stop, self._ready = config, asyncio.Event(), asyncio.Event()
        self.address = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Alone":
        def on_ready(address: str, _: Views) -> None:
            self.address = address
            self._ready.set()

        self._task = asyncio.create_task(serve(self._config, self._stop, on_ready=on_ready))
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            await self._task
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        assert self._task is not None
        await self._task

    async def get(self, path: str, **parameters: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.address) as client:
            return await client.get(path, params=parameters)


async def test_alone_events_come_from_nats_and_features_go_there(plain_nats_server: NatsServer, tmp_path: Path) -> None:
    now = SystemClock().now_ns()
    client = await nats.connect(plain_nats_server.url)
    listening = await client.subscribe("senpai.features.*")
    await client.flush()
    async with Alone(features_config(plain_nats_server, tmp_path)) as daemon:
        before = await daemon.get("/features/latest", symbol="BTCUSDT")
        await eventually(lambda: daemon.get("/health"), holds=is_well)
        for event in (quote(1, ts_recv=now), trade(1, ts_event=now, ts_recv=now + 3 * MS)):
            await client.publish("md.events.trade.BTCUSDT", encode(event))
        message = await listening.next_msg(10)
        after = await daemon.get("/features/latest", symbol="BTCUSDT")
        metrics = (await daemon.get("/metrics")).text
        health = (await daemon.get("/health")).json()
        missing = await daemon.get("/pairs")
    await client.close()

    assert dict.fromkeys(NAMES) == before.json()["features"]
    assert "senpai.features.BTCUSDT" == message.subject
    assert 3.0 == after.json()["features"]["latency_ms_p50"]
    assert (True, "ok") == (health["components"]["nats"]["required"], health["components"]["nats"]["status"])
    assert ["BTCUSDT"] == health["symbols"]
    assert "senpai_nats_connected 1.0" in metrics
    assert "senpai_tracked_symbols 1.0" in metrics
    assert (404, {"error": "role ingest does not run here"}) == (missing.status_code, missing.json())


async def test_alone_without_its_server_it_starts_and_says_so_and_comes_to_it_later(
    plain_nats_server: NatsServer, tmp_path: Path
) -> None:
    plain_nats_server.kill()
    async with Alone(features_config(plain_nats_server, tmp_path)) as daemon:
        away = await daemon.get("/health")
        metrics = (await daemon.get("/metrics")).text
        plain_nats_server.start()
        await eventually(lambda: daemon.get("/health"), 60, is_well)

    assert (503, "unhealthy", True) == (
        away.status_code,
        away.json()["components"]["nats"]["status"],
        away.json()["components"]["nats"]["required"],
    )
    assert "senpai_nats_connected 0.0" in metrics


async def test_two_in_one_directory_would_share_a_spill_and_the_second_is_refused(
    plain_nats_server: NatsServer, tmp_path: Path
) -> None:
    async with Alone(features_config(plain_nats_server, tmp_path)):
        with pytest.raises(StartError, match="another marketd writes here"):
            async with Alone(features_config(plain_nats_server, tmp_path)):
                pass


async def test_a_member_of_a_group_says_which_partitions_and_symbols_are_its(nats_server: NatsServer, tmp_path: Path) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="EVENTS", subjects=["md.events.>"])
    config = features_config(nats_server, tmp_path, USE_JETSTREAM="true", MARKETD__FEATURES__PARTITIONS="2")
    async with Alone(config) as daemon:
        await until(daemon, "/health", lambda health: "has 2 of 2" in health["components"]["features"]["reason"])
        await client.publish("md.events.trade.BTCUSDT", encode(trade(1)))
        health = await until(daemon, "/health", lambda health: health["symbols"])
        owned = (await daemon.get("/stats")).json()["features"]["partitions"]["owned"]
    await client.close()

    assert health["components"]["features"]["reason"].endswith("has 2 of 2 partitions: 0, 1")
    assert [["BTCUSDT"], []] == sorted((one["symbols"] for one in owned), reverse=True)


async def until(daemon: Alone, path: str, holds: Callable[[Any], object]) -> Any:
    """The first answer of which it holds."""

    async def answer() -> Any:
        return (await daemon.get(path)).json()

    return await eventually(answer, holds=holds)
