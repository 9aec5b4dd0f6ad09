"""The servers of compose.yaml, started by their own commands there, on free ports of loopback."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.nats_servers import NatsServer, nats_program
from tests.redis_server import RedisServer, redis_program

REDIS_NAME, NATS_NAME = "valkey-server", "nats"


class ComposedRedis(RedisServer):
    """As the service's command says; port and directory are the test's."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self._command = command

    def start(self, *, wait: bool = True) -> None:
        program, *words = self._command

        assert program == REDIS_NAME
        self._spawn(redis_program(), *words, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._home))
        if wait:
            self._wait()


class ComposedNats(NatsServer):
    """As the service's command says: options of nats-server, which is the image's entry point."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__()
        self._command = list(command)

    def start(self, *, wait: bool = True) -> None:
        words = list(self._command)
        words[words.index("--store_dir") + 1] = str(self._home / "store")
        words[words.index("--http_port") + 1] = str(self._monitor_port)
        self._spawn(nats_program(), *words, "--addr", "127.0.0.1", "--port", str(self.port))
        if wait:
            self.wait()


def tool(name: str) -> Path | None:
    """A checker that stands beside the tests' Python, or None."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return None if found is None else Path(found)
