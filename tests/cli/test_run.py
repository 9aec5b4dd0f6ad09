"""`run`, from the first line to the last: it records, answers, and stops in order."""

import json
import signal
import socket
from pathlib import Path

import httpx

from tests.cli.conftest import Program, Start

RUN = ("run", "--provider", "binance", "--symbols", "BTCUSDT,ETHUSDT", "--data-dir", "data")


def address_of(program: Program) -> str:
    found: str = json.loads(program.wait_for("daemon.started"))["address"]
    return found


def wait_for_trades(address: str) -> None:
    for _ in range(400):
        if httpx.get(f"{address}/stats").json()["publisher"]["publish_count"] > 100:
            return
    raise AssertionError("nothing was recorded")


def test_it_records_until_it_is_told_to_stop(start: Start, simulated: dict[str, str], tmp_path: Path) -> None:
    program = start(*RUN, "--port", "0", "--capture", "session.jsonl", environ=simulated)
    address = address_of(program)
    wait_for_trades(address)
    health = httpx.get(f"{address}/health")

    assert health.status_code == 200
    assert program.end(signal.SIGTERM) == 0
    assert (tmp_path / "session.jsonl").stat().st_size > 0
    lines = (tmp_path / "data" / "events.jsonl").read_text().splitlines()
    assert {json.loads(line)["type"] for line in lines} >= {"trade", "quote", "status"}

    replayed = start("replay", "session.jsonl", "--provider", "binance", "--data-dir", "again")
    assert replayed.wait() == 0, replayed.said
    assert "trade" in replayed.said["out"][0]
    again = (tmp_path / "again" / "events.jsonl").read_text().splitlines()
    assert {line for line in again if '"type":"trade"' in line} >= {line for line in lines if '"type":"trade"' in line}


def test_a_busy_port_is_one_line_with_the_variable(start: Start, simulated: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start(*RUN, environ={**simulated, "HTTP_PORT": str(port)})
        code = program.wait()

    assert code == 1
    assert program.said["err"][-1] == f"marketd: api: 127.0.0.1:{port} is in use; change the port with HTTP_PORT or --port"
    assert not any("Traceback" in line for line in program.said["err"])


def test_symbols_that_nobody_lists_end_the_start(start: Start, simulated: dict[str, str]) -> None:
    program = start("run", "--provider", "binance", "--symbols", "NOSUCHUSDT", "--port", "0", environ=simulated)

    assert program.wait() == 2
    assert "NOSUCHUSDT" in program.said["err"][-1]
    assert not any("daemon.started" in line for line in program.said["err"])
