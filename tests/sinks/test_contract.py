"""What every sink promises: asked of each in turn."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest

from marketd.bus import Bus, Full
from marketd.clock import Clock, ManualClock, SystemClock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.model.wire import decode_lines
from marketd.sinks.console import Console, ConsoleConfig
from marketd.sinks.delivery import run_sinks
from marketd.sinks.jsonl import JsonLines, JsonLinesConfig
from marketd.sinks.prometheus import Prometheus, PrometheusConfig
from marketd.sinks.sink import DurableSink, Sink
from marketd.stores.events import EventStore, EventStoreConfig
from tests.samples import one_of_each, trades

SINKS: dict[str, Callable[[Path, Clock], Sink]] = {
    "console": lambda data_dir, clock: Console(ConsoleConfig()),
    "prometheus": lambda data_dir, clock: Prometheus(PrometheusConfig(), Metrics(), clock),
    "jsonl": lambda data_dir, clock: JsonLines(JsonLinesConfig(), data_dir, clock),
    "sqlite": lambda data_dir, clock: EventStore(EventStoreConfig(), data_dir, clock),
}
DURABLE = ("jsonl", "sqlite")


def wanted(sink: Sink, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if sink.types is None or event.__class__ in sink.types]


def ids_in(data_dir: Path, name: str) -> list[str]:
    """The trade ids that a durable sink holds."""
    if name == "jsonl":
        return [event.trade_id for event in decode_lines((data_dir / "events.jsonl").read_bytes()) if hasattr(event, "trade_id")]
    db = apsw.Connection(str(data_dir / "market_data.db"))
    try:
        return [row[0] for row in db.execute("SELECT trade_id FROM trades ORDER BY ts_event")]
    finally:
        db.close()


@pytest.mark.parametrize("name", SINKS)
async def test_nothing_one_and_many_of_every_type_are_taken(name: str, tmp_path: Path, clock: ManualClock) -> None:
    async with SINKS[name](tmp_path, clock) as sink:
        await sink.write([])
        await sink.write(wanted(sink, one_of_each(1))[:1])
        await sink.write([event for number in range(300) for event in wanted(sink, one_of_each(number))])


@pytest.mark.parametrize("name", SINKS)
async def test_it_can_be_opened_again(name: str, tmp_path: Path, clock: ManualClock) -> None:
    for _ in range(3):
        async with SINKS[name](tmp_path, clock) as sink:
            await sink.write(wanted(sink, one_of_each(1)))


@pytest.mark.parametrize("name", SINKS)
def test_what_spills_knows_how_far_it_got(name: str, tmp_path: Path, clock: ManualClock) -> None:
    sink = SINKS[name](tmp_path, clock)

    assert (sink.full is Full.SPILL) == isinstance(sink, DurableSink) == (name in DURABLE)


@pytest.mark.parametrize("name", DURABLE)
async def test_the_same_batch_twice_is_there_once_after_a_restart(name: str, tmp_path: Path, clock: ManualClock) -> None:
    for _ in range(2):
        async with SINKS[name](tmp_path, clock) as sink:
            await sink.write(trades(1, 50))

    assert [str(number) for number in range(1, 51)] == ids_in(tmp_path, name)


@pytest.mark.parametrize("name", DURABLE)
async def test_the_far_end_goes_and_comes_back(name: str, tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "data"
    async with SINKS[name](directory, clock) as sink:
        await sink.write(trades(1, 5))
    aside = tmp_path / "aside"
    directory.rename(aside)
    directory.write_text("not a directory")
    sink = SINKS[name](directory, clock)
    with pytest.raises(DeliveryError, match=f"{name}: cannot (open|write) .*"):
        async with sink:
            await sink.write(trades(6, 8))
    directory.unlink()
    aside.rename(directory)
    async with sink:
        await sink.write(trades(6, 8))

    assert [str(number) for number in range(1, 9)] == ids_in(directory, name)


@pytest.mark.parametrize("failing", range(1, 8))
@pytest.mark.parametrize("name", DURABLE)
async def test_a_write_that_fails_on_any_call_costs_and_doubles_nothing(
    name: str, failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th thing that is asked of the disk fails, for each n."""
    calls = 0
    if name == "jsonl":
        write = os.write

        def half(fd: int, data: bytes) -> int:
            nonlocal calls
            calls += 1
            if calls == failing:
                write(fd, data[: len(data) // 2])  # part of it is there already
                raise OSError(28, "No space left on device")
            return write(fd, data)

        monkeypatch.setattr("marketd.sinks.jsonl.os.write", half)
        sink = SINKS[name](tmp_path, SystemClock())
    else:
        sink = SINKS[name](tmp_path, SystemClock())
        assert isinstance(sink, EventStore)
        execute = sink._writer._save_ledger

        def full(db: apsw.Connection) -> None:
            nonlocal calls
            calls += 1
            execute(db)
            if calls == failing:
                raise apsw.FullError("database or disk is full")

        monkeypatch.setattr(sink._writer, "_save_ledger", full)
    bus = Bus(Metrics())
    async with run_sinks([sink], bus, SystemClock(), data_dir=tmp_path) as view:
        for number in range(1, 9):
            before = view.states[0].delivered
            bus.publish(trades(number * 10, number * 10 + 9))
            async with asyncio.timeout(10):
                while view.states[0].delivered == before:
                    await SystemClock().sleep(0.001)

    assert [str(number) for number in range(10, 90)] == ids_in(tmp_path, name)
    assert 1 == view.states[0].retries


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.sinks.delivery import run_sinks
from tests.samples import trades
from tests.sinks.test_contract import SINKS

async def main(name, data_dir):
    clock, bus = SystemClock(), Bus(Metrics())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with run_sinks([SINKS[name](data_dir, clock)], bus, clock, data_dir=data_dir) as view:
        state = view.states[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), hard))
        number = 0
        while state.healthy:
            bus.publish(trades(number * 50 + 1, number * 50 + 50))
            number += 1
            await clock.sleep(0.005)
        print(state.reason)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        while not state.healthy:
            await clock.sleep(0.01)
    print(number * 50)

asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
"""


@pytest.mark.parametrize(("name", "said"), [("jsonl", "File too large"), ("sqlite", "disk")])
def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_room(name: str, said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, name, str(tmp_path), "400000"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *_, reason, count = [line for line in done.stdout.splitlines() if not line.startswith("20")] or ["", done.stderr]

    assert f"{name}: cannot write" in reason
    assert said in reason
    assert [str(number) for number in range(1, int(count) + 1)] == ids_in(tmp_path, name)
