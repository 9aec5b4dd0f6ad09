"""A consumer in Node that knows only what is promised to the outside, with plain `fetch` and `WebSocket`, on real daemons."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Start, start

__all__ = ["start"]
CONSUMER = Path(__file__).with_name("plain") / "consumer.test.mjs"
TOKEN = "known-to-the-test"
FLAGS = ["--experimental-websocket", "--test", "--test-concurrency=1"]


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_a_consumer_without_a_client_gets_what_is_promised(start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    live = start("demo", "--port", "0", "--data-dir", str(data)).wait_for("open http").split()[3]
    stored = start("run", "--profile", "api", "--port", "0", "--data-dir", str(data), environ={"MARKETD_API_TOKEN": TOKEN})
    address = stored.wait_for("daemon.started")
    found = next(word for word in address.replace('"', " ").replace("=", " ").split() if word.startswith("http://"))
    environment = {
        **os.environ,
        "MARKETD_URL": live,
        "MARKETD_TOKEN": (data / "api-token").read_text().strip(),
        "MARKETD_STORED_URL": found,
        "MARKETD_STORED_TOKEN": TOKEN,
    }
    ran = subprocess.run(["node", *FLAGS, CONSUMER], env=environment, capture_output=True, text=True, timeout=500, check=False)

    assert ran.returncode == 0, f"{ran.stdout[-12_000:]}\n{ran.stderr[-2000:]}"
