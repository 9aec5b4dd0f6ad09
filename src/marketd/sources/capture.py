"""Reads captures, ours and public recordings of the same form, record by record."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import zstandard

from marketd.errors import ConfigError, words_of

CHUNK_BYTES = 1 << 16
FIRST_TS = 0  # where a recording kept no receive times, they are its order, 1 ns apart


class Record(NamedTuple):
    ts: int  # ns
    kind: str  # open, in, out, close, rest
    venue: str | None
    connection: int
    data: bytes  # a frame, or the body of a REST answer
    url: str = ""
    status: int = 0
    headers: Mapping[str, str] = {}


class WireRecord(msgspec.Struct, rename={"kind": "k", "connection": "conn"}):
    ts: int | None = None
    kind: str | None = None
    venue: str | None = None
    connection: int = 1
    frame: str = ""
    url: str = ""
    status: int | None = 200
    headers: dict[str, str] | None = None
    body: str = ""


_decode = msgspec.json.Decoder(WireRecord).decode


def read_capture(path: Path) -> Iterator[Record]:
    """The records in order. Raises ConfigError that names the file and line for what is no capture.

    Forms: JSON lines (`.jsonl`, packed as `.gz` or `.zst`), and `.frames` / `.frames.gz`: one raw frame a line.
    """
    raw_frames = ".frames" in path.suffixes
    with _opened(path) as lines:
        try:
            for number, line in enumerate(lines, 1):
                line = line.rstrip(b"\r\n")
                if not line:
                    continue
                if raw_frames:
                    yield Record(FIRST_TS + number, "in", None, 1, line)
                else:
                    yield _record(line, number, path)
        except (OSError, EOFError, zstandard.ZstdError) as error:
            raise ConfigError(f"capture {path}: {words_of(error)}; what was before it has been replayed") from None


def _record(line: bytes, number: int, path: Path) -> Record:
    try:
        wire = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"capture {path} line {number}: {error}; expected a JSON object with ts, k and frame") from None
    kind = wire.kind or ("rest" if wire.body else "in")
    ts = FIRST_TS + number if wire.ts is None else wire.ts
    text = wire.body or wire.frame if kind == "rest" else wire.frame
    return Record(ts, kind, wire.venue, wire.connection, text.encode(), wire.url, wire.status or 200, wire.headers or {})


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ConfigError(f"capture {path}: {error.strerror}") from None
    with raw:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=raw) as packed:
                yield packed
        elif path.suffix == ".zst":
            yield _lines(_unpacked(raw))
        else:
            yield raw


def _unpacked(packed: BinaryIO) -> Iterator[bytes]:
    """Zstandard, piece after piece. The library's own reader takes a torn end for an end; here it is an EOFError."""
    piece = zstandard.ZstdDecompressor().decompressobj()
    is_inside = False
    while chunk := packed.read(CHUNK_BYTES):
        while chunk:
            yield piece.decompress(chunk)
            is_inside, chunk = not piece.eof, piece.unused_data
            if piece.eof:
                piece = zstandard.ZstdDecompressor().decompressobj()
    if is_inside:
        raise EOFError("the packed file ends before its end was written")


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
    if rest:
        yield rest
