"""The writer of the store."""

from pathlib import Path

import apsw
import pytest

from marketd.errors import DeliveryError
from marketd.stores.housekeeping import Retention
from marketd.stores.writing import TABLES, Writer, explain
from tests.samples import T0, gap, one_of_each, trades


def writer(path: Path) -> Writer:
    return Writer(path / "market_data.db", {}, Retention(None, None))


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 255, 256, 257, 1000])
def test_batches_of_any_size_are_written_whole(count: int, tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.write(trades(1, count), T0)
    one.close()
    db = apsw.Connection(str(tmp_path / "market_data.db"))

    assert [(str(number),) for number in range(1, count + 1)] == list(db.execute("SELECT trade_id FROM trades ORDER BY ts_event"))
    db.close()


def test_there_is_a_place_for_each_field_of_each_type() -> None:
    widths = {kind: table.sql[1].count("?") for kind, table in TABLES.items()}

    assert widths == {one.__class__: len(TABLES[one.__class__].row(one)) for one in one_of_each(1) if one.__class__ in TABLES}


def test_a_batch_that_fails_leaves_neither_rows_nor_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = writer(tmp_path)
    one.write(trades(1, 5), T0)
    with monkeypatch.context() as patched:
        patched.setattr(one, "_save_ledger", lambda db: db.execute("no such words"))
        with pytest.raises(DeliveryError, match=r"sqlite: cannot write .*; trying again"):
            one.write([*trades(6, 9), gap(10, 12)], T0)

    assert ("5", []) == (one.marks["binance", "BTCUSDT"].trade_id, one.open_gaps)

    one.write([*trades(6, 9), gap(10, 12)], T0)

    assert ("9", "10") == (one.marks["binance", "BTCUSDT"].trade_id, one.open_gaps[0].from_id)
    one.close()


def test_another_writer_is_named(tmp_path: Path) -> None:
    one = writer(tmp_path)
    one.open()
    other = apsw.Connection(str(tmp_path / "market_data.db"))
    other.execute("BEGIN IMMEDIATE")
    assert one._db is not None
    one._db.set_busy_timeout(10)
    with pytest.raises(DeliveryError, match="another program holds the database"):
        one.write(trades(1, 2), T0)
    other.execute("ROLLBACK")
    other.close()
    one.write(trades(1, 2), T0)

    assert "2" == one.marks["binance", "BTCUSDT"].trade_id
    one.close()


def test_what_sqlite_says_is_put_in_words_for_a_person() -> None:
    assert "the disk is full" == explain(apsw.FullError("database or disk is full"))
    assert "not writable" in explain(apsw.CantOpenError("unable to open database file"))
    assert "move it away" in explain(apsw.NotADBError("file is not a database"))
