"""Taking over a database with the old three tables: every row stays, numbers keep their digits, the ledger accounts for them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from marketd.errors import StartError
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import SECOND, Timeframe, timeframe
from marketd.stores.archive.accounting import named, of_series
from marketd.stores.archive.columns import epoch_seconds
from marketd.stores.archive.rebuilding import rebuild
from marketd.stores.archive.tables import NUMBERS, candle_gaps, candle_ledger, candle_revisions, candles, ingestion_jobs

OLD: dict[sa.Table, tuple[str, ...]] = {  # the columns that the old tables have
    candles: ("id", "exchange", "symbol", "timeframe", "open_time", "close_time", *NUMBERS),
    ingestion_jobs: (
        *("id", "exchange", "symbol", "timeframe", "status"),
        *("started_at", "completed_at", "candles_fetched", "last_error"),
    ),
    candle_gaps: ("id", "exchange", "symbol", "timeframe", "gap_start", "gap_end", "detected_at", "repaired_at"),
}
HAD = "there when the database was taken over"
LACKING = "found when the database was taken over"


def create_or_take_over(connection: sa.Connection, now: int, done: list[str]) -> None:
    """Make what is not there, take over what is, and say in `done` what was done. Raises StartError if it is not ours."""
    there = sa.inspect(connection).get_table_names()
    old = [table for table in OLD if table.name in there]
    _check(connection, old, [table.name for table in (candle_ledger, candle_revisions) if table.name in there])
    for table in (*OLD, candle_ledger, candle_revisions):
        if table not in old:
            table.create(connection)
    for table in old:
        take = rebuild if connection.dialect.name == "sqlite" else _alter
        take(connection, table)
    if not old:
        done.append("made the tables")
        return
    done.append(f"took over {', '.join(table.name for table in old)}")
    if candle_gaps in old:
        _tell_old_gaps(connection)
    if candles in old:
        _account(connection, now, done)


def _check(connection: sa.Connection, old: list[sa.Table], strange: list[str]) -> None:
    nothing = "it is not a table of the archive; nothing was changed, name another database"
    if strange:
        raise StartError(f"table {strange[0]} is there already and no schema of marketd is: {nothing}")
    for table in old:
        found = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        if lacking := [name for name in OLD[table] if name not in found]:
            raise StartError(f"table {table.name} is there already, without {', '.join(lacking)}: {nothing}")


def _alter(connection: sa.Connection, table: sa.Table) -> None:
    """On PostgreSQL neither of these touches a row: bounds only fall away, and defaults of new columns are constants."""
    found = {column["name"]: column for column in sa.inspect(connection).get_columns(table.name)}
    quoted = connection.dialect.identifier_preparer.format_table(table)
    changes = [
        f"ALTER COLUMN {name} TYPE NUMERIC" for name in NUMBERS if table is candles and not _is_unbounded(found[name]["type"])
    ]
    for column in table.columns:
        if column.name not in found:
            changes.append(f"ADD COLUMN {sa.schema.CreateColumn(column).compile(dialect=connection.dialect)}")
    if changes:
        connection.exec_driver_sql(f"ALTER TABLE {quoted} {', '.join(changes)}")
    _ensure_unique(connection, table, quoted)


def _is_unbounded(kind: Any) -> bool:
    return isinstance(kind, sa.Numeric) and kind.precision is None and kind.scale is None


def _ensure_unique(connection: sa.Connection, table: sa.Table, quoted: str) -> None:
    wanted = next((one for one in table.constraints if isinstance(one, sa.UniqueConstraint)), None)
    if wanted is None:
        return
    names = [column.name for column in wanted.columns]
    inspector = sa.inspect(connection)
    found: list[Any] = [one["column_names"] for one in inspector.get_unique_constraints(table.name)]
    found += [one["column_names"] for one in inspector.get_indexes(table.name) if one["unique"]]
    if names not in found:
        connection.exec_driver_sql(f"ALTER TABLE {quoted} ADD CONSTRAINT {wanted.name} UNIQUE ({', '.join(names)})")


def _tell_old_gaps(connection: sa.Connection) -> None:
    its = candle_gaps.c
    connection.execute(sa.update(candle_gaps).where(its.repaired_at.is_not(None)).values(state="have"))


def _account(connection: sa.Connection, now: int, done: list[str]) -> None:
    """The ledger of what was taken over; the newest candle of each series is not proven to be closed."""
    its = candles.c
    keys = (its.exchange, its.symbol, its.timeframe)
    counted = connection.execute(
        sa.select(*keys, sa.func.count(), sa.func.max(its.open_time)).group_by(*keys).order_by(*keys)
    ).all()
    holes = 0
    for *names, _, newest in counted:
        series = CandleSeries(*names)
        connection.execute(sa.update(candles).where(of_series(candles, series), its.open_time == newest).values(closed=False))
        try:
            stretches = list(_stretches(connection, series, timeframe(series.timeframe), now))
        except ValueError as error:
            done.append(f"{series}: {error}; its rows are kept, the ledger says nothing of them")
            continue
        if stretches:
            connection.execute(sa.insert(candle_ledger), [{**named(series), **row._asdict()} for row in stretches])
        lacking = [row for row in stretches if row.is_gap]
        holes += len(lacking)
        _add_gaps(connection, series, lacking)
    rows = sum(row[3] for row in counted)
    done.append(f"accounted for {rows:,} candles of {len(counted):,} series; {holes:,} holes between them are missing")


def _stretches(connection: sa.Connection, series: CandleSeries, its: Timeframe, now: int) -> Iterator[Stretch]:
    """What is had and what is missing between the oldest candle and the newest, which itself is still open."""
    edges, newest = _edges_by_step(connection, series, its) if its.step else _edges_by_month(connection, series, its)
    for (start, _), (after, before) in pairwise([*edges, (None, None)]):
        assert start is not None
        stop = newest if before is None else its.close_of(before)
        if start < stop:
            yield Stretch(start, stop, "have", HAD, now)
        if after is not None:
            yield Stretch(stop, after, "missing", LACKING, now)


Edges = list[tuple[int | None, int | None]]  # each open time that does not follow the one before it, with that one


def _edges_by_step(connection: sa.Connection, series: CandleSeries, its: Timeframe) -> tuple[Edges, int]:
    """Found by the database, which only tells the edges. Rows off the grid do not count."""
    step, anchor = its.step // SECOND, its.open_of(0) // SECOND
    its_rows = sa.and_(of_series(candles, series), (epoch_seconds(candles.c.open_time) - anchor) % step == 0)
    at = candles.c.open_time
    before = sa.func.lag(at, type_=at.type).over(order_by=at).label("before")
    pairs = sa.select(at, before).where(its_rows).subquery().c
    follows = epoch_seconds(pairs.open_time) - epoch_seconds(pairs.before) == step
    query = sa.select(pairs.open_time, pairs.before).where(sa.or_(pairs.before.is_(None), sa.not_(follows)))
    edges = [(opens, earlier) for opens, earlier in connection.execute(query.order_by(pairs.open_time))]
    newest = connection.execute(sa.select(sa.func.max(at)).where(its_rows)).scalar()
    return edges, newest or 0


def _edges_by_month(connection: sa.Connection, series: CandleSeries, its: Timeframe) -> tuple[Edges, int]:
    query = sa.select(candles.c.open_time).where(of_series(candles, series)).order_by(candles.c.open_time)
    opens = [found for found in connection.execute(query).scalars() if its.open_of(found) == found]
    edges: Edges = [
        (found, earlier) for earlier, found in pairwise([None, *opens]) if earlier is None or its.close_of(earlier) != found
    ]
    return edges, opens[-1] if opens else 0


def _add_gaps(connection: sa.Connection, series: CandleSeries, lacking: list[Stretch]) -> None:
    """A row for each hole that no row tells of yet; rows that are there stay as they are."""
    its = candle_gaps.c
    found = connection.execute(sa.select(its.gap_start, its.gap_end, its.repaired_at).where(of_series(candle_gaps, series))).all()
    taken = {row.gap_start for row in found}
    open_now = [Interval(row.gap_start, row.gap_end) for row in found if row.repaired_at is None]
    fresh = [
        {
            **named(series),
            "gap_start": row.start,
            "gap_end": row.stop,
            "detected_at": row.since,
            "state": row.state,
            "cause": row.cause,
        }
        for row in lacking
        if row.start not in taken and not any(one.start <= row.start and row.stop <= one.stop for one in open_now)
    ]
    if fresh:
        connection.execute(sa.insert(candle_gaps), fresh)
