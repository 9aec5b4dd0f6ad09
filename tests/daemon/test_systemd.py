"""What systemd is told, word for word, by a supervisor whose health is ours to say; tests/deploy has the real daemon."""

import asyncio
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from marketd.api.state import Component
from marketd.api.views import Views
from marketd.daemon.systemd import Supervisor, troubles
from tests.daemons import eventually
from tests.notified import Notified

ADDRESS = "http://127.0.0.1:8891"


@dataclass
class Health:
    parts: dict[str, Component] = field(default_factory=dict)

    def components(self) -> dict[str, Component]:
        return self.parts

    def becomes(self, status: str) -> None:
        self.parts = {"venues": Component(cast(Any, status), True, "no venue has fresh data", 0)}


@dataclass
class Seen:
    health: Health


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[Notified]:
    with Notified(tmp_path / "notify") as listening:
        yield listening


async def hears(notified: Notified, line: str) -> None:
    def heard() -> bool:
        notified.drain()
        return line in notified.heard

    await eventually(heard)


def supervisor(notified: Notified, **more: str) -> Supervisor:
    found = Supervisor.of({"NOTIFY_SOCKET": str(notified.path), "WATCHDOG_USEC": "40000", **more})
    assert found is not None
    return found


async def test_ready_is_said_once_and_not_before_health_is(notified: Notified) -> None:
    health, stop = Health(), asyncio.Event()
    telling = supervisor(notified)
    async with asyncio.TaskGroup() as group:
        group.create_task(telling.tell(stop))
        await hears(notified, "STATUS=starting")
        health.becomes("unhealthy")
        telling.sees(ADDRESS, cast(Views, Seen(health)))
        await hears(notified, f"STATUS=unhealthy; {ADDRESS}; venues unhealthy: no venue has fresh data")
        before = list(notified.heard)
        health.becomes("ok")
        await hears(notified, f"STATUS=ok; {ADDRESS}")
        health.becomes("unhealthy")
        await hears(notified, "WATCHDOG=1")
        stop.set()
    notified.drain()

    assert "READY=1" not in before
    assert "EXTEND_TIMEOUT_USEC=30000000" in before
    assert notified.heard.count("READY=1") == 1
    assert notified.heard[-2:] == ["STOPPING=1", "STATUS=stopping: what was received is written first"]


async def test_degraded_is_ready(notified: Notified) -> None:
    health, stop = Health({"sink.nats": Component("unhealthy", False, "Connection\nrefused", 0)}), asyncio.Event()
    telling = supervisor(notified)
    telling.sees(ADDRESS, cast(Views, Seen(health)))
    async with asyncio.TaskGroup() as group:
        group.create_task(telling.tell(stop))
        await hears(notified, "READY=1")
        stop.set()
    notified.drain()

    assert f"STATUS=degraded; {ADDRESS}; sink.nats unhealthy: Connection refused" in notified.heard


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "40000", "WATCHDOG_PID": str(os.getpid() + 1)}],
)
async def test_without_a_watchdog_of_ours_none_is_fed(notified: Notified, environ: dict[str, str]) -> None:
    telling = Supervisor.of({"NOTIFY_SOCKET": str(notified.path), **environ})
    assert telling is not None
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(telling.tell(stop))
        await hears(notified, "STATUS=starting")
        stop.set()
    notified.drain()

    assert "WATCHDOG=1" not in notified.heard


def test_nobody_is_told_where_nobody_asked() -> None:
    assert [Supervisor.of({}), Supervisor.of({"NOTIFY_SOCKET": ""}), Supervisor.of({"NOTIFY_SOCKET": "vsock:2:1"})] == [None] * 3


async def test_an_abstract_socket_is_reached_too() -> None:
    name = f"marketd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        stop = asyncio.Event()
        stop.set()
        telling = Supervisor.of({"NOTIFY_SOCKET": f"@{name}"})
        assert telling is not None
        await telling.tell(stop)

        assert listening.recv(100).startswith(b"STOPPING=1")


async def test_a_socket_that_is_gone_is_said_once(tmp_path: Path) -> None:
    stop = asyncio.Event()
    telling = Supervisor(str(tmp_path / "gone"), 0.01)
    with capture_logs() as lines:
        async with asyncio.TaskGroup() as group:
            group.create_task(telling.tell(stop))
            await eventually(lambda: lines)
            stop.set()

    assert [(line["event"], line["reason"]) for line in lines] == [("systemd.deaf", "No such file or directory")]


def test_troubles_are_one_line_with_the_required_first() -> None:
    parts = {name: Component("degraded", name == "z", "why", 0) for name in "abcdz"}

    assert troubles(parts) == "; z degraded: why; a degraded: why; b degraded: why; and 2 more"
