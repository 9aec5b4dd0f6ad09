"""What our lines make of recorded live sessions: `python -m tests.venues.recorded_sessions` prints the table.

A frame is explained when it becomes events, or a notice that says what it is. `Unknown` and `BadFrame` are unexplained.
"""

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from marketd.errors import BadFrame
from marketd.model.events import TYPE_NAMES, Event
from marketd.model.instruments import Instrument, Instruments
from marketd.venues import VENUES
from marketd.venues.notices import Unknown, Unsaid

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SESSIONS = ("*/ws*/*.gz", "*/legacy*/ws*.gz")
PROTOCOLS = {  # of these sessions the protocol is the one that our venue speaks
    "binance/ws/*": "binance",
    "binance_us/ws/*": "binance_us",
    "bybit/ws/v5_spot_*": "bybit",
    "bitfinex/ws/*": "bitfinex",
    "coinbase/ws/exchange_*": "coinbase",
    "kraken/ws_v2/*": "kraken",
}
OTHERS = {
    "bybit/ws/v5_*": "linear futures, not spot",
    "bybit/legacy_v2/*": "the protocol before V5",
    "coinbase/ws/advanced_*": "the Advanced Trade API, not Exchange",
    "kraken/ws_v1/*": "WebSocket v1, not v2",
    "alpaca/ws/*": "single bars without the session around them",
    "okx/ws/*": "a venue without an adapter",
}
THEIR_SYMBOL = re.compile(rb'"(?:product_id|symbol|s)":"([^"]{2,40})"')


@dataclass
class Survey:
    """A session, frame by frame: what was made of it."""

    file: str
    venue: str
    frames: int = 0
    events: Counter[str] = field(default_factory=Counter)  # by type
    notices: Counter[str] = field(default_factory=Counter)  # by class
    unused: Counter[str] = field(default_factory=Counter)  # understood, on purpose not used; by reason
    unexplained: Counter[str] = field(default_factory=Counter)

    def plus(self, other: "Survey") -> "Survey":
        both = zip(self._counters(), other._counters(), strict=True)
        return Survey("", self.venue, self.frames + other.frames, *(one + two for one, two in both))

    def counts(self) -> str:
        """The cells of a row, from events to unexplained."""
        return " | ".join(map(_listed, self._counters()))

    def _counters(self) -> tuple[Counter[str], ...]:
        return self.events, self.notices, self.unused, self.unexplained


def recordings() -> list[Path]:
    return sorted(path for pattern in SESSIONS for path in SHARED_DATA.glob(pattern))


def venue_of(path: Path) -> str | None:
    """The venue of ours that speaks this session's protocol, if any."""
    return _match(path, PROTOCOLS)


def _match(path: Path, table: dict[str, str]) -> str | None:
    name = path.relative_to(SHARED_DATA).as_posix()
    return next((value for pattern, value in table.items() if fnmatch(name, pattern)), None)


def frames_of(path: Path) -> Iterator[tuple[bytes, int]]:
    """The frames received, each with its receive time in ns (0 where the recording has none)."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            if path.name.endswith(".frames.gz"):
                yield line.rstrip(b"\n"), 0
            elif (record := json.loads(line))["k"] == "in":
                yield record["frame"].encode(), record["ts"] or 0


def instruments_of(path: Path, venue: str) -> Instruments:
    """An instrument for each symbol that a session mentions: many of them are no longer listed."""
    theirs = {found.decode() for frame, _ in frames_of(path) for found in THEIR_SYMBOL.findall(frame)}
    listed = []
    for one in sorted(theirs):
        symbol = re.sub(r"[-/:]", "", one.removeprefix("t") if venue == "bitfinex" else one)
        listed.append(Instrument(venue, symbol, one, symbol, ""))
    return Instruments(listed)


def survey(path: Path, venue: str) -> Survey:
    line = VENUES[venue]({}).open_line(instruments_of(path, venue))
    told = Survey(path.relative_to(SHARED_DATA).as_posix(), venue)
    for frame, ts_recv in frames_of(path):
        told.frames += 1
        try:
            said = line.read(frame, ts_recv)
        except BadFrame as error:
            told.unexplained[f"bad frame: {error.reason}"] += 1
            continue
        if not said:
            told.unexplained["nothing was made of it"] += 1
        for one in said:
            if isinstance(one, Event):
                told.events[TYPE_NAMES[type(one)]] += 1
            elif isinstance(one, Unsaid):
                told.unused[one.why] += 1
            elif isinstance(one, Unknown):
                told.unexplained[one.why] += 1
            else:
                told.notices[type(one).__name__] += 1
    return told


def table() -> Iterator[str]:
    """A row for each recording, then the sum for each venue, as Markdown."""
    sums: dict[str, tuple[int, Survey]] = {}
    yield "| file | venue | frames | events | notices | understood, not used | unexplained |"
    yield "|---|---|---|---|---|---|---|"
    for path in recordings():
        name, venue = path.relative_to(SHARED_DATA).as_posix(), venue_of(path)
        if venue in VENUES:
            told = survey(path, venue)
            sessions, total = sums.get(told.venue, (0, Survey("", told.venue)))
            sums[told.venue] = sessions + 1, total.plus(told)
            yield f"| {name} | {venue} | {told.frames:,} | {told.counts()} |"
        else:
            why = f"no adapter {venue}" if venue else _match(path, OTHERS) or "no adapter"
            yield f"| {name} | out of scope: {why} | | | | | |"
    yield ""
    yield "| venue | sessions | frames | events | notices | understood, not used | unexplained |"
    yield "|---|---|---|---|---|---|---|"
    for venue, (sessions, total) in sums.items():
        yield f"| {venue} | {sessions} | {total.frames:,} | {total.counts()} |"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "0"


if __name__ == "__main__":
    if not recordings():
        sys.exit(f"no recordings at {SHARED_DATA}: they are not part of the project (docs/recorded-sessions.md)")
    for row in table():
        print(row, flush=True)  # noqa: T201
