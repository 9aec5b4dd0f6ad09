"""Records what goes over the wire, as it came: JSON lines that replay reads again, in the form of public recordings.

`{"ts", "k", "venue", "conn", "frame"}` with k open (`url` instead of frame), in, out or close, and for REST
`{"ts", "k": "rest", "venue", "method", "url", "status", "headers", "body"}`; `ts` in ns. The file's name says how it is
packed: `.jsonl`, `.jsonl.gz`, `.jsonl.zst`.
"""

import gzip
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import msgspec
import structlog
import zstandard

from marketd.clock import Clock
from marketd.errors import StartError
from marketd.rooms import room

BUFFER_BYTES_MAX = 64 * 1024 * 1024  # what waits to be written; beyond it records are dropped and counted
FLUSH_S = 0.5
MASK = "***"
log = structlog.get_logger("capture")
_encode = msgspec.json.Encoder().encode


class Capture(Protocol):
    """Where frames and REST answers are recorded; never waits."""

    def frame(self, kind: str, venue: str, conn: int, ts: int, data: bytes) -> None: ...

    def rest(
        self, ts: int, venue: str, url: str, params: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes
    ) -> None: ...


class Recorder:
    """A Capture that collects lines for a file."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.records = 0
        self.dropped = 0
        self._secrets = [one for one in secrets if one]
        self._lines: list[bytes] = []
        self._bytes = 0

    def frame(self, kind: str, venue: str, conn: int, ts: int, data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape" if kind == "in" else "replace")
        part = {"url": self._masked(text)} if kind == "open" else {"frame": self._masked(text) if kind == "out" else text}
        self._add({"ts": ts, "k": kind, "venue": venue, "conn": conn, **part})

    def rest(
        self, ts: int, venue: str, url: str, params: Mapping[str, str], status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        asked = f"{url}?{urlencode(params)}" if params else url
        kept = {name: value for name, value in headers.items() if name in KEPT_HEADERS}
        text = body.decode("utf-8", "replace")
        said = {"method": "GET", "url": self._masked(asked), "status": status, "headers": kept, "body": text}
        self._add({"ts": ts, "k": "rest", "venue": venue, **said})

    def take(self) -> bytes:
        """What was collected since the last call."""
        taken, self._lines, self._bytes = b"".join(self._lines), [], 0
        return taken

    def _add(self, record: dict[str, object]) -> None:
        try:
            line = _encode(record) + b"\n"
        except UnicodeEncodeError:  # bytes that are no text cannot be kept in JSON exactly
            record["frame"] = str(record["frame"]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            line = _encode(record) + b"\n"
        if self._bytes + len(line) > BUFFER_BYTES_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        self.records += 1

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


class Packed(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> object: ...
    def close(self) -> None: ...


KEPT_HEADERS = frozenset({"retry-after", "cb-before", "cb-after", "date", "x-mbx-used-weight-1m"})


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
        file.write(recorder.take())
        file.close()
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
    raw = path.open("xb")
    if path.suffix == ".gz":
        return gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0)
    if path.suffix == ".zst":
        return zstandard.ZstdCompressor(level=3).stream_writer(raw)
    return raw
