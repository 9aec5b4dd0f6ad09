"""Writes a capture to its file while the daemon runs."""

import gzip
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import structlog
import zstandard

from marketd.clock import Clock
from marketd.errors import StartError
from marketd.net.capture import Recorder
from marketd.rooms import room

FLUSH_S = 0.5
log = structlog.get_logger("capture")


class Packed(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> object: ...
    def close(self) -> None: ...


@asynccontextmanager
async def open_capture(path: Path, clock: Clock, secrets: Iterable[str] = ()) -> AsyncIterator[Recorder]:
    """Record into a new file until left. Raises StartError when it exists already or cannot be written."""
    try:
        file = _open(path)
    except FileExistsError:
        raise StartError(f"capture {path}: exists already; a capture is never overwritten") from None
    except OSError as error:
        raise StartError(f"capture {path}: {error.strerror}") from None
    recorder = Recorder(secrets)
    try:
        async with room("capture") as here:
            here.start("write", _write(recorder, file, clock, path))
            yield recorder
    finally:
        try:
            file.write(recorder.take())
            file.close()
        except OSError as error:
            log.error("capture.failed", path=str(path), reason=error.strerror, text="the end of the capture is lost")
        if recorder.dropped:
            log.error("capture.dropped", path=str(path), records=recorder.dropped)


async def _write(recorder: Recorder, file: Packed, clock: Clock, path: Path) -> None:
    while True:
        await clock.sleep(FLUSH_S)
        lines = recorder.take()
        if lines:
            try:
                file.write(lines)
                file.flush()
            except OSError as error:
                log.error(
                    "capture.failed", path=str(path), reason=error.strerror, text="these records are lost; recording goes on"
                )


def _open(path: Path) -> Packed:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        return gzip.open(path, "xb")
    raw = path.open("xb")
    return zstandard.ZstdCompressor(level=3).stream_writer(raw) if path.suffix == ".zst" else raw
