"""Writing pages: candles by the rules of finality, what they replaced, the ledger, the gaps and the job, in one transaction."""

from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateTable

from marketd.model.events import Candle
from marketd.model.series import CandleSeries
from marketd.stores.archive.columns import fraction_of, second_text
from marketd.stores.archive.rows import Page, Written
from marketd.stores.archive.tables import NUMBERS, candle_revisions, candles, staged_candles

INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
STAGED = tuple(column.name for column in staged_candles.c)
FILL_STAGED = f"INSERT INTO {staged_candles.name} ({', '.join(STAGED)}) VALUES ({', '.join('?' * len(STAGED))})"
PIECE = 1_000  # rows of a page that are copied at once
CREATE_STAGED = CreateTable(staged_candles, if_not_exists=True)

SOURCE = sa.bindparam("page_source", type_=sa.String)
NOW = sa.bindparam("page_now", type_=sa.BigInteger)
FIRST = sa.bindparam("page_first", type_=candles.c.open_time.type)
LAST = sa.bindparam("page_last", type_=candles.c.open_time.type)
SERIES = [sa.bindparam(f"page_{name}", type_=sa.String) for name in ("exchange", "symbol", "timeframe")]

OF_THE_SERIES = sa.and_(
    *(candles.c[word.key.removeprefix("page_")] == word for word in SERIES), candles.c.open_time.between(FIRST, LAST)
)
BOTH = sa.and_(OF_THE_SERIES, candles.c.open_time == staged_candles.c.open_time)


def _differs(new: Any) -> sa.ColumnElement[bool]:
    """Digits compare as text: 1.5 and 1.50 are not what the venue said twice."""
    return sa.or_(*(sa.cast(candles.c[name], sa.Text) != sa.cast(new[name], sa.Text) for name in NUMBERS))


def _replaces(new: Any) -> sa.ColumnElement[bool]:
    """Whether a new row takes the place of the stored one: never a forming one that of a closed one, a built one that of the
    venue's own, or an equal one anything; but the venue's word settles a built one."""
    is_built = sa.func.coalesce(candles.c.source, "") == "built"
    builds = sa.literal("built") == SOURCE
    may = sa.and_(sa.or_(new["closed"], sa.not_(candles.c.closed)), sa.or_(sa.not_(builds), is_built))
    says_more = sa.or_(_differs(new), candles.c.closed != new["closed"], sa.and_(is_built, sa.not_(builds)))
    return sa.and_(may, says_more)


def _revises(new: Any) -> sa.ColumnElement[bool]:
    return sa.and_(candles.c.closed, _differs(new))


ANY_STORED = sa.select(sa.exists(sa.select(candles.c.id).where(OF_THE_SERIES)))
DROP_STAGED_AS_KNOWN = sa.delete(staged_candles).where(
    sa.exists(sa.select(candles.c.id).where(BOTH, sa.not_(_replaces(staged_candles.c))))
)
COUNT_REPLACED = sa.select(
    sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((_revises(staged_candles.c), 1), else_=0)), 0)
).select_from(candles.join(staged_candles, BOTH))
KEPT = ("exchange", "symbol", "timeframe", "open_time", "revision", *NUMBERS, "source", "ts_recv")
KEEP_REVISED = sa.insert(candle_revisions).from_select(
    [*KEPT, "replaced_at"],
    sa.select(*(candles.c[name] for name in KEPT), NOW).where(BOTH, _revises(staged_candles.c)),
)


def _insert(kind: str) -> Any:
    """Where nothing is stored yet: looking for conflicts at each row would cost half as much again."""
    names = [*(word.key.removeprefix("page_") for word in SERIES), *STAGED, "source"]
    rows = sa.select(*SERIES, *staged_candles.c, SOURCE).where(staged_candles.c.open_time >= FIRST)
    return INSERTS[kind](candles).from_select(names, rows)


def _upsert(kind: str) -> Any:
    insert = _insert(kind)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["exchange", "symbol", "timeframe", "open_time"],
        set_={
            **{name: new[name] for name in STAGED if name != "open_time"},
            "source": new.source,
            "revision": candles.c.revision + sa.case((_revises(new), 1), else_=0),
        },
        where=_replaces(new),
    )


INSERT = {kind: _insert(kind) for kind in INSERTS}
UPSERT = {kind: _upsert(kind) for kind in INSERTS}


async def lock(connection: AsyncConnection, series: CandleSeries) -> None:
    """One writer of a series at a time, until the transaction ends; on SQLite there is only one writer anyway."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(blake2b("\0".join(series).encode(), digest_size=8).digest(), "big", signed=True)
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.literal(key, sa.BigInteger))))


async def write_candles(connection: AsyncConnection, page: Page, now: int) -> Written:
    """Store what is new in the page and keep what it corrects; what is known already stays untouched."""
    if not page.candles:
        return Written(0, 0, 0)
    kind = connection.dialect.name
    named = dict(zip((word.key for word in SERIES), page.series, strict=True))
    first, last = page.candles[0].open_time, page.candles[-1].open_time
    values = {**named, "page_first": first, "page_last": last, "page_source": page.source, "page_now": now}
    count = len(page.candles)
    await _stage(connection, page.candles)
    if not (await connection.execute(ANY_STORED, values)).scalar_one():
        # A program that does not know our lock may come in between: then this fails, and the same page finds its rows next time.
        await connection.execute(INSERT[kind], values)
        return Written(count, 0, 0)
    unchanged = (await connection.execute(DROP_STAGED_AS_KNOWN, values)).rowcount
    replaced, revised = (await connection.execute(COUNT_REPLACED, values)).one()
    if revised:
        await connection.execute(KEEP_REVISED, values)
    if unchanged < count:
        await connection.execute(UPSERT[kind], values)
    return Written(count - unchanged - replaced, revised, unchanged, replaced - revised)


async def _stage(connection: AsyncConnection, rows: Sequence[Candle]) -> None:
    """COPY on PostgreSQL, the one thing that is not the same on both."""
    await connection.execute(CREATE_STAGED)
    if connection.dialect.name == "postgresql":
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.copy_to_table(staged_candles.name, source=_texts(rows), columns=STAGED)
        return
    await connection.execute(sa.delete(staged_candles))
    fraction = fraction_of(connection.dialect)
    await connection.exec_driver_sql(FILL_STAGED, [_staged(row, fraction) for row in rows])


def _staged(row: Candle, fraction: str) -> tuple[Any, ...]:
    """In the order of STAGED."""
    opens, closes = second_text(row.open_time) + fraction, second_text(row.close_time) + fraction
    return opens, closes, row.open, row.high, row.low, row.close, row.volume, row.closed, row.ts_recv


async def _texts(rows: Sequence[Candle]) -> AsyncIterator[bytes]:
    """In pieces: the server reads one while the next is being written."""
    for at in range(0, len(rows), PIECE):
        yield copy_text(rows[at : at + PIECE])


def copy_text(rows: Sequence[Candle]) -> bytes:
    """The rows as COPY reads them: one a line, columns apart by tabs. Numbers hold nothing that would need escaping."""
    return "".join(
        [
            f"{second_text(row.open_time)}\t{second_text(row.close_time)}\t{row.open}\t{row.high}\t{row.low}\t{row.close}\t{row.volume}"
            f"\t{row.closed}\t{row.ts_recv}\n"
            for row in rows
        ]
    ).encode()
