"""The feeds as the API shows them."""

from collections.abc import Mapping, Sequence

import structlog

from marketd.api.state import Changed, IngestCounts, SubscriptionRow, VenueRow
from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.venues.feed import Feed
from marketd.venues.feeds import Feeds
from marketd.venues.stream import Stream

log = structlog.get_logger("feeds")


class SeenFeeds:
    """A FeedsView over the running feeds."""

    def __init__(self, feeds: Feeds, metrics: Metrics, clock: Clock) -> None:
        self._feeds, self._metrics, self._clock = feeds, metrics, clock

    def subscriptions(self) -> Sequence[SubscriptionRow]:
        return [
            row
            for name, feed in self._feeds.feeds.items()
            for row in [
                *(self._row(name, feed, stream) for stream in feed.intake.streams.values()),
                *(_unlisted(name, symbol) for symbol in sorted(feed.unlisted)),
            ]
        ]

    def _row(self, name: str, feed: Feed, stream: Stream) -> SubscriptionRow:
        wanted = stream.wanted
        book = feed.intake.books.state(wanted.symbol) if wanted.channel == "book" else None
        standby = self._feeds.is_standby(name) and stream.state in ("live", "quiet")
        track = feed.intake.continuity.track(wanted.symbol) if wanted.channel == "trade" else None
        return SubscriptionRow(
            provider=name,
            symbol=wanted.symbol,
            channel=wanted.channel,
            timeframe=wanted.timeframe or None,
            state="dry" if feed.venue.dry else "standby" if standby else stream.state,
            reason=stream.reason,
            last_event=stream.cadence.last_ns,
            lag_ms=None if stream.lag_ns is None else stream.lag_ns / 1e6,
            gaps=stream.gaps,
            missing=0 if track is None else sum(part.length for part in track.missing),
            book_state=None if book is None else book.state,
        )

    def venues(self) -> Sequence[VenueRow]:
        return [self._venue(name, feed) for name, feed in self._feeds.feeds.items()]

    def _venue(self, name: str, feed: Feed) -> VenueRow:
        pulse = self._feeds.pulses[name]
        state, reason = self._state(name, feed)
        return VenueRow(
            name=name,
            state=state,
            reason=reason,
            connections=feed.connections_open,
            events_per_s=pulse.events_per_s,
            lag_ms_p50=pulse.lag_ms(0.5),
            lag_ms_p99=pulse.lag_ms(0.99),
            dropped=feed.intake.frames_bad,
            reconnects=feed.reconnects,
            gaps=sum(stream.gaps for stream in feed.intake.streams.values()),
        )

    def _state(self, name: str, feed: Feed) -> tuple[str, str]:
        if feed.venue.dry:
            return "dry", "dry run: heartbeats only"
        if not feed.loaded.is_set():
            return "connecting", "waits for the venue's list of instruments"
        if not feed.connections_open:
            dead = next((one for one in feed.intake.streams.values() if one.state == "dead"), None)
            return "down", dead.reason if dead is not None else "no connection"
        if self._feeds.is_standby(name):
            return "standby", f"stands by for {self._feeds.configs[name].backup_for}"
        return "connected", f"{feed.connections_open} connection{'' if feed.connections_open == 1 else 's'}"

    def counts(self) -> IngestCounts:
        feeds = self._feeds.feeds.values()
        return IngestCounts(
            active_connections=sum(feed.connections_open for feed in feeds),
            total_messages=sum(feed.intake.frames for feed in feeds),
            error_messages=sum(feed.intake.frames_bad for feed in feeds),
            connection_errors=sum(feed.reconnects for feed in feeds),
        )

    def pairs(self) -> Sequence[str]:
        return list(dict.fromkeys(one.symbol for feed in self._feeds.feeds.values() for one in feed.wanted))

    def configured(self) -> Mapping[str, Sequence[str]]:
        return {name: list(dict.fromkeys(one.symbol for one in feed.wanted)) for name, feed in self._feeds.feeds.items()}

    def listed(self, venue: str) -> Sequence[str] | None:
        feed = self._feeds.feeds[venue]
        return [one.symbol for one in feed.instruments] if feed.loaded.is_set() or feed.venue.dry else None

    def order(self, symbol: str) -> Sequence[str]:
        return self._feeds.order(symbol)

    async def change(self, venue: str | None, symbols: Sequence[str]) -> Changed:
        before = set(self.pairs())
        concerned = [feed for name, feed in self._feeds.feeds.items() if venue in (None, name) and not feed.venue.dry]
        loaded = [feed for feed in concerned if feed.loaded.is_set()]
        unlisted = [one for one in symbols if loaded and not any(one in feed.instruments for feed in loaded)]
        if len(unlisted) == len(symbols) and len(loaded) == len(concerned):
            return Changed(sorted(before), [], [], unlisted)
        self._feeds.change(venue, symbols)
        for symbol in unlisted:
            names = ", ".join(feed.venue.name for feed in loaded)
            log.warning("symbols.unlisted", symbol=symbol, reason=f"none of {names} lists it; it is left out")
        after = set(self.pairs())
        return Changed(sorted(after), sorted(after - before), sorted(before - after), unlisted)


def _unlisted(name: str, symbol: str) -> SubscriptionRow:
    reason = f"{name} does not list it"
    return SubscriptionRow(name, symbol, "trade", None, "unlisted", reason, None, None, 0)
