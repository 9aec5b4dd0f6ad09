"""Questions to the store."""

from pathlib import Path

import pytest

from marketd.model.events import SYSTEM
from marketd.stores import writing
from marketd.stores.housekeeping import Retention
from marketd.stores.reading import Reader, read_cursor
from marketd.stores.schema import connect
from marketd.stores.writing import Writer
from tests.samples import MS, T0, status


def test_before_there_is_a_database_every_answer_is_empty(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "market_data.db")

    assert reader.latest_trade("BTCUSDT", "binance") is None
    assert reader.latest_quote("BTCUSDT", "binance") is None
    assert ([], None) == reader.trades("BTCUSDT")
    assert ([], [], []) == (reader.gaps(), reader.ledger(), reader.venues_of("BTCUSDT"))
    assert {0} == set(reader.counts().values())


def test_a_cursor_may_hold_any_trade_id() -> None:
    assert (5, "binance", "a:b:c") == read_cursor("5:binance:a:b:c")
    with pytest.raises(ValueError, match="is not a cursor from an earlier answer"):
        read_cursor("yesterday")


def test_the_newest_of_what_the_lines_said_comes_first_and_only_so_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FORGET", writing.FORGET.replace(str(writing.STATUSES_KEPT), "3"))
    writer = Writer(tmp_path / "market_data.db", {}, Retention(None, None))
    for number in range(1, 9):
        writer.write([status(number, symbol=SYSTEM if number % 2 else "BTCUSDT")], T0)
    writer.write([status(9)], T0)
    writer.close()
    reader = Reader(tmp_path / "market_data.db")
    everything, lines, other = reader.statuses(), reader.statuses("binance", lines=True), reader.statuses("bybit")
    reader.close()

    assert [T0 + number * MS for number in (9, 8, 7, 6)] == [one.ts_recv for one in everything]
    assert {SYSTEM} == {one.symbol for one in lines}
    assert [] == other


def test_a_database_of_an_older_marketd_has_no_lines_until_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "market_data.db"
    db = connect(path)
    db.execute("DROP TABLE statuses")
    db.close()
    reader = Reader(path)

    assert [] == reader.statuses()
    assert 0 == reader.counts()["statuses"]
    connect(path).close()

    assert [] == reader.statuses()
    reader.close()
