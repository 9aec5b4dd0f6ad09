"""What cannot be true is kept aside with the frame that said it: a bounded file of JSON lines, for a person to look at."""

import threading
from pathlib import Path

import msgspec

FILE_BYTES_MAX = 16 * 1024 * 1024  # then the file becomes `<name>.1`, and the one before it goes
WAITING_BYTES_MAX = 1024 * 1024  # what waits to be written; beyond it records are dropped and counted
_encode = msgspec.json.Encoder().encode


class Quarantine:
    """`keep` never waits; `write` does, so it belongs in a thread. Shared by all feeds of a daemon."""

    def __init__(self, path: Path, bytes_max: int = FILE_BYTES_MAX) -> None:
        self.path = path
        self.kept = self.dropped = 0
        self._bytes_max = bytes_max
        self._lines: list[bytes] = []
        self._bytes = 0
        self._writing = threading.Lock()

    def keep(self, ts: int, venue: str, symbol: str, reason: str, frame: bytes) -> None:
        """Take note of a frame; `ts` is when it was received, in ns."""
        text = frame.decode("utf-8", "replace")
        line = _encode({"ts": ts, "venue": venue, "symbol": symbol, "reason": reason, "frame": text}) + b"\n"
        if self._bytes + len(line) > WAITING_BYTES_MAX:
            self.dropped += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        self.kept += 1

    @property
    def is_waiting(self) -> bool:
        return bool(self._lines)

    def write(self) -> None:
        """Append what waits. Raises OSError; what was to be written is then counted as dropped."""
        with self._writing:
            lines, self._lines, self._bytes = self._lines, [], 0
            if not lines:
                return
            try:
                if self.path.exists() and self.path.stat().st_size >= self._bytes_max:
                    self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                with self.path.open("ab") as file:
                    file.write(b"".join(lines))
            except OSError:
                self.dropped += len(lines)
                raise
