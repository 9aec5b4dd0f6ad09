"""A database is brought to the current schema once, however often it is asked."""

import asyncio

import pytest
import sqlalchemy as sa

from marketd.clock import ManualClock
from marketd.errors import StartError
from marketd.stores.archive import open_archive
from marketd.stores.archive.address import address_of
from marketd.stores.archive.database import Database
from marketd.stores.archive.paper_tables import PAPER_TABLES
from marketd.stores.archive.upgrade import VERSIONS, upgrade_schema


async def test_an_empty_database_gets_the_tables_and_asking_again_does_nothing(url: str) -> None:
    database = Database(address_of(url))
    first = await upgrade_schema(database, 0)
    second = await upgrade_schema(database, 0)
    await database.close()

    assert (None, "2", "2", "2") == (first.before, first.after, second.before, second.after)
    assert [] == second.done


async def test_a_database_of_a_newer_version_is_refused(url: str, clock: ManualClock) -> None:
    database = Database(address_of(url))
    await upgrade_schema(database, 0)
    async with database.writing() as connection:
        await connection.execute(sa.text(f"UPDATE {VERSIONS} SET version_num = '99'"))
    await database.close()

    for upgrade in (True, False):
        with pytest.raises(StartError, match="schema 99 by a newer marketd, this one knows 2"):
            async with open_archive(url, clock, upgrade=upgrade):
                pass


async def test_two_that_upgrade_at_once_take_turns(url: str) -> None:
    databases = [Database(address_of(url), wait_s=60) for _ in range(3)]  # a busy machine needs its time
    upgraded = await asyncio.gather(*(upgrade_schema(database, 0) for database in databases))
    for database in databases:
        await database.close()

    assert [None, "2", "2"] == sorted((one.before for one in upgraded), key=lambda before: before or "")


async def test_an_archive_of_the_first_schema_gets_the_tables_of_paper_trading_and_keeps_its_own(url: str) -> None:
    database = Database(address_of(url))
    await upgrade_schema(database, 0)
    async with database.writing() as connection:
        for table in reversed(PAPER_TABLES):
            await connection.execute(sa.text(f"DROP TABLE {table.name}"))
        await connection.execute(sa.text(f"UPDATE {VERSIONS} SET version_num = '1'"))
        await connection.execute(
            sa.text("INSERT INTO ingestion_jobs (exchange, symbol, timeframe, status) VALUES ('one', 'BTCUSD', '1m', 'failed')")
        )
    upgraded = await upgrade_schema(database, 0)
    async with database.reading() as connection:
        kept = (await connection.execute(sa.text("SELECT count(*) FROM ingestion_jobs"))).scalar()
    await database.close()

    assert ("1", "2", ["made the tables of paper trading"], 1) == (*upgraded, kept)


async def test_a_table_of_that_name_that_is_not_ours_is_refused(url: str) -> None:
    database = Database(address_of(url))
    async with database.writing() as connection:
        await connection.execute(sa.text("CREATE TABLE paper_fills (id INTEGER)"))
    with pytest.raises(StartError, match="paper_fills is there already"):
        await upgrade_schema(database, 0)
    await database.close()
