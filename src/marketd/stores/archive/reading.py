"""Reading the archive: candles with their digits, summaries without counting rows where the ledger has counted them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from marketd.model.ledger import NOT_FETCHED, State, Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import SECOND, Timeframe, timeframe
from marketd.stores.archive.accounting import gap_columns, of_series, touching
from marketd.stores.archive.columns import OpenTime, epoch_seconds, whole_second_from
from marketd.stores.archive.jobs import last_of_each
from marketd.stores.archive.rows import GapRow, Row, SeriesSummary, Summed
from marketd.stores.archive.tables import NUMBERS, candle_gaps, candle_ledger, candle_revisions, candles

TOGETHER = 100  # series in one question; a SQLite of no special build takes five hundred

Numbers = list[sa.ColumnElement[Any]]


def _digits(table: sa.Table) -> Numbers:
    """As text: PostgreSQL writes a NUMERIC with every digit that came in."""
    return [sa.cast(table.c[name], sa.Text).label(name) for name in NUMBERS]


REVISION = [
    epoch_seconds(candle_revisions.c.open_time), *_digits(candle_revisions), sa.true().label("closed"),
    candle_revisions.c.revision, candle_revisions.c.source, candle_revisions.c.ts_recv,
]  # fmt: skip


# The one question that is asked for thousands of rows at a time goes to the driver as it is, a third cheaper.
OPENS = {"sqlite": "CAST(strftime('%s', open_time) AS INTEGER)", "postgresql": "CAST(extract(epoch FROM open_time) AS BIGINT)"}
MARKS = {"sqlite": ["?"] * 6, "postgresql": [f"${number}" for number in range(1, 7)]}
QUERY = (
    "SELECT {opens}, {digits}, closed, revision, source, ts_recv FROM candles WHERE exchange = {} AND symbol = {} "
    "AND timeframe = {} AND open_time >= {} AND open_time < {} ORDER BY open_time {order} LIMIT {}"
)
CANDLES = {
    (kind, newest): QUERY.format(
        *MARKS[kind],
        opens=opens,
        digits=", ".join(f"CAST({name} AS TEXT)" for name in NUMBERS),
        order="DESC" if newest else "ASC",
    )
    for kind, opens in OPENS.items()
    for newest in (False, True)
}


async def candle_rows(
    connection: AsyncConnection, series: CandleSeries, start: int, end: int, limit: int | None, newest: bool
) -> list[Row]:
    """Oldest first, `start <= open_time < end`; of more than `limit` the oldest, or the newest."""
    rows = _rows(series, await _fetched(connection, newest, series, start, end, limit))
    return rows[::-1] if newest else rows


async def _fetched(
    connection: AsyncConnection, newest: bool, series: CandleSeries, start: int, end: int, limit: int | None
) -> Iterable[Any]:
    dialect = connection.dialect
    bind = OpenTime().process_bind_param
    first, stop = (bind(whole_second_from(at), dialect) for at in (start, end))
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if dialect.name == "postgresql":
        return list(await driver.fetch(CANDLES["postgresql", newest], *series, first, stop, limit))
    return list(await driver.execute_fetchall(CANDLES["sqlite", newest], (*series, first, stop, -1 if limit is None else limit)))


async def revision_rows(connection: AsyncConnection, series: CandleSeries, start: int, end: int) -> list[Row]:
    """What was corrected, oldest open time first and then in the order in which it was said."""
    its = candle_revisions.c
    query = sa.select(*REVISION).where(*_between(candle_revisions, series, start, end)).order_by(its.open_time, its.revision)
    return _rows(series, (await connection.execute(query)).all())


async def range_summed(connection: AsyncConnection, series: CandleSeries, start: int, end: int) -> Summed:
    its = candles.c
    query = sa.select(
        sa.func.count(),
        sa.func.max(its.open_time),
        sa.func.coalesce(sa.func.sum(sa.case((its.closed, 0), else_=1)), 0),
        sa.func.coalesce(sa.func.sum(sa.case((its.source == "built", 1), else_=0)), 0),
        sa.func.coalesce(sa.func.sum(its.revision), 0),
        sa.func.max(its.ts_recv),
    ).where(*_between(candles, series, start, end))
    return Summed(*(await connection.execute(query)).one())


def _between(table: sa.Table, series: CandleSeries, start: int, end: int) -> list[sa.ColumnElement[bool]]:
    at = table.c.open_time
    return [of_series(table, series), at >= whole_second_from(start), at < whole_second_from(end)]


def _rows(series: CandleSeries, found: Iterable[Any]) -> list[Row]:
    close_of = _closing(series)
    return [
        Row(opens := second * SECOND, close_of(opens), open_, high, low, close, volume, closed == 1, revision, source, ts_recv)
        for second, open_, high, low, close, volume, closed, revision, source, ts_recv in found
    ]


def _closing(series: CandleSeries) -> Callable[[int], int]:
    its = timeframe(series.timeframe)
    step = its.step
    return (lambda open_time: open_time + step) if step else its.close_of


async def stretches(
    connection: AsyncConnection, series: CandleSeries, start: int, end: int, states: Sequence[State] | None
) -> list[Stretch]:
    its = candle_ledger.c
    query = sa.select(its.start, its.stop, its.state, its.cause, its.since).where(
        touching(series, start, end), its.stop > start, its.start < end
    )
    if states is not None:
        query = query.where(its.state.in_(states))
    return [Stretch(*row) for row in await connection.execute(query.order_by(its.start))]


async def series_there(connection: AsyncConnection) -> list[CandleSeries]:
    """Every series with a candle or a stretch: a few looks into the index for each, never through all rows."""
    found = [await connection.execute(_keys(table)) for table in (candles, candle_ledger)]
    return sorted({CandleSeries(*row) for rows in found for row in rows})


def _keys(table: sa.Table) -> sa.Select[Any]:
    """The distinct keys, in one question: of each column in turn the smallest, and from there always the next one."""
    venues = sa.select(sa.func.min(table.c.exchange).label("exchange")).cte("venues", recursive=True)
    level = venues.union_all(_next(table, venues))
    for name in ("symbol", "timeframe"):
        outer = list(level.c)
        first = (
            sa.select(*outer, _least(table, level, name).label(name))
            .where(outer[-1].is_not(None))
            .cte(f"{name}s", recursive=True)
        )
        level = first.union_all(_next(table, first))
    return sa.select(level).where(level.c.timeframe.is_not(None))


def _next(table: sa.Table, known: sa.CTE) -> sa.Select[Any]:
    *outer, its = known.c
    return sa.select(*outer, _least(table, known, its.name, table.c[its.name] > its)).where(its.is_not(None))


def _least(table: sa.Table, known: sa.CTE, name: str, *further: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    same = [table.c[one.name] == one for one in known.c if one.name != name]
    return sa.select(sa.func.min(table.c[name])).where(*same, *further).correlate(known).scalar_subquery()


async def gap_rows(
    connection: AsyncConnection, venue: str | None, symbol: str | None, its_timeframe: str | None, open_only: bool
) -> list[GapRow]:
    its = candle_gaps.c
    query = sa.select(*gap_columns()).order_by(its.exchange, its.symbol, its.timeframe, its.gap_start)
    for column, wanted in ((its.exchange, venue), (its.symbol, symbol), (its.timeframe, its_timeframe)):
        if wanted is not None:
            query = query.where(column == wanted)
    if open_only:
        query = query.where(its.repaired_at.is_(None), its.state != "known_empty")
    found = [GapRow(*row) for row in await connection.execute(query)]
    return sorted(found + await _not_fetched(connection, venue, symbol, its_timeframe), key=_place)


def _place(row: GapRow) -> tuple[str, str, str, int]:
    return row.exchange, row.symbol, row.timeframe, row.gap_start


async def _not_fetched(
    connection: AsyncConnection, venue: str | None, symbol: str | None, its_timeframe: str | None
) -> list[GapRow]:
    """What a backfill has still before it, or was stopped before: not in the table of gaps, since nobody found it."""
    its = candle_ledger.c
    query = sa.select(its.exchange, its.symbol, its.timeframe, its.start, its.stop, its.since, its.state, its.cause).where(
        its.state == "missing", its.cause == NOT_FETCHED
    )
    for column, wanted in ((its.exchange, venue), (its.symbol, symbol), (its.timeframe, its_timeframe)):
        if wanted is not None:
            query = query.where(column == wanted)
    return [GapRow(*row[:6], None, row[6], row[7]) for row in await connection.execute(query)]


async def summaries(connection: AsyncConnection) -> list[SeriesSummary]:
    its = candle_ledger.c
    grouped = sa.select(
        its.exchange,
        its.symbol,
        its.timeframe,
        its.state,
        sa.func.sum(its.stop - its.start),
        sa.func.min(its.start),
        sa.func.max(its.stop),
    ).group_by(its.exchange, its.symbol, its.timeframe, its.state)
    lengths: dict[CandleSeries, dict[str, tuple[int, int, int]]] = {}
    for row in await connection.execute(grouped):
        lengths.setdefault(CandleSeries(*row[:3]), {})[row[3]] = (int(row[4]), row[5], row[6])
    jobs = await last_of_each(connection)
    there = await series_there(connection)
    found = []
    for done in range(0, len(there), TOGETHER):
        part = there[done : done + TOGETHER]
        spans = [lengths.get(series, {}).get("have", (0, 0, 0))[1:] for series in part]
        query = sa.union_all(*(_reach(at, series, *span) for at, (series, span) in enumerate(zip(part, spans, strict=True))))
        rows = sorted((await connection.execute(query)).all())
        for series, (_, first, last, before, after) in zip(part, rows, strict=True):
            parts = lengths.get(series, {})
            counts = {state: await _opens(connection, series, state, length[0]) for state, length in parts.items()}
            found.append(
                SeriesSummary(
                    series,
                    first,
                    last,
                    counts.get("have", 0) + before + after,
                    counts.get("missing", 0) + counts.get("repairing", 0),
                    counts.get("known_empty", 0),
                    counts.get("unrecoverable", 0),
                    jobs.get(series),
                )
            )
    return found


def _reach(place: int, series: CandleSeries, start: int, stop: int) -> sa.Select[Any]:
    """The first and the last candle, each by one look into the index, and how many are outside of what the ledger counted."""
    at, mine = candles.c.open_time, of_series(candles, series)
    asked = (
        sa.select(sa.func.min(at)).where(mine),
        sa.select(sa.func.max(at)).where(mine),
        sa.select(sa.func.count()).where(mine, at < whole_second_from(start)),
        sa.select(sa.func.count()).where(mine, at >= whole_second_from(stop)),
    )
    return sa.select(sa.literal(place), *(one.scalar_subquery() for one in asked))


async def _opens(connection: AsyncConnection, series: CandleSeries, state: str, length: int) -> int:
    """How many candles open in the stretches of a state, of that length in all. Months are not of one length."""
    its = timeframe(series.timeframe)
    if its.step:
        return length // its.step
    found = candle_ledger.c
    query = sa.select(found.start, found.stop).where(of_series(candle_ledger, series), found.state == state)
    return sum(_months(its, start, stop) for start, stop in await connection.execute(query))


def _months(its: Timeframe, start: int, stop: int) -> int:
    count = 0
    while start < stop:
        start, count = its.close_of(start), count + 1
    return count
