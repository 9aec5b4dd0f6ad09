"""Stands where systemd would: a datagram socket that hears what a service tells."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

WITHIN_S = 40.0


class Notified:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []  # each assignment by itself
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def __enter__(self) -> "Notified":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hear(self, within_s: float) -> list[str]:
        """The next datagram's lines; none if nothing came."""
        self._socket.settimeout(within_s)
        try:
            lines = self._socket.recv(65_536).decode().splitlines()
        except TimeoutError:
            return []
        self.heard += lines
        return lines

    def until(self, holds: Callable[[str], bool], within_s: float = WITHIN_S) -> str:
        """The next assignment that holds."""
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            for line in self.hear(within_s):
                if holds(line):
                    return line
        raise AssertionError(f"never heard it, but {self.heard}")

    def drain(self) -> None:
        while self.hear(0.001):
            pass
