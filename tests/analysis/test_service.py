"""The features as a sink on a real bus: what is published when, what is counted, what a full queue means."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from marketd.analysis.features import Engine
from marketd.analysis.payloads import Alert, Features, Signal
from marketd.analysis.publishing import Publisher
from marketd.analysis.section import FeaturesConfig
from marketd.analysis.service import VENUES_MAX, FeatureService
from marketd.bus import Bus, Full
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.events import SYSTEM, Event, Gap, Share
from marketd.rooms import room
from marketd.sinks.delivery import run_sinks
from tests.samples import MS, T0, book, gap, heartbeat, quote, trade, trades


class Told(Publisher):
    """Keeps what it is told."""

    def __init__(self, clock: ManualClock, metrics: Metrics) -> None:
        super().__init__(None, clock, metrics)
        self.all: list[Features] = []
        self.signals: list[Signal] = []
        self.alerts: list[Alert] = []

    def features(self, made: Features) -> None:
        self.all.append(made)

    def signal(self, made: Signal) -> None:
        self.signals.append(made)

    def alert(self, made: Alert) -> None:
        self.alerts.append(made)


class Bench:
    def __init__(self, clock: ManualClock, capacity: int = 1000, **config: object) -> None:
        self.clock, self.metrics = clock, Metrics()
        self.told = Told(clock, self.metrics)
        engine = Engine(FeaturesConfig.model_validate(config))
        self.service = FeatureService(engine, self.told, clock, self.metrics, capacity=capacity)
        self.bus = Bus(self.metrics)

    @asynccontextmanager
    async def running(self, data_dir: Path) -> AsyncIterator[None]:
        async with run_sinks([self.service], self.bus, self.clock, data_dir=data_dir), room("test") as here:
            self.service.watch(self.bus.subscriptions[0])
            here.start("features", self.service.run())
            yield


async def test_features_are_published_at_most_at_the_rate_and_the_latest_last(clock: ManualClock, tmp_path: Path) -> None:
    bench = Bench(clock)
    async with bench.running(tmp_path):
        for number in range(1, 301):  # 3 s of event time, a trade each 10 ms
            bench.bus.publish([trade(number * 10)])
            await clock.advance(0.01)
        await clock.advance(1)
    stamps = [one.ts for one in bench.told.all]

    assert sorted(stamps) == stamps
    assert 28 <= len(stamps) <= 31
    assert T0 + 3000 * MS == stamps[-1]


async def test_what_is_shown_is_what_was_published(clock: ManualClock, tmp_path: Path) -> None:
    bench = Bench(clock)
    async with bench.running(tmp_path):
        assert bench.service.features("BTCUSDT") is None
        bench.bus.publish([trade(1), quote(2), trade(3)])
        await clock.advance(0.05)
        first = bench.service.features("BTCUSDT")
        bench.bus.publish([trade(4)])
        await clock.advance(0.01)

        assert first == bench.told.all[0] == bench.service.features("BTCUSDT")
        assert ("binance", trade(4), quote(2)) == bench.service.latest("BTCUSDT")


async def test_events_are_counted_by_type_and_provider(clock: ManualClock, tmp_path: Path) -> None:
    bench = Bench(clock)
    async with bench.running(tmp_path):
        bench.bus.publish([*trades(1, 3), quote(1), book(1), heartbeat(1)])
        bench.bus.publish([trade(n, venue=f"v{n}", symbol=f"S{n}") for n in range(VENUES_MAX + 10)])
        await clock.advance(0.1)
    text = bench.metrics.text().decode()

    assert 'senpai_events_in_total{provider="binance",type="trade"} 3.0' in text
    assert 'senpai_events_in_total{provider="binance",type="book_l2"} 1.0' in text
    assert 'senpai_events_in_total{provider="other",type="trade"} 11.0' in text
    assert f"senpai_tracked_symbols {VENUES_MAX + 11:.1f}" in text
    assert "senpai_processing_latency_ms_count" in text


async def test_a_full_queue_drops_quotes_and_never_trades_and_is_an_alert(clock: ManualClock, tmp_path: Path) -> None:
    bench = Bench(clock, capacity=100)
    many: list[Event] = []
    for number in range(1, 501):
        many += [trade(number), quote(number), heartbeat(number)]
    async with bench.running(tmp_path):
        bench.bus.publish(many)
        full = bench.service.fill
        await clock.advance(2)
        text = bench.metrics.text().decode()
        found = bench.service.features("BTCUSDT")

    assert 1.0 == full
    assert found is not None
    assert 500 == found.features.trade_count_10s
    assert ["backpressure"] == [one.kind for one in bench.told.alerts if one.symbol == SYSTEM]
    assert "senpai_events_dropped_total" in text
    assert 'type="quote"' in text
    assert not [line for line in text.splitlines() if line.startswith("senpai_events_dropped_total{") and 'type="trade"' in line]
    assert "senpai_queue_fill_ratio 0.0" in text


async def test_a_gap_is_an_alert_and_stands_in_the_quality(clock: ManualClock, tmp_path: Path) -> None:
    bench = Bench(clock)
    async with bench.running(tmp_path):
        bench.bus.publish([trade(1), gap(2, 3)])
        await clock.advance(0.2)
        found = bench.service.features("BTCUSDT")

    assert found is not None
    assert found.quality.gap
    assert ["gap"] == [one.kind for one in bench.told.alerts]


@pytest.mark.parametrize("way", [1, -1])
async def test_a_move_of_the_price_is_a_signal_and_no_move_is_none(clock: ManualClock, tmp_path: Path, way: int) -> None:
    bench = Bench(clock)
    async with bench.running(tmp_path):
        bench.bus.publish([quote(1), *(trade(n * 1000, price="37123.45", size="1") for n in range(1, 30))])
        await clock.advance(0.1)
        assert [] == bench.told.signals
        moved = f"{37123.45 * (1 + way * 0.004):.2f}"
        bench.bus.publish([trade(30_000, price=moved, size="1")])
        await clock.advance(0.1)

    assert [("BTCUSDT", "long" if way > 0 else "short")] == [(one.symbol, one.direction) for one in bench.told.signals]


async def test_symbols_that_another_member_took_over_are_no_longer_shown(clock: ManualClock, tmp_path: Path) -> None:
    bench = Bench(clock)
    async with bench.running(tmp_path):
        bench.bus.publish([trade(1), trade(1, symbol="ETHUSDT")])
        await clock.advance(0.1)
        bench.bus.publish([Share("here", SYSTEM, None, T0, "released", ["BTCUSDT"])])
        await clock.advance(0.1)

        assert (None, ["ETHUSDT"]) == (bench.service.features("BTCUSDT"), bench.service.symbols)


class Failing(Engine):
    """Has a mistake about gaps, and one about a symbol."""

    def _on_gap(self, gap: Gap) -> None:
        raise OverflowError("too long")

    def features(self, symbol: str) -> Features | None:
        if symbol == "ETHUSDT":
            raise ZeroDivisionError
        return super().features(symbol)


@pytest.mark.parametrize("full", [Full.SPILL, Full.SHED])
async def test_a_mistake_about_one_event_is_said_once_and_stops_no_other(clock: ManualClock, tmp_path: Path, full: Full) -> None:
    bench = Bench(clock)
    bench.service.engine = Failing(FeaturesConfig())
    bench.service.full = full
    with capture_logs() as told:
        async with bench.running(tmp_path):
            bench.bus.publish(
                [Share("here", SYSTEM, None, T0, "assigned", ["BTCUSDT"]), trade(1), gap(2, 3), trade(4), gap(5, 6)]
            )
            bench.bus.publish([Share("here", SYSTEM, None, T0, "ready", ["BTCUSDT"]), trade(5), trade(5, symbol="ETHUSDT")])
            await clock.advance(0.2)
            found = bench.service.features("BTCUSDT")
            said = bench.service.fault
            await clock.advance(301)

            assert "" == bench.service.fault
    text = bench.metrics.text().decode()

    assert found is not None
    assert 3 == found.features.trade_count_10s
    assert found.quality.gap
    assert "ZeroDivisionError" in said
    assert ["gap", "features"] == [line["kind"] for line in told if line["event"] == "features.fault"]
    assert 'senpai_events_dropped_total{reason="fault",type="gap"} 2.0' in text
