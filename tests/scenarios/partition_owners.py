"""Who owned what, by the server's own record of it, and how long the processes concerned waited for a processor meanwhile."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.sources.leases import Held
from marketd.sources.partitioned import STREAM
from marketd.sources.stored import Ordered
from tests.members import linked

LOOK_S = 0.2
KEYS = f"$KV.{STREAM}."


@dataclass
class Owners:
    """Signs of life, by the server's clock: of a member its heartbeats and what it writes into claims."""

    claims: dict[int, list[tuple[int, str | None]]] = field(default_factory=lambda: defaultdict(list))  # ns, member
    alive: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # ns

    def take(self, key: str, data: bytes, time_ns: int) -> None:
        kind, _, name = key.removeprefix(KEYS).partition(".")
        if kind == "members" and data:
            self.alive[name].append(time_ns)
        elif kind == "partitions":
            held = msgspec.json.decode(data, type=Held)
            self.claims[int(name)].append((time_ns, held.member))
            if held.member is not None:
                self.alive[held.member].append(time_ns)

    def changes(self) -> list[tuple[float, int]]:
        """For how many seconds nobody who lived had a partition, each time that it changed hands, and which one."""
        found = []
        for partition, claims in self.claims.items():
            for (since, member), (until, successor) in itertools.pairwise(claims):
                if successor is not None and member != successor:
                    signs = [since] if member is None else [at for at in self.alive[member] if at <= until]
                    found.append(((until - max(signs)) / 1e9, partition))
        return found


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Owners]:
    """From now on."""
    owners, clock = Owners(), SystemClock()
    async with linked(url) as link:
        ordered = Ordered(link, f"KV_{STREAM}", [f"{KEYS}>"], clock, since_ns=clock.now_ns())

        async def watch() -> None:
            while True:
                with suppress(DeliveryError):
                    for one in await ordered.next(LOOK_S):
                        owners.take(one.subject, one.data, one.time_ns)

        watching = asyncio.create_task(watch())
        try:
            yield owners
        finally:
            watching.cancel()
            await asyncio.wait([watching])


@dataclass
class Waiting:
    """How long processes were ready to run and had no processor, as the kernel counts it; nothing where it does not."""

    looks: list[tuple[float, dict[int, float]]] = field(default_factory=list)  # when, seconds so far by process

    def within(self, since_s: float, until_s: float) -> float:
        """What the one that waited longest waited in this time."""
        before = next((so_far for at, so_far in reversed(self.looks) if at <= since_s), {})
        after = next((so_far for at, so_far in self.looks if at >= until_s), self.looks[-1][1] if self.looks else {})
        return max((waited - before[pid] for pid, waited in after.items() if pid in before), default=0.0)


@asynccontextmanager
async def measured(pids: Callable[[], Iterable[int]]) -> AsyncIterator[Waiting]:
    waiting = Waiting()

    async def look() -> None:
        while True:
            waiting.looks.append((time.monotonic(), {pid: waited_s(pid) for pid in pids()}))
            await asyncio.sleep(LOOK_S)

    looking = asyncio.create_task(look())
    try:
        yield waiting
    finally:
        looking.cancel()
        await asyncio.wait([looking])


def waited_s(pid: int) -> float:
    """Of its thread that waited longest. https://docs.kernel.org/scheduler/sched-stats.html (read 2026-11-21)"""
    found = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):  # it has ended, or the kernel does not count
            found = max(found, int(file.read_text().split()[1]))
    return found / 1e9
