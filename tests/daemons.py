"""A daemon on simulated venues, in this process, on free ports."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from marketd.api.views import Views
from marketd.config import Flags, load
from marketd.daemon import serve
from marketd.sim.server import Sim

WITHIN_S = 30.0


@dataclass
class Running:
    """A daemon that has said it is ready."""

    address: str
    views: Views
    sim: Sim
    data_dir: Path
    stop: asyncio.Event

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.address) as client:
            return await client.get(path)


async def eventually(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait until it holds; a failure says what did not come true."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"did not come true within {within_s} s"
        await asyncio.sleep(0.02)


@pytest.fixture
def run_daemon(tmp_path: Path) -> Callable[..., object]:
    @asynccontextmanager
    async def start(
        sim: Sim,
        *,
        profile: str | None = "live-ingest",
        environ: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        capture: Path | None = None,
    ) -> AsyncIterator[Running]:
        where = data_dir or tmp_path / "data"
        config = load(
            Flags(profile=profile),
            environ={**sim.env(), "HTTP_PORT": "0", "NATS_ENABLED": "false", "MARKETD_DATA_DIR": str(where), **(environ or {})},
            cwd=tmp_path,
        )
        stop, ready = asyncio.Event(), asyncio.Event()
        told: list[tuple[str, Views]] = []

        def on_ready(address: str, views: Views) -> None:
            told.append((address, views))
            ready.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(serve(config, stop, capture=capture, on_ready=on_ready))
            await asyncio.wait({task, group.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            try:
                yield Running(*told[0], sim, where, stop)
            finally:
                stop.set()

    return start
