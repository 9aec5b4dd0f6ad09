"""The ledger and the table of gaps, kept together: what is known of a span replaces what was known of it before."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch, replaced
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.stores.archive.gaps import gaps_after
from marketd.stores.archive.rows import GapRow
from marketd.stores.archive.tables import candle_gaps, candle_ledger

AT_ONCE = 5_000  # values in one IN, below what either database takes


def of_series(table: sa.Table, series: CandleSeries) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.exchange == series.venue, table.c.symbol == series.symbol, table.c.timeframe == series.timeframe)


def named(series: CandleSeries) -> dict[str, str]:
    return {"exchange": series.venue, "symbol": series.symbol, "timeframe": series.timeframe}


async def settle(connection: AsyncConnection, series: CandleSeries, parts: Sequence[Stretch], now: int) -> None:
    """Let the ledger say `parts`, each of its own span and of nothing else, and the gaps follow. The series is locked by the
    caller."""
    its = timeframe(series.timeframe)
    for edge in (edge for part in parts for edge in part[:2]):
        assert its.open_of(edge) == edge, f"{series}: {edge} is not on the grid of {series.timeframe}"
    for block in _blocks(parts):
        await _settle(connection, series, Interval(block[0].start, block[-1].stop), block, now)


def _blocks(parts: Sequence[Stretch]) -> list[list[Stretch]]:
    """Parts that follow one another without a space in between."""
    blocks: list[list[Stretch]] = []
    for part in sorted(parts):
        if blocks and blocks[-1][-1].stop == part.start:
            blocks[-1].append(part)
        else:
            blocks.append([part])
    return blocks


async def _settle(connection: AsyncConnection, series: CandleSeries, span: Interval, parts: Sequence[Stretch], now: int) -> None:
    before = await ledger_rows(connection, series, span.start, span.stop)
    after = replaced(before, span, parts)
    await _exchange(connection, candle_ledger, series, "start", before, after, _ledger_values)
    known = await _gap_rows(connection, series, span)
    if known or any(part.is_gap for part in parts):
        gaps = gaps_after(
            series, known, [row.within(span) for row in after if row.start < span.stop and row.stop > span.start], now
        )
        await _exchange(connection, candle_gaps, series, "gap_start", known, gaps, _gap_values)


def touching(series: CandleSeries, start: int, stop: int) -> sa.ColumnElement[bool]:
    """Stretches of a series that overlap [start, stop] or end or begin there. They are disjoint: only one begins before."""
    row = candle_ledger.alias()
    before = sa.select(sa.func.max(row.c.start)).where(
        row.c.exchange == series.venue, row.c.symbol == series.symbol, row.c.timeframe == series.timeframe, row.c.start < start
    )
    first = sa.func.coalesce(before.scalar_subquery(), start)
    its = candle_ledger.c
    return sa.and_(of_series(candle_ledger, series), its.start >= first, its.start <= stop, its.stop >= start)


async def ledger_rows(connection: AsyncConnection, series: CandleSeries, start: int, stop: int) -> list[Stretch]:
    its = candle_ledger.c
    query = (
        sa.select(its.start, its.stop, its.state, its.cause, its.since).where(touching(series, start, stop)).order_by(its.start)
    )
    return [Stretch(*row) for row in await connection.execute(query)]


async def _gap_rows(connection: AsyncConnection, series: CandleSeries, span: Interval) -> list[GapRow]:
    its = candle_gaps.c
    query = (
        sa.select(*gap_columns())
        .where(of_series(candle_gaps, series), its.gap_start <= span.stop, its.gap_end >= span.start)
        .order_by(its.gap_start)
    )
    return [GapRow(*row) for row in await connection.execute(query)]


def gap_columns() -> list[sa.Column[Any]]:
    return [candle_gaps.c[name] for name in GapRow.__struct_fields__]


async def _exchange(
    connection: AsyncConnection,
    table: sa.Table,
    series: CandleSeries,
    key: str,
    before: Sequence[Any],
    after: Sequence[Any],
    values: Any,
) -> None:
    """Delete the rows that are no more and insert those that are new; what stays is not touched."""
    had, has = set(before), set(after)
    gone = [getattr(row, key) for row in before if row not in has]
    for at in range(0, len(gone), AT_ONCE):
        await connection.execute(sa.delete(table).where(of_series(table, series), table.c[key].in_(gone[at : at + AT_ONCE])))
    if fresh := [{**named(series), **values(row)} for row in after if row not in had]:
        await connection.execute(sa.insert(table), fresh)


def _ledger_values(row: Stretch) -> dict[str, Any]:
    return row._asdict()


def _gap_values(row: GapRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in GapRow.__struct_fields__}
