"""A simulated Binance and a daemon, each in a process of its own, so that what one costs is not counted to the other."""

import asyncio
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from marketd.api.views import Views
from marketd.config import Flags, load
from marketd.config.model import Config
from marketd.daemon import serve
from marketd.log import setup
from marketd.sim.server import Flood, Sim, open_sim
from marketd.sinks.delivery import Deliveries
from marketd.sinks.sink import Latencies

VENUE = "binance"
CHANNELS = ("trade", "quote", "book")
QUIET = {"MARKETD__SINKS__CONSOLE__ENABLED": "false", "MARKETD__LOGGING__LEVEL": "error", "NATS_ENABLED": "false"}
TICK_S = 0.01
ANSWER_S = 300.0
IDLE_S = 3.0
_spawn = multiprocessing.get_context("spawn")


@dataclass
class Look:
    """A daemon at one moment."""

    cpu_s: float
    rss: int  # bytes
    delivered: dict[str, int]  # by sink
    waiting: int
    dropped: int
    spilled: int
    started_s: float  # from the daemon's start to its first event in a sink
    counted: int  # trades and quotes that the metrics know of
    stored_ms: dict[str, list[float]] = field(
        default_factory=dict
    )  # by sink, of the oldest event of each batch since the last look


class Samples(Latencies):
    """All of them, where the daemon keeps the last few."""

    def __init__(self) -> None:
        super().__init__(1)
        self.all: list[float] = []

    def add(self, ms: float) -> None:
        self.all.append(ms)


class Child:
    """The other end of a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def ask(self, *question: object) -> Any:
        """The answer; raises what the child raised."""
        self._pipe.send(question)
        assert self._pipe.poll(ANSWER_S), f"no answer to {question} within {ANSWER_S:.0f} s"
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Simulated(Child):
    """A simulated Binance."""

    def env(self) -> dict[str, str]:
        found: dict[str, str] = self.ask("env")
        return found

    def flood(self, events: int, events_per_s: float | None) -> Flood:
        """Encode first, then send; returns when all is sent."""
        sent: Flood = self.ask("flood", events, events_per_s)
        return sent


class Served(Child):
    """A daemon."""

    def look(self) -> Look:
        look: Look = self.ask("look")
        return look

    def settled(self, events: int, within_s: float = 60.0) -> Look:
        """Wait until this many trades and quotes were counted (or no more come) and nothing waits, in memory or on disk."""
        look, begun = self.look(), time.monotonic()
        came = begun
        while time.monotonic() - begun < within_s:
            if not look.waiting and not look.spilled and (look.counted >= events or time.monotonic() - came > IDLE_S):
                break
            time.sleep(0.05)
            before, look = look, self.look()
            for sink, samples in before.stored_ms.items():
                look.stored_ms[sink] = samples + look.stored_ms[sink]
            if look.counted != before.counted:
                came = time.monotonic()
        return look


@contextmanager
def simulated(symbols: Sequence[str]) -> Iterator[Simulated]:
    with child(_simulate, tuple(symbols)) as pipe:
        yield Simulated(pipe)


@contextmanager
def served(
    environ: Mapping[str, str], symbols: Sequence[str], data_dir: Path, channels: Sequence[str] = CHANNELS
) -> Iterator[Served]:
    """A daemon that brings these symbols of the simulated Binance to SQLite and JSON lines; it has delivered its first event."""
    with child(_serve, dict(environ), tuple(symbols), data_dir, tuple(channels)) as pipe:
        yield Served(pipe)


@contextmanager
def child(target: Any, *arguments: object) -> Iterator[Connection]:
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        ready = ours.recv()  # EOFError when it could not start: its traceback stands above
        assert ready == "ready", ready
        yield ours
        ours.send(("stop",))
        process.join(30)
    finally:
        if process.is_alive():
            process.kill()
        ours.close()


def _simulate(pipe: Connection, symbols: Sequence[str]) -> None:
    async def work() -> None:
        async with open_sim([VENUE], symbols=symbols, limits=False) as sim:
            ticking = asyncio.get_running_loop().create_task(_tick(sim))
            pipe.send("ready")
            while (question := await next_question(pipe))[0] != "stop":
                pipe.send(sim.env() if question[0] == "env" else await sim.flood(VENUE, question[1], events_per_s=question[2]))
            ticking.cancel()

    uvloop.run(work())


async def _tick(sim: Sim) -> None:
    while True:
        sim.tick()
        await asyncio.sleep(TICK_S)


def _serve(pipe: Connection, environ: dict[str, str], symbols: Sequence[str], data_dir: Path, channels: Sequence[str]) -> None:
    config = load(
        Flags(venues=VENUE, symbols=",".join(symbols), channels=",".join(channels), port=0, data_dir=data_dir),
        environ=QUIET | environ,
        cwd=data_dir,
    )
    setup.configure(config.logging, data_dir, sys.stderr)
    uvloop.run(_answer(pipe, config))


async def _answer(pipe: Connection, config: Config) -> None:
    stop = asyncio.Event()
    told: asyncio.Future[tuple[Views, Deliveries]] = asyncio.get_running_loop().create_future()

    def on_ready(_: str, views: Views) -> None:
        assert isinstance(views.sinks, Deliveries)
        for state in views.sinks.states:
            state.stored_ms = Samples()
        told.set_result((views, views.sinks))

    async with asyncio.TaskGroup() as group:
        began_s = time.monotonic()
        group.create_task(serve(config, stop, on_ready=on_ready))
        views, sinks = await told
        while not (any(state.delivered for state in sinks.states) and all(state.healthy for state in sinks.states)):
            await asyncio.sleep(0.001)
        started_s = time.monotonic() - began_s
        pipe.send("ready")
        while (await next_question(pipe))[0] != "stop":
            pipe.send(_look(views, sinks, started_s))
        stop.set()


def _look(views: Views, sinks: Deliveries, started_s: float) -> Look:
    look = Look(time.process_time(), rss(), {}, 0, 0, 0, started_s, _counted(views))
    for state in sinks.states:
        if state.name == "prometheus":
            continue
        look.delivered[state.name] = state.delivered
        look.waiting += len(state.subscription)
        look.dropped += sum(state.subscription.dropped.values()) + state.given_up
        look.spilled += 0 if state.subscription.spill is None else len(state.subscription.spill)
        samples, state.stored_ms = state.stored_ms, Samples()
        look.stored_ms[state.name] = samples.all if isinstance(samples, Samples) else []
    return look


def _counted(views: Views) -> int:
    samples = next(iter(views.metrics.events.collect())).samples
    return int(sum(one.value for one in samples if one.name.endswith("_total") and one.labels["type"] in ("trade", "quote")))


async def next_question(pipe: Connection) -> Any:
    """What the parent asks next, without a thread that would take its share."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), readable.set)
    try:
        while not pipe.poll():
            readable.clear()
            await readable.wait()
        return pipe.recv()
    except EOFError:
        return ("stop",)
    finally:
        loop.remove_reader(pipe.fileno())


def rss() -> int:
    """Bytes of memory that this process holds now; where the system does not say, the most it ever held."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
