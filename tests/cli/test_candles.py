"""`candles` writes what the archive holds, in each form."""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

from marketd.clock import SystemClock
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.stores import archive as archives
from marketd.stores.archive import Page
from tests.cli.conftest import Ask
from tests.samples import candle

SERIES = ("candles", "--exchange", "binance", "--symbol", "BTCUSDT", "--timeframe", "1m")


@pytest.fixture
def filled(tmp_path: Path) -> None:
    candles = [candle(number, close=f"371{number:02}.40", high="37200.00", low="37100.00") for number in range(5)]
    span = Interval(candles[0].open_time, candles[-1].close_time)

    async def fill() -> None:
        url = f"sqlite:///{tmp_path / 'marketd-data' / 'archive.db'}"
        async with archives.open_archive(url, SystemClock()) as archive:
            page = Page(CandleSeries("binance", "BTCUSDT", "1m"), span, candles, [Stretch(*span, "have", "", 1)], "backfill")
            await archive.put(page)

    asyncio.run(fill())


@pytest.mark.usefixtures("filled")
def test_csv_and_json_hold_the_venues_digits(ask: Ask) -> None:
    rows = list(csv.DictReader(io.StringIO(ask(*SERIES, "--format", "csv").out)))
    told = json.loads(ask(*SERIES, "--format", "json").out)

    assert ["37100.40", "37101.40", "37102.40", "37103.40", "37104.40"] == [row["close"] for row in rows]
    assert [row["volume"] for row in rows] == [one["volume"] for one in told] == ["12.50000000"] * 5
    assert {(True, 0, "backfill")} == {(one["closed"], one["revision"], one["source"]) for one in told}


@pytest.mark.usefixtures("filled")
def test_a_limit_gives_the_newest_and_a_span_what_lies_in_it(ask: Ask) -> None:
    newest = ask(*SERIES, "--limit", "2", "--format", "csv").out.splitlines()
    first = candle(0).open_time
    span = ask(*SERIES, "--start", str(first), "--end", str(first + 60 * 10**9), "--format", "csv").out.splitlines()

    assert ["37103.40", "37104.40"] == [line.split(",")[5] for line in newest[1:]]
    assert 2 == len(span)


@pytest.mark.usefixtures("filled")
def test_a_table_and_a_chart_are_for_people(ask: Ask) -> None:
    table, drawn = ask(*SERIES), ask(*SERIES, "--format", "chart")

    assert table.out.splitlines()[0].split() == [
        "open_time", "close_time", "open", "high", "low", "close", "volume", "closed", "revision", "source",
    ]  # fmt: skip
    assert "2023-11-14 22:13" in drawn.out
    assert drawn.out.count("│") > 3


@pytest.mark.usefixtures("filled")
def test_a_file_gets_what_the_screen_would(ask: Ask, tmp_path: Path) -> None:
    shown = ask(*SERIES, "--format", "csv").out
    said = ask(*SERIES, "--format", "csv", "-o", "out.csv")

    assert (0, "") == (said.code, said.out)
    assert shown == (tmp_path / "out.csv").read_text()


def test_nothing_stored_names_what_there_is(ask: Ask, filled: None) -> None:
    said = ask("candles", "--exchange", "binance", "--symbol", "ETHUSDT", "--timeframe", "1m")

    assert 1 == said.code
    assert "--symbol ETHUSDT: nothing of it is stored for binance" in said.err
    assert "stored: BTCUSDT" in said.err


@pytest.mark.parametrize(
    ("words", "says"), [(("--tf", "7q"), "--timeframe: '7q'"), (("--tf", "1m", "--format", "parquet"), "--output")]
)
def test_wrong_flags_are_one_line(ask: Ask, words: tuple[str, ...], says: str) -> None:
    said = ask("candles", "--exchange", "binance", "--symbol", "BTCUSDT", *words)

    assert 2 == said.code
    assert says in said.err


def test_looking_makes_no_archive(ask: Ask, tmp_path: Path) -> None:
    said = ask(*SERIES, "--data-dir", "typo")

    assert 1 == said.code
    assert (
        "there is no archive yet at typo/archive.db; name its directory with --data-dir, or fill it: marketd backfill" in said.err
    )
    assert [] == list(tmp_path.iterdir())


@pytest.mark.usefixtures("filled")
def test_a_venue_or_a_symbol_written_in_another_way_is_told_how(ask: Ask) -> None:
    spelled = ask("candles", "--exchange", "Binance", "--symbol", "BTC/USDT", "--timeframe", "1m")
    unknown = ask("candles", "--exchange", "binanse", "--symbol", "BTCUSDT", "--timeframe", "1m")

    assert 2 == spelled.code
    assert "--symbol: found 'BTC/USDT'" in spelled.err
    assert "did you mean BTCUSDT?" in spelled.err
    assert 2 == unknown.code
    assert "--exchange binanse: unknown venue (did you mean binance?)" in unknown.err
