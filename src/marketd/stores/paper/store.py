"""Writing a step of a book, and reading the book again: after a restart, or for the API."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.model.paper import EquityPoint, Fill, Order, Seen
from marketd.rooms import to_the_end
from marketd.stores.archive.address import address_of
from marketd.stores.archive.database import Database, is_passing
from marketd.stores.archive.opening import Opening, not_opened
from marketd.stores.archive.paper_tables import paper_books, paper_equity, paper_fills, paper_orders, paper_progress

BOOKS, ORDERS, FILLS, EQUITY, SEEN = paper_books.c, paper_orders.c, paper_fills.c, paper_equity.c, paper_progress.c
AT_ONCE = 500  # ids in one question
log = structlog.get_logger("paper")


class Overtaken(DeliveryError):
    """Another trader made a step in the same book; nothing was written, and the book is to be read anew."""


class Kept(msgspec.Struct, frozen=True):
    """A book as it is stored."""

    book: str
    cash: Decimal  # at the start
    timeframe: str
    opened: int  # ns, as all times
    boundary: int  # 0: none was stepped over yet
    steps: int
    orders: int
    fills: int
    told: int  # orders that the message log was told of


class Numbered(msgspec.Struct, frozen=True):
    """An order or a fill with its place in the book, from 1."""

    seq: int
    of: Any


class PaperStore:
    """Every method raises DeliveryError, in one line and within a bounded time; nothing is half-written then."""

    def __init__(self, database: Database, opening: Opening) -> None:
        self._database, self._opening = database, opening

    async def open(self, book: str, cash: Decimal, timeframe: str, now: int) -> Kept:
        """The book, begun now with these if it is not there yet."""
        return await to_the_end(self._open(book, cash, timeframe, now))

    async def _open(self, book: str, cash: Decimal, timeframe: str, now: int) -> Kept:
        async with self._writing() as connection:
            found = await _book(connection, book)
            if found is None:
                found = Kept(book, cash, timeframe, now, 0, 0, 0, 0, 0)
                await connection.execute(sa.insert(paper_books).values(msgspec.structs.asdict(found)))
        return found

    async def keep(
        self,
        kept: Kept,
        boundary: int,
        orders: Sequence[Order],
        fills: Sequence[Fill],
        points: Sequence[EquityPoint],
        seen: Mapping[str, Seen],
    ) -> Kept:
        """One step after the one that left the book as `kept`, all of it or nothing. Raises Overtaken if the book went on."""
        return await to_the_end(self._keep(kept, boundary, orders, fills, points, seen))

    async def _keep(
        self,
        kept: Kept,
        boundary: int,
        orders: Sequence[Order],
        fills: Sequence[Fill],
        points: Sequence[EquityPoint],
        seen: Mapping[str, Seen],
    ) -> Kept:
        after = msgspec.structs.replace(
            kept, boundary=boundary, steps=kept.steps + 1, orders=kept.orders + len(orders), fills=kept.fills + len(fills)
        )
        named = {"book": kept.book}
        async with self._writing() as connection:
            mine = sa.and_(BOOKS.book == kept.book, BOOKS.steps == kept.steps)
            values = {"boundary": boundary, "steps": after.steps, "orders": after.orders, "fills": after.fills}
            if (await connection.execute(sa.update(paper_books).where(mine).values(**values))).rowcount != 1:
                raise Overtaken(f"paper book {kept.book}: another trader made step {after.steps}; the book is read anew")
            rows = [{**named, "seq": kept.orders + at, **msgspec.structs.asdict(one)} for at, one in enumerate(orders, 1)]
            await _insert(connection, paper_orders, rows)
            rows = [{**named, "seq": kept.fills + at, **_fill_row(one)} for at, one in enumerate(fills, 1)]
            await _insert(connection, paper_fills, rows)
            await _insert(connection, paper_equity, [{**named, **msgspec.structs.asdict(one)} for one in points])
            if seen:
                its = sa.and_(SEEN.book == kept.book, SEEN.symbol.in_(list(seen)))
                await connection.execute(sa.delete(paper_progress).where(its))
                rows = [{**named, "symbol": symbol, **msgspec.structs.asdict(one)} for symbol, one in seen.items()]
                await _insert(connection, paper_progress, rows)
        return after

    async def told(self, kept: Kept, orders: int) -> Kept:
        """The message log was told of the first so many orders."""
        return await to_the_end(self._told(kept, orders))

    async def _told(self, kept: Kept, orders: int) -> Kept:
        async with self._writing() as connection:
            await connection.execute(sa.update(paper_books).where(BOOKS.book == kept.book).values(told=orders))
        return msgspec.structs.replace(kept, told=orders)

    async def all_fills(self, book: str) -> list[Fill]:
        """In the order of the book: what the account is made of."""
        async with self._reading() as connection:
            query = sa.select(paper_fills).where(FILLS.book == book).order_by(FILLS.seq)
            return [_fill(row) for row in await connection.execute(query)]

    async def seen(self, book: str) -> dict[str, Seen]:
        async with self._reading() as connection:
            found = await connection.execute(sa.select(SEEN.symbol, SEEN.open_time, SEEN.mark).where(SEEN.book == book))
            return {symbol: Seen(open_time, mark) for symbol, open_time, mark in found}

    async def orders_at(self, book: str, boundary: int) -> frozenset[str]:
        """The ids of what was decided at a boundary."""
        async with self._reading() as connection:
            query = sa.select(ORDERS.id).where(ORDERS.book == book, ORDERS.ts == boundary)
            return frozenset((await connection.execute(query)).scalars())

    async def known(self, book: str, ids: Sequence[str]) -> frozenset[str]:
        """Those of these orders that are in the book."""
        found: set[str] = set()
        async with self._reading() as connection:
            for at in range(0, len(ids), AT_ONCE):
                query = sa.select(ORDERS.id).where(ORDERS.book == book, ORDERS.id.in_(ids[at : at + AT_ONCE]))
                found.update((await connection.execute(query)).scalars())
        return frozenset(found)

    async def orders(self, book: str, *, after: int = 0, before: int | None = None, limit: int) -> list[Numbered]:
        """Those after a place, oldest first; or those before one, newest first."""
        rows = await self._page(paper_orders, book, after, before, limit)
        names = Order.__struct_fields__
        return [Numbered(row.seq, Order(**{name: getattr(row, name) for name in names})) for row in rows]

    async def fills(self, book: str, *, after: int = 0, before: int | None = None, limit: int) -> list[Numbered]:
        return [Numbered(row.seq, _fill(row)) for row in await self._page(paper_fills, book, after, before, limit)]

    async def fills_of(self, book: str, orders: Sequence[str]) -> dict[str, Fill]:
        """The fills of these orders, by order."""
        async with self._reading() as connection:
            query = sa.select(paper_fills).where(FILLS.book == book, FILLS.order_id.in_(orders))
            return {row.order_id: _fill(row) for row in await connection.execute(query)}

    async def equity(self, book: str, start: int, end: int, limit: int) -> list[EquityPoint]:
        """`start <= ts < end`, oldest first."""
        names = EquityPoint.__struct_fields__
        query = sa.select(*(EQUITY[name] for name in names)).where(EQUITY.book == book, EQUITY.ts >= start, EQUITY.ts < end)
        async with self._reading() as connection:
            return [EquityPoint(*row) for row in await connection.execute(query.order_by(EQUITY.ts).limit(limit))]

    async def ping(self) -> None:
        async with self._reading() as connection:
            await connection.execute(sa.select(sa.literal(1)))

    async def _page(self, table: sa.Table, book: str, after: int, before: int | None, limit: int) -> Sequence[sa.Row[Any]]:
        query = sa.select(table).where(table.c.book == book, table.c.seq > after).limit(limit)
        query = query.order_by(table.c.seq) if before is None else query.where(table.c.seq < before).order_by(table.c.seq.desc())
        async with self._reading() as connection:
            return (await connection.execute(query)).all()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        await self._opening.passed()
        async with self._database.writing() as connection:
            yield connection

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        await self._opening.passed()
        async with self._database.reading() as connection:
            yield connection


@asynccontextmanager
async def open_paper(url: str, clock: Clock) -> AsyncIterator[PaperStore]:
    """The books in the database at `url`, which is brought to the current schema.

    A server that is away or a full disk stops nothing: the store raises DeliveryError until it can be opened, and opens by
    itself. Raises ConfigError for an address that is none, StartError where the database does not let us in or is not ours.
    """
    database = Database(address_of(url))
    opening = Opening(database, clock, upgrade=True)
    try:
        try:
            await opening.done()
        except DeliveryError as error:
            if not is_passing(error):
                raise not_opened(error) from error
            log.warning("paper.waiting", reason=str(error))
        yield PaperStore(database, opening)
    finally:
        await database.close()


async def _book(connection: AsyncConnection, book: str) -> Kept | None:
    row = (await connection.execute(sa.select(paper_books).where(BOOKS.book == book))).first()
    return None if row is None else Kept(**row._mapping)


async def _insert(connection: AsyncConnection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(sa.insert(table), rows)


def _fill_row(fill: Fill) -> dict[str, Any]:
    row = msgspec.structs.asdict(fill)
    row["order_id"] = row.pop("order")
    return row


def _fill(row: sa.Row[Any]) -> Fill:
    names = [name for name in Fill.__struct_fields__ if name != "order"]
    return Fill(row.order_id, **{name: getattr(row, name) for name in names})
