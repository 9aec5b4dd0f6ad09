"""A server as a process of its own in a directory of its own, which a test may kill, freeze and start again with what it kept."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

WITHIN_S = 30.0
LOOPBACK = "127.0.0.1"


class ServerProcess(ABC):
    """Runs from entering to leaving; nothing of it is left behind."""

    def __init__(self, what: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix=f"marketd-{what}-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    @abstractmethod
    def start(self, *, wait: bool = True) -> None:
        """Returns when it serves; with `wait=False` at once. On the same port and data as before."""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._home / "log").read_text()

    def kill(self) -> None:
        """As `kill -9` does, also while it is frozen: nobody is told, nothing more is written. What it stored stays."""
        if self.is_running:
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(WITHIN_S)

    def restart(self) -> None:
        """Killed if need be, and started again on the same port and data."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """It keeps its connections and says nothing until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # until all its threads have stopped

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _spawn(self, *command: str | Path) -> None:
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, cwd=self._home)


def free_ports(count: int) -> Sequence[int]:
    with ExitStack() as sockets:
        taken = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in taken]
