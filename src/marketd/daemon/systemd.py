"""Tells systemd how the daemon does: ready, alive, stopping, and in one line why.

The protocol is one datagram to the socket that NOTIFY_SOCKET names:
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html (read 2026-11-21)
"""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

from marketd.api.health import overall
from marketd.api.state import Component
from marketd.api.views import Views

BEAT_S = 1.0  # how often the health is looked at
EXTENSION_S = 30  # a start that is not ready yet has at least so long from its last beat
log = structlog.get_logger("systemd")


class Supervisor:
    """Who started this process and waits to hear of it.

    READY=1 once, when /health is no longer `unhealthy`: until then each beat asks for more time and its STATUS says what is
    waited for. WATCHDOG=1 comes from a task of the event loop, so a loop that hangs is not alive.
    """

    def __init__(self, address: str, watchdog_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # @: a name outside the file system
        self._beat_s = BEAT_S if watchdog_s is None else min(BEAT_S, watchdog_s / 2)
        self._watched = watchdog_s is not None
        self._views: Views | None = None
        self._serving = ""
        self._is_ready = False
        self._is_deaf = False
        self._status = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Supervisor | None":
        """None where nobody asked to be told, or asked another process than this one."""
        address = environ.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return None
        asked = environ.get("WATCHDOG_USEC", "")
        is_for_us = environ.get("WATCHDOG_PID", "") in {"", str(os.getpid())}
        return cls(address, int(asked) / 1e6 if asked.isdecimal() and int(asked) and is_for_us else None)

    def sees(self, address: str, views: Views) -> None:
        """The daemon runs: from now on its health is told."""
        self._serving, self._views = address, views

    async def tell(self, stop: asyncio.Event) -> None:
        """Until `stop` is set, which is told at once: what comes then has the unit's TimeoutStopSec."""
        while not stop.is_set():
            self._beat()
            try:
                async with asyncio.timeout(self._beat_s):
                    await stop.wait()
            except TimeoutError:
                continue
        self._send(["STOPPING=1", "STATUS=stopping: what was received is written first"])

    def _beat(self) -> None:
        words = []
        status = "starting"
        if self._views is not None:
            components = self._views.health.components()
            word = overall(components)
            status = f"{word}; {self._serving}{troubles(components)}"
            if word != "unhealthy" and not self._is_ready:
                self._is_ready = True
                words.append("READY=1")
        if not self._is_ready:
            words.append(f"EXTEND_TIMEOUT_USEC={EXTENSION_S * 1_000_000}")
        if self._watched:
            words.append("WATCHDOG=1")
        if status != self._status:
            self._status = status
            words.append(f"STATUS={status}")
        if words:
            self._send(words)

    def _send(self, words: list[str]) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as told:
                told.connect(self._address)
                told.send("\n".join(words).encode())
            self._is_deaf = False
        except OSError as error:
            if not self._is_deaf:
                self._is_deaf = True
                log.warning("systemd.deaf", code="systemd-deaf", socket=self._address, reason=error.strerror or str(error))


def troubles(components: Mapping[str, Component]) -> str:
    """What is not well, the required first, in one line."""
    found = sorted(
        (not one.required, f"{name} {one.status}: {' '.join(one.reason.split())}")
        for name, one in components.items()
        if one.status != "ok"
    )
    return "".join(f"; {text}" for _, text in found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
