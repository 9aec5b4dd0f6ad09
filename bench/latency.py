"""From a frame on the collector's socket to the feature that it changed at a subscriber of `senpai.features`, under load.

A simulated Binance, a collector, the NATS server, the features and the subscriber are processes of their own. What is measured is
the age of the newest event in each message; an older one may have waited for its symbol's turn, which comes ten times a second.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import nats
import uvloop
from nats.aio.msg import Msg
from rich.console import Console

from bench.processes import child, next_question, served, simulated
from bench.rounds import Row, absolute, show
from marketd.analysis.payloads import Features
from marketd.analysis.publishing import Publisher
from marketd.analysis.service import FeatureService
from marketd.config import Flags, load
from marketd.daemon import serve
from marketd.log import setup
from marketd.model.events import Event, Trade
from tests.nats_servers import NatsServer

RATES = (5_000, 20_000, 50_000)  # events a second
SYMBOLS = ("BTCUSDT", "ETHUSDT")
SECONDS = 10.0
WARM_UP = 5_000
P99_MS = 100.0
OFF = {
    "MARKETD__SINKS__SQLITE__ENABLED": "false",
    "MARKETD__SINKS__JSONL__ENABLED": "false",
    "MARKETD__SINKS__CONSOLE__ENABLED": "false",
    "MARKETD__LOGGING__LEVEL": "error",
}


@dataclass(frozen=True)
class Measured:
    rate: int
    sent: int  # frames: trades and quotes
    seconds: float
    ms: Sequence[float]  # of each message that arrived while frames were sent
    lost: int  # trades that the collector sent and the features did not take
    cpu_us: float  # of processor that the features took for an event
    load: float  # of the machine, the bench included

    def row(self) -> Row:
        p50, p99 = statistics.median(self.ms), statistics.quantiles(self.ms, n=100)[98]
        reached_rate = self.sent / self.seconds
        keeps_pace = reached_rate > 0.95 * self.rate
        parts = [f"{reached_rate:,.0f}/s", f"p50 {p50:.1f} ms", f"p99 {p99:.1f} ms", f"max {max(self.ms):.0f} ms"]
        parts += [f"{self.lost:,} trades lost"] if self.lost else []
        return absolute(
            f"Binance -> NATS -> features, {self.rate:,} events/s for {self.seconds:.0f} s",
            ", ".join(parts),
            f"no trade lost, p99 <= {P99_MS:g} ms",
            reached=keeps_pace and p99 <= P99_MS and not self.lost,
            note=f"{len(self.ms):,} messages, features {self.cpu_us:.1f} us of processor an event, load {self.load:.1f}"
            + ("" if keeps_pace else "; the simulated venue could not send faster"),
        )


def measure(rate: int, seconds: float = SECONDS) -> Measured:
    """One rate, in fresh processes."""
    with tempfile.TemporaryDirectory(prefix="marketd-bench-") as name, NatsServer(jetstream=False) as server:
        homes = [Path(name, part) for part in ("collector", "features")]
        for home in homes:
            home.mkdir()
        environ = OFF | {"NATS_URL": server.url, "NATS_ENABLED": "true"}
        with (
            child(_features, environ, homes[1]) as features,
            child(_listen, server.url) as listener,
            simulated(SYMBOLS) as venue,
            served(venue.env() | environ, SYMBOLS, homes[0], ("trade", "quote")) as collector,
        ):
            first = venue.flood(WARM_UP, WARM_UP)
            collector.settled(first.frames)
            _, _, before_s = _settled(features, first.trades)
            events = int(rate * seconds * WARM_UP / first.frames)  # a trade may move the quote: two frames
            begun_ns = time.time_ns()
            flood = venue.flood(events, rate * WARM_UP / first.frames)
            ended_ns = time.time_ns()
            collector.settled(first.frames + flood.frames)
            begun_ns = ended_ns - int(flood.seconds * 1e9)  # it was encoded before
            made, lost, after_s = _settled(features, first.trades + flood.trades)
            listener.send(("heard",))
            heard: list[tuple[int, bytes]] = listener.recv()
        ms = [(arrived - made[data]) / 1e6 for arrived, data in heard if begun_ns <= arrived <= ended_ns and data in made]
        cpu_us = (after_s - before_s) / flood.frames * 1e6
        return Measured(rate, flood.frames, flood.seconds, ms, lost, cpu_us, os.getloadavg()[0])


def _settled(features: Connection, trades: int) -> tuple[dict[bytes, int], int, float]:
    """What was published, with the time of the newest event in it, how many trades were lost on the way, and the processor
    time that it took; once so many trades were taken, or no more come.
    """
    before = -1
    while True:
        features.send(("made",))
        made, taken, lost, cpu_s = features.recv()
        if taken >= trades or taken == before:
            return made, lost, cpu_s
        before = taken
        time.sleep(1.0)


def _features(pipe: Connection, environ: dict[str, str], data_dir: Path) -> None:
    """The profile `features`, with a stopwatch between its engine and its publisher."""
    config = load(Flags(profile="features", port=0, data_dir=data_dir), environ=environ, cwd=data_dir)
    setup.configure(config.logging, data_dir, sys.stderr)
    newest: dict[str, int] = {}  # by symbol: `ts_recv`
    published: dict[bytes, int] = {}
    taken: dict[str, set[int]] = {}  # ids by symbol; the venue numbers without holes
    write, publish = FeatureService.write, Publisher.features

    async def timed_write(self: FeatureService, batch: Sequence[Event]) -> None:
        for event in batch:
            newest[event.symbol] = event.ts_recv
            if event.__class__ is Trade:
                taken.setdefault(event.symbol, set()).add(int(event.trade_id))
        await write(self, batch)

    def timed_publish(self: Publisher, made: Features) -> None:
        published[msgspec.json.encode(made)] = newest.get(made.symbol, 0)
        publish(self, made)

    FeatureService.write, Publisher.features = timed_write, timed_publish  # type: ignore[method-assign]

    async def work() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(config, stop, on_ready=lambda *_: ready.set()))
            await ready.wait()
            pipe.send("ready")
            while (await next_question(pipe))[0] != "stop":
                count = sum(map(len, taken.values()))
                lost = sum(max(ids) - min(ids) + 1 - len(ids) for ids in taken.values())
                pipe.send((published, count, lost, time.process_time()))
            stop.set()

    uvloop.run(work())


def _listen(pipe: Connection, url: str) -> None:
    """A subscriber of the features that notes when each message came."""

    async def work() -> None:
        heard: list[tuple[int, bytes]] = []
        client = await nats.connect(url)

        async def take(message: Msg) -> None:
            heard.append((time.time_ns(), message.data))

        await client.subscribe("senpai.features.>", cb=take)
        await client.flush()
        pipe.send("ready")
        while (await next_question(pipe))[0] != "stop":
            pipe.send(heard)
        with suppress(Exception):
            await client.close()

    uvloop.run(work())


def run() -> list[Row]:
    return [measure(rate).row() for rate in RATES]


def main() -> None:
    """`python -m bench.latency --seconds 10 --rates 5000`"""
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rates", type=int, nargs="*", default=RATES, help="events a second")
    asked = parser.parse_args()
    show([measure(rate, asked.seconds).row() for rate in asked.rates], Console())


if __name__ == "__main__":
    main()
