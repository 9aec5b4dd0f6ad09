"""Simulated venues in a process of their own, so that making their market takes no time from the program that reads it.

open_apart ── the wanted, as an argument ──> process ── one line: where they are, or what is wrong ──> Apart
           ── its standard input stays open: closed, however we ended, it ends ──>
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec
import uvloop

from marketd.sim.server import open_sim

LINE_BYTES = 1 << 20  # names and symbols of all venues


class Wanted(msgspec.Struct):
    """As `open_sim` takes it."""

    venues: list[str]
    seed: int
    rate: float
    faults: str


class Apart(msgspec.Struct):
    """Where the venues are, and what each lists."""

    env: dict[str, str]  # the variables that point marketd at them
    listed: dict[str, list[str]]
    wrong: str = ""  # why there are none


@asynccontextmanager
async def open_apart(venues: Iterable[str], *, seed: int, rate: float, faults: str) -> AsyncIterator[Apart]:
    """Until the block is left, or this process ends. ValueError for an unknown venue or fault, OSError where none can be run."""
    wanted = msgspec.json.encode(Wanted(list(venues), seed, rate, faults)).decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, wanted),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise OSError("the process of the simulated venues ended before it began")
        apart = msgspec.json.decode(line, type=Apart)
        if apart.wrong:
            raise ValueError(apart.wrong)
        yield apart
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(wanted: Wanted) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is for whoever opened this
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nothing is ever written there: it is readable once it is closed
    try:
        async with open_sim(wanted.venues, seed=wanted.seed, rate=wanted.rate, faults=wanted.faults) as sim:
            _say(Apart(sim.env(), {name: list(sim.venue(name).listings) for name in sim.venues}))
            await ended.wait()
    except ValueError as error:
        _say(Apart({}, {}, str(error)))


def _say(apart: Apart) -> None:
    os.write(sys.stdout.fileno(), msgspec.json.encode(apart) + b"\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(msgspec.json.decode(sys.argv[1], type=Wanted)))
