"""The tables of the archive, once for both databases. The first three are fixed outside: old programs read and write them."""

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text, UniqueConstraint

from marketd.stores.archive.columns import Moment, OpenTime, digits, row_id

metadata = sa.MetaData()
NUMBERS = ("open", "high", "low", "close", "volume")


def _series() -> list[Column[str]]:
    """What names a series; outside, a venue is an exchange."""
    return [
        Column("exchange", String(50), nullable=False),
        Column("symbol", String(50), nullable=False),
        Column("timeframe", String(10), nullable=False),
    ]


candles = Table(
    "candles",
    metadata,
    Column("id", row_id(), primary_key=True),
    *_series(),
    Column("open_time", OpenTime, nullable=False),
    Column("close_time", OpenTime, nullable=False),
    *(Column(name, digits(), nullable=False) for name in NUMBERS),
    Column("closed", Boolean, nullable=False, server_default=sa.true()),
    Column("revision", Integer, nullable=False, server_default=sa.text("0")),
    Column("source", String(20)),
    Column("ts_recv", sa.BigInteger),
    UniqueConstraint("exchange", "symbol", "timeframe", "open_time", name="uq_candles"),
)

ingestion_jobs = Table(
    "ingestion_jobs",
    metadata,
    Column("id", row_id(small=True), primary_key=True),
    *_series(),
    Column("status", String(20), nullable=False),
    Column("started_at", Moment, server_default=sa.func.current_timestamp()),
    Column("completed_at", Moment),
    Column("candles_fetched", Integer, server_default=sa.text("0")),
    Column("last_error", Text),
    Column("span_start", sa.BigInteger),  # ns
    Column("span_stop", sa.BigInteger),
    Column("newest_first", Boolean, nullable=False, server_default=sa.false()),
    Column("cursor", sa.BigInteger),  # ns
)

candle_gaps = Table(
    "candle_gaps",
    metadata,
    Column("id", row_id(small=True), primary_key=True),
    *_series(),
    Column("gap_start", OpenTime, nullable=False),
    Column("gap_end", OpenTime, nullable=False),
    Column("detected_at", Moment, server_default=sa.func.current_timestamp()),
    Column("repaired_at", Moment),
    Column("state", String(20), nullable=False, server_default="missing"),
    Column("cause", Text),
    UniqueConstraint("exchange", "symbol", "timeframe", "gap_start", name="uq_gap"),
)

candle_ledger = Table(
    "candle_ledger",
    metadata,
    *_series(),
    Column("start", sa.BigInteger, nullable=False),  # ns, as all times below
    Column("stop", sa.BigInteger, nullable=False),
    Column("state", String(20), nullable=False),
    Column("cause", Text, nullable=False),
    Column("since", sa.BigInteger, nullable=False),
    PrimaryKeyConstraint("exchange", "symbol", "timeframe", "start", name="pk_candle_ledger"),
)
Index(
    "ix_candle_ledger_open",
    candle_ledger.c.exchange,
    candle_ledger.c.symbol,
    candle_ledger.c.timeframe,
    candle_ledger.c.start,
    postgresql_where=candle_ledger.c.state.in_(["missing", "repairing"]),
    sqlite_where=candle_ledger.c.state.in_(["missing", "repairing"]),
)

candle_revisions = Table(
    "candle_revisions",
    metadata,
    *_series(),
    Column("open_time", OpenTime, nullable=False),
    Column("revision", Integer, nullable=False),
    *(Column(name, digits(), nullable=False) for name in NUMBERS),
    Column("source", String(20)),
    Column("ts_recv", sa.BigInteger),
    Column("replaced_at", sa.BigInteger, nullable=False),  # ns
    PrimaryKeyConstraint("exchange", "symbol", "timeframe", "open_time", "revision", name="pk_candle_revisions"),
)

# Where a page waits for its one upsert: seen by one connection only, empty after every commit.
staged_candles = Table(
    "staged_candles",
    sa.MetaData(),
    Column("open_time", OpenTime, nullable=False),
    Column("close_time", OpenTime, nullable=False),
    *(Column(name, digits(), nullable=False) for name in NUMBERS),
    Column("closed", Boolean, nullable=False),
    Column("ts_recv", sa.BigInteger, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
