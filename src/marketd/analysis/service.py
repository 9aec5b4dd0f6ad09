"""The features as a consumer of the bus: batches into the engine, what comes out to whoever listens, and to the API."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import length_hint
from typing import Any, Self

import structlog

from marketd.analysis.features import Engine
from marketd.analysis.payloads import Alert, Features, Signal
from marketd.analysis.publishing import Publisher
from marketd.bus import Full, Subscription
from marketd.clock import Clock
from marketd.errors import place_of, words_of
from marketd.metrics import Few, Metrics
from marketd.model.events import SYSTEM, TYPE_NAMES, BookL2, Event, Gap, Heartbeat, Quote, Share, Status, Trade

GATHER_S = 0.002  # events that come within it are one batch
TICK_S = 0.02  # between two looks at what is due though nothing comes
VENUES_MAX = 64  # that have a metric of their own
FAULT_NS = 300 * 1_000_000_000  # so long /health speaks of the last mistake
SHOWN = 500  # letters of an event that could not be taken
log = structlog.get_logger("features")


class FeatureService:
    """A sink: trades, gaps and status events are never lost on the way to it, the rest under pressure.

    What is published of a symbol is also what the API shows.
    """

    name = "features"
    types: frozenset[type[Event]] | None = frozenset({Trade, Quote, BookL2, Heartbeat, Gap, Status, Share})
    full = Full.SPILL
    gather_s = GATHER_S

    def __init__(self, engine: Engine, publisher: Publisher, clock: Clock, metrics: Metrics, *, capacity: int = 65_536) -> None:
        self.engine, self.publisher, self.capacity = engine, publisher, capacity
        self.events_in = 0
        self._shown: dict[str, Features] = {}  # by symbol: as published last
        self._clock, self._metrics = clock, metrics
        self.share: Callable[[], Mapping[str, object]] | None = None  # which partitions are ours, where a group shares them
        self._subscription: Subscription | None = None
        self._faults: Counter[str] = Counter()  # by type of event, or where nothing came of a symbol
        self._faults_told: set[tuple[str, str]] = set()
        self._fault: tuple[int, str] | None = None  # the last one, and when
        self._drops_told: Counter[tuple[str, str]] = Counter()
        self._venues = Few(VENUES_MAX)
        metrics.features_fill.set_function(lambda: self.fill)
        metrics.tracked_symbols.set_function(lambda: len(engine.symbols))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._publish()

    async def write(self, batch: Sequence[Event]) -> None:
        self.engine.pressed(max(self.fill, len(batch) / self.capacity), self._clock.now_ns(), self.name)
        start = 0
        for at, event in enumerate(batch, 1):
            if event.__class__ is Share:
                self._take(batch[start:at])
                self._forget(event.symbols)
                start = at
        self._take(batch[start:] if start else batch)
        self._count(batch)
        self._publish()

    def watch(self, subscription: Subscription) -> None:
        """The queue before us, whose fill and drops are ours to tell."""
        self._subscription = subscription

    async def run(self) -> None:
        """What is due while nothing comes, and what the queue dropped; until cancelled."""
        while True:
            await self._clock.sleep(TICK_S)
            self._tell_drops()
            self._publish()

    @property
    def fill(self) -> float:
        """Of the queue before us, from 0 to 1."""
        return 0.0 if self._subscription is None else self._subscription.fill

    @property
    def fault(self) -> str:
        """The last mistake of ours, while it is recent; empty without."""
        if self._fault is None or self._clock.now_ns() - self._fault[0] > FAULT_NS:
            return ""
        return f"{self._faults.total():,} events or publications skipped by a mistake of ours, the last: {self._fault[1]}"

    @property
    def symbols(self) -> list[str]:
        """Those that something is known of."""
        return self.engine.symbols

    def features(self, symbol: str) -> Features | None:
        """As published last; None before that."""
        return self._shown.get(symbol)

    def latest(self, symbol: str) -> tuple[str, Trade | None, Quote | None] | None:
        """The venue of a symbol and its newest trade and quote; None for one that nothing came of."""
        return self.engine.latest(symbol)

    @property
    def said(self) -> Sequence[Signal | Alert]:
        """The newest signals and alerts, oldest first."""
        return self.publisher.said

    def statistics(self) -> dict[str, Any]:
        drops = {} if self._subscription is None else self._subscription.dropped
        share = {} if self.share is None else {"partitions": self.share()}
        return {
            "events_in": self.events_in,
            "events_dropped": sum(drops.values()) + self._faults.total(),
            "published": self.publisher.published,
            "publish_errors": self.publisher.errors,
            "publish_withheld": self.publisher.withheld,
            "tracked_symbols": len(self.engine.symbols),
            "untracked_events": self.engine.untracked,
            "evicted_symbols": self.engine.evicted,
            "other_venues_events": self.engine.others,
            **share,
        }

    def _take(self, events: Sequence[Event]) -> None:
        """An event that the engine fails on is skipped, and its symbol's quality says so: a mistake of ours stops nobody."""
        rest = iter(events)
        while True:
            try:
                self.engine.take_all(rest)
            except Exception as error:
                event = events[len(events) - length_hint(rest) - 1]
                self._failed(TYPE_NAMES[event.__class__], error, repr(event)[:SHOWN])
                with suppress(Exception):
                    self.engine.taint("an event could not be taken", None if event.symbol == SYSTEM else [event.symbol])
            else:
                return

    def _publish(self) -> None:
        self._forget(self.engine.gone())
        for symbol in self.engine.due(self._clock.now_ns()):
            try:
                made = self.engine.features(symbol)
                if made is not None:
                    self._shown[symbol] = made
                    self.publisher.features(made)
            except Exception as error:
                self._failed("features", error, symbol)
        for found in self.engine.drain():
            try:
                if isinstance(found, Signal):
                    self.publisher.signal(found)
                else:
                    self.publisher.alert(found)
            except Exception as error:
                self._failed("features", error, repr(found)[:SHOWN])

    def _failed(self, kind: str, error: Exception, what: str) -> None:
        """Counted always, said once for each kind of event and error."""
        self._faults[kind] += 1
        self._fault = self._clock.now_ns(), f"{kind}: {type(error).__name__}"
        self._metrics.features_dropped.labels("fault", kind).inc()
        told = kind, type(error).__name__
        if told not in self._faults_told:
            self._faults_told.add(told)
            log.error("features.fault", kind=kind, what=what, error=f"{place_of(error)}: {words_of(error)}"[:SHOWN])

    def _forget(self, symbols: Sequence[str]) -> None:
        known = set(self.engine.symbols)
        for symbol in symbols:
            if symbol not in known:
                self._shown.pop(symbol, None)

    def _count(self, batch: Sequence[Event]) -> None:
        """By type and venue; the latency of the oldest and the newest of a batch stands for all."""
        for (kind, venue), count in Counter((event.__class__, event.venue) for event in batch).items():
            if kind is not Share:
                self._metrics.features_in.labels(TYPE_NAMES[kind], self._venues.named(venue)).inc(count)
                self.events_in += count
        now = self._clock.now_ns()
        for event in (batch[0], batch[-1]):
            if event.__class__ is not Share:
                self._metrics.features_ms.observe(max(0, now - event.ts_recv) / 1e6)

    def _tell_drops(self) -> None:
        if self._subscription is not None:
            dropped = Counter(self._subscription.dropped)
            for (reason, kind), count in (dropped - self._drops_told).items():
                self._metrics.features_dropped.labels(reason, kind).inc(count)
            self._drops_told = dropped
