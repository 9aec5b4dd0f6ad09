"""The tables of the paper trader's books, beside the candles. A book is known by its name."""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from marketd.stores.archive.tables import metadata


class Exact(TypeDecorator[Decimal]):
    """A decimal with every digit: unconstrained NUMERIC, on SQLite TEXT."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name != "sqlite" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


def _of_book() -> Column[str]:
    return Column("book", String(40), nullable=False)


def _in_books() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["book"], ["paper_books.book"])


paper_books = Table(
    "paper_books",
    metadata,
    _of_book(),
    Column("cash", Exact, nullable=False),  # at the start
    Column("timeframe", String(10), nullable=False),
    Column("opened", BigInteger, nullable=False),  # ns, as all times here
    Column("boundary", BigInteger, nullable=False),  # stepped over last
    Column("steps", BigInteger, nullable=False),  # each adds one: two traders on one book cannot both have made the same
    Column("orders", BigInteger, nullable=False),
    Column("fills", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),  # orders that the message log was told of
    PrimaryKeyConstraint("book", name="pk_paper_books"),
)

paper_orders = Table(
    "paper_orders",
    metadata,
    _of_book(),
    Column("seq", BigInteger, nullable=False),  # from 1, without a hole
    Column("id", Text, nullable=False),
    Column("venue", String(50), nullable=False),
    Column("symbol", String(50), nullable=False),
    Column("side", String(10), nullable=False),
    Column("why", String(20), nullable=False),
    Column("ts", BigInteger, nullable=False),
    Column("refusal", String(20)),  # null: filled
    Column("detail", Text, nullable=False),
    PrimaryKeyConstraint("book", "seq", name="pk_paper_orders"),
    UniqueConstraint("book", "id", name="uq_paper_orders"),
    _in_books(),
)

paper_fills = Table(
    "paper_fills",
    metadata,
    _of_book(),
    Column("seq", BigInteger, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("venue", String(50), nullable=False),
    Column("symbol", String(50), nullable=False),
    Column("side", String(10), nullable=False),
    Column("why", String(20), nullable=False),
    Column("price", Exact, nullable=False),
    Column("size", Exact, nullable=False),
    Column("fee", Exact, nullable=False),
    Column("ts", BigInteger, nullable=False),
    Column("closes", Text),
    Column("stop", Exact),
    Column("take_profit", Exact),
    PrimaryKeyConstraint("book", "seq", name="pk_paper_fills"),
    UniqueConstraint("book", "order_id", name="uq_paper_fills"),
    UniqueConstraint("book", "closes", name="uq_paper_fills_closes"),  # what was opened is closed once
    _in_books(),
)

paper_equity = Table(
    "paper_equity",
    metadata,
    _of_book(),
    Column("ts", BigInteger, nullable=False),
    *(Column(name, Exact, nullable=False) for name in ("cash", "positions", "realised", "unrealised", "fees")),
    Column("open", Integer, nullable=False),
    PrimaryKeyConstraint("book", "ts", name="pk_paper_equity"),
    _in_books(),
)

paper_progress = Table(
    "paper_progress",
    metadata,
    _of_book(),
    Column("symbol", String(50), nullable=False),
    Column("open_time", BigInteger, nullable=False),  # of the last candle that was judged
    Column("mark", Exact, nullable=False),
    PrimaryKeyConstraint("book", "symbol", name="pk_paper_progress"),
    _in_books(),
)

PAPER_TABLES = (paper_books, paper_orders, paper_fills, paper_equity, paper_progress)
