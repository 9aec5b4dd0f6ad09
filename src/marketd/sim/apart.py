"""Simulated venues in a process of their own, so that making their market takes no time from the program that reads it.

open_apart ── the wanted, as an argument ──> process ── one line: where they are, or what is wrong ──> Apart
           ── its standard input stays open: closed, however we ended, it ends ──>

It is in a session of its own, so that Ctrl-C and a closed terminal are for whoever opened it.
"""

import asyncio
import math
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import msgspec
import uvloop

from marketd.rooms import room
from marketd.sim.server import open_sim

LINE_BYTES = 1 << 20  # names and symbols of all venues
END_S = 5.0  # for it to end by itself once it is not wanted


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
async def open_apart(
    venues: Iterable[str], *, seed: int, rate: float, faults: str, on_end: Callable[[], None] = lambda: None
) -> AsyncIterator[Apart]:
    """Until the block is left, or this process ends. `on_end` is called should they end before; leaving is an OSError then.

    Raises ValueError for an unknown venue or fault, or a rate that is none, OSError where none can be run.
    """
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"rate {rate} is no number of events a second; it may be 0 or more")
    wanted = msgspec.json.encode(Wanted(list(venues), seed, rate, faults)).decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, wanted),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise OSError("the process of the simulated venues ended before it began")
        apart = msgspec.json.decode(line, type=Apart)
        if apart.wrong:
            raise ValueError(apart.wrong)
        async with room("apart") as here:
            here.start("end", _tell_end(process, on_end))
            yield apart
        if process.returncode is not None:
            raise OSError(f"the process of the simulated venues ended while it was wanted ({_how(process.returncode)})")
    finally:
        await _end(process)


async def _tell_end(process: Process, on_end: Callable[[], None]) -> None:
    await process.wait()
    on_end()


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


async def _end(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:  # it hangs, or was halted
        process.kill()
        await process.wait()


async def _serve(wanted: Wanted) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_reader(sys.stdin.fileno(), ended.set)  # nothing is ever written there: it is readable once it is closed
    try:
        async with open_sim(wanted.venues, seed=wanted.seed, rate=wanted.rate, faults=wanted.faults) as sim:
            _say(Apart(sim.env(), {name: list(sim.venue(name).listings) for name in sim.venues}))
            await ended.wait()
    except ValueError as error:
        _say(Apart({}, {}, str(error)))


def _say(apart: Apart) -> None:
    with suppress(BrokenPipeError):  # whoever wanted to know has ended
        os.write(sys.stdout.fileno(), msgspec.json.encode(apart) + b"\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(msgspec.json.decode(sys.argv[1], type=Wanted)))
