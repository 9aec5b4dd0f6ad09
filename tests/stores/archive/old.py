"""A database as the old program made and filled it, and the statements that it goes on using."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from marketd.stores.archive.database import Database

SERIES_COLUMNS = "exchange VARCHAR(50) NOT NULL, symbol VARCHAR(50) NOT NULL, timeframe VARCHAR(10) NOT NULL"
TABLES = f"""
CREATE TABLE candles (
    id BIGSERIAL PRIMARY KEY, {SERIES_COLUMNS}, open_time TIMESTAMP NOT NULL, close_time TIMESTAMP NOT NULL,
    open DECIMAL(20,8) NOT NULL, high DECIMAL(20,8) NOT NULL, low DECIMAL(20,8) NOT NULL, close DECIMAL(20,8) NOT NULL,
    volume DECIMAL(30,8) NOT NULL, CONSTRAINT uq_candles UNIQUE (exchange, symbol, timeframe, open_time)
);
CREATE TABLE ingestion_jobs (
    id SERIAL PRIMARY KEY, {SERIES_COLUMNS}, status VARCHAR(20) NOT NULL,
    started_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, completed_at TIMESTAMP, candles_fetched INT DEFAULT 0, last_error TEXT
);
CREATE TABLE candle_gaps (
    id SERIAL PRIMARY KEY, {SERIES_COLUMNS}, gap_start TIMESTAMP NOT NULL, gap_end TIMESTAMP NOT NULL,
    detected_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, repaired_at TIMESTAMP,
    CONSTRAINT uq_gap UNIQUE (exchange, symbol, timeframe, gap_start)
);
"""
INSERT = (
    "INSERT INTO candles (exchange, symbol, timeframe, open_time, close_time, open, high, low, close, volume) VALUES {} "
    "ON CONFLICT (exchange, symbol, timeframe, open_time) DO UPDATE SET close_time = excluded.close_time, "
    "open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume"
)
SELECT = (
    "SELECT id, exchange, symbol, timeframe, open_time, close_time, open, high, low, close, volume FROM candles WHERE "
    "exchange = 'bitfinex' AND symbol = '{}' AND timeframe = '{}' AND open_time >= '{}' AND open_time < '{}' ORDER BY open_time"
)
INSERT_GAP = "INSERT INTO candle_gaps (exchange, symbol, timeframe, gap_start, gap_end, repaired_at) VALUES ({})"
FIRST = datetime.fromisoformat("2023-11-14 22:00:00")
STEPS = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1)}
ABSENT = {*range(100, 110), 200}  # what the old program never fetched, by number from FIRST


async def make(database: Database, fraction: str = "") -> None:
    """The tables with 10,000 candles of four series, a job that ran and two gaps, one of them repaired."""
    await make_tables(database)
    for symbol in ("BTCUSD", "ETHUSD"):
        for name in STEPS:
            numbers_there = [number for number in range(2_500 + len(ABSENT)) if number not in ABSENT]
            await run(database, insert(*(row(symbol, name, number, fraction) for number in numbers_there)))
    open_gap = (times("1m", 100, fraction)[0], times("1m", 110, fraction)[0])
    repaired = (times("1m", 50, fraction)[0], times("1m", 60, fraction)[0])
    await run(
        database,
        "INSERT INTO ingestion_jobs (exchange, symbol, timeframe, status) VALUES ('bitfinex', 'BTCUSD', '1m', 'running')",
        INSERT_GAP.format(f"'bitfinex', 'BTCUSD', '1m', '{open_gap[0]}', '{open_gap[1]}', NULL"),
        INSERT_GAP.format(f"'bitfinex', 'BTCUSD', '1m', '{repaired[0]}', '{repaired[1]}', '2023-12-01 00:00:00'"),
    )


async def make_tables(database: Database) -> None:
    """By the statements of old; in SQLite only INTEGER PRIMARY KEY numbers rows by itself."""
    tables = TABLES.replace("BIGSERIAL", "INTEGER").replace("SERIAL", "INTEGER") if database.kind == "sqlite" else TABLES
    await run(database, *tables.split(";\n")[:-1])


def insert(*rows: str) -> str:
    return INSERT.format(", ".join(rows))


def row(symbol: str, name: str, number: int, fraction: str = "", *, like: int | None = None) -> str:
    """The values of the candle with that number from FIRST."""
    opens, closes = times(name, number, fraction)
    return row_at(name, opens, closes, symbol=symbol, number=number if like is None else like)


def row_at(name: str, opens: str, closes: str, *, symbol: str = "BTCUSD", number: int = 1) -> str:
    return f"('bitfinex', '{symbol}', '{name}', '{opens}', '{closes}', {', '.join(numbers(number))})"


def times(name: str, number: int, fraction: str = "") -> tuple[str, str]:
    opens = FIRST + number * STEPS[name]
    return f"{opens}{fraction}", f"{opens + STEPS[name]}{fraction}"


def numbers(number: int) -> tuple[str, ...]:
    return f"37000.{number:04d}", "37001.5", "36999.00000001", "37000", f"{number}.12345678"


async def run(database: Database, *statements: str) -> None:
    async with database.writing() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def ask(database: Database, question: str) -> list[Any]:
    await database.readers.dispose()  # statements prepared before the upgrade have lost their meaning
    async with database.reading() as connection:
        return list((await connection.exec_driver_sql(question)).all())


async def everything(database: Database) -> dict[str, list[Any]]:
    """All rows of the three tables, in the old columns, as comparable text."""
    found = {}
    for table, columns in {
        "candles": "id, exchange, symbol, timeframe, open_time, close_time, open, high, low, close, volume",
        "ingestion_jobs": "id, exchange, symbol, timeframe, status, completed_at, candles_fetched, last_error",
        "candle_gaps": "id, exchange, symbol, timeframe, gap_start, gap_end, repaired_at",
    }.items():
        found[table] = await ask(database, f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3, 4")
    return found


async def definitions(database: Database) -> list[Any]:
    """What the database says of its tables, whatever they are."""

    def look(connection: sa.Connection) -> list[Any]:
        inspector = sa.inspect(connection)
        return [
            (
                name,
                [(one["name"], str(one["type"])) for one in inspector.get_columns(name)],
                inspector.get_unique_constraints(name),
            )
            for name in sorted(inspector.get_table_names())
        ]

    async with database.reading() as connection:
        return await connection.run_sync(look)
