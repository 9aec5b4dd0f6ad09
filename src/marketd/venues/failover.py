"""A second venue that stands in while the first one is not to be trusted.

The backup is connected and judged all the time but publishes only while active, under its own name. It takes over when the
primary's data is silent, late or broken, and hands back after the primary has been well for a while. Before it takes over
its prices must agree with the primary's last ones: a wrong stand-in is worse than a known gap.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import median

import structlog

from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.model.events import SYSTEM, Event, Status
from marketd.venues.feed import Feed
from marketd.venues.section import FailoverConfig
from marketd.venues.stream import Stream

STARTING_S = 15.0  # what the primary is given to bring its first data
HOLD_DOWN_S = 30.0  # least time between handing back and taking over again
PRICE_AGE_S = 300.0  # how old a last price may be to be compared
HISTORY_MAX = 100
log = structlog.get_logger("failover")


class Gate:
    """The backup's way to the bus: shut until it is active."""

    def __init__(self, publish: Callable[[Sequence[Event]], None]) -> None:
        self.is_open = False
        self._publish = publish

    def publish(self, events: Sequence[Event]) -> None:
        if self.is_open:
            self._publish(events)


class Failover:
    """Judges a primary and its backup once a second and opens or shuts the backup's gate."""

    def __init__(
        self,
        primary: Feed,
        backup: Feed,
        gate: Gate,
        publish: Callable[[Sequence[Event]], None],
        config: FailoverConfig,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.primary, self.backup = primary, backup
        self.history: list[tuple[int, str, str]] = []  # when (ns), to which venue, why; the newest ones
        self.refusal: str | None = None  # why the backup may not take over though it should
        self._gate, self._publish, self._config, self._clock, self._metrics = gate, publish, config, clock, metrics
        self._well_since_s: float | None = None
        self._handed_back_s: float | None = None
        self._started_s = clock.monotonic()
        self._frames, self._bad = 0, 0

    @property
    def active(self) -> Feed:
        return self.backup if self._gate.is_open else self.primary

    async def run(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            self.judge()

    def judge(self) -> None:
        now_s = self._clock.monotonic()
        trouble = self.trouble(self.primary)
        if trouble is None:
            self._well_since_s = now_s if self._well_since_s is None else self._well_since_s
        else:
            self._well_since_s = None
        if self._gate.is_open:
            if self._well_since_s is not None and now_s - self._well_since_s >= self._config.recovery_s:
                self._handed_back_s = now_s
                self._switch(self.primary, f"{self.primary.venue.name} has been well for {self._config.recovery_s:.0f} s", False)
            return
        if trouble is None or (now_s - self._started_s < STARTING_S and not any(_alive(self.primary))):
            self.refusal = None
            return
        if self._handed_back_s is not None and now_s - self._handed_back_s < HOLD_DOWN_S:
            return
        why_not = self.trouble(self.backup) or self.disagreement()
        if why_not is None:
            self.refusal = None
            self._switch(self.backup, f"{self.primary.venue.name}: {trouble}", True)
        elif why_not != self.refusal:
            self.refusal = why_not
            log.warning("failover.refused", primary=self.primary.venue.name, backup=self.backup.venue.name, reason=why_not)

    def trouble(self, feed: Feed) -> str | None:
        """What is wrong with a feed's data, in words; None if it is well."""
        now = self._clock.now_ns()
        streams = list(_alive(feed))
        silence_s = min((stream.cadence.silence_s(now) for stream in streams), default=float("inf"))
        if silence_s > self._config.silence_s:
            return f"no data for {silence_s:.0f} s" if silence_s != float("inf") else "no data yet"
        lags_ms = [stream.lag_ns / 1e6 for stream in streams if stream.lag_ns is not None]
        if lags_ms and median(lags_ms) > self._config.lag_ms:
            return f"data is {median(lags_ms) / 1000:.0f} s late"
        bad_ratio = feed.intake.bad_ratio()
        if bad_ratio > self._config.error_rate:
            return f"{bad_ratio:.0%} of its frames are not understood"
        return None

    def disagreement(self) -> str | None:
        """A symbol whose prices differ too much between the two, in words."""
        now = self._clock.now_ns()
        theirs = {stream.wanted.symbol: stream for stream in _alive(self.backup) if stream.price is not None}
        for stream in _alive(self.primary):
            other = theirs.get(stream.wanted.symbol)
            if stream.price is None or other is None or other.price is None:
                continue
            if stream.cadence.silence_s(now) > PRICE_AGE_S:
                continue
            apart_bps = abs(float(other.price) / float(stream.price) - 1) * 10_000
            if apart_bps > self._config.price_tolerance_bps:
                symbol = stream.wanted.symbol
                return f"{symbol} is {stream.price} at {self.primary.venue.name}, {other.price} at {self.backup.venue.name}"
        return None

    def _switch(self, to: Feed, why: str, is_open: bool) -> None:
        name, now = to.venue.name, self._clock.now_ns()
        self._gate.is_open = is_open
        self.history = [*self.history[1 - HISTORY_MAX :], (now, name, why)]
        self._metrics.switches.labels(self.primary.venue.name, name).inc()
        log.warning("failover.switched", primary=self.primary.venue.name, to=name, reason=why)
        self._publish((Status(name, SYSTEM, None, now, "switched", why),))


def _alive(feed: Feed) -> Iterator[Stream]:
    return (stream for stream in feed.intake.streams.values() if stream.cadence.last_ns is not None)
