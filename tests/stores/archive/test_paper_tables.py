"""The books' tables keep every digit on both databases, and say what may be there once."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from marketd.stores.archive.paper_tables import PAPER_TABLES, paper_fills


@pytest.mark.parametrize(("dialect", "kind"), [(postgresql.dialect(), "NUMERIC"), (sqlite.dialect(), "TEXT")])  # type: ignore[no-untyped-call]
def test_numbers_are_without_bounds(dialect: sa.Dialect, kind: str) -> None:
    words = " ".join(str(CreateTable(paper_fills).compile(dialect=dialect)).split())

    assert f"price {kind} NOT NULL, size {kind} NOT NULL, fee {kind} NOT NULL" in words
    assert "UNIQUE (book, order_id)" in words
    assert "UNIQUE (book, closes)" in words


def test_every_table_is_of_a_book() -> None:
    assert all(next(iter(table.primary_key.columns)).name == "book" for table in PAPER_TABLES)
