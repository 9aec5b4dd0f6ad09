"""`backtest` over an archive: reports in every form, and one line for what cannot be done."""

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

from marketd.clock import SystemClock
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.stores import archive as archives
from marketd.stores.archive import Page
from tests.analysis.candles import HOUR, Made, walk
from tests.cli.conftest import Ask

BACKTEST = ("backtest", "--exchange", "binance")


def fill(home: Path, **coins: list[Made]) -> None:
    async def put() -> None:
        url = f"sqlite:///{home / 'marketd-data' / 'archive.db'}"
        async with archives.open_archive(url, SystemClock()) as archive:
            for symbol, rows in coins.items():
                span = Interval(rows[0].open_time, rows[-1].open_time + HOUR)
                candles = [
                    Candle("binance", symbol, None, 1, "1h", one.open_time, one.open_time + HOUR, *one[1:6], True) for one in rows
                ]
                page = Page(CandleSeries("binance", symbol, "1h"), span, candles, [Stretch(*span, "have", "", 1)], "backfill")
                await archive.put(page)

    asyncio.run(put())


@pytest.fixture
def filled(tmp_path: Path) -> None:
    fill(tmp_path, AAAUSDT=walk(700, 1), BBBUSDT=walk(700, 2))


@pytest.mark.usefixtures("filled")
def test_a_table_shows_what_came_of_it(ask: Ask) -> None:
    said = ask(*BACKTEST)

    assert (said.code, said.err) == (0, "")
    assert "binance, 2 coins, 1h; on paper only" in said.out
    assert "max drawdown" in said.out


@pytest.mark.usefixtures("filled")
def test_every_form_gives_the_same_bytes_twice(ask: Ask) -> None:
    for form in ("table", "json", "csv", "html"):
        one, other = ask(*BACKTEST, "--format", form), ask(*BACKTEST, "--format", form)

        assert one.out == other.out != ""
        assert one.code == 0


@pytest.mark.usefixtures("filled")
def test_the_ending_of_the_file_is_its_form(ask: Ask, tmp_path: Path) -> None:
    answers = [ask(*BACKTEST, "-o", name) for name in ("report.html", "report.json", "report.csv")]
    said = [one.out for one in answers]

    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    found = json.loads((tmp_path / "report.json").read_text())
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text())))) == len(found["trades"]) > 0
    assert said[0] == said[1] == said[2] == ask(*BACKTEST).out
    assert [one.err for one in answers] == [f"written to report.{ending}\n" for ending in ("html", "json", "csv")]


@pytest.mark.usefixtures("filled")
def test_symbols_and_span_are_obeyed(ask: Ask) -> None:
    words = ("--symbol", "BBBUSDT", "--start", "2023-12-07", "--end", "2023-12-10", "--format", "json")
    found = json.loads(ask(*BACKTEST, *words).out)

    assert [coin["symbol"] for coin in found["coins"]] == ["BBBUSDT"]
    assert (found["start"], found["end"]) == ("2023-12-07T00:00:00+00:00", "2023-12-10T00:00:00+00:00")
    assert [coin["candles"] for coin in found["coins"]] == [72]
    assert json.loads(ask(*BACKTEST, "--days", "2", "--format", "json").out)["coins"][0]["candles"] == 48


@pytest.mark.usefixtures("filled")
def test_settings_come_from_the_configuration(ask: Ask) -> None:
    found = json.loads(ask(*BACKTEST, "--format", "json", environ={"MARKETD__PAPER__CASH": "500"}).out)

    assert (found["cash"], found["settings"]["paper"]["cash"]) == ("500", "500")


def test_a_coin_with_too_few_candles_is_left_out_and_named(ask: Ask, tmp_path: Path) -> None:
    candles = walk(700, 1)
    del candles[550]
    fill(tmp_path, AAAUSDT=candles, BBBUSDT=walk(20, 2))
    said = ask(*BACKTEST)

    assert said.code == 0
    assert "note: BBBUSDT was left out: 20 closed candles are stored" in said.out
    assert "note: AAAUSDT: candles are missing from 2023-12-07T22:00:00+00:00 to 2023-12-07T23:00:00+00:00" in said.out


def test_too_few_candles_everywhere_is_one_line_and_what_to_do(ask: Ask, tmp_path: Path) -> None:
    fill(tmp_path, AAAUSDT=walk(20, 1))
    said = ask(*BACKTEST)

    assert said.code == 1
    assert said.err.count("\n") == 1
    assert "binance AAAUSDT 1h: 20 closed candles are stored" in said.err
    assert "marketd backfill --exchange binance --symbol AAAUSDT --timeframe 1h" in said.err


@pytest.mark.usefixtures("filled")
def test_the_candles_to_fetch_are_those_of_the_span_that_was_asked_for(ask: Ask) -> None:
    early = ask(*BACKTEST, "--start", "2023-11-16", "--end", "2023-11-18").err
    up_to = ask(*BACKTEST, "--end", "2023-11-18").err

    assert (
        "more candles: marketd backfill --exchange binance --symbol AAAUSDT --timeframe 1h --start 2023-10-26T04:00:00" in early
    )
    assert early.strip().endswith("--end 2023-11-18")
    assert up_to.strip().endswith("--days 90 --end 2023-11-18")


@pytest.mark.usefixtures("filled")
def test_a_report_that_cannot_be_written_is_said_before_the_work(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketd.backtest.running.run", lambda *_: pytest.fail("it has been worked for nothing"))
    said = ask(*BACKTEST, "-o", "nowhere/report.html")

    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "nowhere/report.html" in said.err


def test_without_an_archive_it_says_how_to_fill_one(ask: Ask) -> None:
    said = ask(*BACKTEST)

    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "there is no archive yet" in said.err


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (("--symbol", "ZZZUSDT"), 1, "--symbol ZZZUSDT: nothing of it is stored for binance; stored: AAAUSDT, BBBUSDT"),
        (("--timeframe", "4h"), 1, "--timeframe 4h: nothing of it is stored for binance; stored: 1h"),
        (("--timeframe", "9x"), 2, "--timeframe:"),
        (("--timeframe", "1M"), 2, "--timeframe: found 1M, expected one of fixed length"),
        (("--timeframe", "1h,4h"), 2, "--timeframe: found '1h,4h', expected one"),
        (("--exchange", "binance,bybit"), 2, "--exchange: found 'binance,bybit', expected one"),
        (("--start", "2024-01-01"), 2, "--start: found '2024-01-01', expected a time before"),
        (("--start", "2023-12-01", "--days", "3"), 2, "--start or --days: expected one of the two"),
        (("--start", "2023-12-01", "--end", "2023-11-30"), 2, "--end: found '2023-11-30', expected a time after"),
        (("--start", "soon"), 2, "--start: found 'soon'"),
        (("--end", "2023-11-20"), 1, "binance AAAUSDT 1h: 120 closed candles are stored"),
        (("-o", "nowhere/report.html"), 1, "nowhere/report.html"),
        (("-o", "report.pdf"), 2, ".html"),
    ],
)
def test_what_cannot_be_done_is_one_line(ask: Ask, words: tuple[str, ...], code: int, answer: str) -> None:
    said = ask(*BACKTEST, *words)

    assert said.code == code, said.err
    assert said.err.startswith("marketd: ")
    assert said.err.count("\n") == 1
    assert answer in said.err


@pytest.mark.usefixtures("filled")
def test_help_has_examples(ask: Ask) -> None:
    said = ask("backtest", "--help")

    assert said.code == 0
    assert "-o report.html" in said.out
