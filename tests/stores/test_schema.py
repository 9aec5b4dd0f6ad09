"""The tables and their versions."""

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
