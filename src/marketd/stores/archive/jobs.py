"""Rows of `ingestion_jobs`: what was asked for, how far it came, and what stopped it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.stores.archive.accounting import named, of_series
from marketd.stores.archive.rows import JobRow, Page
from marketd.stores.archive.tables import ingestion_jobs

ITS = ingestion_jobs.c
INTERRUPTED = "interrupted"


async def begin(connection: AsyncConnection, series: CandleSeries, span: Interval, newest_first: bool, now: int) -> int:
    values = {
        "status": "running",
        "started_at": now,
        "span_start": span.start,
        "span_stop": span.stop,
        "newest_first": newest_first,
    }
    insert = sa.insert(ingestion_jobs).values(**named(series), **values).returning(ITS.id)
    return int((await connection.execute(insert)).scalar_one())


async def advance(connection: AsyncConnection, page: Page, new: int) -> None:
    """The page is a step of its job: count what it brought (a hole asked for twice brings its neighbours again) and remember
    where to go on."""
    if page.job is None:
        return
    values: dict[str, Any] = {"candles_fetched": sa.func.coalesce(ITS.candles_fetched, 0) + new}
    if page.cursor is not None:
        values["cursor"] = page.cursor
    await connection.execute(sa.update(ingestion_jobs).where(ITS.id == page.job).values(**values))


async def resume(connection: AsyncConnection, job: int, span: Interval | None) -> None:
    values: dict[str, Any] = {"status": "running", "completed_at": None, "last_error": None}
    if span is not None:
        values |= {"span_start": span.start, "span_stop": span.stop}
    await connection.execute(sa.update(ingestion_jobs).where(ITS.id == job).values(**values))


async def end(connection: AsyncConnection, job: int, error: str | None, now: int) -> None:
    values = {"status": "completed" if error is None else "failed", "completed_at": now, "last_error": error}
    await connection.execute(sa.update(ingestion_jobs).where(ITS.id == job).values(**values))


async def pause(connection: AsyncConnection, job: int) -> None:
    values = {"status": "pending", "last_error": INTERRUPTED}
    await connection.execute(sa.update(ingestion_jobs).where(ITS.id == job).values(**values))


async def interrupt(connection: AsyncConnection, series: Sequence[CandleSeries]) -> int:
    """Whoever ran them is gone, which the caller knows: they wait to be taken up again."""
    count = 0
    for one in series:
        mine = sa.and_(of_series(ingestion_jobs, one), ITS.status == "running")
        update = sa.update(ingestion_jobs).where(mine).values(status="pending", last_error=INTERRUPTED)
        count += (await connection.execute(update)).rowcount
    return count


async def find(
    connection: AsyncConnection, series: CandleSeries | None, statuses: Sequence[str] | None, limit: int | None
) -> list[JobRow]:
    """Newest first."""
    query = sa.select(ingestion_jobs).order_by(ITS.id.desc())
    if series is not None:
        query = query.where(of_series(ingestion_jobs, series))
    if statuses is not None:
        query = query.where(ITS.status.in_(statuses))
    return [job_row(row) for row in await connection.execute(query.limit(limit) if limit is not None else query)]


async def last_of_each(connection: AsyncConnection) -> dict[CandleSeries, JobRow]:
    newest = sa.select(sa.func.max(ITS.id)).group_by(ITS.exchange, ITS.symbol, ITS.timeframe)
    found = await connection.execute(sa.select(ingestion_jobs).where(ITS.id.in_(newest)))
    return {job.series: job for job in map(job_row, found)}


def job_row(row: sa.Row[Any]) -> JobRow:
    return JobRow(
        row.id,
        CandleSeries(row.exchange, row.symbol, row.timeframe),
        row.status,
        row.started_at,
        row.completed_at,
        row.candles_fetched or 0,
        row.last_error,
        None if row.span_start is None else Interval(row.span_start, row.span_stop),
        row.newest_first,
        row.cursor,
    )
