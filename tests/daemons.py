"""A daemon on simulated venues, in this process, on free ports."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api.views import Views
from marketd.clock import Clock
from marketd.config import Flags, load
from marketd.daemon import serve
from marketd.sim.server import Sim

WITHIN_S = 60.0
PAUSE_S = 0.02


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


async def eventually(
    ask: Callable[[], Any], within_s: float = WITHIN_S, holds: Callable[[Any], object] = bool, every_s: float = PAUSE_S
) -> Any:
    """The first answer that holds; `ask` may be a coroutine's function. A failure shows the last answer."""
    deadline = time.monotonic() + within_s
    while not holds(found := await answer if inspect.isawaitable(answer := ask()) else answer):
        assert time.monotonic() < deadline, _never(found, within_s)
        await asyncio.sleep(every_s)
    return found


def eventually_sync(ask: Callable[[], Any], within_s: float = WITHIN_S, holds: Callable[[Any], object] = bool) -> Any:
    """The same where nothing else runs in this thread."""
    deadline = time.monotonic() + within_s
    while not holds(found := ask()):
        assert time.monotonic() < deadline, _never(found, within_s)
        time.sleep(PAUSE_S)
    return found


def _never(found: object, within_s: float) -> str:
    return f"did not come true within {within_s:g} s, the last answer: {repr(found)[:500]}"


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
        clock: Clock | None = None,
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
            task = group.create_task(serve(config, stop, capture=capture, on_ready=on_ready, clock=clock))
            await asyncio.wait({task, group.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
            try:
                yield Running(*told[0], sim, where, stop)
            finally:
                stop.set()

    return start
