"""A database is brought to the current schema once, however often it is asked."""

import asyncio

import pytest
import sqlalchemy as sa

from marketd.clock import ManualClock
from marketd.errors import StartError
from marketd.stores.archive import open_archive
from marketd.stores.archive.address import address_of
from marketd.stores.archive.database import Database
from marketd.stores.archive.upgrade import VERSIONS, upgrade_schema


async def test_an_empty_database_gets_the_tables_and_asking_again_does_nothing(url: str) -> None:
    database = Database(address_of(url))
    first = await upgrade_schema(database, 0)
    second = await upgrade_schema(database, 0)
    await database.close()

    assert (None, "1", "1", "1") == (first.before, first.after, second.before, second.after)
    assert [] == second.done


async def test_a_database_of_a_newer_version_is_refused(url: str, clock: ManualClock) -> None:
    database = Database(address_of(url))
    await upgrade_schema(database, 0)
    async with database.writing() as connection:
        await connection.execute(sa.text(f"UPDATE {VERSIONS} SET version_num = '99'"))
    await database.close()

    for upgrade in (True, False):
        with pytest.raises(StartError, match="schema 99 by a newer marketd, this one knows 1"):
            async with open_archive(url, clock, upgrade=upgrade):
                pass


async def test_two_that_upgrade_at_once_take_turns(url: str) -> None:
    databases = [Database(address_of(url), wait_s=60) for _ in range(3)]  # a busy machine needs its time
    upgraded = await asyncio.gather(*(upgrade_schema(database, 0) for database in databases))
    for database in databases:
        await database.close()

    assert [None, "1", "1"] == sorted((one.before for one in upgraded), key=lambda before: before or "")
