"""Old databases are taken over without losing a row, others left alone."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from marketd.clock import ManualClock
from marketd.errors import StartError
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import HOUR, MINUTE
from marketd.model.times import ns_of_iso
from marketd.stores.archive import Page, open_archive
from marketd.stores.archive.address import address_of
from marketd.stores.archive.columns import NS_MAX
from marketd.stores.archive.database import Database
from marketd.stores.archive.paper_tables import PAPER_TABLES
from marketd.stores.archive.takeover import HAD, LACKING
from marketd.stores.archive.upgrade import upgrade_schema
from tests.stores.archive import old

MINUTES = CandleSeries("bitfinex", "BTCUSD", "1m")
FIRST = ns_of_iso(str(old.FIRST))
NOW = 1_700_000_000_000_000_000
PAPER = {table.name for table in PAPER_TABLES}


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = Database(address_of(url))
    yield opened
    await opened.close()


def comparable(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Numbers by value: SQLite kept DECIMAL as a float and gives text now."""
    rows = [(*row[:6], *(Decimal(str(value)) for value in row[6:])) for row in found["candles"]]
    return {**found, "candles": rows}


def old_rows(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Without the gaps that the upgrade found: its rows have the higher numbers."""
    return comparable({**found, "candle_gaps": found["candle_gaps"][:2]})


async def test_every_row_of_an_old_database_is_kept_and_accounted_for(url: str, database: Database, clock: ManualClock) -> None:
    await old.make(database)
    before = comparable(await old.everything(database))
    upgraded = await upgrade_schema(database, clock.now_ns())

    assert before == old_rows(await old.everything(database))
    assert 10_000 == len(before["candles"])
    assert "accounted for 10,000 candles of 4 series; 8 holes between them are missing" in upgraded.done

    async with open_archive(url, clock, upgrade=False) as archive:
        ledger = await archive.ledger(MINUTES)
        rows = await archive.candles(MINUTES, 0, NS_MAX)
        summary = (await archive.summary())[1]
        gaps = await archive.gaps(*MINUTES)
    hole = (FIRST + 100 * MINUTE, FIRST + 110 * MINUTE), (FIRST + 200 * MINUTE, FIRST + 201 * MINUTE)

    assert [
        Stretch(FIRST, hole[0][0], "have", HAD, NOW),
        Stretch(*hole[0], "missing", LACKING, NOW),
        Stretch(hole[0][1], hole[1][0], "have", HAD, NOW),
        Stretch(*hole[1], "missing", LACKING, NOW),
        Stretch(hole[1][1], FIRST + 2_510 * MINUTE, "have", HAD, NOW),
    ] == ledger
    assert (2_500, 11, MINUTES) == (summary.count, summary.missing, summary.series)
    assert (2_500, [False]) == (len(rows), [row.closed for row in rows if not row.closed])
    assert not rows[-1].closed
    assert Decimal("7.12345678") == Decimal(rows[7].volume)
    assert [(50, "have"), (100, "missing"), (200, "missing")] == [((gap.gap_start - FIRST) // MINUTE, gap.state) for gap in gaps]


async def test_old_statements_still_work_beside_new_ones(url: str, database: Database, clock: ManualClock) -> None:
    await old.make(database)
    await upgrade_schema(database, clock.now_ns())
    await old.run(
        database,
        old.insert(old.row("BTCUSD", "1m", 105)),
        old.insert(old.row("BTCUSD", "1m", 5, like=6)),
        "INSERT INTO candle_gaps (exchange, symbol, timeframe, gap_start, gap_end) VALUES ('bitfinex', 'BTCUSD', '5m', "
        "'2024-01-01 00:00:00', '2024-01-01 00:05:00')",
        "UPDATE ingestion_jobs SET status = 'completed', completed_at = CURRENT_TIMESTAMP, candles_fetched = 7",
    )
    async with open_archive(url, clock) as archive:
        number = 105
        opens = FIRST + number * MINUTE
        same = Candle(*MINUTES[:2], None, 0, "1m", opens, opens + MINUTE, *old.numbers(number), True)
        written = await archive.put(Page(MINUTES, Interval(opens, opens + MINUTE), [same], [], "backfill"))
        summary = (await archive.summary())[1]
    found = await old.ask(database, old.SELECT.format("BTCUSD", "1m", old.times("1m", 4)[0], old.times("1m", 7)[0]))
    jobs = await old.ask(database, "SELECT status, candles_fetched FROM ingestion_jobs")

    assert 1 == sum(written)
    assert 3 == len(found)
    assert [Decimal("6.12345678")] * 2 == [Decimal(str(row[10])) for row in found[1:]]
    assert [("completed", 7)] == [tuple(row) for row in jobs]
    assert summary.series == MINUTES


async def test_the_names_of_constraints_stay_and_numbers_lose_their_bounds(database: Database) -> None:
    await old.make(database)
    await upgrade_schema(database, 0)
    tables = {name: (dict(columns), unique) for name, columns, unique in await old.definitions(database)}

    assert ["uq_candles"] == [one["name"] for one in tables["candles"][1]]
    assert ["uq_gap"] == [one["name"] for one in tables["candle_gaps"][1]]
    assert {"NUMERIC" if database.kind == "postgresql" else "TEXT"} == {tables["candles"][0][name] for name in ("open", "volume")}


async def test_a_database_taken_over_looks_like_a_new_one(database: Database, tmp_path_factory: pytest.TempPathFactory) -> None:
    await old.make(database)
    await upgrade_schema(database, 0)
    taken = await old.definitions(database)
    for name in (
        *(one.name for one in reversed(PAPER_TABLES)),
        "marketd_schema",
        "candle_ledger",
        "candle_revisions",
        "candle_gaps",
        "ingestion_jobs",
        "candles",
    ):
        await old.run(database, f"DROP TABLE {name}")
    await upgrade_schema(database, 0)

    assert await old.definitions(database) == taken


async def test_an_upgrade_again_changes_nothing(database: Database) -> None:
    await old.make(database)
    await upgrade_schema(database, 0)
    before = await old.everything(database), await old.definitions(database)
    again = await upgrade_schema(database, 5)

    assert ("2", "2", []) == again
    assert before == (await old.everything(database), await old.definitions(database))


class Broken(Exception):
    """The program dies here."""


async def test_an_upgrade_that_broke_off_at_any_statement_never_was_and_can_be_repeated(database: Database) -> None:
    await old.make_tables(database)
    for number in (0, 1, 5):
        await old.run(database, old.insert(old.row("BTCUSD", "1m", number)))
    before = comparable(await old.everything(database)), await old.definitions(database)
    fatal, seen = 0, 0

    @sa.event.listens_for(database.writers.sync_engine, "before_cursor_execute")
    def break_off(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == fatal:
            raise Broken

    broke = 0
    while True:
        fatal, seen = fatal + 1, 0
        try:
            await upgrade_schema(database, 0)
            break
        except Broken:
            broke += 1
            fatal_now, fatal = fatal, 0

            assert before == (comparable(await old.everything(database)), await old.definitions(database))

            fatal = fatal_now
    ledger = await old.ask(database, "SELECT state FROM candle_ledger ORDER BY start")

    assert broke > 10
    assert ["have", "missing"] == [state for (state,) in ledger]
    assert before[0]["candles"] == comparable(await old.everything(database))["candles"]


async def test_other_tables_stay_as_they_are(database: Database) -> None:
    await old.run(
        database, "CREATE TABLE alembic_version (version_num VARCHAR(32))", "INSERT INTO alembic_version VALUES ('theirs')"
    )
    await upgrade_schema(database, 0)

    assert [("theirs",)] == [tuple(row) for row in await old.ask(database, "SELECT * FROM alembic_version")]


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ("CREATE TABLE candles (wax TEXT, colour TEXT)", "table candles is there already, without id, exchange"),
        ("CREATE TABLE candle_ledger (page INT)", "table candle_ledger is there already"),
    ],
)
async def test_tables_of_someone_else_with_our_names_are_left_alone(database: Database, table: str, word: str) -> None:
    await old.run(database, table)
    before = await old.definitions(database)
    with pytest.raises(StartError, match=word):
        await upgrade_schema(database, 0)

    assert before == await old.definitions(database)


async def test_a_part_of_the_old_tables_is_taken_over_too(database: Database) -> None:
    await old.run(database, old.TABLES.split(";\n")[0])
    await upgrade_schema(database, 0)

    assert {"candles", "ingestion_jobs", "candle_gaps", "candle_ledger", "candle_revisions", "marketd_schema"} | PAPER == {
        name for name, *_ in await old.definitions(database)
    }


async def test_rows_that_fit_no_grid_and_timeframes_that_are_none_are_kept(
    url: str, database: Database, clock: ManualClock
) -> None:
    await old.make_tables(database)
    odd = [
        ("1m", "2024-01-01 00:00:30"),
        ("1m", "2024-01-01 00:01:00"),
        ("1m", "2024-01-01 00:02:00"),
        ("tick", "2024-01-01 00:00:00"),
    ]
    months = [("1M", f"{month}-01 00:00:00") for month in ("2023-11", "2023-12", "2024-02", "2024-03")]
    weeks = [("1w", f"2024-01-{day} 00:00:00") for day in ("01", "08", "15")]
    for name, opens in [*odd, *months, *weeks]:
        await old.run(database, old.insert(old.row_at(name, opens, opens)))
    done = (await upgrade_schema(database, 0)).done
    kept = await old.ask(database, "SELECT count(*) FROM candles")
    async with open_archive(url, clock) as archive:
        minutes, by_month, by_week = [
            await archive.ledger(CandleSeries("bitfinex", "BTCUSD", name)) for name in ("1m", "1M", "1w")
        ]

    assert [(11,)] == [tuple(row) for row in kept]
    assert any("bitfinex BTCUSD tick" in line for line in done)
    assert [("have", MINUTE)] == [(row.state, row.stop - row.start) for row in minutes]
    assert ["have", "missing", "have"] == [row.state for row in by_month]
    assert [("have", 14 * 24 * HOUR)] == [(row.state, row.stop - row.start) for row in by_week]


async def test_gaps_that_overlap_are_no_obstacle_to_what_is_stored_over_them(
    url: str, database: Database, clock: ManualClock
) -> None:
    await old.make_tables(database)
    for start, stop in ((0, 20), (5, 10), (15, 30)):
        opens, ends = old.times("1m", start)[0], old.times("1m", stop)[0]
        await old.run(database, old.INSERT_GAP.format(f"'bitfinex', 'BTCUSD', '1m', '{opens}', '{ends}', NULL"))
    async with open_archive(url, clock) as archive:
        await archive.settle(MINUTES, [Stretch(FIRST, FIRST + 30 * MINUTE, "have", "backfill", NOW)])

        assert [] == await archive.gaps(open_only=True)
