"""`sim` prints what to export, serves, and ends on Ctrl-C."""

import httpx

from tests.cli.conftest import Start


def test_the_printed_lines_lead_to_the_venue(start: Start) -> None:
    program = start("sim", "--venue", "binance", "--port", "0")
    url = program.wait_for("BINANCE_REST_URL").partition("=")[2]

    assert httpx.get(f"{url}/api/v3/exchangeInfo").status_code == 200
    assert program.end() == 0
    assert [line.partition("=")[0] for line in program.said["out"]] == ["export BINANCE_WS_URL", "export BINANCE_REST_URL"]
    assert program.said["err"] == []


def test_a_busy_port_is_one_line(start: Start) -> None:
    url = start("sim", "--venue", "binance", "--port", "0").wait_for("BINANCE_REST_URL").partition("=")[2]
    port = httpx.URL(url).port
    second = start("sim", "--port", str(port))

    assert second.wait() == 1
    assert second.said["err"] == [f"marketd: sim: 127.0.0.1:{port} is in use; change the port with --port"]
