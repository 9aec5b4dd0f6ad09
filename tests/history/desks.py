"""Rooms for the tests of history: venues simulated, stores real, time turned by hand."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.sim import Sim, open_sim
from marketd.stores.archive import Archive, open_archive
from marketd.venues import venue_named
from marketd.venues.candles import CandleDesk
from marketd.venues.rest import Rest

T = TypeVar("T")


@dataclass
class Rooms:
    clock: ManualClock
    sim: Sim
    archive: Archive
    desk: CandleDesk
    metrics: Metrics


@asynccontextmanager
async def rooms(
    name: str, clock: ManualClock, directory: Path, faults: str = "", *, recording: Path | None = None
) -> AsyncIterator[Rooms]:
    """One venue, its desk and an archive; with a `recording`, the venue has the candles of that file."""
    metrics = Metrics()
    async with (
        open_sim([name], clock=clock, faults=faults, recording=recording) as sim,
        Http() as http,
        open_archive(f"sqlite:///{directory / 'archive.db'}", clock) as archive,
    ):
        venue = venue_named(name, {"ALPACA_KEY": "key", "ALPACA_SECRET": "secret", "ALPACA_DRY_RUN": "false"})
        rest = Rest(venue, sim.env()[f"{name.upper()}_REST_URL"], http, Governor(clock, venue.limits.rest), clock, metrics)
        yield Rooms(clock, sim, archive, CandleDesk(rest, clock, metrics), metrics)


async def driven(clock: ManualClock, work: Coroutine[Any, Any, T], step_s: float = 1.0) -> T:
    """The result of `work`, with time going on whenever it waits."""
    task = asyncio.ensure_future(work)
    while not (await asyncio.wait({task}, timeout=0.05))[0]:
        await clock.advance(step_s)
    return task.result()
