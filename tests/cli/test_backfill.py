"""`backfill` fills the archive from a simulated venue, once; `gaps` and `candles` show what is there."""

import signal
import time
from pathlib import Path

import pytest

from tests.cli.conftest import WITHIN_S, Ask, Start

ASKED = ("--exchange", "binance", "--symbol", "BTCUSDT", "--timeframe", "1h")


def test_a_series_is_filled_once_and_then_nothing_is_asked(ask: Ask, simulated: dict[str, str]) -> None:
    first = ask("backfill", *ASKED, "--days", "3", environ=simulated)
    again = ask("backfill", *ASKED, "--start", "2020-01-01", "--end", "2020-01-02", environ=simulated)
    there = ask("backfill", *ASKED, "--start", "2020-01-01", "--end", "2020-01-02", environ=simulated)

    assert (0, "") == (first.code, first.err)
    assert first.out.startswith("binance BTCUSDT 1h: ")
    assert "candles in" in again.out
    assert "binance BTCUSDT 1h: everything was there\n" == there.out


def test_files_of_the_venues_archive_are_used_where_it_is_named(ask: Ask, simulated: dict[str, str]) -> None:
    words = ("--exchange", "binance", "--symbol", "BTCUSDT", "--timeframe", "1m")
    environ = simulated | {"MARKETD__EXCHANGES__BINANCE__BULK_URL": simulated["BINANCE_REST_URL"]}
    said = ask("backfill", *words, "--start", "2022-03-01T12:00", "--end", "2022-03-03T12:00", environ=environ)
    rows = ask("candles", *words, "--format", "csv").out.splitlines()[1:]

    assert 0 == said.code, said.err
    assert (1440, 1440) == (sum(row.endswith(",bulk") for row in rows), sum(row.endswith(",backfill") for row in rows))


def test_several_series_take_turns(ask: Ask, simulated: dict[str, str]) -> None:
    series = ("--exchange", "binance", "--symbol", "BTCUSDT,ETHUSDT", "--timeframe", "1h,1d")
    said = ask("backfill", *series, "--days", "5", "--order", "newest", environ=simulated)

    assert 0 == said.code, said.err
    assert ["binance BTCUSDT 1h", "binance BTCUSDT 1d", "binance ETHUSDT 1h", "binance ETHUSDT 1d"] == [
        line.partition(":")[0] for line in said.out.splitlines()
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--days", "3", "--start", "2024-01-01"), "--start or --days"),
        ((), "--start or --days"),
        (("--start", "2024-02-01", "--end", "2024-01-01"), "--end: found '2024-01-01', expected a time after 2024-02-01"),
        (("--start", "2100-01-01"), "--start: found '2100-01-01', expected a time before 20"),
        (("--days", "36500"), "--days: found 36,500, expected at most "),
        (("--start", "soon"), "--start: found 'soon'"),
    ],
)
def test_a_wrong_span_is_one_line_that_names_the_flag(ask: Ask, words: tuple[str, ...], says: str) -> None:
    said = ask("backfill", *ASKED, *words)

    assert 2 == said.code
    assert says in said.err
    assert 1 == said.err.count("\n")


def test_what_the_venue_does_not_have_is_said(ask: Ask, simulated: dict[str, str]) -> None:
    symbol = ask("backfill", "--exchange", "binance", "--symbol", "NOPE", "--tf", "1h", "--days", "1", environ=simulated)
    frame = ask("backfill", "--exchange", "binance", "--symbol", "BTCUSDT", "--tf", "7m", "--days", "1", environ=simulated)

    assert (2, 2) == (symbol.code, frame.code)
    assert "binance does not list 'NOPE'" in symbol.err
    assert "binance has no '7m' candles; it has" in frame.err


def test_stopped_on_the_way_the_same_command_goes_on(start: Start, ask: Ask, simulated: dict[str, str], tmp_path: Path) -> None:
    words = ("backfill", "--exchange", "binance", "--symbol", "BTCUSDT", "--timeframe", "1m")
    program = start(*words, "--start", "2021-01-01", "--end", "2022-01-01", environ=simulated)
    deadline_s = time.monotonic() + WITHIN_S
    while not (tmp_path / "marketd-data" / "archive.db").exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    code = program.end(signal.SIGINT)

    assert code in (0, 1)
    assert code == 0 or program.said["err"] == ["marketd: stopped before the end; the same command goes on from here"]

    said = ask(*words, "--start", "2021-01-01", "--end", "2021-01-02", environ=simulated)

    assert 0 == said.code, said.err
    assert 1440 <= len(ask("candles", *ASKED[:4], "--tf", "1m", "--format", "csv").out.splitlines())


def test_a_venue_that_does_not_answer_is_given_up(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketd.cli.backfill.TRIES", 2)
    said = ask("backfill", *ASKED, "--days", "1", environ={"BINANCE_REST_URL": "http://127.0.0.1:1/x"})

    assert 1 == said.code
    assert "127.0.0.1:1" in said.err
    assert "given up after 2 tries" in said.err.splitlines()[-1]


def test_a_symbol_in_another_spelling_is_told_how_before_anything_is_asked(ask: Ask) -> None:
    said = ask("backfill", "--exchange", "kraken", "--symbol", "BTC/USD", "--tf", "1h", "--days", "1")

    assert 2 == said.code
    assert "did you mean BTCUSD?" in said.err
