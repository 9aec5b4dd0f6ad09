"""What an engine would do with a container of ours: its command as a process, its health check beside it, SIGTERM at the end."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.cli.conftest import Program, Start
from tests.daemons import eventually_sync
from tests.deploy import image
from tests.server_process import free_ports

WITHIN_S = 60.0
UNSET = {"NATS_URL": "", "REDIS_URL": ""}  # an engine gives a container nothing of the machine's own variables


@dataclass
class Container:
    """`python` and `marketd` are the test's own; port and address are free ones of loopback; /data is a directory of the test."""

    program: Program
    environ: dict[str, str]

    def check(self) -> "subprocess.CompletedProcess[str]":
        """The health check, once, as the image has it."""
        program, *words = image.health_check()

        assert program == "python"
        return subprocess.run(
            [sys.executable, *words], env={**os.environ, **self.environ}, capture_output=True, text=True, timeout=10, check=False
        )

    def until_healthy(self) -> None:
        def complaint() -> str:
            assert self.program.process.poll() is None, self.program.said
            return self.troubles() if (checked := self.check()).returncode else checked.stderr

        eventually_sync(complaint, WITHIN_S, lambda text: text == "")

    def troubles(self) -> str:
        """What /health says, for whoever reads the failure of a test."""
        try:
            parts = httpx.get(f"http://127.0.0.1:{self.environ['HTTP_PORT']}/health").json()["components"]
        except httpx.HTTPError as error:
            return repr(error)
        return "; ".join(f"{name}: {one['reason']}" for name, one in parts.items() if one["status"] == "unhealthy")

    def stop(self) -> int:
        return self.program.end(signal.Signals[image.of_last_stage("STOPSIGNAL")])


def run(start: Start, command: list[str], data_dir: Path, environ: Mapping[str, str]) -> Container:
    assert image.entry_point() == ["marketd"]
    (port,) = free_ports(1)
    here = {
        **UNSET,
        **image.environ(),
        **environ,
        "HTTP_HOST": "127.0.0.1",
        "HTTP_PORT": str(port),
        "MARKETD_DATA_DIR": str(data_dir),
    }
    return Container(start(*command, environ=here), here)
