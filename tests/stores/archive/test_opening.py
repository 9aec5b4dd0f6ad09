"""A database that is not there yet, lets nobody in, or is of another schema."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.errors import DeliveryError, StartError
from marketd.stores.archive import Written, ask_database, open_archive
from tests.postgres import PostgresServer
from tests.stores.archive.conftest import SERIES, candle, have, page

PAGE = page([candle(0)], (0, 1), have(0, 1))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with PostgresServer() as started:
        yield started


async def test_a_server_that_is_away_is_waited_for_where_that_is_wanted(server: PostgresServer, clock: ManualClock) -> None:
    url = server.url("postgres")
    server.kill()
    try:
        with pytest.raises(StartError, match=r"cannot be opened: postgresql://.*: no connection"):
            async with open_archive(url, clock):
                pass
        async with open_archive(url, clock, wait=True) as archive:
            for ask in (archive.ping, archive.summary, lambda: archive.put(PAGE), lambda: archive.candles(SERIES, 0, 9)):
                with pytest.raises(DeliveryError, match="no connection"):
                    await ask()
            server.start()
            with pytest.raises(DeliveryError, match="no connection"):  # as a moment ago: it is not asked again for everyone
                await archive.ping()
            await clock.advance(2)
            written = await archive.put(PAGE)

        assert Written(1, 0, 0) == written
    finally:
        server.kill()
        server.start()


async def test_who_is_not_let_in_is_told_at_once(server: PostgresServer, clock: ManualClock) -> None:
    for url, words in [
        (server.url("no_such"), 'database "no_such" does not exist'),
        (server.url("postgres").replace("postgres@", "nobody_known@"), 'role "nobody_known" does not exist'),
    ]:
        with pytest.raises(StartError, match=words):
            async with open_archive(url, clock, wait=True):
                pass


async def test_a_newer_schema_is_told_at_once(postgres_url: str, clock: ManualClock, postgres: PostgresServer) -> None:
    async with open_archive(postgres_url, clock):
        pass
    postgres.sql("UPDATE marketd_schema SET version_num = '9999'", postgres_url.rpartition("/")[2])
    with pytest.raises(StartError, match="9999 by a newer marketd"):
        async with open_archive(postgres_url, clock, wait=True):
            pass


async def test_a_directory_that_cannot_be_is_told_at_once(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be opened"):
        async with open_archive(f"sqlite:///{tmp_path / 'file' / 'archive.db'}", clock, wait=True):
            pass


async def test_asking_a_database_changes_nothing(clock: ManualClock, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'below' / 'archive.db'}"
    absent = await ask_database(url, within_s=5)

    assert "no archive there yet; the role archive makes it" == absent
    assert [] == list(tmp_path.iterdir())
    async with open_archive(url, clock):
        pass
    assert "answers" == await ask_database(url, within_s=5)


async def test_a_database_that_cannot_be_had_is_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="file is no directory"):
        await ask_database(f"sqlite:///{tmp_path / 'file' / 'archive.db'}", within_s=5)
    with pytest.raises(StartError, match=r"postgresql://127\.0\.0\.1:1/market: no connection"):
        await ask_database("postgresql://127.0.0.1:1/market", within_s=5)


async def test_an_empty_server_answers_and_stays_empty(server: PostgresServer) -> None:
    for _ in range(2):
        assert (await ask_database(server.url("template1"), within_s=5)).startswith("answers; schema none")


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_file_that_is_gone_is_said_and_opened_anew(tmp_path: Path, clock: ManualClock, how: str) -> None:
    path, other = tmp_path / "archive.db", tmp_path / "other.db"
    async with open_archive(f"sqlite:///{other}", clock):
        pass
    async with open_archive(f"sqlite:///{path}", clock, wait=True) as archive:
        await archive.put(PAGE)
        path.unlink()
        if how == "replaced":
            other.rename(path)
        for _ in range(2):  # nothing is accepted into a file that nobody can see
            with pytest.raises(DeliveryError, match="was removed or replaced"):
                await archive.put(PAGE)
        await clock.advance(2)
        assert [] == await archive.candles(SERIES, 0, 2**63 - 1)
        assert Written(1, 0, 0) == await archive.put(PAGE)

    async with open_archive(f"sqlite:///{path}", clock) as again:
        assert 1 == len(await again.candles(SERIES, 0, 2**63 - 1))
