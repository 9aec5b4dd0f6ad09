"""A process that only looks at the archive."""

from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.stores.archive import open_archive, open_archive_looker
from tests.stores.archive.conftest import SERIES, at, candle, page


async def test_it_sees_what_another_writes_and_creates_nothing(tmp_path: Path, clock: ManualClock) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    async with open_archive_looker(url, clock) as looker:
        assert await looker.opened() is None
        assert list(tmp_path.iterdir()) == []

        async with open_archive(url, clock) as archive:
            await archive.put(page([candle(0)], (0, 1)))
            seen = await looker.opened()
            assert seen is not None
            rows = await seen.candles(SERIES, at(0), at(1))

        assert await looker.opened() is seen

    assert [at(0)] == [row.open_time for row in rows]


async def test_a_database_of_another_schema_is_said_to_be_one(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "archive.db").touch()
    async with open_archive_looker(f"sqlite:///{tmp_path / 'archive.db'}", clock) as looker:
        with pytest.raises(DeliveryError, match="marketd db upgrade"):
            await looker.opened()


async def test_a_server_that_is_away_is_asked_again(clock: ManualClock) -> None:
    async with open_archive_looker("postgresql://127.0.0.1:1/nowhere", clock) as looker:
        for _ in range(2):
            with pytest.raises(DeliveryError, match="no connection"):
                await looker.opened()


async def test_it_reads_either_kind(url: str, clock: ManualClock) -> None:
    async with open_archive(url, clock) as archive:
        await archive.put(page([candle(0)], (0, 1)))
    async with open_archive_looker(url, clock) as looker:
        seen = await looker.opened()
        assert seen is not None

        assert [SERIES] == await seen.series()
