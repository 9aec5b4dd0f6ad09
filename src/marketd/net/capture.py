"""Records what goes over the wire, as it came: JSON lines that replay reads again, in the form of public recordings.

`{"ts", "k", "venue", "conn", "frame"}` with k open (`url` instead of frame), in, out or close, and for REST
`{"ts", "k": "rest", "venue", "method", "url", "status", "headers", "body"}`; `ts` in ns. The file's name says how it is
packed: `.jsonl`, `.jsonl.gz`, `.jsonl.zst`.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import quote, quote_plus, urlencode

import msgspec

BUFFER_BYTES_MAX = 64 * 1024 * 1024  # what waits to be written; beyond it records are dropped and counted
MASK = "***"
KEPT_HEADERS = frozenset({"retry-after", "cb-before", "cb-after", "date", "x-mbx-used-weight-1m"})
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
        self._secrets = sorted({form for one in secrets if one for form in _forms(one)}, key=len, reverse=True)
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


def _forms(secret: str) -> set[str]:
    """How a secret looks as it is, in an address, and inside a JSON string."""
    return {secret, quote(secret, safe=""), quote_plus(secret), _encode(secret).decode()[1:-1]}
