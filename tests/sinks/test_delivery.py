"""The loop that carries events to the sinks."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import pytest
from structlog.testing import capture_logs

from marketd.bus import FROM_DISK, Bus, Full
from marketd.clock import Clock, ManualClock, SystemClock
from marketd.errors import Declined, DeliveryError, StartError, Unreachable
from marketd.metrics import Metrics
from marketd.model.events import Event, Share, Trade
from marketd.sinks.delivery import DELAY_S_AWAY, TRIES, DeliveryConfig, run_sinks
from marketd.sinks.spill import FileSpill
from tests.daemons import eventually
from tests.samples import quote, trade, trades


class MemorySink:
    """Keeps what it is given; `trouble` is asked before each write and may raise or wait."""

    types: frozenset[type[Event]] | None = None
    gather_s = 0.0

    def __init__(self, name: str, full: Full = Full.SPILL, capacity: int = 1000) -> None:
        self.name, self.full, self.capacity = name, full, capacity
        self.events: list[Event] = []
        self.calls = 0
        self.opened = self.closed = 0
        self.trouble: Callable[[int], BaseException | None] = lambda call: None
        self.hang = False

    async def __aenter__(self) -> Self:
        self.opened += 1
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        self.calls += 1
        if self.hang:
            await asyncio.Event().wait()
        if (error := self.trouble(self.calls)) is not None:
            raise error
        self.events.extend(batch)

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1


async def settle(clock: ManualClock, condition: Callable[[], bool]) -> None:
    for _ in range(5000):
        if condition():
            return
        await clock.advance(0.05)
    raise AssertionError("it never happened")


async def test_what_is_published_arrives_in_order(tmp_path: Path, clock: ManualClock) -> None:
    bus, sink = Bus(Metrics()), MemorySink("one")
    async with run_sinks([sink], bus, clock, data_dir=tmp_path) as sinks:
        for at in range(10):
            bus.publish(trades(at * 10, at * 10 + 9))
            await asyncio.sleep(0)

    assert trades(0, 99) == sink.events
    assert (1, 1) == (sink.opened, sink.closed)
    assert 100 == sinks.states[0].delivered


async def test_a_sink_that_fails_is_offered_the_same_batch_again(tmp_path: Path, clock: ManualClock) -> None:
    metrics = Metrics()
    bus, sink = Bus(metrics), MemorySink("one")
    sink.trouble = lambda call: DeliveryError("the far end is gone") if call <= 20 else None
    async with run_sinks([sink], bus, clock, data_dir=tmp_path) as sinks:
        bus.publish(trades(1, 5))
        await settle(clock, lambda: sink.calls == 3)
        said = (sinks.states[0].healthy, sinks.states[0].reason)
        await settle(clock, lambda: sink.calls == 21)

    assert (False, "the far end is gone") == said
    assert trades(1, 5) == sink.events
    assert sinks.states[0].healthy
    assert 20 == metrics.registry.get_sample_value("marketd_write_retries_total", {"consumer": "one"})


@pytest.mark.parametrize("error", [DeliveryError("gone"), ValueError("our own mistake")])
async def test_only_a_sink_that_may_lose_gives_up(tmp_path: Path, clock: ManualClock, error: Exception) -> None:
    metrics = Metrics()
    bus, shed, spill = Bus(metrics), MemorySink("shed", Full.SHED), MemorySink("spill")
    shed.trouble = spill.trouble = lambda call: error
    async with run_sinks([shed, spill], bus, clock, data_dir=tmp_path) as sinks:
        bus.publish(trades(1, 3))
        await settle(clock, lambda: spill.calls == TRIES + 2)
        shed.trouble = lambda call: None
        bus.publish(trades(4, 4))
        await settle(clock, lambda: len(shed.events) == 1)
        spill.trouble = lambda call: None
        await settle(clock, lambda: len(spill.events) == 4)
        shed_state = sinks.states[0]

    assert trades(4, 4) == shed.events
    assert 3 == shed_state.given_up
    assert 3 == metrics.registry.get_sample_value(
        "events_dropped_total", {"consumer": "shed", "reason": "gave_up", "type": "trade"}
    )
    assert trades(1, 4) == spill.events


async def test_one_that_hangs_delays_the_exit_by_the_deadline_only_and_its_events_are_kept(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    bus, hanging, well = Bus(Metrics()), MemorySink("hanging"), MemorySink("well")
    hanging.hang = True
    async with run_sinks([hanging, well], bus, clock, data_dir=tmp_path, config=DeliveryConfig(drain_s=0.2)) as sinks:
        bus.publish(trades(1, 5))
        await asyncio.sleep(0)
        bus.publish(trades(6, 9))

    assert trades(1, 9) == well.events
    assert "hanging: 9 events not written after 0.2 s; kept in its spill" == sinks.states[0].reason

    again = MemorySink("hanging")
    async with run_sinks([again], bus, clock, data_dir=tmp_path):
        bus.publish(trades(10, 12))

    assert trades(1, 12) == again.events


async def test_the_spill_of_an_earlier_run_comes_first_and_once(tmp_path: Path) -> None:
    bus, slow = Bus(Metrics()), MemorySink("slow", capacity=16)
    slow.hang = True
    async with run_sinks([slow], bus, SystemClock(), data_dir=tmp_path, config=DeliveryConfig(drain_s=0.0)):
        for at in range(1, 101):
            bus.publish([trade(at)])
            await asyncio.sleep(0)
    for expected in (trades(1, 100), []):
        bus, sink = Bus(Metrics()), MemorySink("slow", capacity=16)
        async with run_sinks([sink], bus, SystemClock(), data_dir=tmp_path):
            await asyncio.sleep(0)

        assert expected == sink.events


async def test_a_late_sink_without_a_spill_has_its_events_counted(tmp_path: Path) -> None:
    metrics = Metrics()
    bus, sink = Bus(metrics), MemorySink("console", Full.SHED)
    sink.hang = True
    async with run_sinks([sink], bus, SystemClock(), data_dir=tmp_path, config=DeliveryConfig(drain_s=0.05)):
        bus.publish([trade(1), quote(2)])

    labels = {"consumer": "console", "reason": "late"}
    counted = [metrics.registry.get_sample_value("events_dropped_total", {**labels, "type": kind}) for kind in ("trade", "quote")]

    assert [1, 1] == counted


async def test_a_sink_that_cannot_open_yet_is_tried_again(tmp_path: Path, clock: ManualClock) -> None:
    class Late(MemorySink):
        async def __aenter__(self) -> Self:
            await super().__aenter__()
            if self.opened < 4:
                raise DeliveryError("late: nobody listens")
            return self

    bus, sink = Bus(Metrics()), Late("late")
    async with run_sinks([sink], bus, clock, data_dir=tmp_path) as sinks:
        reason = sinks.states[0].reason
        bus.publish(trades(1, 3))
        await settle(clock, lambda: len(sink.events) == 3)

    assert "late: nobody listens" == reason
    assert trades(1, 3) == sink.events


async def test_a_store_stays_open_for_whoever_opened_it(tmp_path: Path, clock: ManualClock) -> None:
    bus, store = Bus(Metrics()), MemorySink("store")
    async with run_sinks([], bus, clock, data_dir=tmp_path, stores=[store]):
        bus.publish(trades(1, 1))

    assert (0, 0, 1) == (store.opened, store.closed, len(store.events))


async def test_the_time_to_stored_is_measured_from_the_oldest(tmp_path: Path) -> None:
    metrics, clock = Metrics(), ManualClock()
    bus, sink = Bus(metrics), MemorySink("one")
    async with run_sinks([sink], bus, clock, data_dir=tmp_path) as sinks:
        bus.publish([trade(1, ts_recv=clock.now_ns() - 4_000_000), trade(2, ts_recv=clock.now_ns())])

    assert 4.0 == sinks.states[0].stored_ms.percentile(0.99)
    assert 1 == metrics.registry.get_sample_value("marketd_stored_latency_ms_count", {"consumer": "one"})


async def test_a_data_directory_that_cannot_be_used_is_said_before_anything_starts(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "spill").write_text("a file where a directory should be")
    with pytest.raises(StartError, match=r"one: cannot use .*; change --data-dir or MARKETD_DATA_DIR"):
        async with run_sinks([MemorySink("one")], Bus(Metrics()), clock, data_dir=tmp_path):
            pass


class OneTurn:
    """Counts the turns of the loop, and how much a sink got in the busiest of them."""

    def __init__(self, sink: MemorySink) -> None:
        self.turns = self.most = 0
        self._sink = sink

    async def count(self, done: Callable[[], bool]) -> None:
        while not done() and self.turns < 5000:
            before = len(self._sink.events)
            await asyncio.sleep(0)
            self.turns += 1
            self.most = max(self.most, len(self._sink.events) - before)


async def test_a_spill_is_drained_in_small_steps_with_a_turn_for_the_others_after_each(tmp_path: Path) -> None:
    bus, sink = Bus(Metrics()), MemorySink("slow", capacity=16)
    FileSpill(tmp_path / "spill" / "slow", "slow").append(trades(1, 5000))
    turn = OneTurn(sink)
    counting = asyncio.ensure_future(turn.count(lambda: len(sink.events) == 5000))
    async with run_sinks([sink], bus, SystemClock(), data_dir=tmp_path):
        await counting

    assert trades(1, 5000) == sink.events
    assert 0 < turn.most <= FROM_DISK


class GatedSink(MemorySink):
    """Writes only while its gate is open, and then without waiting."""

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(name, capacity=capacity)
        self.gate = asyncio.Event()

    async def write(self, batch: Sequence[Event]) -> None:
        await self.gate.wait()
        await super().write(batch)


async def test_a_sink_that_spilled_catches_up_while_events_go_on_arriving(tmp_path: Path) -> None:
    bus, sink = Bus(Metrics()), GatedSink("slow", capacity=100)
    async with run_sinks([sink], bus, SystemClock(), data_dir=tmp_path) as sinks:
        subscription = sinks.states[0].subscription
        arrived = 0
        while arrived < 2000 and (arrived < 200 or not subscription.drained):
            bus.publish(trades(arrived * 100, arrived * 100 + 99))
            arrived += 1
            if arrived == 200:
                spilled = len(subscription.spill or ())
                sink.gate.set()
            await asyncio.sleep(0.001)

    assert spilled > 19_000
    assert arrived < 2000
    assert trades(0, arrived * 100 - 1) == sink.events


async def test_the_deadline_holds_also_for_a_sink_that_never_waits(tmp_path: Path) -> None:
    bus, sink = Bus(Metrics()), GatedSink("eager", capacity=16)
    config = DeliveryConfig(drain_s=0.0)
    async with run_sinks([sink], bus, SystemClock(), data_dir=tmp_path, config=config):
        for at in range(200):
            bus.publish(trades(at * 100, at * 100 + 99))
            await asyncio.sleep(0)
        sink.gate.set()
    left = len(FileSpill(tmp_path / "spill" / "eager", "eager"))

    assert left > 0
    assert 20_000 == len(sink.events) + left


async def test_a_server_that_is_away_is_asked_often_and_said_by_whoever_connects_to_it(
    tmp_path: Path, clock: ManualClock
) -> None:
    bus, sink = Bus(Metrics()), MemorySink("one")
    sink.trouble = lambda call: Unreachable("the server is away") if call <= 20 else None
    with capture_logs() as lines:
        async with run_sinks([sink], bus, clock, data_dir=tmp_path) as sinks:
            bus.publish(trades(1, 5))
            await settle(clock, lambda: sink.calls == 10)
            started_s = clock.monotonic()
            said = (sinks.states[0].healthy, sinks.states[0].reason)
            await settle(clock, lambda: sink.calls == 20)
            took_s = clock.monotonic() - started_s
            await settle(clock, lambda: sinks.states[0].healthy)

    assert (False, "the server is away") == said
    assert took_s < 10 * (DELAY_S_AWAY + 0.2)
    assert [] == [line for line in lines if line["log_level"] == "warning"]
    assert trades(1, 5) == sink.events


@pytest.mark.parametrize("kind", [Unreachable, Declined])
async def test_at_the_end_nobody_waits_for_a_server_that_is_away_or_takes_nothing(
    tmp_path: Path, kind: type[DeliveryError]
) -> None:
    bus, clock = Bus(Metrics()), SystemClock()
    away, also = MemorySink("away"), MemorySink("also")
    away.trouble = lambda call: kind("the server is away")
    async with asyncio.timeout(5):
        async with run_sinks([away, also], bus, clock, data_dir=tmp_path, config=DeliveryConfig(drain_s=60)) as sinks:
            bus.publish(trades(1, 5))
            await eventually(lambda: away.calls)
            bus.publish(trades(6, 7))
    again = MemorySink("away")
    async with run_sinks([again], bus, clock, data_dir=tmp_path):
        pass

    assert (False, "the server is away") == (sinks.states[0].healthy, sinks.states[0].reason)
    assert trades(1, 7) == again.events == also.events


async def test_at_the_end_a_pause_between_two_tries_is_cut_short(tmp_path: Path, clock: ManualClock) -> None:
    """The clock stands still while it leaves."""
    bus, sink = Bus(Metrics()), MemorySink("full")
    sink.trouble = lambda call: Declined("out of memory")
    async with asyncio.timeout(20), run_sinks([sink], bus, clock, data_dir=tmp_path):
        bus.publish(trades(1, 5))
        await settle(clock, lambda: sink.calls >= 5)

    assert 5 == len(FileSpill(tmp_path / "spill" / "full", "full"))


async def test_a_sink_may_be_started_later(tmp_path: Path, clock: ManualClock) -> None:
    bus, first, later = Bus(Metrics()), MemorySink("first"), MemorySink("later")
    async with run_sinks([first], bus, clock, data_dir=tmp_path) as sinks:
        bus.publish(trades(1, 2))
        sinks.start(later)
        bus.publish(trades(3, 4))

    assert trades(1, 4) == first.events
    assert trades(3, 4) == later.events
    assert (["first", "later"], 1, 1) == ([one.name for one in sinks.states], later.opened, later.closed)


async def test_who_gives_up_a_batch_still_gets_what_it_looks_after(tmp_path: Path, clock: ManualClock) -> None:
    metrics = Metrics()
    bus, sink = Bus(metrics), MemorySink("features", Full.SHED)
    sink.types = frozenset({Trade, Share})
    sink.trouble = lambda call: ValueError("our own mistake") if call <= 8 else None
    ready = Share("marketd", "__system__", None, 1, "ready", ["BTCUSDT"])
    async with run_sinks([sink], bus, clock, data_dir=tmp_path):
        bus.publish([trade(1), ready, trade(2)])
        await settle(clock, lambda: sink.calls == 9)

    assert [ready] == sink.events
    labels = {"consumer": "features", "reason": "gave_up"}
    assert 2 == metrics.registry.get_sample_value("events_dropped_total", {**labels, "type": "trade"})
    assert metrics.registry.get_sample_value("events_dropped_total", {**labels, "type": "share"}) is None
