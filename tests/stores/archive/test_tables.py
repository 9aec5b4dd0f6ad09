"""The tables have the names that are fixed outside, on both databases."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from marketd.stores.archive.paper_tables import PAPER_TABLES
from marketd.stores.archive.tables import candle_gaps, candles, ingestion_jobs, metadata

PAPER = {table.name for table in PAPER_TABLES}


def ddl(table: sa.Table, dialect: sa.Dialect) -> str:
    return " ".join(str(CreateTable(table).compile(dialect=dialect)).split())


def test_on_postgresql_numbers_are_unconstrained_and_times_without_zone() -> None:
    words = ddl(candles, postgresql.dialect())  # type: ignore[no-untyped-call]

    assert "id BIGSERIAL NOT NULL" in words
    assert "volume NUMERIC NOT NULL" in words
    assert "open_time TIMESTAMP WITHOUT TIME ZONE NOT NULL" in words
    assert "CONSTRAINT uq_candles UNIQUE (exchange, symbol, timeframe, open_time)" in words
    assert "closed BOOLEAN DEFAULT true NOT NULL" in words


def test_on_sqlite_numbers_are_text() -> None:
    words = ddl(candles, sqlite.dialect())  # type: ignore[no-untyped-call]

    assert "id INTEGER NOT NULL" in words
    assert "volume TEXT NOT NULL" in words
    assert "open_time TIMESTAMP NOT NULL" in words


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (candles, "id exchange symbol timeframe open_time close_time open high low close volume"),
        (ingestion_jobs, "id exchange symbol timeframe status started_at completed_at candles_fetched last_error"),
        (candle_gaps, "id exchange symbol timeframe gap_start gap_end detected_at repaired_at"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_the_old_columns_come_first_and_what_was_added_may_be_left_out(table: sa.Table, names: str) -> None:
    old, added = table.columns.keys()[: len(names.split())], list(table.columns)[len(names.split()) :]

    assert names.split() == old
    assert [] == [column.name for column in added if not column.nullable and column.server_default is None]


def test_every_table_is_known_by_name() -> None:
    assert {"candles", "ingestion_jobs", "candle_gaps", "candle_ledger", "candle_revisions"} == set(metadata.tables) - PAPER
