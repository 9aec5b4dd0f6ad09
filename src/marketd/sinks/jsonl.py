"""One JSON event a line: a full file is closed and, if wished, compressed; a restart repeats nothing it finds in the tail."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import structlog
from pydantic import Field

from marketd.bus import Full
from marketd.clock import Clock
from marketd.errors import DeliveryError, words_of
from marketd.metrics import Metrics
from marketd.model.events import EVENT_TYPES, BookDelta, Event
from marketd.model.marks import Mark, Series
from marketd.model.wire import encode_lines
from marketd.section import Section
from marketd.sinks.rotation import ClosedFiles
from marketd.sinks.spill import MIB, end_of_last_line
from marketd.sinks.tail import Tail
from marketd.worker import Worker

log = structlog.get_logger("jsonl")

RETENTION_EVERY_NS = 60_000_000_000


class JsonLinesConfig(Section):
    enabled: bool = True
    """Write every event to a file, one JSON object a line."""
    path: Path = Path("events.jsonl")
    """The file being written; a relative path starts in the data directory."""
    rotate_bytes: int = Field(256 * MIB, ge=4096)
    """Size at which the file is closed and renamed to `<name>.00000001.jsonl`, counting up."""
    compress: bool = False
    """Compress closed files with zstd (`.jsonl.zst`)."""
    keep_bytes: int | None = Field(None, ge=0)
    """Closed files go, oldest first, while together they are larger; unset: keep all."""
    keep_days: float | None = Field(None, gt=0)
    """Closed files older than this go; unset: keep all."""
    deltas: bool = False
    """Also write book_delta events."""
    capacity: int = Field(65_536, ge=16)
    """Events that wait in memory before they spill to disk."""


class JsonLines:
    """The file. Writes happen in a thread of its own; a batch is in the file whole or not at all."""

    name = "jsonl"
    full = Full.SPILL
    gather_s = 0.001

    def __init__(self, config: JsonLinesConfig, data_dir: Path, clock: Clock, metrics: Metrics | None = None) -> None:
        """`metrics` counts lines found damaged."""
        self.capacity = config.capacity
        self.types: frozenset[type[Event]] | None = frozenset(EVENT_TYPES) - (frozenset() if config.deltas else {BookDelta})
        self._config, self._clock, self._metrics = config, clock, metrics
        self._path = data_dir / config.path
        self._closed_files = ClosedFiles(self._path, config.compress, config.keep_bytes, config.keep_days)
        self._tail = Tail()
        self._fd: int | None = None
        self._size = 0
        self._retention_at = 0
        self._worker: Worker | None = None

    async def __aenter__(self) -> Self:
        self._worker = Worker("jsonl")
        try:
            await self._worker.run(self._open)
        except BaseException:
            self._worker.stop()
            raise
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        assert self._worker is not None, "opened before it is written to"
        await self._worker.run(lambda: self._write(batch))

    async def __aexit__(self, *_: object) -> None:
        worker, self._worker = self._worker, None
        assert worker is not None
        await worker.run(self._close)
        worker.stop()
        await self._closed_files.finish()

    def progress(self) -> Mapping[Series, Mark]:
        return self._tail.marks

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._open_file()
            self._tail.read([*self._closed_files.oldest_first(), self._path][-2:], self._clock.now_ns())
            if self._metrics is not None:
                self._metrics.lines_damaged.labels(self.name).inc(self._tail.damaged)
            self._closed_files.tidy(self._clock.now_ns())
        except OSError as error:
            self._close()
            raise DeliveryError(f"jsonl: cannot open {self._path}: {error.strerror or words_of(error)}") from error

    def _open_file(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._fd).st_size
        self._size = end_of_last_line(self._fd, size)
        if self._size < size:
            log.warning("jsonl.torn_line_cut", code="file-mended", path=str(self._path), bytes=size - self._size)
            os.ftruncate(self._fd, self._size)

    def _write(self, batch: Sequence[Event]) -> None:
        fresh = self._tail.fresh(batch)
        data = memoryview(encode_lines(fresh))
        try:
            if self._fd is None:
                self._open_file()
            assert self._fd is not None
            done = 0
            while done < len(data):
                done += os.write(self._fd, data[done:])
            self._size += done
        except OSError as error:
            self._cut_back()
            raise DeliveryError(f"jsonl: cannot write {self._path}: {error.strerror or words_of(error)}; trying again") from error
        self._tail.wrote(fresh)
        now = self._clock.now_ns()
        if self._size >= self._config.rotate_bytes:
            self._rotate(now)
        elif now - self._retention_at >= RETENTION_EVERY_NS:
            self._retention_at = now
            self._closed_files.tidy(now)

    def _cut_back(self) -> None:
        """Away with the part of a batch that was written: it will be offered again."""
        if self._fd is not None:
            try:
                os.ftruncate(self._fd, self._size)
            except OSError:
                self._close()  # opening again cuts the torn line

    def _rotate(self, now: int) -> None:
        self._close()
        try:
            self._closed_files.take_over(now)
            self._open_file()
        except OSError as error:  # the batch is written; the next one opens again or says why not
            log.warning("jsonl.rotation_failed", code="store-upkeep", path=str(self._path), error=words_of(error))

    def _close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
