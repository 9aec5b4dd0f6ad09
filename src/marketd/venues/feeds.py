"""All the feeds of a daemon: which venue carries which symbols, who stands in for whom, and what is to be seen of it."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b

import structlog

from marketd.clock import Clock
from marketd.errors import ConfigError
from marketd.metrics import Metrics
from marketd.model.events import Channel, Event, Gap, Status
from marketd.model.marks import Mark, Series
from marketd.model.timeframes import DAY, timeframe
from marketd.net.capture import Capture
from marketd.net.quarantine import Quarantine
from marketd.rooms import Room, room
from marketd.venues import source_named
from marketd.venues.failover import Failover, Gate
from marketd.venues.feed import Feed, FeedConfig
from marketd.venues.provider import MarketDataProvider, run_provider
from marketd.venues.raw import keep_raw
from marketd.venues.rest import Rest
from marketd.venues.section import FailoverConfig, VenueConfig
from marketd.venues.venue import Span, Venue, Wanted

LOADED_WITHIN_S = 20.0  # for the venues' lists, before symbols that nobody lists are named
MONTH = 31 * DAY
TIMEFRAMES_BY_DEFAULT = ("1m",)
SAMPLES = 600
log = structlog.get_logger("feeds")


class Pulse:
    """A venue's pace and lag over the last minutes, sampled once a second."""

    def __init__(self) -> None:
        self.events_per_s = 0.0
        self._lags_ms: deque[float] = deque(maxlen=SAMPLES)
        self._count = 0

    def beat(self, feed: Feed) -> None:
        streams = feed.intake.streams.values()
        count = sum(stream.cadence.count for stream in streams)
        self.events_per_s = float(max(0, count - self._count))
        self._count = count
        self._lags_ms.extend(stream.lag_ns / 1e6 for stream in streams if stream.lag_ns is not None)

    def lag_ms(self, share: float) -> float | None:
        """A percentile of the lag; None before there is any."""
        ordered = sorted(self._lags_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None

    @property
    def offset_ms(self) -> float | None:
        """How far the venue's clock seems ahead of ours at least: nothing arrives before it happened."""
        return -min(self._lags_ms) if self._lags_ms else None


class ProviderState:
    """A source of its own kind, and how it is doing: told by its own status events."""

    def __init__(self, provider: MarketDataProvider) -> None:
        self.provider = provider
        self.state, self.reason = "disconnected", "not connected yet"
        self.events = 0

    def passing(self, publish: Callable[[Sequence[Event]], None]) -> Callable[[Sequence[Event]], None]:
        def pass_on(events: Sequence[Event]) -> None:
            for event in events:
                if isinstance(event, Status):
                    self.state, self.reason = event.state, event.reason
                else:
                    self.events += 1
            publish(events)

        return pass_on


class Feeds:
    """The venues of one daemon, in config order."""

    def __init__(
        self,
        configs: Mapping[str, VenueConfig],
        settings: Callable[[str], Mapping[str, str]],
        feed_config: FeedConfig,
        failover_config: FailoverConfig,
        publish: Callable[[Sequence[Event]], None],
        clock: Clock,
        metrics: Metrics,
        *,
        capture: Capture | None = None,
        share: tuple[int, int] = (1, 1),
        quarantine: Quarantine | None = None,
    ) -> None:
        self.configs, self.share = dict(configs), share
        sources = {name: source_named(name, settings(name)) for name in configs}
        self.providers = {name: ProviderState(one) for name, one in sources.items() if isinstance(one, MarketDataProvider)}
        self.venues: dict[str, Venue] = {
            name: keep_raw(one) if feed_config.keep_raw else one
            for name, one in sources.items()
            if not isinstance(one, MarketDataProvider)
        }
        self.feeds: dict[str, Feed] = {}
        self.failovers: list[Failover] = []
        self.pulses: dict[str, Pulse] = {name: Pulse() for name in self.venues}
        self._is_checked = False  # what no venue lists has been named
        self._feed_config, self._failover_config, self._publish = feed_config, failover_config, publish
        self._clock, self._metrics, self._capture, self._quarantine = clock, metrics, capture, quarantine

    @asynccontextmanager
    async def running(self, rests: Mapping[str, Rest], marks: Mapping[Series, Mark], gaps: Iterable[Gap]) -> AsyncIterator[None]:
        """Live until left. `marks` and `gaps` say what the sinks hold and what an earlier run left open."""
        gaps = list(gaps)
        gates: dict[str, Gate] = {}
        for name in self.venues:
            config = self.configs[name]
            if config.backup_for is not None:
                gates[name] = Gate(self._publish)
            self.feeds[name] = self._build(name, config, rests[name], gates.get(name), marks, gaps)
        async with room("feeds") as here:
            for name, feed in self.feeds.items():
                feed.want(self.wanted_of(name, self.configs[name].symbols))
                here.start(name, feed.run())
            for name, state in self.providers.items():
                config = self.configs[name]
                here.start(
                    name,
                    run_provider(
                        state.provider,
                        [symbol for symbol in config.symbols if is_ours(symbol, self.share)],
                        config.wanted,
                        state.passing(self._publish),
                        self._clock,
                        self._metrics,
                    ),
                )
            for name, gate in gates.items():
                self._stand_by(name, gate, here)
            here.start("pulse", self._pulse())
            here.start("symbols", self._check_symbols())
            yield

    def _build(
        self, name: str, config: VenueConfig, rest: Rest, gate: Gate | None, marks: Mapping[Series, Mark], gaps: Sequence[Gap]
    ) -> Feed:
        venue = self.venues[name]
        return Feed(
            venue,
            self._feed_config,
            rest,
            config.ws_url or venue.stream_url,
            self._publish if gate is None else gate.publish,
            self._clock,
            self._metrics,
            capture=self._capture,
            quarantine=self._quarantine,
            marks={symbol: mark for (of, symbol), mark in marks.items() if of == name} if gate is None else {},
            gaps=[
                (gap.symbol, Span(gap.from_id, gap.to_id, gap.from_ts, gap.to_ts))
                for gap in gaps
                if gap.venue == name and gap.channel == "trade"
            ],
        )

    def _stand_by(self, name: str, gate: Gate, here: Room) -> None:
        primary = self.configs[name].backup_for
        assert primary is not None
        failover = Failover(
            self.feeds[primary], self.feeds[name], gate, self._publish, self._failover_config, self._clock, self._metrics
        )
        self.failovers.append(failover)
        here.start(f"failover.{name}", failover.run())

    def wanted_of(self, name: str, symbols: Iterable[str]) -> list[Wanted]:
        """The subscriptions of these symbols at a venue, as far as they are this process's share."""
        config, venue = self.configs[name], self.venues[name]
        wanted = []
        for symbol in symbols:
            if not is_ours(symbol, self.share):
                continue
            for channel in channels_of(venue, config.wanted):
                frames = streamed(venue, config.timeframes or TIMEFRAMES_BY_DEFAULT) if channel == "candle" else [""]
                wanted += [Wanted(channel, symbol, frame) for frame in frames]
        return list(dict.fromkeys(wanted))

    def change(self, name: str | None, symbols: Sequence[str]) -> None:
        """Collect exactly these symbols from a venue, or from every one that is no backup; backups follow their primary.
        Before the feeds run: what they begin with."""
        for one in self.venues:
            config = self.configs[one]
            if one == name or (name is not None and config.backup_for == name) or name is None:
                self.configs[one] = config.model_copy(update={"symbols": tuple(symbols)})
                if one in self.feeds:
                    self.feeds[one].want(self.wanted_of(one, symbols))

    def order(self, symbol: str) -> list[str]:
        """Who answers for a symbol: the active one of a pair first, then config order."""
        active = [one.backup.venue.name for one in self.failovers if one.active is one.backup]
        carrying = [name for name, feed in self.feeds.items() if any(one.symbol == symbol for one in feed.wanted)]
        return sorted(carrying, key=lambda name: name not in active)

    def is_standby(self, name: str) -> bool:
        """Whether this venue is a backup that does not publish now."""
        return any(one.backup.venue.name == name and one.active is one.primary for one in self.failovers)

    async def _pulse(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            for name, feed in self.feeds.items():
                pulse = self.pulses[name]
                pulse.beat(feed)
                offset_ms = pulse.offset_ms
                if offset_ms is not None:
                    self._metrics.clock_offset_ms.labels(name).set(offset_ms)

    async def checked(self, within_s: float) -> None:
        """Wait until it is known what the venues list, at most so long."""
        deadline_s = self._clock.monotonic() + within_s
        while not self._is_checked and self._clock.monotonic() < deadline_s:
            await self._clock.sleep(0.02)

    async def _check_symbols(self) -> None:
        """Name what no venue lists. Raises ConfigError if nothing is left to collect."""
        await self._name_unlisted()
        self._is_checked = True

    async def _name_unlisted(self) -> None:
        deadline_s = self._clock.monotonic() + LOADED_WITHIN_S
        live = [feed for feed in self.feeds.values() if not feed.venue.dry]
        while not all(feed.loaded.is_set() for feed in live) and self._clock.monotonic() < deadline_s:
            await self._clock.sleep(0.05)
        loaded = [feed for feed in live if feed.loaded.is_set()]
        if not loaded:
            return
        asked = {one.symbol for feed in loaded for one in feed.wanted}
        listed = {symbol for symbol in asked if any(symbol in feed.instruments for feed in loaded)}
        for symbol in sorted(asked - listed):
            names = ", ".join(feed.venue.name for feed in loaded)
            log.warning("symbols.unlisted", symbol=symbol, reason=f"none of {names} lists it; it is left out")
        if asked and not listed and len(loaded) == len(live) and not self.providers:
            raise nothing_listed(asked, [feed.venue.name for feed in self.feeds.values() if feed.venue.dry])


def nothing_listed(symbols: Iterable[str], dry: Sequence[str]) -> ConfigError:
    """No venue that is asked lists any of the symbols."""
    return ConfigError(
        f"symbols: no venue lists any of {', '.join(sorted(symbols))}{not_asked(dry)}; "
        "`marketd symbols --exchange NAME` shows them"
    )


def not_asked(dry: Sequence[str]) -> str:
    """The venues that run dry, in brackets; nothing where there is none."""
    if not dry:
        return ""
    return f" ({', '.join(dry)} {'runs' if len(dry) == 1 else 'run'} dry and {'is' if len(dry) == 1 else 'are'} not asked)"


def channels_of(source: Venue | MarketDataProvider, wanted: Sequence[Channel]) -> list[Channel]:
    """Those of the channels that a venue streams. Where it streams no candles they are built from its trades."""
    if isinstance(source, MarketDataProvider):  # its own business
        return list(wanted)
    there: list[Channel] = ["trade" if one == "candle" and one not in source.channels else one for one in wanted]
    return [one for one in dict.fromkeys(there) if one in source.channels]


def streamed(venue: Venue, timeframes: Sequence[str]) -> list[str]:
    """Those of the timeframes whose candles the venue streams side by side, shortest first; the others come by REST."""
    there = sorted((one for one in timeframes if one in venue.timeframes), key=lambda one: timeframe(one).step or MONTH)
    limit = venue.candle_streams
    return there[:limit] if limit is None or isinstance(limit, int) else [one for one in there if one in limit]


def is_ours(symbol: str, share: tuple[int, int]) -> bool:
    """Rendezvous hashing: of `count` processes the one with the highest hash carries the symbol, so that adding one moves
    only the symbols that it takes over."""
    index, count = share
    if count == 1:
        return True
    return index == max(range(1, count + 1), key=lambda place: blake2b(f"{place}/{symbol}".encode(), digest_size=8).digest())
