"""The tables and their versions."""

import re
from pathlib import Path

from marketd.stores.schema import CACHE_KIB, EVENT_TABLES, VERSION, connect


def test_a_new_database_has_every_table_and_its_version(tmp_path: Path) -> None:
    path = tmp_path / "market_data.db"
    connect(path).close()
    db = connect(path, read_only=True)
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

    assert {*EVENT_TABLES, "ledger"} == tables
    assert [(VERSION,)] == list(db.execute("PRAGMA user_version"))
    assert [("wal",)] == list(db.execute("PRAGMA journal_mode"))
    db.close()


def test_each_event_table_can_be_asked_by_receive_time(tmp_path: Path) -> None:
    db = connect(tmp_path / "market_data.db")
    plans = [next(db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE ts_recv > 5"))[-1] for table in EVENT_TABLES]
    db.close()

    assert [f"SEARCH {table} USING INDEX {table}_ts_recv (ts_recv>?)" for table in EVENT_TABLES] == plans


def test_a_commit_survives_a_kill_without_a_sync_of_its_own(tmp_path: Path) -> None:
    """SQLite runs only as far as the first row of several statements in one text: each setting has to be asked for by itself."""
    path = tmp_path / "market_data.db"
    for _ in range(2):
        db = connect(path)
        found = {name: db.pragma(name) for name in ("journal_mode", "synchronous", "page_size", "auto_vacuum", "cache_size")}
        db.close()

        assert {
            "journal_mode": "wal",
            "synchronous": 1,  # NORMAL
            "page_size": 8192,
            "auto_vacuum": 2,  # INCREMENTAL
            "cache_size": -CACHE_KIB,
        } == found


def test_the_question_on_the_page_is_one_that_the_tables_answer(tmp_path: Path) -> None:
    (text,) = re.findall(r"```sql\n(.*?)```", (Path(__file__).parents[2] / "docs" / "sinks.md").read_text(), re.DOTALL)
    db = connect(tmp_path / "market_data.db")
    columns = "provider, symbol, ts_event, ts_recv, price, size, side, trade_id, repaired"
    one = ("binance", "BTCUSDT", 1_700_000_000_123_456_789, 1_700_000_000_200_000_000, "37123.4500", "0.0015", "buy", "3190", 0)
    db.execute(f"INSERT INTO trades ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", one)
    answer = list(db.execute(text))
    db.close()

    assert [("2023-11-14 22:13:20", "37123.4500", "0.0015", "buy")] == answer
