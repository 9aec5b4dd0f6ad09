"""What the features say to the outside: features with their quality, signals and alerts, field by field as on the wire."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Direction = Literal["long", "short"]
AlertKind = Literal["latency", "gap", "backpressure"]
Line = Literal["connected", "disconnected", "stale", "unknown"]

SAID_MAX = 200  # signals and alerts that are remembered for whoever looks
WORDS_MAX = 200  # characters of a cause or a detail: they come from venues and other producers, and a message has to be sent


def short(words: str) -> str:
    """The words, at most `WORDS_MAX` characters of them."""
    return words if len(words) <= WORDS_MAX else f"{words[: WORDS_MAX - 3]}..."


class Values(msgspec.Struct, frozen=True):
    """The eleven features; None where there is not enough data. docs/features.md has each one's formula."""

    mid: float | None = None  # of the last quote
    spread_abs: float | None = None  # ask less bid, in the quote currency
    spread_bps: float | None = None  # of the mid, in 1/10000
    trade_vwap_10s: float | None = None
    trade_vwap_60s: float | None = None
    trade_count_10s: int | None = None
    trade_volume_10s: float | None = None  # base units
    return_10s: float | None = None  # 0.003 is 0.3 %
    realized_vol_60s: float | None = None  # sample standard deviation of the log returns from trade to trade
    latency_ms_p50: float | None = None
    latency_ms_p95: float | None = None


NAMES: tuple[str, ...] = Values.__struct_fields__
NOTHING = Values()


class Quality(msgspec.Struct, frozen=True):
    """How far the features are to be believed. `ok` is the one to ask; the rest says why."""

    ok: bool = False  # warm, no gap in the window, the line is up, no switch within the window
    warming_up: bool = True  # events span less than the window since the start, a switch or a new owner
    covered_s: float = 0.0  # how much of the window they span
    gap: bool = False  # trades are missing within the window, or the line was down
    line: Line = "connected"  # what the venue's line last said of itself; unknown before anything came of the symbol
    switched_from: str | None = None  # the provider before, as long as the window is not full of the new one's events
    late: int = 0  # events older than the window when they came, left out; since the symbol is followed
    duplicates: int = 0  # trades that came again, counted once
    unusable: int = 0  # events with a price, size or time that cannot be, left out
    causes: tuple[str, ...] = ()  # of gap, in words


NEVER_SEEN = Quality(line="unknown", causes=("nothing came of this symbol yet",))


class Features(msgspec.Struct, frozen=True):
    """The features of a symbol as of `ts`: the newest event time of the symbol, ns."""

    symbol: str
    venue: str = msgspec.field(name="provider")
    ts: int
    features: Values
    quality: Quality


class Signal(msgspec.Struct, frozen=True):
    """A rule's condition became true, or still is after the cooldown."""

    symbol: str
    venue: str = msgspec.field(name="provider")
    direction: Direction
    ts: int  # event time, ns
    rule: str  # its name
    expression: str  # `return_10s > 0.003 and ...`
    inputs: Mapping[str, float | None]  # the features that the rule looks at, as they were
    quality: Quality


class Alert(msgspec.Struct, frozen=True):
    """Something a person should know about the data."""

    kind: AlertKind
    symbol: str  # `__system__` where it concerns none alone
    ts: int  # ns
    detail: str
