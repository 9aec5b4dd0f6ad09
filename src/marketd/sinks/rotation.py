"""Closed JSONL files: numbered in order, compressed in a thread, and removed by age or total size."""

import re
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
import zstandard

from marketd.errors import words_of
from marketd.worker import Worker

log = structlog.get_logger("jsonl")

DAY_NS = 86_400_000_000_000


class ClosedFiles:
    """What was once `events.jsonl`: `events.00000001.jsonl[.zst]` and so on."""

    def __init__(self, path: Path, compress: bool, keep_bytes: int | None, keep_days: float | None) -> None:
        self._path, self._compress = path, compress
        self._keep_bytes, self._keep_days = keep_bytes, keep_days
        self._name = re.compile(re.escape(path.stem) + r"\.(\d{8,})" + re.escape(path.suffix) + r"(\.zst)?")
        self._worker: Worker | None = None

    def take_over(self, now: int) -> None:
        """The current file is closed: give it its number. Raises OSError."""
        last = max((number for number, _ in self._numbered()), default=0)
        self._path.rename(self._path.with_name(f"{self._path.stem}.{last + 1:08d}{self._path.suffix}"))
        self.tidy(now)

    def oldest_first(self) -> list[Path]:
        return [path for _, path in sorted(self._numbered())]

    def tidy(self, now: int) -> None:
        """Remove what need not be kept, compress what is not yet."""
        closed = self.oldest_first()
        total = sum(path.stat().st_size for path in closed)
        for path in list(closed):
            stat = path.stat()
            is_old = self._keep_days is not None and now - stat.st_mtime_ns > self._keep_days * DAY_NS
            if not is_old and (self._keep_bytes is None or total <= self._keep_bytes):
                break
            path.unlink()
            closed.remove(path)
            total -= stat.st_size
            log.info("jsonl.removed", path=str(path), bytes=stat.st_size, why="age" if is_old else "size")
        if self._compress:
            self._worker = self._worker or Worker("jsonl-zstd")
            for path in closed:
                if path.suffix != ".zst":
                    self._worker.put(partial(compress, path))

    async def finish(self) -> None:
        """Let the compression under way end."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await worker.run(lambda: None)
            worker.stop()

    def _numbered(self) -> list[tuple[int, Path]]:
        """A file in both forms counts once, as the compressed one is then complete."""
        found: dict[int, Path] = {}
        for path in sorted(self._path.parent.iterdir()):
            if match := self._name.fullmatch(path.name):
                number = int(match[1])
                if number in found:
                    found[number].unlink(missing_ok=True)
                found[number] = path
        return list(found.items())


def compress(path: Path) -> None:
    """Replace the file by its `.zst`, which appears only when complete."""
    if not path.exists():
        return
    unfinished = path.with_name(path.name + ".new")
    try:
        with path.open("rb") as source, unfinished.open("wb") as target:
            zstandard.ZstdCompressor(level=3).copy_stream(source, target)
        unfinished.rename(path.with_name(path.name + ".zst"))
        path.unlink()
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        log.warning("jsonl.compression_failed", code="store-upkeep", path=str(path), error=error.strerror or words_of(error))
