"""What the cache's poller knows: how old each series and price is, what fails and why, and whether the venue answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import structlog

from marketd.candles.coins import Chosen
from marketd.candles.newest import Held, Newest
from marketd.candles.schedule import PRICES_TTL_S, Pace
from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.instruments import Instrument

SILENT_S = 90.0  # without any answer: three cycles of the shortest timeframe
PRICES = "price"
Word = Literal["ok", "degraded", "unhealthy"]
log = structlog.get_logger("cache")


@dataclass
class Kept:
    """One key and how it is doing."""

    symbol: str
    timeframe: str  # or PRICES
    ttl_s: int
    refreshed: int | None = None  # ns, when what is written was received
    held: Held | None = None
    failures: int = 0  # since the start
    failing: str = ""  # why the last try failed; "" where it did not


@dataclass
class Polling:
    """Told by the poller, asked by health, status and metrics."""

    venue: str
    paces: Sequence[Pace]
    clock: Clock
    metrics: Metrics
    instruments: tuple[Instrument, ...] = ()
    unlisted: tuple[str, ...] = ()
    kept: dict[tuple[str, str], Kept] = field(default_factory=dict)
    _failed: dict[str, frozenset[str]] = field(default_factory=dict)  # of the last cycle, by timeframe
    _listed: str = "has not said yet what it lists"  # what is wrong with the list
    _answered_s: float | None = None
    _mute: set[str] = field(default_factory=set)  # symbols that failed at the venue since it answered last
    _why: str = ""

    def __post_init__(self) -> None:
        for name in (*(one.timeframe for one in self.paces), PRICES):
            self.metrics.cache_age_s.labels(name).set_function(partial(self._oldest_s, name))

    # -- told ------------------------------------------------------------------------------------------------------

    def not_listed(self, why: str) -> None:
        self._why = why
        if not self.instruments:
            self._listed = why

    def follow(self, chosen: Chosen) -> None:
        """From now on these markets."""
        self.instruments, self.unlisted = chosen
        self._listed = ""
        self._answered_s = self.clock.monotonic()
        ttls = {one.timeframe: one.ttl_s for one in self.paces} | {PRICES: PRICES_TTL_S}
        keys = [(one.symbol, name) for one in self.instruments for name in ttls]
        self.kept = {key: self.kept.get(key) or Kept(*key, ttls[key[1]]) for key in keys}

    def held(self, symbol: str, timeframe: str) -> Held | None:
        """What was believed last, while its key lives."""
        known = self.kept.get((symbol, timeframe))
        age_s = None if known is None else self.age_s(known)
        return None if known is None or age_s is None or age_s > known.ttl_s else known.held

    def answered(self, symbol: str | None = None) -> None:
        """The venue gave something that can be believed."""
        self._answered_s = self.clock.monotonic()
        self._mute.clear()

    def refreshed(self, symbol: str, timeframe: str, found: Newest, ts_recv: int) -> None:
        self.metrics.cache_refreshes.labels(timeframe, "ok").inc()
        if (known := self.kept.get((symbol, timeframe))) is not None:
            known.refreshed, known.failing = ts_recv, ""
            known.held = Held(found.opened, len(found.rows) + (found.before is not None))

    def priced(self, symbols: Sequence[str], ts: int) -> None:
        self.metrics.cache_refreshes.labels(PRICES, "ok").inc(len(symbols))
        for symbol in symbols:
            if (known := self.kept.get((symbol, PRICES))) is not None:
                known.refreshed, known.failing = ts, ""

    def failed(self, symbol: str, timeframe: str, error: Exception) -> None:
        self.metrics.cache_refreshes.labels(timeframe, "failed").inc()
        if not isinstance(error, DeliveryError):
            self._mute.add(symbol)
            self._why = str(error)
        if (known := self.kept.get((symbol, timeframe))) is not None:
            known.failures += 1
            known.failing = str(error)

    def not_priced(self, symbols: Sequence[str], error: Exception) -> None:
        for symbol in symbols:
            self.failed(symbol, PRICES, error)

    def ended(self, timeframe: str, failed: Sequence[str]) -> None:
        """A cycle is over: what changed is said, once."""
        for symbol in failed:
            if (known := self.kept.get((symbol, timeframe))) is not None and not known.failing:
                known.failing = f"no answer within its cycle{self._why and f' ({self._why})'}"
        before, now = self._failed.get(timeframe, frozenset()), frozenset(failed)
        self._failed[timeframe] = now
        if now and now != before:
            first = self.kept.get((failed[0], timeframe))
            why = first.failing if first is not None else ""
            log.warning("cache.refresh_failed", venue=self.venue, timeframe=timeframe, symbols=list(failed), reason=why)
        elif before and not now:
            log.info("cache.refreshed_again", venue=self.venue, timeframe=timeframe, symbols=sorted(before))

    # -- asked -----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> tuple[Word, str]:
        """Whether the venue feeds the cache."""
        if self._listed:
            return "unhealthy", self._listed
        silent_s = self.clock.monotonic() - (self._answered_s or 0.0)
        if silent_s > SILENT_S or len(self._mute) * 2 > len(self.instruments):
            return "unhealthy", f"no usable answer for {silent_s:.0f} s: {self._why or 'it is not heard'}"
        failing = [one for one in self.kept.values() if one.failing]
        if failing:
            more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
            return "degraded", f"{failing[0].symbol} {failing[0].timeframe}: {failing[0].failing}{more}"
        waiting = sum(one.refreshed is None for one in self.kept.values())
        if waiting:
            return "ok", f"filling the cache: {waiting} of {len(self.kept)} keys to come"
        return "ok", f"{len(self.kept)} keys of {len(self.instruments)} coins are fresh"

    def age_s(self, one: Kept) -> float | None:
        """How old what is written is; None before the first."""
        return None if one.refreshed is None else max(0.0, (self.clock.now_ns() - one.refreshed) / 1e9)

    def _oldest_s(self, timeframe: str) -> float:
        ages = [self.age_s(one) for one in self.kept.values() if one.timeframe == timeframe]
        return max((age for age in ages if age is not None), default=0.0)
