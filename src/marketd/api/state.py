"""How the parts of the daemon are doing, in the words of the wire, where a venue is a `provider` or an `exchange`."""

from typing import Literal

import msgspec

Health = Literal["ok", "degraded", "unhealthy"]


class Component(msgspec.Struct, frozen=True):
    """One part of the daemon, as /health shows it."""

    status: Health
    required: bool  # a required part that is unhealthy makes the whole unhealthy; an optional one degrades it
    reason: str
    since: int  # ns, when the status last changed


class SubscriptionRow(msgspec.Struct, frozen=True):
    """One subscription, as /status shows it."""

    provider: str
    symbol: str
    channel: str
    timeframe: str | None
    state: str  # live, quiet, dead, refused, standby, pending, unlisted, dry
    reason: str
    last_event: int | None  # ts_recv, ns
    lag_ms: float | None  # of the last event, ts_recv - ts_event
    gaps: int  # found since the start
    missing: int = 0  # of them not filled
    book_state: str | None = None


class VenueRow(msgspec.Struct, frozen=True):
    """One venue at a glance, for the status line and the status page."""

    name: str
    state: str  # connected, connecting, down, standby, dry
    reason: str
    connections: int
    events_per_s: float
    lag_ms_p50: float | None
    lag_ms_p99: float | None
    dropped: int  # events of this venue that some consumer lost
    reconnects: int = 0
    gaps: int = 0


class IngestCounts(msgspec.Struct, frozen=True):
    """Since the start."""

    active_connections: int
    total_messages: int
    error_messages: int
    connection_errors: int


class Changed(msgspec.Struct, frozen=True):
    """The answer to a change of symbols."""

    symbols: list[str]  # now wanted
    added: list[str]
    removed: list[str]
    unlisted: list[str]  # asked for, but no venue concerned lists them


class CacheRow(msgspec.Struct, frozen=True):
    """One key that the cache's poller keeps, as /status shows it."""

    key: str
    exchange: str
    symbol: str
    timeframe: str | None  # None: a price
    refreshed_at: str | None  # when the venue's answer was here; None: not yet
    age_s: float | None
    ttl_s: int  # of the key, from when it was written
    fresh: bool  # the key lives
    candles: int | None  # under it
    failures: int  # since the start
    failing: str  # why the last try failed; "" where it did not
