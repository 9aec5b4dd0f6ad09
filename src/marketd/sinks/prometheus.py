"""Counts what passes for the metrics that existing dashboards ask for."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Self

import prometheus_client as prometheus
from pydantic import Field

from marketd.bus import Full
from marketd.clock import Clock
from marketd.metrics import SYMBOLS_MAX, Few, Metrics
from marketd.model.events import EVENT_TYPES, TYPE_NAMES, BookDelta, Event, Gap, Trade
from marketd.section import Section

SECOND = 1_000_000_000
VENUES_MAX = 64  # that have series of their own


class PrometheusConfig(Section):
    enabled: bool = True
    """Count events for /metrics."""
    symbols_max: int = Field(
        SYMBOLS_MAX, ge=1, description="symbols with a series of their own; further ones are counted under `other`"
    )


class Prometheus:
    """Counts by batch, so that an event costs little more than a look at its class."""

    name = "prometheus"
    full = Full.SHED
    gather_s = 0.05
    capacity = 65_536
    types: frozenset[type[Event]] | None = frozenset(EVENT_TYPES) - {BookDelta}

    def __init__(self, config: PrometheusConfig, metrics: Metrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._events: dict[tuple[str, type[Event], str], prometheus.Counter] = {}
        self._venues, self._symbols = Few(VENUES_MAX), Few(config.symbols_max)
        self._rates: dict[str, Rate] = defaultdict(lambda: Rate(clock))

    async def __aenter__(self) -> Self:
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        """The latency is taken of the newest event of each series in a batch: of all when it is quiet, of some in a flood."""
        counts: Counter[tuple[str, type[Event], str]] = Counter()
        newest: dict[tuple[str, type[Event], str], Any] = {}
        for event in batch:
            key = (self._venues.named(event.venue), event.__class__, self._symbols.named(event.symbol))
            counts[key] += 1
            newest[key] = event
            if isinstance(event, Gap) and event.state == "found" and not event.is_repairing:
                self._metrics.gaps.labels(key[0]).inc()
        for key, count in counts.items():
            venue, kind, symbol = key
            if key not in self._events:
                self._events[key] = self._metrics.events.labels(venue, TYPE_NAMES[kind], symbol)
            self._events[key].inc(count)
            self._rate_of(venue).add(count)
            event = newest[key]
            if event.ts_event is not None and not (kind is Trade and event.repaired):
                self._metrics.latency_ms.labels(venue).observe((event.ts_recv - event.ts_event) / 1e6)

    async def __aexit__(self, *_: object) -> None:
        return

    def _rate_of(self, venue: str) -> "Rate":
        if venue not in self._rates:
            self._metrics.events_per_second.labels(venue).set_function(self._rates[venue].per_second)
        return self._rates[venue]


class Rate:
    """Events in the last whole second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = 0
        self._count = self._last = 0

    def add(self, count: int) -> None:
        self._turn()
        self._count += count

    def per_second(self) -> float:
        self._turn()
        return float(self._last)

    def _turn(self) -> None:
        second = self._clock.now_ns() // SECOND
        if second != self._second:
            self._last = self._count if second == self._second + 1 else 0
            self._second, self._count = second, 0
