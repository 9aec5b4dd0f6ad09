"""`sim` prints what to export, serves, and ends on Ctrl-C."""

from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Start


def test_the_printed_lines_lead_to_the_venue(start: Start) -> None:
    program = start("sim", "--venue", "binance", "--port", "0")
    url = program.wait_for("BINANCE_REST_URL").partition("=")[2]

    assert httpx.get(f"{url}/api/v3/exchangeInfo").status_code == 200
    assert program.end() == 0
    assert ["export BINANCE_WS_URL", "export BINANCE_REST_URL", "export COINGECKO_URL"] == [
        line.partition("=")[0] for line in program.said["out"]
    ]
    assert program.said["err"] == []


def test_so_many_symbols_are_listed_and_ranked(start: Start) -> None:
    program = start("sim", "--venue", "binance", "--port", "0", "--symbols", "30")
    url = program.wait_for("BINANCE_REST_URL").partition("=")[2]
    coins = program.wait_for("COINGECKO_URL").partition("=")[2]
    ranked = httpx.get(f"{coins}/coins/markets", params={"vs_currency": "usd", "per_page": "250"}).json()

    assert len(httpx.get(f"{url}/api/v3/exchangeInfo").json()["symbols"]) == 30
    assert len([one for one in ranked if one["id"].startswith("coin-")]) == 30


def test_a_busy_port_is_one_line(start: Start) -> None:
    url = start("sim", "--venue", "binance", "--port", "0").wait_for("BINANCE_REST_URL").partition("=")[2]
    port = httpx.URL(url).port
    second = start("sim", "--port", str(port))

    assert second.wait() == 1
    assert second.said["err"] == [f"marketd: sim: 127.0.0.1:{port} is in use; change the port with --port"]


def test_recorded_candles_are_served_at_the_time_that_was_asked_for(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1d.csv"
    path.write_text("1600041600000,1.50,2,1,1.20,3\n1600128000000,1,2,1,1,9\n")
    program = start("sim", "--venue", "binance", "--port", "0", "--from", str(path), "--now", "2020-09-14T12:00")
    url = program.wait_for("BINANCE_REST_URL").partition("=")[2]
    rows = httpx.get(f"{url}/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1d"}).json()

    # Half of the day has gone: the open and one end were there, and half of the volume.
    assert [row[:6] for row in rows] == [[1_600_041_600_000, "1.50", "2", "1.50", "2", "2"]]
    assert program.end() == 0


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--now", "yesterday", "marketd: sim --now: 'yesterday' is not a time such as 2016-09-01 or 2016-09-01T00:00:00Z"),
        ("--thin", "BTCUSDT", "marketd: sim --thin: 'BTCUSDT' should be symbols and shares such as SOLUSD=0.9,ETHUSD=0.5"),
        ("--thin", "BTCUSDT=2", "marketd: sim thin BTCUSDT=2.0 is not a share between 0 and 1"),
        ("--from", "nowhere.csv", "marketd: nowhere.csv: the name should say symbol and timeframe, as BTCUSDT-1h.csv.gz"),
        ("--from", "BTCUSDT-1h.csv", "marketd: sim: BTCUSDT-1h.csv: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_one_line(start: Start, option: str, value: str, words: str) -> None:
    program = start("sim", "--venue", "binance", "--port", "0", option, value)

    assert program.wait() == (1 if "No such" in words else 2)
    assert program.said["err"] == [words]
