"""`verify` compares the archive with a simulated venue, stored trades, smaller candles and another archive, and mends it."""

import asyncio
import csv
import json
import sqlite3
from pathlib import Path

import pytest

from marketd.clock import SystemClock
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.times import ns_of_iso
from marketd.stores import archive as archives
from tests.cli.conftest import Ask, Start

START = ns_of_iso("2022-03-01T00:00:00Z")
HOUR = 3600 * 10**9
SERIES = CandleSeries("binance", "BTCUSDT", "1h")
ASKED = ("--exchange", "binance", "--symbol", "BTCUSDT", "--timeframe", "1h")
TWO_DAYS = ("--start", "2022-03-01", "--end", "2022-03-03")


def database(directory: Path) -> str:
    return f"sqlite:///{directory / 'marketd-data' / 'archive.db'}"


def settle(directory: Path, series: CandleSeries, *parts: Stretch) -> None:
    async def said() -> None:
        async with archives.open_archive(database(directory), SystemClock()) as archive:
            await archive.settle(series, parts)

    asyncio.run(said())


def spoil(directory: Path) -> None:
    """One candle with another close, one gone."""
    with sqlite3.connect(directory / "marketd-data" / "archive.db") as db:
        db.execute("UPDATE candles SET high = '999999.5' WHERE open_time = (SELECT min(open_time) FROM candles)")
        db.execute("DELETE FROM candles WHERE open_time = (SELECT max(open_time) FROM candles)")
    db.close()


def test_against_rest_differences_are_found_shown_and_repaired(ask: Ask, simulated: dict[str, str], tmp_path: Path) -> None:
    ask("backfill", *ASKED, *TWO_DAYS, environ=simulated)
    equal = ask("verify", *ASKED)
    spoil(tmp_path)
    found = ask("verify", *ASKED, *TWO_DAYS)
    told = json.loads(ask("verify", *TWO_DAYS, "--format", "json").out)
    mended = ask("verify", *ASKED, *TWO_DAYS, "--repair", "--format", "csv", "-o", "report.csv")
    again = ask("verify", *ASKED, "--sample", "1")
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))

    assert (0, "binance BTCUSDT 1h against REST: 48 candles compared, no difference\n") == (equal.code, equal.out), equal.err
    assert 1 == found.code
    assert "2022-03-01T00:00:00+00:00" in found.out
    assert "high 999999.5" in found.out
    assert "48 candles compared, 2 differences (1 values, 1 only there)" in found.out
    assert ("values", "999999.5", ["high"]) == (
        told[0]["differences"][0]["kind"],
        told[0]["differences"][0]["here"]["high"],
        told[0]["differences"][0]["fields"],
    )
    assert (0, True) == (mended.code, "2 of them repaired" in mended.out), mended.err
    assert [("values", "yes"), ("only there", "yes")] == [(row["kind"], row["repaired"]) for row in rows]
    assert 0 == again.code


def test_against_smaller_candles(ask: Ask, simulated: dict[str, str]) -> None:
    ask("backfill", "--exchange", "binance", "--symbol", "BTCUSDT", "--tf", "1h,1d", *TWO_DAYS, environ=simulated)
    days = ask("verify", "--tf", "1d", "--against", "smaller")
    hours = ask("verify", "--tf", "1h", "--against", "smaller")

    assert (0, "binance BTCUSDT 1d against smaller candles: 2 candles compared, no difference\n") == (days.code, days.out)
    assert (1, "binance BTCUSDT 1h against smaller candles: 0 candles compared; 48 could not be compared\n") == (
        hours.code,
        hours.out,
    )
    assert "nothing could be compared, so nothing is proved\n" == hours.err


def test_against_stored_trades(ask: Ask, tmp_path: Path) -> None:
    settle(tmp_path, SERIES, Stretch(START, START + 2 * HOUR, "known_empty", "no trades", 1))
    said = ask("verify", *TWO_DAYS, "--against", "trades")

    assert (1, True) == (said.code, "0 candles compared; 48 could not be compared" in said.out), said.err


def test_against_another_archive(ask: Ask, simulated: dict[str, str], tmp_path: Path) -> None:
    ask("backfill", *ASKED, *TWO_DAYS, environ=simulated)
    settle(tmp_path / "other", SERIES, Stretch(START, START + 2 * HOUR, "missing", "", 1))
    said = ask("verify", "--data-dir", "other/marketd-data", *TWO_DAYS, "--against", database(tmp_path), "--repair")
    back = ask("verify", "--against", database(tmp_path / "other"))

    assert (0, True) == (said.code, "48 differences (48 only there), 48 of them repaired" in said.out), said.err
    assert (0, True) == (back.code, "48 candles compared, no difference" in back.out), back.err


def test_against_another_marketd(ask: Ask, start: Start, simulated: dict[str, str], tmp_path: Path) -> None:
    ask("backfill", *ASKED, *TWO_DAYS, environ=simulated)
    settle(tmp_path / "other", SERIES, Stretch(START, START + 2 * HOUR, "missing", "", 1))
    daemon = start("run", "--profile", "api", "--port", "0", environ={"MARKETD_LOG_FORMAT": "json"})
    address = json.loads(daemon.wait_for("daemon.started"))["address"]
    there = ("verify", "--data-dir", "other/marketd-data", *TWO_DAYS, "--against", address)
    found, mended, equal = ask(*there), ask(*there, "--repair"), ask(*there)
    nobody = ask("verify", "--against", "http://127.0.0.1:1")

    assert (1, True) == (found.code, "2 candles compared, 2 differences (2 only there); 46 not asked" in found.out), found.err
    assert (0, True) == (mended.code, "48 of them repaired" in mended.out), mended.err
    assert (0, True) == (equal.code, "48 candles compared, no difference" in equal.out), equal.err
    assert (1, True) == (nobody.code, "http://127.0.0.1:1/candles" in nobody.out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--against", "venue"), "--against: found 'venue', expected rest, trades, smaller"),
        (("--start", "2022-01-01", "--days", "3"), "--start or --days"),
        (("--start", "2022-03-01", "--end", "2022-02-01"), "--end"),
        (("--days", "36500"), "--days: found 36,500"),
    ],
)
def test_a_wrong_question_is_one_line_that_names_the_flag(ask: Ask, words: tuple[str, ...], says: str) -> None:
    said = ask("verify", *words)

    assert 2 == said.code
    assert says in said.err
    assert 1 == said.err.count("\n")


def test_a_series_that_is_not_stored_is_named_with_what_is(ask: Ask, tmp_path: Path) -> None:
    settle(tmp_path, SERIES, Stretch(START, START + HOUR, "missing", "", 1))
    said = ask("verify", "--symbol", "NOPE")

    assert (1, "marketd: --symbol NOPE: nothing of it is stored; stored: BTCUSDT\n") == (said.code, said.err)


def test_what_was_never_asked_for_is_one_line_and_no_difference(ask: Ask, simulated: dict[str, str]) -> None:
    ask("backfill", *ASKED, *TWO_DAYS, environ=simulated)
    said = ask("verify", *ASKED, "--start", "2022-02-27", "--end", "2022-03-03")
    told = json.loads(ask("verify", *ASKED, "--start", "2022-02-27", "--end", "2022-03-03", "--format", "json").out)

    assert 0 == said.code, said.out
    assert (
        "binance BTCUSDT 1h against REST: 48 candles compared, no difference; 48 not asked for yet: marketd backfill\n"
        == said.out
    )
    assert (48, 48, []) == (told[0]["compared"], told[0]["not_asked"], told[0]["differences"])


def test_looking_makes_no_archive(ask: Ask, tmp_path: Path) -> None:
    said = ask("verify", "--data-dir", "typo")

    assert 1 == said.code
    assert "there is no archive yet at typo/archive.db" in said.err
    assert not (tmp_path / "typo").exists()


def test_a_venue_that_cannot_be_asked_is_said_and_hinders_no_other(ask: Ask, tmp_path: Path, simulated: dict[str, str]) -> None:
    ask("backfill", *ASKED, *TWO_DAYS, environ=simulated)
    settle(tmp_path, CandleSeries("gone", "BTCUSDT", "1h"), Stretch(START, START + HOUR, "have", "", 1))
    said = ask("verify")

    assert 1 == said.code
    assert "gone is no venue that can be asked" in said.out
    assert "binance BTCUSDT 1h against REST: 48 candles compared, no difference" in said.out
