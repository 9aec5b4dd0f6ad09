"""`gaps` shows what is missing and why, and asks for it when told to."""

import asyncio
import json
from pathlib import Path

from marketd.clock import SystemClock
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.times import ns_of_iso
from marketd.stores import archive as archives
from tests.cli.conftest import Ask

HOUR = 3600 * 10**9
START = ns_of_iso("2022-03-01T00:00:00Z")
SERIES = CandleSeries("binance", "BTCUSDT", "1h")


def lose(tmp_path: Path, *parts: Stretch) -> None:
    async def settle() -> None:
        url = f"sqlite:///{tmp_path / 'marketd-data' / 'archive.db'}"
        async with archives.open_archive(url, SystemClock()) as archive:
            await archive.settle(SERIES, parts)

    asyncio.run(settle())


def test_an_archive_without_gaps_says_so(ask: Ask, tmp_path: Path) -> None:
    lose(tmp_path)
    said = ask("gaps")

    assert (0, "no gaps\n") == (said.code, said.out)


def test_where_there_is_no_archive_none_is_made_and_none_is_said_to_be_whole(ask: Ask, tmp_path: Path) -> None:
    mistyped = ask("gaps", "--data-dir", "/nonexistent/x")
    elsewhere = ask("gaps", environ={"DATABASE_URL": "sqlite:///proc/x.db"})

    assert [1, 1] == [mistyped.code, elsewhere.code]
    assert "there is no archive yet at /nonexistent/x/archive.db; name its directory with --data-dir" in mistyped.err
    assert "there is no archive yet at proc/x.db; give its path in DATABASE_URL" in elsewhere.err
    assert [] == list(tmp_path.iterdir())


def test_a_gap_is_a_row_with_its_cause_and_exit_code_1(ask: Ask, tmp_path: Path) -> None:
    lose(tmp_path, Stretch(START, START + 5 * HOUR, "missing", "fetch failed: binance: 500", START))
    said = ask("gaps", "--exchange", "binance")
    other = ask("gaps", "--exchange", "bybit")
    unknown = ask("gaps", "--exchange", "nope")

    assert 1 == said.code
    assert "2022-03-01T00:00:00+00:00" in said.out
    assert "fetch failed: binance: 500" in said.out
    assert "1 gap\n" in said.out
    assert (1, "") == (other.code, other.out)
    assert "--exchange bybit: nothing of it is stored; stored: binance" in other.err
    assert 2 == unknown.code
    assert "--exchange nope: unknown venue" in unknown.err


def test_what_cannot_be_fetched_any_more_is_no_failure(ask: Ask, tmp_path: Path) -> None:
    lose(tmp_path, Stretch(START, START + HOUR, "unrecoverable", "too old", START))
    said = ask("gaps", "--format", "json")
    rows = json.loads(said.out)

    assert 0 == said.code
    assert [("unrecoverable", "too old", "2022-03-01T01:00:00+00:00")] == [
        (row["state"], row["cause"], row["gap_end"]) for row in rows
    ]


def test_repair_asks_for_what_is_missing_and_then_it_is_not(ask: Ask, tmp_path: Path, simulated: dict[str, str]) -> None:
    lose(tmp_path, Stretch(START, START + 5 * HOUR, "missing", "lost", START))
    said = ask("gaps", "--repair", environ=simulated)

    assert 0 == said.code, said.err
    assert "binance BTCUSDT 1h: 5 candles" in said.out
    assert said.out.endswith("no gaps\n")
    assert "have" in ask("gaps", "--all").out


def test_the_ledger_tells_what_is_there_and_what_is_empty_too(ask: Ask, tmp_path: Path) -> None:
    lose(
        tmp_path,
        Stretch(START, START + 2 * HOUR, "have", "", START),
        Stretch(START + 2 * HOUR, START + 3 * HOUR, "known_empty", "no trades", START),
    )
    gaps, ledger = ask("gaps", "--all"), ask("gaps", "--ledger", "--exchange", "binance")
    told = json.loads(ask("gaps", "--ledger", "--format", "json").out)

    assert "no gaps\n" == gaps.out
    assert 0 == ledger.code
    assert ["2 have", "1 known_empty no trades"] == [" ".join(line.split()[5:-1]) for line in ledger.out.splitlines()[1:-1]]
    assert ledger.out.endswith("2 stretches\n")
    assert [("have", None), ("known_empty", "no trades")] == [(one["state"], one["cause"]) for one in told]
    assert "2022-03-01T00:00:00+00:00" == told[0]["since"]


def test_the_ledger_is_not_repaired(ask: Ask) -> None:
    assert 2 == ask("gaps", "--ledger", "--repair").code
