"""What the event store can be asked. Each question runs in the reader's thread, on a connection of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from marketd.model.events import SYSTEM, Channel, Gap, Quote, Status, Trade
from marketd.stores.ledger import Row
from marketd.stores.schema import EVENT_TABLES, connect

TRADE = "provider, symbol, ts_event, ts_recv, price, size, side, trade_id, repaired"
QUOTE = "provider, symbol, ts_event, ts_recv, bid, bid_size, ask, ask_size, seq"
GAP = "provider, symbol, ts_event, ts_recv, channel, state, from_id, to_id, from_ts, to_ts, cause"
STATUS = "provider, symbol, ts_event, ts_recv, state, reason"
PAGE = 1000


class Page(NamedTuple):
    trades: list[Trade]  # by ts_event, oldest first
    cursor: str | None  # for the next page; None: this was the last


class Reader:
    """Opens when first asked; until there is a database every answer is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: apsw.Connection | None = None

    def latest_trade(self, symbol: str, venue: str) -> Trade | None:
        """The newest by the venue's time."""
        sql = f"SELECT {TRADE} FROM trades WHERE symbol = ? AND provider = ? ORDER BY ts_event DESC, ts_recv DESC LIMIT 1"
        return next((_trade(row) for row in self._rows(sql, symbol, venue)), None)

    def latest_quote(self, symbol: str, venue: str) -> Quote | None:
        """The newest that we received: where the ledger says it is."""
        at = "SELECT max(updated_ts) FROM ledger WHERE provider = ? AND symbol = ? AND channel = 'quote' AND state = 'have'"
        sql = f"SELECT {QUOTE} FROM quotes WHERE ts_recv = ({at}) AND provider = ? AND symbol = ?"
        return next((Quote(*row) for row in self._rows(sql, venue, symbol, venue, symbol)), None)

    def venues_of(self, symbol: str) -> list[str]:
        """Who has anything of this symbol."""
        return [row[0] for row in self._rows("SELECT DISTINCT provider FROM ledger WHERE symbol = ? ORDER BY provider", symbol)]

    def trades(
        self, symbol: str, *, start: int = 0, end: int = 2**63 - 1, limit: int = PAGE, cursor: str | None = None,
        venue: str | None = None,
    ) -> Page:  # fmt: skip
        """Trades with `start <= ts_event < end` (ns), oldest first. Raises ValueError if `cursor` is none of ours."""
        after = read_cursor(cursor) if cursor is not None else (start, "", "")
        sql = (
            f"SELECT {TRADE} FROM trades WHERE symbol = ? AND ts_event >= ? AND ts_event < ?"
            " AND (ts_event, provider, trade_id) > (?, ?, ?)" + (" AND provider = ?" if venue is not None else "")
            + " ORDER BY ts_event, provider, trade_id LIMIT ?"
        )  # fmt: skip
        of_venue = [venue] if venue is not None else []
        found = [_trade(row) for row in self._rows(sql, symbol, max(start, after[0]), end, *after, *of_venue, limit + 1)]
        last = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], None if last is None else f"{last.ts_event}:{last.venue}:{last.trade_id}")

    def gaps(self, symbol: str | None = None, venue: str | None = None) -> list[Gap]:
        """What was said about gaps, oldest first."""
        return [Gap(*row) for row in self._filtered(f"SELECT {GAP} FROM gaps", "ts_recv", symbol=symbol, provider=venue)]

    def statuses(
        self, venue: str | None = None, *, before: int = 2**63 - 1, limit: int = PAGE, lines: bool = False
    ) -> list[Status]:
        """What happened to the venues' lines before `before` (ns), newest first; `lines`: not what concerns one symbol."""
        if not self._has("statuses"):  # written by an older marketd
            return []
        where = (" AND provider = ?" if venue is not None else "") + (" AND symbol = ?" if lines else "")
        values = [before, *([venue] if venue is not None else []), *([SYSTEM] if lines else []), limit]
        return [
            Status(*row)
            for row in self._rows(
                f"SELECT {STATUS} FROM statuses WHERE ts_recv < ?{where} ORDER BY ts_recv DESC LIMIT ?", *values
            )
        ]

    def ledger(self, symbol: str | None = None, venue: str | None = None, channel: Channel | None = None) -> list[Row]:
        """What is known to be there or missing."""
        where = {"symbol": symbol, "provider": venue, "channel": channel}
        return [Row(*row) for row in self._filtered("SELECT * FROM ledger", "provider, symbol, channel, from_ts, id", **where)]

    def counts(self) -> dict[str, int]:
        """Rows by table; walks each table's smallest tree, so not for every second."""
        return {
            table: next(iter(self._rows(f"SELECT count(*) FROM {table}")), (0,))[0] if self._has(table) else 0
            for table in EVENT_TABLES
        }

    def _has(self, table: str) -> bool:
        return any(self._rows("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", table))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _filtered(self, sql: str, order: str, **where: str | None) -> Iterator[tuple[Any, ...]]:
        given = {column: value for column, value in where.items() if value is not None}
        conditions = " AND ".join(f"{column} = ?" for column in given)
        return self._rows(f"{sql}{' WHERE ' if given else ''}{conditions} ORDER BY {order}", *given.values())

    def _rows(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        if self._db is None:
            if not self._path.exists():
                return iter(())
            self._db = connect(self._path, read_only=True)
        return iter(self._db.execute(sql, values).fetchall())


def read_cursor(cursor: str) -> tuple[int, str, str]:
    ts, _, rest = cursor.partition(":")
    venue, _, trade_id = rest.partition(":")
    if not (ts.isascii() and ts.isdecimal() and venue and trade_id):
        raise ValueError(f"{cursor!r} is not a cursor from an earlier answer")
    return int(ts), venue, trade_id


def _trade(row: tuple[Any, ...]) -> Trade:
    venue, symbol, ts_event, ts_recv, price, size, side, trade_id, repaired = row
    return Trade(venue, symbol, ts_event, ts_recv, price, size, side, trade_id, bool(repaired))
