"""The features as a consumer of the bus: batches into the engine, what comes out to whoever listens, and to the API."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from marketd.analysis.features import Engine
from marketd.analysis.payloads import Features, Signal
from marketd.analysis.publishing import Publisher
from marketd.bus import Full, Subscription
from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.model.events import TYPE_NAMES, BookL2, Event, Gap, Heartbeat, Quote, Share, Status, Trade

GATHER_S = 0.002  # events that come within it are one batch
TICK_S = 0.02  # between two looks at what is due though nothing comes
VENUES_MAX = 64  # that have a metric of their own


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
        self._drops_told: Counter[tuple[str, str]] = Counter()
        self._venues: set[str] = set()
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
                self.engine.take_all(batch[start:at])
                self._forget(event.symbols)
                start = at
        self.engine.take_all(batch[start:] if start else batch)
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
    def symbols(self) -> list[str]:
        """Those that something is known of."""
        return self.engine.symbols

    def features(self, symbol: str) -> Features | None:
        """As published last; None before that."""
        return self._shown.get(symbol)

    def latest(self, symbol: str) -> tuple[str, Trade | None, Quote | None] | None:
        """The venue of a symbol and its newest trade and quote; None for one that nothing came of."""
        return self.engine.latest(symbol)

    def statistics(self) -> dict[str, Any]:
        drops = {} if self._subscription is None else self._subscription.dropped
        share = {} if self.share is None else {"partitions": self.share()}
        return {
            "events_in": self.events_in,
            "events_dropped": sum(drops.values()),
            "published": self.publisher.published,
            "publish_errors": self.publisher.errors,
            "publish_withheld": self.publisher.withheld,
            "tracked_symbols": len(self.engine.symbols),
            "untracked_events": self.engine.untracked,
            "other_venues_events": self.engine.others,
            **share,
        }

    def _publish(self) -> None:
        for symbol in self.engine.due(self._clock.now_ns()):
            made = self.engine.features(symbol)
            if made is not None:
                self._shown[symbol] = made
                self.publisher.features(made)
        for found in self.engine.drain():
            if isinstance(found, Signal):
                self.publisher.signal(found)
            else:
                self.publisher.alert(found)

    def _forget(self, symbols: Sequence[str]) -> None:
        known = set(self.engine.symbols)
        for symbol in symbols:
            if symbol not in known:
                self._shown.pop(symbol, None)

    def _count(self, batch: Sequence[Event]) -> None:
        """By type and venue; the latency of the oldest and the newest of a batch stands for all."""
        for (kind, venue), count in Counter((event.__class__, event.venue) for event in batch).items():
            if kind is not Share:
                self._metrics.features_in.labels(TYPE_NAMES[kind], self._named(venue)).inc(count)
                self.events_in += count
        now = self._clock.now_ns()
        for event in (batch[0], batch[-1]):
            if event.__class__ is not Share:
                self._metrics.features_ms.observe(max(0, now - event.ts_recv) / 1e6)

    def _named(self, venue: str) -> str:
        """Producers can call themselves what they like; the labels of a metric are few."""
        if venue not in self._venues:
            if len(self._venues) >= VENUES_MAX:
                return "other"
            self._venues.add(venue)
        return venue

    def _tell_drops(self) -> None:
        if self._subscription is not None:
            dropped = Counter(self._subscription.dropped)
            for (reason, kind), count in (dropped - self._drops_told).items():
                self._metrics.features_dropped.labels(reason, kind).inc(count)
            self._drops_told = dropped
