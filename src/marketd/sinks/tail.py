"""What a log file already holds, read from its end, so that a restart does not write it twice."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
import zstandard

from marketd.model.events import Event, Trade
from marketd.model.identity import identity
from marketd.model.marks import Mark, Series
from marketd.model.wire import decode, decode_lines
from marketd.sinks.spill import MIB

log = structlog.get_logger("jsonl")

TAIL_BYTES = 64 * MIB
SHOWN_MAX = 5  # damaged lines of a file that are said one by one
REMEMBERED = 1_000_000  # trades of an earlier run that came from the spill, at most
AGAIN = 8192  # events, of whatever type, that a spill may deliver twice around a kill


class Damage(NamedTuple):
    """A line that is no event."""

    at: int  # its first byte, within what was read of the file
    line: bytes
    what: str


class Tail:
    """Identities and high-water marks. Bounded by what was read at the start: later repeats never leave the feed."""

    def __init__(self) -> None:
        self.marks: dict[Series, Mark] = {}
        self.damaged = 0  # lines that could not be read, and were skipped
        self._trades: dict[Series, set[str]] = {}  # ids in the tail when it was read
        self._recent: set[str] = set()  # identities of its last events
        self._repeats_left = 0
        self._opened_at = 0  # ns
        self._remembered = 0

    def read(self, files: Sequence[Path], now: int, limit_bytes: int = TAIL_BYTES) -> None:
        """Learn from the last `limit_bytes` of these files, oldest file first."""
        self._opened_at = self._remembered = self.damaged = 0
        self._trades.clear()
        self.marks.clear()
        last: list[Event] = []
        room = limit_bytes
        chunks: list[tuple[Path, bytes]] = []
        for path in reversed(files):
            data = _last_bytes(path, room)
            room -= len(data)
            chunks.append((path, data))
            if room <= 0:
                break
        for path, data in reversed(chunks):
            damage: list[Damage] = []
            for events in _events(data, damage):
                self.wrote(events)
                for event in events:
                    if isinstance(event, Trade):
                        self._remember(event)
                last = [*last, *events][-AGAIN:]
            self.damaged += len(damage)
            _say(path, data, damage)
        self._opened_at = now
        self._recent = {identity(event) for event in last}
        self._repeats_left = len(last)

    def fresh(self, batch: Sequence[Event]) -> Sequence[Event]:
        """The batch without what the file has already."""
        if not self._trades and not self._repeats_left:
            return batch
        fresh = [event for event in batch if not self._is_known(event)]
        self._repeats_left = max(0, self._repeats_left - len(batch))
        return fresh

    def wrote(self, events: Iterable[Event]) -> None:
        """These are in the file now."""
        newest: dict[Series, Trade] = {}
        for event in events:
            if isinstance(event, Trade):
                if not event.repaired:
                    newest[event.venue, event.symbol] = event
                # What an earlier run received comes from the spill; the repair from our high-water mark brings it once more.
                if event.ts_recv < self._opened_at and self._remembered < REMEMBERED:
                    self._remembered += 1
                    self._remember(event)
        for series, trade in newest.items():
            mark, known = Mark(trade.trade_id, trade.ts_event), self.marks.get(series)
            if known is None or known.is_before(mark):
                self.marks[series] = mark

    def _remember(self, trade: Trade) -> None:
        self._trades.setdefault((trade.venue, trade.symbol), set()).add(trade.trade_id)

    def _is_known(self, event: Event) -> bool:
        if isinstance(event, Trade):
            return event.trade_id in self._trades.get((event.venue, event.symbol), ())
        return self._repeats_left > 0 and identity(event) in self._recent


def _last_bytes(path: Path, limit: int) -> bytes:
    """Whole lines from the end of a file, at most `limit` bytes."""
    if path.suffix == ".zst":
        with path.open("rb") as file:
            data = zstandard.ZstdDecompressor().stream_reader(file).read()
        start = max(0, len(data) - limit)
    else:
        with path.open("rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - limit)
            file.seek(start)
            data, start = file.read(limit), min(start, 1)
        if start == 0:
            return data
        return data[data.find(b"\n") + 1 :]
    return data if start == 0 else data[data.find(b"\n", start) + 1 :]


def _events(data: bytes, damage: list[Damage]) -> Iterator[list[Event]]:
    """Decoded piece by piece; a line that is no event (damaged, or another program's) goes to `damage`."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", min(len(data) - 1, at + MIB)) + 1 or len(data)
        try:
            yield list(decode_lines(data[at:end]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield _one_by_one(data, at, end, damage)
        at = end


def _one_by_one(data: bytes, at: int, end: int, damage: list[Damage]) -> list[Event]:
    events: list[Event] = []
    while at < end:
        stop = data.find(b"\n", at, end) + 1 or end
        line = data[at:stop].strip()
        try:
            events += [decode(line)] if line else []
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            damage.append(Damage(at, line[:200], str(error)))
        at = stop
    return events


def _say(path: Path, data: bytes, damage: Sequence[Damage]) -> None:
    """Where the file is damaged: the first lines one by one, then how many in all."""
    if not damage:
        return
    before = _lines_before(path, len(data))
    for one in damage[:SHOWN_MAX]:
        log.warning(
            "jsonl.line_damaged",
            code="file-mended",
            path=str(path),
            line=before + data.count(b"\n", 0, one.at) + 1,
            what=one.what,
            found=one.line.decode("utf-8", "replace"),
            now="skipped; it stays in the file",
        )
    if len(damage) > SHOWN_MAX:
        log.warning("jsonl.lines_damaged", code="file-mended", path=str(path), count=len(damage), now="skipped")


def _lines_before(path: Path, tail_bytes: int) -> int:
    """Whole lines of the file before its last so many bytes."""
    count = 0
    with path.open("rb") as raw:
        compressed = path.suffix == ".zst"
        file = zstandard.ZstdDecompressor().stream_reader(raw) if compressed else raw
        left = _size(path) - tail_bytes
        while left > 0 and (block := file.read(min(MIB, left))):
            left -= len(block)
            count += block.count(b"\n")
    return count


def _size(path: Path) -> int:
    """Of what is in the file, unpacked."""
    if path.suffix != ".zst":
        return path.stat().st_size
    size = 0
    with path.open("rb") as raw:
        file = zstandard.ZstdDecompressor().stream_reader(raw)
        while block := file.read(MIB):
            size += len(block)
    return size
