"""Events that a durable sink could not take yet, on disk in order: bounded, and whole after a kill -9.

Segments are files of JSON lines; `cursor` says from where in each segment nothing has been delivered yet.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from marketd.errors import words_of
from marketd.model.events import Event
from marketd.model.wire import decode, decode_lines, encode_lines

log = structlog.get_logger("spill")

MIB = 1024 * 1024
GIB = 1024 * MIB
CHUNK = MIB
READ_BYTES = 128 * 1024  # at a time: about as many events as are asked for
FIRST = 1_000_000  # number of the first segment: there is room in front of it


class FileSpill:
    """One consumer's log. Not for two processes at once."""

    def __init__(self, directory: Path, consumer: str, *, limit_bytes: int = GIB, segment_bytes: int = 8 * MIB) -> None:
        self._directory, self._consumer = directory, consumer
        self._limit_bytes, self._segment_bytes = limit_bytes, segment_bytes
        self._failing = False  # the disk: said once
        self._cursor: int | None = None  # file descriptor
        directory.mkdir(parents=True, exist_ok=True)
        segments = sorted(path for path in directory.glob("*.jsonl") if path.stem.isascii() and path.stem.isdecimal())
        self._sizes = {int(path.stem): path.stat().st_size for path in segments}  # by segment, in order; others are not ours
        self._cut_torn_line()
        known: dict[str, int] = {}
        if self._cursor_path.exists():
            known = _cursor(self._cursor_path.read_bytes())
        self._done = {segment: known[str(segment)] for segment in self._sizes if str(segment) in known}
        if len(known) != len(self._done):
            self._write_cursor()
        self._out: int | None = None  # file descriptor of the last segment
        self._in: tuple[int, int] | None = None  # segment and descriptor being read
        self._read = dict(self._done)  # as _done, with what was read and not committed
        self._events_read = 0
        self._events = self._count()
        if self._events:
            log.info("spill.found", consumer=consumer, events=self._events)

    def __len__(self) -> int:
        return self._events

    @property
    def size_bytes(self) -> int:
        """What it takes on disk."""
        return sum(self._sizes.values())

    def append(self, events: Sequence[Event]) -> int:
        data = encode_lines(events)
        room = self._limit_bytes - self.size_bytes
        if len(data) > room:
            data = data[: data.rfind(b"\n", 0, max(0, room)) + 1]
        written = self._write(data) if data else 0
        kept = data.count(b"\n") if written == len(data) else data.count(b"\n", 0, written)
        self._events += kept
        return len(events) - kept

    def read(self, limit: int) -> list[Event]:
        for segment, size in self._sizes.items():
            at = self._read.get(segment, 0)
            if at < size:
                lines, length = self._read_lines(segment, at, limit)
                self._read[segment] = at + length
                self._events_read += lines.count(b"\n")
                events = self._decode(lines)
                return events or self.read(limit)
        return []

    def commit(self) -> None:
        if self._events_read == 0:
            return
        self._done = dict(self._read)
        self._events -= self._events_read
        self._events_read = 0
        finished = [segment for segment, size in self._sizes.items() if self._done.get(segment, 0) >= size]
        try:
            for segment in finished:
                self._remove(segment)
            self._write_cursor()
        except OSError as error:  # a restart delivers these again, which durable sinks do not mind
            self._say_failing(error)

    def put_back(self, events: Sequence[Event]) -> int:
        self._read = dict(self._done)
        self._events_read = 0
        if not events:
            return 0
        data = encode_lines(events)
        segment = min(self._sizes, default=FIRST + 1) - 1
        path = self._path(segment)
        try:
            unfinished = path.with_suffix(".new")
            unfinished.write_bytes(data)
            unfinished.rename(path)
        except OSError as error:
            self._say_failing(error)
            return len(events)
        self._sizes = {segment: len(data), **self._sizes}
        self._events += len(events)
        return 0

    def close(self) -> None:
        for fd in (self._out, self._in and self._in[1], self._cursor):
            if fd is not None:
                os.close(fd)
        self._out = self._in = self._cursor = None

    @property
    def _cursor_path(self) -> Path:
        return self._directory / "cursor"

    def _path(self, segment: int) -> Path:
        return self._directory / f"{segment:010d}.jsonl"

    def _write(self, data: bytes) -> int:
        """How many bytes of whole lines reached the file; what is beyond them is cut away again."""
        last = max(self._sizes, default=FIRST - 1)
        if last < FIRST or self._sizes[last] >= self._segment_bytes:
            last = max(last + 1, FIRST)
            self._close_out()
        at = self._sizes.get(last, 0)
        try:
            if self._out is None:
                self._out = os.open(self._path(last), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            written = os.write(self._out, data)
        except OSError as error:
            self._say_failing(error)
            return 0
        if written < len(data):
            written = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(self._out, at + written)
            self._say_failing(None)
        else:
            self._failing = False
        self._sizes[last] = at + written
        return written

    def _say_failing(self, error: OSError | None) -> None:
        if not self._failing:
            self._failing = True
            why = "the disk is full" if error is None else (error.strerror or words_of(error))
            log.error("spill.failing", code="spill-failing", consumer=self._consumer, directory=str(self._directory), error=why)

    def _read_lines(self, segment: int, at: int, limit: int) -> tuple[bytes, int]:
        """Whole lines from `at`, at most `limit`, and their length."""
        if self._in is None or self._in[0] != segment:
            if self._in is not None:
                os.close(self._in[1])
            self._in = (segment, os.open(self._path(segment), os.O_RDONLY | os.O_CLOEXEC))
        data = os.pread(self._in[1], READ_BYTES, at)
        while b"\n" not in data and at + len(data) < self._sizes[segment]:
            data += os.pread(self._in[1], CHUNK, at + len(data))
        data = data[: data.rfind(b"\n") + 1]
        if data.count(b"\n") > limit:
            data = b"\n".join(data.split(b"\n", limit)[:limit]) + b"\n"
        return data, len(data)

    def _decode(self, lines: bytes) -> list[Event]:
        try:
            return list(decode_lines(lines))
        except msgspec.DecodeError:
            pass
        events: list[Event] = []
        for line in lines.splitlines():
            try:
                events.append(decode(line))
            except msgspec.DecodeError as error:
                log.error("spill.line_unreadable", code="file-mended", consumer=self._consumer, line=line[:200], error=str(error))
        return events

    def _remove(self, segment: int) -> None:
        if segment == max(self._sizes):
            self._close_out()
        if self._in is not None and self._in[0] == segment:
            os.close(self._in[1])
            self._in = None
        self._path(segment).unlink(missing_ok=True)
        for by_segment in (self._sizes, self._done, self._read):
            by_segment.pop(segment, None)

    def _close_out(self) -> None:
        if self._out is not None:
            os.close(self._out)
            self._out = None

    def _write_cursor(self) -> None:
        """In place: a new file renamed over the old one waits for the disk, and this is done after each batch."""
        if not self._done:
            if self._cursor is not None:
                os.close(self._cursor)
                self._cursor = None
            self._cursor_path.unlink(missing_ok=True)
            return
        if self._cursor is None:
            self._cursor = os.open(self._cursor_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        data = msgspec.json.encode({str(segment): at for segment, at in self._done.items()})
        os.pwrite(self._cursor, data.ljust(os.fstat(self._cursor).st_size), 0)

    def _cut_torn_line(self) -> None:
        for segment, size in self._sizes.items():
            with self._path(segment).open("r+b") as file:
                whole = end_of_last_line(file.fileno(), size)
                if whole < size:
                    log.warning("spill.torn_line_cut", code="file-mended", consumer=self._consumer, bytes=size - whole)
                    file.truncate(whole)
                    self._sizes[segment] = whole

    def _count(self) -> int:
        count = 0
        for segment in self._sizes:
            with self._path(segment).open("rb") as file:
                file.seek(self._done.get(segment, 0))
                while chunk := file.read(CHUNK):
                    count += chunk.count(b"\n")
        return count


def end_of_last_line(fd: int, size: int) -> int:
    """Where the last whole line of a file of `size` bytes ends: 0 if it has none."""
    at = size
    while at > 0:
        start = max(0, at - CHUNK)
        newline = os.pread(fd, at - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        at = start
    return 0


def _cursor(data: bytes) -> dict[str, int]:
    """What was delivered of each segment. One that cannot be read counts for nothing: twice is mended, never is not."""
    try:
        return {name: at for name, at in msgspec.json.decode(data, type=dict[str, int]).items() if at >= 0}
    except msgspec.MsgspecError:
        log.warning("spill.cursor_unreadable", code="file-mended", text="what the spill holds is delivered once more")
        return {}
