"""The tables and their versions."""

from pathlib import Path

from marketd.stores.schema import EVENT_TABLES, VERSION, connect


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
