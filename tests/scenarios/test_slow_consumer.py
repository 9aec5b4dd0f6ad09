"""A consumer that stops reading: the others do not notice, trades reach the durable sinks complete, each drop is counted."""

import asyncio
import resource
import sys
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Self

import apsw
import pytest

from marketd.bus import Bus, Full
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade
from marketd.model.wire import decode_lines
from marketd.sinks.delivery import run_sinks
from marketd.sinks.jsonl import JsonLines, JsonLinesConfig
from marketd.stores.events import EventStore, EventStoreConfig
from tests.samples import heartbeat, quote, trade

CLOCK = SystemClock()
BATCH = 100
WINDOW_S = 5.0
MIB = 1 << 20


class Stopping:
    """A sink that reads only while its gate is open."""

    types: frozenset[type[Event]] | None = None
    gather_s = 0.0

    def __init__(self, name: str, full: Full, capacity: int = 4096) -> None:
        self.name, self.full, self.capacity = name, full, capacity
        self.gate = asyncio.Event()
        self.gate.set()
        self.taken = array("q")  # the numbers of its trades: small beside what is measured

    async def __aenter__(self) -> Self:
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        await self.gate.wait()
        self.taken.extend(int(event.trade_id) for event in batch if isinstance(event, Trade))

    async def __aexit__(self, *_: object) -> None: ...


class Clocked:
    """How long the oldest event of each batch took until it was written, by phase and window of five seconds."""

    def __init__(self) -> None:
        self.phase = ""
        self.caught_up_s: float | None = None  # how long the consumer with a spill took after it had been stopped
        self.ms: dict[str, dict[int, list[float]]] = {}

    def watch(self, sink: EventStore | JsonLines) -> None:
        write = sink.write

        async def timed(batch: Sequence[Event]) -> None:
            phase = self.phase
            await write(batch)
            windows = self.ms.setdefault(f"{sink.name} {phase}", {})
            windows.setdefault(int(CLOCK.monotonic() / WINDOW_S), []).append((CLOCK.now_ns() - batch[0].ts_recv) / 1e6)

        sink.write = timed  # type: ignore[method-assign]

    def p99(self, key: str) -> float:
        """The median of the windows: what else the machine does comes in bursts, and is not what is asked here."""
        return median(self._windows(key))

    def p99_quiet(self, key: str) -> float:
        """Of the quieter quarter of the windows: a cost of ours is there too."""
        return quantiles(self._windows(key), n=4)[0]

    def p99_whole(self, key: str) -> float:
        return quantiles([ms for window in self.ms[key].values() for ms in window], n=100)[98]

    def _windows(self, key: str) -> list[float]:
        return [quantiles(ms, n=100)[98] for ms in self.ms[key].values() if len(ms) > 1]


def made(number: int) -> list[Event]:
    """A batch: two trades in five, the rest quotes, and now and then a heartbeat."""
    now = CLOCK.now_ns()
    events: list[Event] = []
    for at in range(number * BATCH, (number + 1) * BATCH):
        events.append(trade(at, ts_recv=now) if at % 5 < 2 else quote(at, ts_recv=now))
    return [*events[:-1], heartbeat(number)] if number % 10 == 0 else events


def trades_of(batches: int) -> int:
    return batches * BATCH * 2 // 5


async def run(
    tmp_path: Path, phases: Sequence[tuple[str, int]], per_s: int | None
) -> tuple[Clocked, Metrics, Stopping, Stopping, int]:
    """Publish `phases` (word, batches); the two consumers stop while the word is `stopped`. `per_s` None: as fast as it goes."""
    metrics, clocked = Metrics(), Clocked()
    bus = Bus(metrics)
    store, lines = EventStore(EventStoreConfig(), tmp_path, CLOCK), JsonLines(JsonLinesConfig(), tmp_path, CLOCK)
    sheds, spills = Stopping("sheds", Full.SHED), Stopping("spills", Full.SPILL)
    clocked.watch(store)
    clocked.watch(lines)
    number = 0
    async with store, run_sinks([lines, sheds, spills], bus, CLOCK, data_dir=tmp_path, stores=[store]) as sinks:
        spilling = next(state.subscription for state in sinks.states if state.name == spills.name)
        for word, batches in phases:
            clocked.phase = word
            for consumer in (sheds, spills):
                (consumer.gate.clear if word == "stopped" else consumer.gate.set)()
            start = CLOCK.monotonic()
            for done in range(batches):
                bus.publish(made(number))
                number += 1
                if word == "drained" and clocked.caught_up_s is None and not spilling.spill:
                    clocked.caught_up_s = CLOCK.monotonic() - start
                behind = 0.0 if per_s is None else start + done * BATCH / per_s - CLOCK.monotonic()
                await asyncio.sleep(max(0.0, behind))
        sheds.gate.set()
        spills.gate.set()
    return clocked, metrics, sheds, spills, number


def check(tmp_path: Path, metrics: Metrics, sheds: Stopping, spills: Stopping, batches: int) -> None:
    """Trades are complete in each durable sink and in order; whoever lost something has it counted."""
    expected = trades_of(batches)
    db = apsw.Connection(str(tmp_path / "market_data.db"), flags=apsw.SQLITE_OPEN_READONLY)
    stored = db.execute("SELECT count(*) FROM trades").fetchone()[0]
    db.close()
    files = sorted(tmp_path.glob("events*.jsonl"))  # closed ones beside the current one
    written = [one for path in files for one in decode_lines(path.read_bytes()) if isinstance(one, Trade)]
    drops: Counter[tuple[str, str, str]] = Counter()
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "events_dropped_total":
                drops[sample.labels["consumer"], sample.labels["type"], sample.labels["reason"]] += int(sample.value)
    lost = sum(count for (consumer, kind, _), count in drops.items() if (consumer, kind) == ("sheds", "trade"))

    assert expected == stored == len(written) == len(spills.taken)
    assert sorted(set(spills.taken)) == list(spills.taken)
    assert expected == len(sheds.taken) + lost
    assert lost > 0
    assert {consumer for consumer, kind, _ in drops if kind == "trade"} == {"sheds"}
    assert {("sheds", "quote"), ("spills", "quote")} <= {(consumer, kind) for consumer, kind, _ in drops}


async def test_a_stopped_consumer_costs_the_others_nothing(tmp_path: Path) -> None:
    *_, metrics, sheds, spills, batches = await run(tmp_path, [("running", 50), ("stopped", 400), ("running", 50)], None)

    check(tmp_path, metrics, sheds, spills, batches)


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_consumer_stopped_for_a_minute_at_20_000_events_a_second(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    second = 20_000 // BATCH
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    phases = [("running", 30 * second), ("stopped", 60 * second), ("drained", 10 * second), ("running", 30 * second)]
    clocked, metrics, sheds, spills, batches = await run(tmp_path, phases, 20_000)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    ratios = {name: clocked.p99(f"{name} stopped") / clocked.p99(f"{name} running") for name in ("sqlite", "jsonl")}
    with capfd.disabled():
        for name, ratio in ratios.items():
            one, other = clocked.p99(f"{name} running"), clocked.p99(f"{name} stopped")
            print(f"\n{name}: p99 {one:.1f} ms alone, {other:.1f} ms beside stopped consumers, x{ratio:.2f}")  # noqa: T201
            for word, p99 in (("the quieter windows", clocked.p99_quiet), ("the whole", clocked.p99_whole)):
                print(f"  of {word}: x{p99(f'{name} stopped') / p99(f'{name} running'):.2f}")  # noqa: T201
            print(f"{name}: p99 {clocked.p99(f'{name} drained'):.1f} ms while one of them catches up")  # noqa: T201
        print(f"{trades_of(60 * second):,} trades from disk: caught up after {clocked.caught_up_s or 0:.1f} s")  # noqa: T201
        print(f"memory grew by {grown / MIB:.0f} MiB at its peak")  # noqa: T201
    check(tmp_path, metrics, sheds, spills, batches)

    assert max(ratios.values()) <= 1.5
    assert clocked.caught_up_s is not None  # within the 10 s: seven times as fast as trades arrive, and more
    assert grown < 128 * MIB
