"""
Named faults of the simulated venues: what can go wrong on the wire, when, for whom.

A specification is one line of text: faults separated by ";", each a name with settings after ":",
for example `gap:venue=binance,symbol=BTCUSDT,at=5s;disconnect:every=30s`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")
FRAME_FAULTS = frozenset({"mute", "gap", "duplicate", "reorder", "garble"})

# name: (meaning, frames hit each time when neither count nor for is given)
FAULTS: Mapping[str, tuple[str, int | None]] = {
    "disconnect": ("drop the connections without a word; with for, refuse new ones (503) that long", None),
    "cut": ("the venue ends the connections as it does once a day, with its announcement `by` seconds before", None),
    "move": ("the price moves by `bps` basis points at once and stays there; with every, up and down in turn", None),
    "mute": ("the connection stays open and answers pings, but no frame of the symbol (or at all) is sent", None),
    "stall": ("neither read nor write; what was to be sent comes afterwards", None),
    "gap": ("frames are skipped: the trades happened and REST knows them, the socket does not say so", 5),
    "duplicate": ("a frame is sent twice", 1),
    "reorder": ("a frame is sent after the one that follows it", 1),
    "garble": ("a frame arrives cut off or with bytes changed", 1),
    "refuse": ("REST answers (on=rest), handshakes (on=ws) or both (on=all) get status and Retry-After", None),
    "slow": ("REST answers (on=rest) or frames (on=ws) come `by` seconds late", None),
    "skew": ("the venue's clock is `by` seconds ahead of ours (negative: behind)", None),
    "error": ("subscriptions to the symbol are answered with the venue's error message", None),
    "candle_429": ("of the REST candle requests each nth gets the venue's answer to too many requests", None),
    "ban": ("REST answers as the venue does while it bans, for retry_after seconds by its own words", None),
    "error500": ("REST candle requests get a page of HTML with status 500", None),
    "half_page": ("a page of candles holds only the first half of its rows", None),
    "wrong_order": ("the rows of a page of candles come shuffled", None),
    "duplicate_rows": ("every third row of a page of candles comes twice", None),
    "forming_last": ("the running candle comes as the newest row of a page that should end before it", None),
    "wrong_checksum": ("a file of the archive of candles comes with another file's checksum", None),
    "microseconds": ("the times in a file of the archive of candles are microseconds", None),
    "missing_rows": ("every seventh row is missing from a file of the archive of candles, whose checksum fits", None),
    "garbage": ("REST answers with status 200 and what cannot be read: cut short, a page of HTML, another shape", None),
    "empty": ("REST answers with an empty list", None),
    "hang": ("REST never answers", None),
    "corrected": ("candles that were served before come with more volume and another close, from then on", 3),
}
NTH = {"candle_429": 3}
CANDLE_REFUSALS = frozenset({"candle_429", "error500"})  # of candle requests, where no path is given


@dataclass
class Fault:
    """One fault: which, for whom, when. Durations are seconds, counted from the moment it is set."""

    name: str
    venue: str | None = None  # None: every venue
    symbol: str | None = None  # ours, as BTCUSDT; None: every symbol
    channel: str | None = None  # trade, quote, book or candle
    path: str | None = None  # REST only: a part of the path, as "depth"
    on: str = "rest"
    at_s: float = 0.0
    every_s: float | None = None
    for_s: float | None = None
    count: int | None = None  # frames or answers hit each time
    p: float = 1.0  # chance that a matching frame or answer is hit
    nth: int | None = None  # of what matches, only each nth is hit
    by_s: float = 2.0
    bps: int = 40  # of a move
    status: int = 429
    retry_after_s: float | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise ValueError(f"fault {self.name!r} does not exist{nearest(self.name, FAULTS)}; allowed: {', '.join(FAULTS)}")
        if self.on not in {"rest", "ws", "all"}:
            raise ValueError(f"fault {self.name}: on={self.on} is not one of rest, ws, all")
        if not 0 < self.p <= 1:
            raise ValueError(f"fault {self.name}: p={self.p} is not within 0 and 1")
        if self.nth is None:
            self.nth = NTH.get(self.name, 1)
        if self.nth < 1:
            raise ValueError(f"fault {self.name}: nth={self.nth} is not 1 or more")
        if self.every_s is not None and self.every_s <= 0:
            raise ValueError(f"fault {self.name}: every={self.every_s} is not more than 0")
        if self.count is None and self.for_s is None:
            self.count = FAULTS[self.name][1]
        if self.every_s is not None and self.for_s is None and self.count is None and self.name not in MOMENTS:
            self.for_s = self.every_s / 2


MOMENTS = frozenset({"disconnect", "cut", "move"})
KEYS = {item.name.removesuffix("_s"): item for item in fields(Fault) if item.name != "name"}
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def nearest(word: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(word, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def parse_duration(text: str) -> float:
    """Seconds in "5s", "200ms", "2m", "1h" or "1.5"; ValueError otherwise."""
    for unit in ("ms", "s", "m", "h"):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * UNITS[unit]
    return float(text)


def build_fault(name: str, settings: Mapping[str, object]) -> Fault:
    """A fault from settings by their names in a specification (`at` or `at_s`); ValueError names the wrong part."""
    values: dict[str, object] = {}
    for key, given in settings.items():
        word = key if key in KEYS else key.removesuffix("_s")
        if word not in KEYS:
            raise ValueError(f"fault {name}: {key!r} is not a setting{nearest(key, KEYS)}; allowed: {', '.join(KEYS)}")
        item = KEYS[word]
        try:
            values[item.name] = _convert(item.name, str(item.type), given)
        except ValueError:
            raise ValueError(f"fault {name}: {key}={given} is not a {_kind(item.name)}") from None
    return Fault(name, **values)  # type: ignore[arg-type]


def _kind(name: str) -> str:
    return "time such as 5s, 200ms or 2m" if name.endswith("_s") else "number"


def _convert(name: str, kind: str, given: object) -> object:
    if not isinstance(given, str):
        return given
    if name.endswith("_s"):
        return parse_duration(given)
    if kind.startswith("int"):
        return int(given)
    return float(given) if kind.startswith("float") else given


def parse_faults(spec: str, venues: Mapping[str, object] | None = None) -> list[Fault]:
    """Read a specification. ValueError names the wrong part and what is allowed there."""
    found = []
    for part in filter(None, (piece.strip() for piece in spec.split(";"))):
        name, _, rest = part.partition(":")
        settings: dict[str, object] = {}
        for pair in filter(None, (piece.strip() for piece in rest.split(","))):
            key, equals, value = pair.partition("=")
            if not equals:
                raise ValueError(f"fault {name.strip()}: {pair!r} should be setting=value, settings: {', '.join(KEYS)}")
            settings[key.strip()] = value.strip()
        fault = build_fault(name.strip(), settings)
        if venues is not None and fault.venue is not None and fault.venue not in venues:
            raise ValueError(f"fault {fault.name}: venue={fault.venue} is not simulated; allowed: {', '.join(venues)}")
        found.append(fault)
    return found


@dataclass(eq=False)
class Armed:
    """A fault that was set at a time, and how often it has hit in its present round."""

    fault: Fault
    since_ns: int
    round: int = -1
    hits: int = 0
    total: int = 0
    seen: int = 0  # what matched while it was in force
    fired_ns: int | None = None
    held: dict[object, bytes] = field(default_factory=dict)  # reorder: the frame that waits, by connection

    def _elapsed_s(self, now_ns: int) -> float:
        return (now_ns - self.since_ns) / 1e9 - self.fault.at_s

    def is_on(self, now_ns: int) -> bool:
        """True while the fault is in force."""
        elapsed, fault = self._elapsed_s(now_ns), self.fault
        if elapsed < 0:
            return False
        number = 0
        if fault.every_s is not None:
            number, elapsed = int(elapsed // fault.every_s), elapsed % fault.every_s
        if number != self.round:
            self.round, self.hits = number, 0
        if fault.for_s is not None and elapsed >= fault.for_s:
            return False
        return fault.count is None or self.hits < fault.count

    def is_due(self, now_ns: int) -> bool:
        """For faults of a moment: true once per round; with `every` and no `at` the first round is after one period."""
        elapsed, fault = self._elapsed_s(now_ns), self.fault
        if elapsed < 0 or (fault.count is not None and self.total >= fault.count):
            return False
        number = int(elapsed // fault.every_s) if fault.every_s else 0
        if number <= self.round or (number == 0 and fault.every_s and fault.at_s == 0):
            return False
        self.round, self.fired_ns = number, now_ns
        self.hit()
        return True

    def is_outage(self, now_ns: int) -> bool:
        """True within `for` after it fired."""
        return self.fired_ns is not None and now_ns - self.fired_ns < (self.fault.for_s or 0) * 1e9

    def hit(self) -> None:
        self.hits += 1
        self.total += 1

    def concerns(self, symbol: str | None, channel: str | None) -> bool:
        fault = self.fault
        return (fault.symbol is None or fault.symbol == symbol) and (fault.channel is None or fault.channel == channel)


class Deck:
    """The faults of one venue."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self.armed: list[Armed] = []
        self.has_frame_faults = False

    def arm(self, fault: Fault, now_ns: int) -> Armed:
        armed = Armed(fault, now_ns)
        self.armed.append(armed)
        self._look()
        return armed

    def heal(self, name: str | None = None) -> None:
        """End the faults of that name, or all."""
        self.armed = [] if name is None else [armed for armed in self.armed if armed.fault.name != name]
        self._look()

    def _look(self) -> None:
        self.has_frame_faults = any(
            armed.fault.name in FRAME_FAULTS or (armed.fault.name == "slow" and armed.fault.on != "rest") for armed in self.armed
        )

    def _chance(self, armed: Armed) -> bool:
        armed.seen += 1
        return armed.seen % (armed.fault.nth or 1) == 0 and (armed.fault.p >= 1 or self._draw.random() < armed.fault.p)

    def turn(self, name: str) -> int:
        """How often faults of this name hit so far."""
        return sum(armed.total for armed in self.armed if armed.fault.name == name)

    def shuffled(self, rows: list[T]) -> list[T]:
        """The same rows in another order, where there is one."""
        mixed = rows[:]
        self._draw.shuffle(mixed)
        return mixed if mixed != rows else rows[1:] + rows[:1]

    def on_frame(self, connection: object, symbol: str | None, channel: str | None, payload: bytes, now_ns: int) -> list[bytes]:
        """What is sent instead of this data frame."""
        frames = [payload]
        for armed in self.armed:
            name = armed.fault.name
            if name not in FRAME_FAULTS or not armed.concerns(symbol, channel):
                continue
            held = armed.held.pop(connection, None)
            if held is not None:
                frames.append(held)
                continue
            if not armed.is_on(now_ns) or not self._chance(armed):
                continue
            armed.hit()
            if name in {"mute", "gap"}:
                return []
            if name == "duplicate":
                frames = [*frames, frames[-1]]
            elif name == "garble":
                frames = [self._garble(frame) for frame in frames]
            elif name == "reorder" and frames:
                armed.held[connection] = frames.pop()
        return frames

    def _garble(self, payload: bytes) -> bytes:
        if len(payload) < 2 or self._draw.random() < 0.5:
            return payload[: self._draw.randrange(max(len(payload), 1))]
        changed = bytearray(payload)
        for _ in range(3):
            changed[self._draw.randrange(len(changed))] = 33 + self._draw.randrange(90)
        return bytes(changed)

    def first(self, name: str, now_ns: int, fits: Callable[[Fault], bool] = lambda fault: True) -> Fault | None:
        """The first fault of this name in force that fits; counts as a hit."""
        for armed in self.armed:
            if armed.fault.name == name and fits(armed.fault) and armed.is_on(now_ns) and self._chance(armed):
                armed.hit()
                return armed.fault
        return None

    def skew_ns(self, now_ns: int) -> int:
        return sum(int(a.fault.by_s * 1e9) for a in self.armed if a.fault.name == "skew" and a.is_on(now_ns))

    def is_muted(self, now_ns: int) -> bool:
        """True while everything is muted, heartbeats too."""
        return any(a.fault.name == "mute" and a.concerns(None, None) and a.is_on(now_ns) for a in self.armed)

    def is_stalled(self, now_ns: int) -> bool:
        return any(a.fault.name == "stall" and a.is_on(now_ns) for a in self.armed)

    def is_out(self, now_ns: int) -> bool:
        """True within the `for` of a disconnect: new connections are refused."""
        return any(a.fault.name == "disconnect" and a.is_outage(now_ns) for a in self.armed)

    def due(self, now_ns: int) -> list[Armed]:
        """Faults of a moment whose moment has come; `total` tells for the how many-th time."""
        return [a for a in self.armed if a.fault.name in MOMENTS and a.is_due(now_ns)]
