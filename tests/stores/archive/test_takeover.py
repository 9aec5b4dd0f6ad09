"""Old databases are taken over, others left alone."""

import sqlalchemy as sa

from marketd.stores.archive.database import Database, address_of
from marketd.stores.archive.upgrade import upgrade_schema


async def test_other_tables_stay_as_they_are(url: str) -> None:
    database = Database(address_of(url))
    async with database.writing() as connection:
        await connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        await connection.execute(sa.text("INSERT INTO alembic_version VALUES ('theirs')"))
    await upgrade_schema(database, 0)
    async with database.reading() as connection:
        found = (await connection.execute(sa.text("SELECT version_num FROM alembic_version"))).scalars().all()
    await database.close()

    assert ["theirs"] == found
