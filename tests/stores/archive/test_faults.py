"""The world fails under the archive: it says so in one line and in time, keeps nothing half, and goes on when it can."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from marketd.clock import ManualClock
from marketd.errors import DeliveryError, StartError
from marketd.stores.archive import Archive, Written, open_archive, upgrade_archive
from marketd.stores.archive.address import address_of
from marketd.stores.archive.columns import NS_MAX
from marketd.stores.archive.database import WRITERS, Database
from tests.postgres import PostgresServer
from tests.stores.archive.conftest import SERIES, candle, have, page
from tests.wire import Wire

WITHIN_S = 20.0  # for what is bounded by one second, on a busy machine
FILE_BYTES = 17 * 2**20  # more than a file of the server's own log, less than the page that follows
PAGE = page([candle(minute) for minute in range(50)], (0, 50), have(0, 50))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with PostgresServer("max_connections=12", "superuser_reserved_connections=3") as started:
        yield started


@pytest.fixture
def address(server: PostgresServer) -> Iterator[str]:
    server.sql("CREATE DATABASE trouble")
    yield server.url("trouble")
    server.sql("DROP DATABASE trouble WITH (FORCE)")


@asynccontextmanager
async def impatient(url: str, clock: ManualClock) -> AsyncIterator[tuple[Archive, Database]]:
    """An archive that waits a second, not a minute."""
    await upgrade_archive(url, clock)
    database = Database(address_of(url), connect_s=1, command_s=1, wait_s=1)
    yield Archive(database, clock), database
    await database.close()


async def refusal(archive: Archive) -> str:
    """What a put says that cannot be done, in one line and in time."""
    started = time.monotonic()
    with pytest.raises(DeliveryError) as failed:
        await archive.put(PAGE)

    assert time.monotonic() - started < WITHIN_S
    assert "\n" not in str(failed.value)
    return str(failed.value)


async def test_a_server_that_is_killed_is_said_and_met_again_when_it_is_back(
    server: PostgresServer, address: str, clock: ManualClock
) -> None:
    async with impatient(address, clock) as (archive, _):
        await archive.put(page([candle(0)], (0, 1), have(0, 1)))
        server.kill()

        assert "no connection" in await refusal(archive)
        with pytest.raises(DeliveryError, match="no connection"):
            await archive.ping()
        with pytest.raises(DeliveryError, match="no connection"):
            await archive.candles(SERIES, 0, NS_MAX)

        server.start()

        assert Written(49, 0, 1) == await archive.put(PAGE)
        assert await archive.ping() is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("statement", range(1, 12, 2))
async def test_a_server_that_is_killed_amid_a_page_has_all_of_it_or_nothing(
    server: PostgresServer, address: str, clock: ManualClock, statement: int
) -> None:
    async with impatient(address, clock) as (archive, database):
        seen = 0

        @sa.event.listens_for(database.writers.sync_engine, "before_cursor_execute")
        def kill(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                server.kill()

        try:
            await archive.put(PAGE)
        except DeliveryError:
            pass
        else:
            assert statement > seen, "killed, and nobody noticed"
        if statement <= seen:
            server.start()
        rows, ledger = await archive.candles(SERIES, 0, NS_MAX), await archive.ledger(SERIES)
        seen = statement

        assert (len(rows), ledger) in [(0, []), (50, [have(0, 50)])]
        assert 50 == sum(await archive.put(PAGE))
        assert [have(0, 50)] == await archive.ledger(SERIES)


async def test_when_every_connection_is_taken_a_put_says_so_and_reading_goes_on(address: str, clock: ManualClock) -> None:
    async with impatient(address, clock) as (archive, database):
        async with AsyncExitStack() as held:
            for _ in range(WRITERS):
                await held.enter_async_context(database.writers.connect())

            assert "every connection is busy" in await refusal(archive)
            assert [] == await archive.candles(SERIES, 0, NS_MAX)

        assert Written(50, 0, 0) == await archive.put(PAGE)


async def test_when_the_server_takes_no_more_connections_a_put_says_so(
    server: PostgresServer, address: str, clock: ManualClock
) -> None:
    server.sql("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN; GRANT ALL ON SCHEMA public TO guest", "trouble")
    url = address.replace("postgres@", "guest@")
    greedy = Database(address_of(address))
    async with impatient(url, clock) as (archive, _), AsyncExitStack() as held:
        await archive.ping()
        for engine, count in ((greedy.writers, 3), (greedy.readers, 6)):
            for _ in range(count):
                await held.enter_async_context(engine.connect())

        assert "connection" in await refusal(archive)

        await held.aclose()
        await greedy.close()

        assert Written(50, 0, 0) == await archive.put(PAGE)
    server.sql("DROP OWNED BY guest; DROP ROLE guest", "trouble")


async def test_when_the_network_is_cut_a_put_gives_up_in_time_and_works_when_it_is_back(
    server: PostgresServer, address: str, clock: ManualClock
) -> None:
    async with Wire(server.port) as wire:
        through = address.replace(f":{server.port}/", f":{wire.port}/")
        async with impatient(through, clock) as (archive, _):
            await archive.put(page([candle(0)], (0, 1), have(0, 1)))
            wire.is_cut = True

            assert "no answer in time" in await refusal(archive)
            with pytest.raises(DeliveryError, match="no answer in time"):
                await archive.ping()

            wire.is_cut = False

            assert Written(49, 0, 1) == await archive.put(PAGE)
            assert [have(0, 50)] == await archive.ledger(SERIES)


async def test_when_the_servers_disk_is_full_nothing_is_half_written(clock: ManualClock) -> None:
    """A limit on the size of files is what a test can set; to the server it is the same error of the disk."""
    large = page([candle(minute) for minute in range(130_000)], (0, 130_000), have(0, 130_000))
    with PostgresServer(file_bytes=FILE_BYTES) as full:
        async with open_archive(full.url("postgres"), clock) as archive:
            with pytest.raises(DeliveryError, match="could not extend file"):
                await archive.put(large)

            assert [] == await archive.candles(SERIES, 0, NS_MAX)
            assert [] == await archive.ledger(SERIES)

            full.kill()
            full.file_bytes = None  # somebody made room
            full.start()

            assert Written(130_000, 0, 0) == await archive.put(large)


async def test_when_sqlites_disk_is_full_nothing_is_half_written(tmp_path: Path, clock: ManualClock) -> None:
    async with impatient(f"sqlite:///{tmp_path / 'archive.db'}", clock) as (archive, database):
        await archive.put(page([candle(0)], (0, 1), have(0, 1)))
        async with database.writing() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
        large = page([candle(minute) for minute in range(2_000)], (0, 2_000), have(0, 2_000))
        with pytest.raises(DeliveryError, match="database or disk is full"):
            await archive.put(large)

        assert 1 == len(await archive.candles(SERIES, 0, NS_MAX))
        assert [have(0, 1)] == await archive.ledger(SERIES)

        async with database.writing() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

        assert Written(1_999, 0, 1) == await archive.put(large)


async def test_when_another_program_writes_for_long_a_put_says_so(tmp_path: Path, clock: ManualClock) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    other = Database(address_of(url))
    async with impatient(url, clock) as (archive, _):
        async with other.writing():
            assert "database is locked" in await refusal(archive)
            assert [] == await archive.candles(SERIES, 0, NS_MAX)

        assert Written(50, 0, 0) == await archive.put(PAGE)
    await other.close()


async def test_a_place_where_no_file_can_be_is_said_when_opening(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "archive.db"):
        with pytest.raises(StartError, match="the candle archive cannot be opened: "):
            async with open_archive(f"sqlite:///{path}", clock):
                pass
    (tmp_path / "text.db").write_text("this is a letter, not a database. " * 100)
    with pytest.raises(StartError, match="file is not a database"):
        async with open_archive(f"sqlite:///{tmp_path / 'text.db'}", clock):
            pass


async def test_a_put_that_is_cancelled_is_whole_or_nothing_and_holds_nothing(url: str, clock: ManualClock) -> None:
    async with impatient(url, clock) as (archive, database):
        for _ in range(WRITERS + 1):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002):
                    await archive.put(page([candle(minute) for minute in range(5_000)], (0, 5_000)))
        counted = len(await archive.candles(SERIES, 0, NS_MAX))

        assert counted == (0 if database.kind == "postgresql" else 5_000)
        assert 50 == sum(await archive.put(PAGE))
        assert 0 == database.writers.pool.checkedout()  # type: ignore[attr-defined]
