"""The tables of `market_data.db`: what is recorded, digits as text, times as integer nanoseconds.

Rows live in their unique key (WITHOUT ROWID), which costs one tree less than a table and an index.
"""

from pathlib import Path

import apsw

from marketd.errors import StartError

VERSION = 1
CACHE_KIB = 2048  # of pages, for each connection: rows come mostly at the ends of the trees, more was no faster
BUSY_MS = 5000  # how long a statement waits for another connection

TABLES = """
CREATE TABLE trades (
    provider TEXT NOT NULL, symbol TEXT NOT NULL, ts_event INTEGER, ts_recv INTEGER NOT NULL,
    price TEXT NOT NULL, size TEXT NOT NULL, side TEXT, trade_id TEXT NOT NULL, repaired INTEGER NOT NULL,
    PRIMARY KEY (provider, symbol, trade_id)
) WITHOUT ROWID;
CREATE INDEX trades_ts_recv ON trades (ts_recv);
CREATE INDEX trades_symbol_ts_event ON trades (symbol, ts_event);

-- `key` is the venue's update id, else ts_event and a hash of the content.
CREATE TABLE quotes (
    provider TEXT NOT NULL, symbol TEXT NOT NULL, ts_event INTEGER, ts_recv INTEGER NOT NULL,
    bid TEXT NOT NULL, bid_size TEXT NOT NULL, ask TEXT NOT NULL, ask_size TEXT NOT NULL, seq INTEGER, key TEXT NOT NULL,
    PRIMARY KEY (provider, symbol, key)
) WITHOUT ROWID;
CREATE INDEX quotes_ts_recv ON quotes (ts_recv);

-- Levels as JSON: [["price", "size"], ...], best first.
CREATE TABLE books (
    provider TEXT NOT NULL, symbol TEXT NOT NULL, ts_event INTEGER, ts_recv INTEGER NOT NULL,
    bids TEXT NOT NULL, asks TEXT NOT NULL, seq INTEGER, key TEXT NOT NULL,
    PRIMARY KEY (provider, symbol, key)
) WITHOUT ROWID;
CREATE INDEX books_ts_recv ON books (ts_recv);

-- Closed candles as they came live.
CREATE TABLE candles (
    provider TEXT NOT NULL, symbol TEXT NOT NULL, ts_event INTEGER, ts_recv INTEGER NOT NULL,
    timeframe TEXT NOT NULL, open_time INTEGER NOT NULL, close_time INTEGER NOT NULL,
    open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
    closed INTEGER NOT NULL, revision INTEGER NOT NULL, repaired INTEGER NOT NULL,
    PRIMARY KEY (provider, symbol, timeframe, open_time, revision)
) WITHOUT ROWID;
CREATE INDEX candles_ts_recv ON candles (ts_recv);

-- What was said about gaps, as it was said; `ledger` is what is true now.
CREATE TABLE gaps (
    provider TEXT NOT NULL, symbol TEXT NOT NULL, ts_event INTEGER, ts_recv INTEGER NOT NULL,
    channel TEXT NOT NULL, state TEXT NOT NULL, from_id TEXT, to_id TEXT, from_ts INTEGER, to_ts INTEGER, cause TEXT NOT NULL,
    key TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
CREATE INDEX gaps_ts_recv ON gaps (ts_recv);

-- Bounds are inclusive. state: have, missing, known_empty, repairing, unrecoverable.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, symbol TEXT NOT NULL, channel TEXT NOT NULL,
    state TEXT NOT NULL, proof TEXT NOT NULL, from_id TEXT, to_id TEXT, from_ts INTEGER, to_ts INTEGER,
    cause TEXT, since_ts INTEGER NOT NULL, updated_ts INTEGER NOT NULL
);
CREATE INDEX ledger_series ON ledger (provider, symbol, channel);
"""

# Came later, and is added to databases that lack it: whoever does not know it is not disturbed by it.
STATUSES = """
-- What happened to the lines of the venues: connected, disconnected, stale, refused, switched. The newest are kept.
CREATE TABLE IF NOT EXISTS statuses (
    provider TEXT NOT NULL, symbol TEXT NOT NULL, ts_event INTEGER, ts_recv INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, key TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS statuses_ts_recv ON statuses (ts_recv);
"""

EVENT_TABLES = ("trades", "quotes", "books", "candles", "gaps", "statuses")


def connect(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """Open the database, making or checking its schema. Raises StartError if it is from a newer version; apsw.Error."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    db = apsw.Connection(str(path), flags=flags, statementcachesize=128)
    try:
        db.set_busy_timeout(BUSY_MS)
        if not read_only:
            _prepare(db)
        (version,) = next(db.execute("PRAGMA user_version"))
        if version > VERSION:
            raise StartError(
                f"sqlite: {path} was written by a newer marketd (schema {version}, this one knows {VERSION}); "
                "use that version, or move the file away to start a new one"
            )
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: apsw.Connection) -> None:
    (version,) = next(db.execute("PRAGMA user_version"))
    if version == 0:
        db.pragma("page_size", 8192)
        db.pragma("auto_vacuum", "INCREMENTAL")
    # In WAL mode a commit survives a kill. NORMAL syncs at checkpoints: a power cut loses the last moments, corrupts nothing.
    db.pragma("journal_mode", "WAL")
    db.pragma("synchronous", "NORMAL")
    db.pragma("cache_size", -CACHE_KIB)
    if version == 0:
        with db:
            db.execute(TABLES)
            db.execute(f"PRAGMA user_version = {VERSION}")
    if version <= VERSION:
        db.execute(STATUSES)
