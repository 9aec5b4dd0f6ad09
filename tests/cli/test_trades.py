"""Stored trades leave with the venue's digits, in every form."""

import csv
import json
from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.model.events import Trade
from marketd.stores.events import EventStore, EventStoreConfig
from tests.cli.conftest import Ask

START = 1_731_605_400_000_000_000  # 2024-11-14T17:30:00Z


def trade(number: int, venue: str = "binance") -> Trade:
    ts = START + number * 1_000_000_000
    return Trade(venue, "BTCUSDT", ts, ts, f"91234.{number:02d}000", "0.0100", "sell", str(number))


@pytest.fixture
async def stored(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path / "marketd-data", clock) as store:
        await store.write([trade(number) for number in range(20)])
        await store.write([trade(100, "bybit")])


async def test_csv_has_a_row_for_each(ask: Ask, stored: None, tmp_path: Path) -> None:
    said = ask("trades", "--symbol", "btcusdt", "--exchange", "binance", "--format", "csv", "-o", "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))

    assert said.code == 0, said.err
    assert len(rows) == 20
    assert (rows[3]["price"], rows[3]["size"], rows[3]["time"]) == ("91234.03000", "0.0100", "2024-11-14T17:30:03+00:00")


async def test_json_is_an_array_of_events(ask: Ask, stored: None) -> None:
    found = json.loads(ask("trades", "--symbol", "BTCUSDT", "--format", "json").out)

    assert [one["trade_id"] for one in found] == [*map(str, range(20)), "100"]
    assert found[0]["type"] == "trade"


async def test_a_table_of_a_range_and_a_limit(ask: Ask, stored: None) -> None:
    words = ["--start", "2024-11-14T17:30:05", "--end", "1731605419", "--limit", "2"]
    lines = ask("trades", "--symbol", "BTCUSDT", *words).out.splitlines()

    assert lines[0].split() == ["time", "provider", "symbol", "price", "size", "side", "trade_id", "repaired"]
    assert [line.split()[3] for line in lines[1:]] == ["91234.05000", "91234.06000"]


async def test_a_symbol_that_is_not_stored_is_said_with_those_that_are(ask: Ask, stored: None) -> None:
    said = ask("trades", "--symbol", "BTCUSTD", "--format", "json")

    assert (said.code, said.out) == (1, "")
    assert "nothing is stored of BTCUSTD (did you mean BTCUSDT?)" in said.err
    assert "stored: BTCUSDT from binance, BTCUSDT from bybit" in said.err


async def test_a_venue_that_has_none_of_it_is_said(ask: Ask, stored: None) -> None:
    said = ask("trades", "--symbol", "BTCUSDT", "--exchange", "kraken")

    assert (said.code, said.out) == (1, "")
    assert "nothing is stored of BTCUSDT from kraken" in said.err


async def test_a_venue_that_does_not_exist_is_said_with_those_that_do(ask: Ask, stored: None) -> None:
    said = ask("trades", "--symbol", "BTCUSDT", "--exchange", "nyse")

    assert (said.code, said.out) == (2, "")
    assert "--exchange nyse: unknown venue" in said.err
    assert "allowed: alpaca, binance" in said.err


async def test_no_trade_in_a_time_is_an_empty_answer(ask: Ask, stored: None) -> None:
    said = ask("trades", "--symbol", "BTCUSDT", "--start", "2025-01-01", "--format", "json")

    assert (said.code, json.loads(said.out)) == (0, [])
    assert said.err == "marketd: no trade of BTCUSDT in that time\n"


async def test_a_time_that_ends_before_it_starts_is_refused(ask: Ask, stored: None) -> None:
    said = ask("trades", "--symbol", "BTCUSDT", "--start", "2025-01-01", "--end", "2024-01-01")

    assert said.code == 2
    assert "--end: found '2024-01-01', expected a time after --start" in said.err


async def test_a_store_in_the_working_directory_is_pointed_at(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "market_data.db").touch()
    said = ask("trades", "--symbol", "BTCUSDT")

    assert said.code == 1
    assert "there is one here: add --data-dir ." in said.err
