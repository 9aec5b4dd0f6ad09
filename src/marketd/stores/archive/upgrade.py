"""Bringing a database to the current schema: Alembic's steps, in one transaction, so that an interrupted upgrade never was."""

from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from marketd.errors import StartError
from marketd.stores.archive.columns import FRACTIONS, write_fraction
from marketd.stores.archive.database import Database
from marketd.stores.archive.tables import candles

VERSIONS = "marketd_schema"  # the table that remembers; a name of our own, since others use Alembic too
LOCK = 0x6D61726B657464  # one upgrade at a time


class Upgraded(NamedTuple):
    before: str | None  # None: the database knew nothing of us
    after: str
    done: list[str]  # what was done, a line each


async def upgrade_schema(database: Database, now: int) -> Upgraded:
    """Idempotent. Raises StartError where the tables are not ours to change, DeliveryError where the database does not do it."""
    async with database.writing() as connection:
        if database.kind == "postgresql":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.literal(LOCK, sa.BigInteger))))
        return await connection.run_sync(_upgrade, now)


def _upgrade(connection: sa.Connection, now: int) -> Upgraded:
    scripts = _scripts()
    before = _current(connection)
    _check(connection, scripts, before)
    done: list[str] = []
    config = Config()
    config.attributes.update(now=now, done=done)

    def steps(current: Any, _: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", current)  # as Alembic's own upgrade command does

    with EnvironmentContext(config, scripts, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table=VERSIONS)
        environment.run_migrations()
    return Upgraded(before, _head(scripts), done)


async def schema_there(database: Database) -> tuple[str | None, str]:
    """The schema that the database has, None where it knows nothing of us, and the current one. Raises StartError for a newer."""

    def look(connection: sa.Connection) -> tuple[str | None, str]:
        scripts, current = _scripts(), _current(connection)
        _check(connection, scripts, current)
        return current, _head(scripts)

    async with database.reading() as connection:
        return await connection.run_sync(look)


async def check_schema(database: Database) -> None:
    """Raises StartError for a schema that this version does not know. Learns how the file at hand writes its times."""
    async with database.reading() as connection:
        await connection.run_sync(_check_current)
        fraction = await connection.run_sync(_fraction)
    for engine in (database.writers, database.readers):
        write_fraction(engine.dialect, fraction)


def _check_current(connection: sa.Connection) -> None:
    scripts, current = _scripts(), _current(connection)
    _check(connection, scripts, current)
    if current != _head(scripts):
        raise StartError("the database has not the current schema; bring it there with: marketd db upgrade")


def _fraction(connection: sa.Connection) -> str:
    if connection.dialect.name != "sqlite":
        return ""
    text = connection.execute(sa.select(sa.cast(candles.c.open_time, sa.Text)).limit(1)).scalar()
    rest = "" if text is None else str(text)[19:]
    return rest if rest in FRACTIONS else ""


def _check(connection: sa.Connection, scripts: ScriptDirectory, current: str | None) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise StartError(
            f"the database was brought to schema {current} by a newer marketd, this one knows {_head(scripts)}; use that version"
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).with_name("migrations")))


def _head(scripts: ScriptDirectory) -> str:
    head = scripts.get_current_head()
    assert head is not None
    return head


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSIONS}).get_current_revision()
