"""What the troubles of a database are called."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from marketd.errors import DeliveryError
from marketd.stores.archive.address import address_of
from marketd.stores.archive.columns import OpenTime
from marketd.stores.archive.database import Database, reason


async def test_a_server_that_is_not_there_is_said_in_one_line() -> None:
    database = Database(address_of("postgresql://user:hunter2@127.0.0.1:1/market"), connect_s=2)
    with pytest.raises(DeliveryError) as failed:
        async with database.writing():
            pass
    await database.close()

    assert str(failed.value).startswith("postgresql://user:***@127.0.0.1:1/market: no connection")
    assert "\n" not in str(failed.value)


def test_reasons_are_one_line() -> None:
    assert "every connection is busy" == reason(sa.exc.TimeoutError())
    assert "no answer in time" == reason(TimeoutError())
    assert "no connection (Connection refused)" == reason(ConnectionRefusedError(111, "Connection refused"))
    assert "Is a directory" == reason(IsADirectoryError(21, "Is a directory", "/data"))


async def test_a_value_that_no_column_takes_is_our_mistake_and_not_tried_again(tmp_path: Path) -> None:
    database = Database(address_of(f"sqlite:///{tmp_path / 'archive.db'}"))
    with pytest.raises(sa.exc.StatementError, match="no whole second"):
        async with database.writing() as connection:
            await connection.execute(sa.select(sa.bindparam("at", 1, type_=OpenTime)))
    await database.close()
