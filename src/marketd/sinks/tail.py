"""What a log file already holds, read from its end, so that a restart does not write it twice."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import zstandard

from marketd.model.events import Event, Trade
from marketd.model.identity import identity
from marketd.model.marks import Mark, Series
from marketd.model.wire import decode, decode_lines
from marketd.sinks.spill import MIB

TAIL_BYTES = 64 * MIB
REMEMBERED = 1_000_000  # trades of an earlier run that came from the spill, at most
AGAIN = 8192  # events, of whatever type, that a spill may deliver twice around a kill


class Tail:
    """Identities and high-water marks. Bounded by what was read at the start: later repeats never leave the feed."""

    def __init__(self) -> None:
        self.marks: dict[Series, Mark] = {}
        self._trades: dict[Series, set[str]] = {}  # ids in the tail when it was read
        self._recent: set[str] = set()  # identities of its last events
        self._repeats_left = 0
        self._opened_at = 0  # ns
        self._remembered = 0

    def read(self, files: Sequence[Path], now: int, limit_bytes: int = TAIL_BYTES) -> None:
        """Learn from the last `limit_bytes` of these files, oldest file first."""
        self._opened_at = self._remembered = 0
        self._trades.clear()
        self.marks.clear()
        last: list[Event] = []
        room = limit_bytes
        chunks: list[bytes] = []
        for path in reversed(files):
            data = _last_bytes(path, room)
            room -= len(data)
            chunks.append(data)
            if room <= 0:
                break
        for data in reversed(chunks):
            for events in _events(data):
                self.wrote(events)
                for event in events:
                    if isinstance(event, Trade):
                        self._remember(event)
                last = [*last, *events][-AGAIN:]
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


def _events(data: bytes) -> Iterator[list[Event]]:
    """Decoded piece by piece; a line that is no event (another program's) is passed over."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", min(len(data) - 1, at + MIB)) + 1 or len(data)
        piece = data[at:end]
        at = end
        try:
            yield list(decode_lines(piece))
        except msgspec.DecodeError:
            yield [event for line in piece.splitlines() for event in _one(line)]


def _one(line: bytes) -> list[Event]:
    try:
        return [decode(line)]
    except msgspec.DecodeError:
        return []
