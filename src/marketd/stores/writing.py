"""The writer of the event store: rows of a batch and their ledger in one transaction."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import msgspec

from marketd.errors import DeliveryError, words_of
from marketd.model.events import BookL2, Candle, Event, Gap, Quote, Status, Trade
from marketd.model.identity import identity
from marketd.model.marks import Mark, Series
from marketd.stores.housekeeping import Checkpointer, Pruner, Retention
from marketd.stores.ledger import CHANNELS, Key, Ledger, Point, Proofs, Row
from marketd.stores.schema import connect

# Rows in one INSERT. Each step into SQLite lets go of the interpreter and has to wait to get it back from the event loop,
# so a batch takes as few of them as its size has binary digits.
AT_ONCE = (256, 128, 64, 32, 16, 8, 4, 2, 1)
INT64_MAX = 2**63 - 1
STATUSES_KEPT = 10_000  # a line that comes and goes all night is no reason to fill the disk
FORGET = (
    f"DELETE FROM statuses WHERE ts_recv < (SELECT ts_recv FROM statuses ORDER BY ts_recv DESC LIMIT 1 OFFSET {STATUSES_KEPT})"
)

Values = tuple[Any, ...]


class Table(NamedTuple):
    """How one type of event is written."""

    sql: dict[int, str]  # by number of rows
    row: Callable[[Any], Values]


def _table(name: str, width: int, row: Callable[[Any], Values]) -> Table:
    values = f"({', '.join('?' * width)})"
    sql = f"INSERT OR IGNORE INTO {name} VALUES "
    return Table({count: sql + ", ".join([values] * count) for count in AT_ONCE}, row)


def _key(event: Quote | BookL2) -> str:
    """What follows `venue:type:symbol:` in its identity."""
    if event.seq is not None:
        return str(event.seq)
    return ":".join(identity(event).rsplit(":", 2)[1:])  # ts_event and hash, which hold no colon


def _quote(event: Quote) -> Values:
    return (*msgspec.structs.astuple(event)[:8], _seq(event.seq), _key(event))


def _book(event: BookL2) -> Values:
    levels = msgspec.json.encode
    head = (event.venue, event.symbol, event.ts_event, event.ts_recv)
    return (*head, levels(event.bids).decode(), levels(event.asks).decode(), _seq(event.seq), _key(event))


def _said(event: Gap | Status) -> Values:
    return (*msgspec.structs.astuple(event), identity(event))


def _seq(seq: int | None) -> int | None:
    """Beyond 64 bits it is only in the key."""
    return seq if seq is None or seq <= INT64_MAX else None


TABLES: dict[type[Event], Table] = {
    Trade: _table("trades", 9, lambda trade: msgspec.structs.astuple(trade)[:9]),  # columns and first fields in the same order
    Quote: _table("quotes", 10, _quote),
    BookL2: _table("books", 8, _book),
    Candle: _table("candles", 15, msgspec.structs.astuple),
    Gap: _table("gaps", 12, _said),
    Status: _table("statuses", 7, _said),
}
LEDGER_VALUES = attrgetter(*Row.__slots__)
SAVE_ROW = f"INSERT OR REPLACE INTO ledger VALUES ({', '.join('?' * len(Row.__slots__))})"


class Writer:
    """Lives in one thread. After an error it opens the database again, so that whatever was mended is noticed."""

    def __init__(self, path: Path, proofs: Proofs, retention: Retention) -> None:
        self._path, self._proofs = path, proofs
        self._pruner = Pruner(retention)
        self._checkpointer = Checkpointer(path)
        self._db: apsw.Connection | None = None
        self._ledger = Ledger(proofs)
        self.marks: dict[Series, Mark] = {}  # of what is committed
        self.open_gaps: list[Gap] = []  # replaced, never changed: other threads read it

    def open(self) -> None:
        """Raises StartError, DeliveryError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(self._path)
            self._db.set_wal_hook(self._checkpointer.after_commit)
            rows: list[Any] = self._db.execute("SELECT * FROM ledger").fetchall()
        except (apsw.Error, OSError) as error:
            self.close()
            raise DeliveryError(f"sqlite: cannot open {self._path}: {explain(error)}") from error
        self._ledger = Ledger(self._proofs, (Row(*row) for row in rows))
        self.marks.update(self._ledger.marks())
        self.open_gaps = self._ledger.open_gaps()

    def write(self, batch: Sequence[Event], now: int) -> None:
        """Commit the batch and its ledger. Raises DeliveryError and leaves nothing half-written."""
        if self._db is None:
            self.open()
        db = self._db
        assert db is not None
        by_type: dict[type[Event], list[Any]] = {}
        for event in batch:
            by_type.setdefault(event.__class__, []).append(event)
        try:
            db.execute("BEGIN IMMEDIATE")
            for kind, events in by_type.items():
                _insert(db, TABLES[kind], [one for one in events if one.closed] if kind is Candle else events)
            if Status in by_type:
                db.execute(FORGET)
            touched = self._account(batch, has_gaps=Gap in by_type)
            self._save_ledger(db)
            db.execute("COMMIT")
        except apsw.Error as error:
            self.close()
            raise DeliveryError(f"sqlite: cannot write {self._path}: {explain(error)}; trying again") from error
        except BaseException:
            self.close()  # a mistake of ours must not leave a transaction open
            raise
        self._ledger.saved()
        self.marks.update(self._ledger.marks(touched))
        if Gap in by_type:
            self.open_gaps = self._ledger.open_gaps()
        self._checkpointer.finish(db)
        self._pruner.prune(db, now)

    def close(self) -> None:
        """What is not committed is undone."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(apsw.Error):
                db.close(True)

    def _account(self, batch: Sequence[Event], *, has_gaps: bool) -> Iterable[Key]:
        """Tell the ledger, in the order in which things were said; returns the series that got further."""
        if not has_gaps:
            return self._extend(batch)
        touched: set[Key] = set()
        between: list[Event] = []
        for event in batch:
            if event.__class__ is Gap:
                touched.update(self._extend(between))
                between.clear()
                assert isinstance(event, Gap)
                self._ledger.note(event)
                touched.add((event.venue, event.symbol, event.channel))
            else:
                between.append(event)
        touched.update(self._extend(between))
        return touched

    def _extend(self, events: Iterable[Any]) -> Iterable[Key]:
        first: dict[Key, Any] = {}
        last: dict[Key, Any] = {}
        for event in events:
            kind = event.__class__
            # A repaired trade lies in a gap, and the gap's own event says when that is filled; a status is no data.
            if (kind is Trade and event.repaired) or (kind is Candle and not event.closed) or kind is Status:
                continue
            key = (event.venue, event.symbol, CHANNELS[kind])
            if key not in last:
                first[key] = event
            last[key] = event
        for key, event in last.items():
            self._ledger.extend(key, _point(first[key]), _point(event), event.ts_recv)
        return last

    def _save_ledger(self, db: apsw.Connection) -> None:
        changed, removed = self._ledger.changes()
        if removed:
            db.executemany("DELETE FROM ledger WHERE id = ?", [(row_id,) for row_id in removed])
        db.executemany(SAVE_ROW, map(LEDGER_VALUES, changed))


def _insert(db: apsw.Connection, table: Table, events: list[Any]) -> None:
    rows = [table.row(event) for event in events]
    at = 0
    for count in AT_ONCE:
        while len(rows) - at >= count:
            db.execute(table.sql[count], tuple(chain.from_iterable(rows[at : at + count])))
            at += count


def _point(event: Any) -> Point:
    match event:
        case Trade():
            return Point(event.trade_id, event.ts_event)
        case Candle():
            return Point(None, event.close_time)
        case _:
            return Point(None if event.seq is None else str(event.seq), event.ts_event or event.ts_recv)


def explain(error: Exception) -> str:
    """What SQLite's word means for the operator."""
    match error:
        case apsw.FullError():
            return "the disk is full"
        case apsw.BusyError() | apsw.LockedError():
            return "another program holds the database"
        case apsw.CorruptError() | apsw.NotADBError():
            return f"the file is damaged ({error}); move it away and a new one is begun"
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError():
            return f"the file or its directory is not writable ({error})"
        case apsw.IOError():
            return f"the disk fails or is full ({error})"
    return words_of(error)
