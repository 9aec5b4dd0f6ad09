"""Members of role features share the symbols of JetStream: killed, paused and joining, on real processes and a real server.

Every published feature must be that of all the symbol's events, in order, up to its time: what was lost, read twice or out of
order on the way, or a window that was not rebuilt whole, would show in the value.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from tests.analysis.reference import as_of, differences
from tests.daemons import eventually
from tests.nats_servers import NatsServer
from tests.scenarios.partition_load import PREFIX, STREAM, Load
from tests.scenarios.partition_owners import Owners, Waiting, measured, watched

ROOT = Path(__file__).resolve().parents[2]
TAKEN_S = 2.5  # from the end of a lease until another member has the partition
REBUILT_S = 3.5  # from then until the first feature: windows are rebuilt
AGAIN_S = 1.5  # of event time that a new owner does again: what was not yet noted as done


@dataclass
class Process:
    """`marketd run --profile features`, a member of the group."""

    process: asyncio.subprocess.Process
    log: Path

    def send(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    @property
    def address(self) -> str | None:
        """Once it has started."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return next((str(line["address"]) for line in lines if line["event"] == "daemon.started"), None)

    async def stats(self) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.address or "") as client:
            return dict((await client.get("/stats")).json()["features"])

    async def owned(self) -> set[int]:
        """The partitions that it reads live."""
        if self.address is None or self.process.returncode is not None:
            return set()
        return {one["partition"] for one in (await self.stats())["partitions"]["owned"] if one["state"] == "live"}


@dataclass
class Group:
    url: str
    directory: Path
    partitions: int
    lease_s: int
    owners: Owners
    waiting: Waiting
    started: int = 0
    processes: list[Process] = field(default_factory=list)

    @asynccontextmanager
    async def member(self) -> AsyncIterator[Process]:
        """Killed on leaving if it still runs."""
        self.started += 1
        log = self.directory / f"{self.started}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "marketd", "run", "--profile", "features", "--data-dir", str(self.directory / str(self.started))),
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT / "src"),
                    "HTTP_PORT": "0",
                    "NATS_URL": self.url,
                    "USE_JETSTREAM": "true",
                    "MARKETD__FEATURES__PARTITIONS": str(self.partitions),
                    "MARKETD__FEATURES__LEASE_S": str(self.lease_s),
                    "MARKETD_LOG_FORMAT": "json",
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.directory,
            )
        self.processes.append(Process(process, log))
        try:
            yield self.processes[-1]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def shared(self, *members: Process) -> None:
        """Until these have all partitions, each its fair share."""
        fair = sorted(self.partitions // len(members) + (rank < self.partitions % len(members)) for rank in range(len(members)))
        for _ in range(300):
            owned = [await member.owned() for member in members]
            if sorted(map(len, owned)) == fair and len(set[int]().union(*owned)) == self.partitions:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"owned: {owned}")


@asynccontextmanager
async def group(server: NatsServer, directory: Path, *, partitions: int, lease_s: int = 2) -> AsyncIterator[Group]:
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name=STREAM, subjects=[f"{PREFIX}.>"])
    await client.close()
    processes: list[Process] = []
    serving: set[int] = set()

    def concerned() -> set[int]:
        """This process, and the members that have started; the start of one more is nobody's silence."""
        for one in processes:
            if one.process.pid not in serving and one.address is not None:
                serving.add(one.process.pid)
        return {os.getpid(), *serving}

    async with watched(server.url) as owners, measured(concerned) as waiting:
        yield Group(server.url, directory, partitions, lease_s, owners, waiting, processes=processes)


@asynccontextmanager
async def under(load: Load) -> AsyncIterator[None]:
    """While events come; on leaving, the last of each has been published."""
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    try:
        yield
        stop.set()
        await running
    finally:
        running.cancel()


def symbols(count: int) -> list[str]:
    return [f"S{number}USDT" for number in range(count)]


def check(load: Load, members: Group) -> None:
    """Every feature right, nobody silent for long, nothing old said, and in the end what the reference says.

    A new owner is there `TAKEN_S` after the lease, and publishes `REBUILT_S` later at most. What the processes concerned waited
    for a processor meanwhile, since the machine has other things to do, is not counted.
    """
    waited, lease_s = members.waiting.within, members.lease_s
    silences = [(until - since - waited(since, until), until - since) for since, until in load.silences(lease_s)]
    assert members.owners.changes()
    assert [] == [one for one in members.owners.changes() if one[0] >= lease_s + TAKEN_S]
    for symbol in load.symbols:
        assert {} == differences(load.heard[symbol][-1][1].features, as_of(load.sent[symbol]))
    assert [] == load.wrong()
    assert [] == [one for one in silences if one[0] >= lease_s + TAKEN_S + REBUILT_S]
    assert load.steps_back_s() < AGAIN_S


async def test_a_killed_members_symbols_go_on_with_whole_windows(nats_server: NatsServer, tmp_path: Path) -> None:
    load = Load(nats_server.url, symbols(40), rate=300)
    async with group(nats_server, tmp_path, partitions=8) as members, members.member() as one, members.member() as other:
        await members.shared(one, other)
        async with under(load):
            await eventually(lambda: sum(map(len, load.heard.values())) > 500)
            one.send(signal.SIGKILL)
            await members.shared(other)
            async with members.member() as third:
                await members.shared(other, third)
                listed = (await third.stats())["partitions"]["owned"]
                assert {symbol for one in listed for symbol in one["symbols"]} < set(load.symbols)

    check(load, members)


async def test_a_paused_member_says_nothing_of_what_it_lost(nats_server: NatsServer, tmp_path: Path) -> None:
    load = Load(nats_server.url, symbols(40), rate=300)
    async with group(nats_server, tmp_path, partitions=8) as members, members.member() as one, members.member() as other:
        await members.shared(one, other)
        async with under(load):
            await eventually(lambda: sum(map(len, load.heard.values())) > 500)
            one.send(signal.SIGSTOP)
            await members.shared(other)
            one.send(signal.SIGCONT)
            await members.shared(one, other)

    assert "partitions.lapsed" in one.log.read_text()
    check(load, members)


@pytest.mark.soak
async def test_four_members_of_which_one_dies_every_twenty_seconds(nats_server: NatsServer, tmp_path: Path) -> None:
    load = Load(nats_server.url, symbols(200), rate=1000)
    chance = random.Random(5)
    async with group(nats_server, tmp_path, partitions=32, lease_s=3) as members, AsyncExitStack() as running:
        living = [await running.enter_async_context(members.member()) for _ in range(4)]
        await members.shared(*living)
        async with under(load):
            for _ in range(9):
                await asyncio.sleep(20.0)
                victim = chance.randrange(4)
                living[victim].send(signal.SIGKILL)
                living[victim] = await running.enter_async_context(members.member())
            await members.shared(*living)

    check(load, members)
