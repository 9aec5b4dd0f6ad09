"""What keeps the event store small and its log short, without holding up the writer for long."""

from pathlib import Path
from typing import NamedTuple

import apsw
import structlog

from marketd.errors import words_of
from marketd.stores.schema import BUSY_MS, EVENT_TABLES, connect
from marketd.worker import Worker

log = structlog.get_logger("sqlite")

WAL_PAGES = 4096  # of 8 KiB: from here on the log is copied into the database
READERS_MS = 20  # how long the writer waits for readers when the log is to start over
ROWS_AT_ONCE = 1000
PRUNE_EVERY_NS = 1_000_000_000
DAY_NS = 86_400_000_000_000
PAGES_AT_ONCE = 256  # given back to the file system in one go


class Checkpointer:
    """Copies the log into the database in a thread and over a connection of its own, as that waits for the disk.

    A log can start over only when all of it is copied, and a busy writer always adds more: so it is the writer who does the
    small rest. Left to the thread, that would wait for a writer who never pauses, while the log grows and slows everything.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._worker: Worker | None = None
        self._is_copying = False
        self._has_copied = False

    def after_commit(self, db: apsw.Connection, name: str, pages: int) -> int:
        """SQLite's hook: the log has `pages` pages now."""
        if pages >= WAL_PAGES and not self._is_copying and not self._has_copied:
            self._is_copying = True
            self._worker = self._worker or Worker("sqlite-checkpoint")
            self._worker.put(self._copy)
        return int(apsw.SQLITE_OK)

    def finish(self, db: apsw.Connection) -> None:
        """Called by the writer between two transactions."""
        if not self._has_copied:
            return
        self._has_copied = False
        db.set_busy_timeout(READERS_MS)
        try:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            pass  # somebody reads an old state: next time
        except apsw.Error as error:
            self._say_failed(error)
        finally:
            db.set_busy_timeout(BUSY_MS)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _copy(self) -> None:
        try:
            db = connect(self._path)
            try:
                for _ in range(2):  # the first takes long enough for more to come
                    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            finally:
                db.close()
        except Exception as error:
            self._say_failed(error)
        finally:
            self._has_copied = True
            self._is_copying = False

    def _say_failed(self, error: Exception) -> None:
        log.warning("sqlite.checkpoint_failed", code="store-upkeep", path=str(self._path), error=words_of(error))


class Retention(NamedTuple):
    """What may go; None keeps all. The ledger, and with it the high-water marks, always stays."""

    keep_days: float | None
    keep_bytes: int | None


class Pruner:
    """Removes the oldest events a little at a time, after a write."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._next_at = 0

    def prune(self, db: apsw.Connection, now: int) -> None:
        """Errors are left to the next write to meet."""
        if now < self._next_at or self._retention == (None, None):
            return
        try:
            removed = self._by_age(db, now) + self._by_size(db)
        except apsw.Error as error:
            log.warning("sqlite.retention_failed", code="store-upkeep", error=words_of(error))
            removed = 0
        self._next_at = now if removed >= ROWS_AT_ONCE else now + PRUNE_EVERY_NS

    def _by_age(self, db: apsw.Connection, now: int) -> int:
        if self._retention.keep_days is None:
            return 0
        before = now - int(self._retention.keep_days * DAY_NS)
        return sum(remove_oldest(db, table, before, ROWS_AT_ONCE) for table in EVENT_TABLES)

    def _by_size(self, db: apsw.Connection) -> int:
        if self._retention.keep_bytes is None:
            return 0
        page, pages, free = (next(db.execute(f"PRAGMA {name}"))[0] for name in ("page_size", "page_count", "freelist_count"))
        if (pages - free) * page > self._retention.keep_bytes:
            oldest = [
                (ts, table)
                for table in EVENT_TABLES
                if (ts := next(db.execute(f"SELECT min(ts_recv) FROM {table}"))[0]) is not None
            ]
            return remove_oldest(db, min(oldest)[1], 2**63 - 1, ROWS_AT_ONCE) if oldest else 0
        if free:
            db.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        return 0


KEYS = {
    "trades": "provider, symbol, trade_id",
    "quotes": "provider, symbol, key",
    "books": "provider, symbol, key",
    "candles": "provider, symbol, timeframe, open_time, revision",
    "gaps": "key",
    "statuses": "key",
}


def remove_oldest(db: apsw.Connection, table: str, before: int, limit: int) -> int:
    """Remove up to `limit` of the oldest rows received before `before` (ns); returns how many."""
    key = KEYS[table]
    db.execute(
        f"DELETE FROM {table} WHERE ({key}) IN "
        f"(SELECT {key} FROM {table} INDEXED BY {table}_ts_recv WHERE ts_recv < ? ORDER BY ts_recv LIMIT ?)",
        (before, limit),
    )
    return db.changes()
