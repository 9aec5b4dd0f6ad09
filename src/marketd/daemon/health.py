"""Whether the daemon does what it is for: judged by data, not by open sockets."""

import asyncio
from collections.abc import Mapping

from marketd.api.state import Component
from marketd.api.state import Health as Word
from marketd.clock import Clock
from marketd.daemon.analysing import Analysing
from marketd.daemon.archive import Archiving
from marketd.daemon.caching import Caching
from marketd.daemon.features import Featuring
from marketd.daemon.paper import Papering
from marketd.daemon.polling import Polling
from marketd.daemon.redis import Streaming
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.net.nats import LinkState, NatsLink
from marketd.sinks.delivery import Deliveries
from marketd.venues.discovery import Discovery
from marketd.venues.feed import Feed
from marketd.venues.feeds import Feeds, ProviderState

PING_S = 7.0  # a database that takes longer is of no use now; more than the wait for a free connection, which tells why
WORTH: dict[Word, float] = {"ok": 1.0, "degraded": 0.5, "unhealthy": 0.0}
DRY = "dry run: heartbeats only"


class Health:
    """A HealthView. Required is that at least one venue has fresh data; a venue or a sink in trouble degrades.

    `needs_venues=False`: the process is there for what is stored, and answers from it while all its venues are away.
    """

    def __init__(
        self,
        sinks: Deliveries,
        feeds: Feeds | None,
        clock: Clock,
        archiving: Archiving | None = None,
        discovery: Discovery | None = None,
        link: NatsLink | None = None,
        featuring: Featuring | None = None,
        streaming: Streaming | None = None,
        caching: Caching | None = None,
        analysing: Analysing | None = None,
        polling: Polling | None = None,
        papering: Papering | None = None,
        *,
        needs_venues: bool = True,
    ) -> None:
        self._sinks, self._feeds, self._clock, self._archiving = sinks, feeds, clock, archiving
        self._discovery, self._link, self._featuring, self._streaming = discovery, link, featuring, streaming
        self._caching, self._analysing, self._polling = caching, analysing, polling
        self._papering, self._needs_venues = papering, needs_venues
        self._archive_down = ""  # why the archive's database does not answer
        self._since: dict[str, tuple[Word, int]] = {}

    async def watch(self, metrics: Metrics) -> None:
        """Look once a second, so that `since` is when something changed and not when somebody asked; alerts ask the metric."""
        while True:
            if self._archiving is not None:
                try:
                    async with asyncio.timeout(PING_S):
                        await self._archiving.archive.ping()
                    self._archive_down = ""
                except DeliveryError as error:
                    self._archive_down = str(error)
                except TimeoutError:
                    self._archive_down = f"the archive's database gives no answer in time ({PING_S:g} s)"
            for name, one in self.components().items():
                metrics.component_health.labels(name, "yes" if one.required else "no").set(WORTH[one.status])
            await self._clock.sleep(1.0)

    def components(self) -> dict[str, Component]:
        found: dict[str, Component] = {}
        if self._feeds is not None:
            states = {name: self._of_feed(name, feed) for name, feed in self._feeds.feeds.items()}
            states |= {name: self._of_provider(state) for name, state in self._feeds.providers.items()}
            for name, (word, reason) in states.items():
                found[f"venue.{name}"] = self._component(f"venue.{name}", word, False, reason)
            found["venues"] = self._component("venues", *self._of_venues(states))
        if self._discovery is not None:
            found["discovery"] = self._component("discovery", *_of_discovery(self._discovery))
        if self._archiving is not None:
            word, reason = self._of_archive(self._archiving)
            found["archive"] = self._component("archive", word, True, reason)
        if self._link is not None:
            found["nats"] = self._component("nats", *self._of_nats(self._link.state))
        if self._featuring is not None:
            word, reason = self._featuring.state
            found["features"] = self._component("features", word, True, reason)
        is_whole = self._polling is None or self._polling.required  # what lives off the cache is what the process is for
        if self._papering is not None:
            word, reason = self._papering.state
            found["trader"] = self._component("trader", word, is_whole, reason)
        of_cache = None if self._caching is None or self._caching.link is None else self._caching.health
        if self._streaming is not None:
            of_sink = next((state for state in self._sinks.states if state.name == self._streaming.sink.name), None)
            word, required, reason = self._streaming.health(of_sink)
            found["redis"] = self._component("redis", word, required or of_cache is not None, reason)
        elif of_cache is not None:
            found["redis"] = self._component("redis", of_cache[0], True, of_cache[1])
        if self._analysing is not None:
            for role, (word, reason) in self._analysing.states.items():
                found[role] = self._component(role, word, is_whole, reason)
        if self._polling is not None:
            word, reason = self._polling.state
            found[self._polling.name] = self._component(self._polling.name, word, self._polling.required, reason)
        for state in self._sinks.states:
            is_well: Word = "ok" if state.healthy else "unhealthy"
            found[f"sink.{state.name}"] = self._component(f"sink.{state.name}", is_well, False, state.reason or "writing")
        return found

    def _of_venues(self, states: Mapping[str, tuple[Word, str]]) -> tuple[Word, bool, str]:
        """One venue with fresh data, or nothing but dry ones, which is what was asked for."""
        assert self._feeds is not None
        dry = [name for name, feed in self._feeds.feeds.items() if feed.venue.dry]
        fresh = [name for name, (word, _) in states.items() if word != "unhealthy" and name not in dry]
        if fresh:
            return "ok", self._needs_venues, f"fresh data from {', '.join(fresh)}"
        if dry and len(dry) == len(states):
            return "ok", self._needs_venues, f"{DRY} from {', '.join(dry)}"
        return "unhealthy", self._needs_venues, "no venue has fresh data"

    def _of_nats(self, state: LinkState) -> tuple[Word, bool, str]:
        """Where it is only welcome, its absence is no trouble until it was there. Features without venues need it."""
        is_needed = self._featuring is not None and self._featuring.source is not None
        if state.connected:
            sink = next((one for one in self._sinks.states if one.name == "nats"), None)
            if sink is not None and not sink.healthy and sink.retries:  # it is there and takes nothing: no JetStream, say
                return "unhealthy", is_needed, sink.reason
            return "ok", is_needed, state.reason
        where = f"{state.url}: {state.reason}"
        if is_needed:
            return "unhealthy", True, where
        if state.is_optional and not state.was_connected:
            return "ok", False, f"not in use, since it is not there ({where})"
        return "unhealthy", False, where

    def _component(self, name: str, word: Word, required: bool, reason: str) -> Component:
        known = self._since.get(name)
        if known is None or known[0] != word:
            known = self._since[name] = (word, self._clock.now_ns())
        return Component(word, required, reason, known[1])

    def _of_archive(self, archiving: Archiving) -> tuple[Word, str]:
        for state in self._sinks.states:
            if state.name == archiving.live.name and not state.healthy and state.retries:
                return "unhealthy", state.reason  # perhaps it can be read and not written
        if self._archive_down:
            return "unhealthy", self._archive_down
        failing = archiving.keeper.failing
        if failing:
            first = failing[0]
            rest = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
            return "degraded", f"{' '.join(first.series)}: {first.failing}{rest}"
        waiting = [one.progress for one in archiving.keeper.kept if one.progress is not None and one.progress.waiting]
        if waiting:
            return "degraded", f"{' '.join(waiting[0].series)}: {waiting[0].waiting}"
        return "ok", "fetching history" if archiving.keeper.is_filling else "complete as far as the venues go"

    def _of_provider(self, state: ProviderState) -> tuple[Word, str]:
        if state.state != "connected":
            return "unhealthy", state.reason
        return ("ok", "data arrives") if state.events else ("unhealthy", "connected, no data yet")

    def _of_feed(self, name: str, feed: Feed) -> tuple[Word, str]:
        assert self._feeds is not None
        if feed.venue.dry:
            return "ok", DRY
        if not feed.loaded.is_set():
            return "unhealthy", "waits for the venue's list of instruments"
        streams = list(feed.intake.streams.values())
        dead = [one for one in streams if one.state == "dead"]
        if not streams:
            return "unhealthy", "no symbol of ours is listed"
        if len(dead) == len(streams):
            return "unhealthy", dead[0].reason
        if feed.intake.last_ns is None:
            return "unhealthy", "connected, no data yet"
        silence_s = feed.silence_s()
        if silence_s > feed.venue.limits.silent_after_s:
            return "unhealthy", f"silent for {silence_s:.0f} s"
        trouble = [one for one in streams if one.state in ("dead", "stale", "refused")]
        if trouble:
            first = trouble[0]
            rest = f" and {len(trouble) - 1} more" if len(trouble) > 1 else ""
            return "degraded", f"{first.wanted.symbol} {first.wanted.channel}: {first.state}, {first.reason}{rest}"
        unsynced = feed.intake.books.unsynced()
        if unsynced:
            return "degraded", f"book of {', '.join(unsynced[:3])} is not in sync"
        return "ok", "standing by" if self._feeds.is_standby(name) else "data arrives"


def _of_discovery(discovery: Discovery) -> tuple[Word, bool, str]:
    """Optional: without it the last list goes on."""
    if not discovery.reason:
        return "ok", False, discovery.in_force
    return "degraded", False, f"{discovery.reason}; in force: {discovery.in_force}"
