"""The whole daemon as its user has it: `marketd demo`, a process of its own with every role that has an endpoint."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.daemons import eventually_sync
from tests.scenarios.test_long_range import memory_of

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 240.0
RATE = "5"  # market events a second and venue: what is asked is tested here, not how much comes


@dataclass
class Whole:
    """It runs, and every part has something to tell."""

    address: str
    token: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def authorised(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str) -> Any:
        """The body of a 200, else None."""
        answer = httpx.get(f"{self.address}{path}", timeout=WITHIN_S)
        return answer.json() if answer.status_code == 200 else None

    def resident_mib(self) -> float:
        """What of its memory is in the machine's."""
        return memory_of(self.process.pid, "VmRSS") / 2**20

    def mistakes(self) -> list[str]:
        """What it said of mistakes of its own."""
        signs = ('"level": "error"', "Traceback", "Exception in ASGI")
        return [line for line in self.log.read_text(errors="replace").splitlines() if any(sign in line for sign in signs)]

    def is_well(self) -> bool:
        return self.process.poll() is None and httpx.get(f"{self.address}/livez", timeout=WITHIN_S).status_code == 200


@contextmanager
def run_whole(directory: Path) -> Iterator[Whole]:
    """Stopped on leaving."""
    log, data = directory / "daemon.log", directory / "data"
    words = ("-m", "marketd", "demo", "--port", "0", "--data-dir", str(data), "--rate", RATE)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "MARKETD_LOG_FORMAT": "json"}
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=directory, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        address = eventually_sync(lambda: _address(log), WITHIN_S)
        whole = Whole(address, (data / "api-token").read_text().strip(), log, process)
        for path in ("/scanner", "/features/signals", "/paper", "/api/redis/log", "/status"):
            eventually_sync(lambda path=path: whole.get(path) is not None, WITHIN_S)
        eventually_sync(lambda: whole.get("/candles/latest?exchange=binance&symbol=BTCUSDT&timeframe=1m"), WITHIN_S)
        eventually_sync(lambda: whole.get("/analysis?symbol=BTCUSDT&timeframe=1h"), WITHIN_S)
        eventually_sync(lambda: whole.get("/trades?symbol=BTCUSDT&limit=1"), WITHIN_S)
        yield whole
    finally:
        process.terminate()  # its venues are a process of their own, which it takes along
        try:
            process.wait(WITHIN_S)
        finally:
            process.kill()


def _address(log: Path) -> str:
    return next((line.split()[3] for line in log.read_text(errors="replace").splitlines() if "open http" in line), "")
