"""What a client gets: typed, frozen, numbers as Decimal with the venue's digits, times as datetimes in UTC."""

from datetime import datetime
from decimal import Decimal

import msgspec


class Candle(msgspec.Struct, frozen=True, gc=False):
    exchange: str
    symbol: str
    timeframe: str
    open_time: datetime
    close_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool | None = None  # these three only where `include` asks for them
    revision: int | None = None
    source: str | None = None


class Page(msgspec.Struct, frozen=True):
    candles: list[Candle]
    cursor: str | None  # of the next page; None after the last


class Gap(msgspec.Struct, frozen=True):
    exchange: str
    symbol: str
    timeframe: str
    gap_start: datetime
    gap_end: datetime  # exclusive
    detected_at: datetime | None
    repaired_at: datetime | None
    state: str  # missing, repairing, unrecoverable, known_empty, or have once it is repaired
    cause: str | None


class Job(msgspec.Struct, frozen=True):
    id: int
    status: str
    started_at: datetime | None
    completed_at: datetime | None
    candles_fetched: int
    last_error: str | None


class Series(msgspec.Struct, frozen=True):
    exchange: str
    symbol: str
    timeframe: str
    first: datetime | None
    last: datetime | None
    count: int
    gaps: int  # candles that are missing or lost
    missing: int
    unrecoverable: int
    known_empty: int
    last_job: Job | None
    lag_ms: int | None  # since the newest candle ended
    live: bool
    reason: str = ""


class Status(msgspec.Struct, frozen=True):
    profile: str
    roles: list[str]
    uptime_s: int
    series: list[Series]
