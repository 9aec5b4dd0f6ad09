"""What only a SQLite file has: floats where numbers should be, and times in several forms of text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.errors import StartError
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE
from marketd.model.times import ns_of_iso
from marketd.stores.archive import Page, Written, open_archive
from marketd.stores.archive.address import address_of
from marketd.stores.archive.columns import NS_MAX
from marketd.stores.archive.database import Database
from marketd.stores.archive.rebuilding import digits, time_text
from marketd.stores.archive.upgrade import upgrade_schema
from tests.stores.archive import old

MINUTES = CandleSeries("bitfinex", "BTCUSD", "1m")


@given(st.floats(min_value=0, allow_infinity=False))
def test_a_float_becomes_the_shortest_text_that_is_that_float(value: float) -> None:
    text = digits(value)

    assert isinstance(text, str)
    assert text.replace(".", "", 1).isdecimal()
    assert value == float(text)


def test_numbers_are_written_plain() -> None:
    assert ["37000", "37000", "0.00000001", "37000.10", None] == [
        digits(value) for value in (37000, 37000.0, 1e-8, "37000.10", None)
    ]


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-01 00:00:00",
        "2024-01-01T00:00:00Z",
        "2024-01-01 02:00:00+02:00",
        "2024-01-01 00:00:00.000",
        1704067200,
        1704067200000,
    ],
)
def test_times_are_brought_to_the_form_of_the_file(value: object) -> None:
    assert "2024-01-01 00:00:00" == time_text(value, "")
    assert "2024-01-01 00:00:00.000000" == time_text(value, ".000000")


async def test_a_file_whose_times_have_a_fraction_goes_on_having_it(tmp_path: Path, clock: ManualClock) -> None:
    database = Database(address_of(f"sqlite:///{tmp_path / 'old.db'}"))
    await old.make(database, ".000000")
    before = await old.everything(database)
    async with open_archive(f"sqlite:///{tmp_path / 'old.db'}", clock) as archive:
        opens = ns_of_iso(str(old.FIRST))
        known = (await archive.candles(MINUTES, 0, opens + 1))[0]
        same = Candle(
            *MINUTES[:2], None, 0, "1m", opens, opens + MINUTE, known.open, known.high, known.low, known.close, known.volume, True
        )
        written = await archive.put(Page(MINUTES, Interval(opens, opens + MINUTE), [same], [], "backfill"))
        count = len(await archive.candles(MINUTES, 0, NS_MAX))
    after = await old.everything(database)
    found = await old.ask(database, old.SELECT.format("BTCUSD", "1m", *old.times("1m", 5, ".000000")))
    await database.close()

    assert (Written(0, 0, 1), 2_500, 1) == (written, count, len(found))
    assert [row[:6] for row in before["candles"]] == [row[:6] for row in after["candles"]]
    assert before["candle_gaps"] == after["candle_gaps"][:2]


async def test_forms_that_are_mixed_become_the_one_that_most_rows_have(tmp_path: Path) -> None:
    database = Database(address_of(f"sqlite:///{tmp_path / 'old.db'}"))
    await old.make_tables(database)
    for number, fraction in enumerate(["", "", ".000000", "+00:00"]):
        await old.run(database, old.insert(old.row("BTCUSD", "1m", number, fraction)))
    await upgrade_schema(database, 0)
    found = await old.ask(database, "SELECT open_time FROM candles ORDER BY open_time")
    await database.close()

    assert [old.times("1m", number)[0] for number in range(4)] == [at for (at,) in found]


async def test_what_is_no_time_stops_the_upgrade_and_is_named(tmp_path: Path) -> None:
    database = Database(address_of(f"sqlite:///{tmp_path / 'old.db'}"))
    await old.make_tables(database)
    await old.run(database, old.insert(old.row_at("1m", "yesterday", "today")))
    before = await old.everything(database), await old.definitions(database)
    with pytest.raises(StartError, match="table candles holds 'yesterday', which is no time; nothing was changed"):
        await upgrade_schema(database, 0)
    after = await old.everything(database), await old.definitions(database)
    await database.close()

    assert before == after


async def test_what_others_made_on_the_table_stays(tmp_path: Path) -> None:
    database = Database(address_of(f"sqlite:///{tmp_path / 'old.db'}"))
    await old.make_tables(database)
    await old.run(
        database,
        "ALTER TABLE candles ADD COLUMN note VARCHAR(9)",
        "CREATE INDEX theirs ON candles (close_time)",
        "CREATE VIEW newest AS SELECT max(open_time) AS at FROM candles",
        old.insert(old.row("BTCUSD", "1m", 0)),
        "UPDATE candles SET note = 'mine'",
    )
    await upgrade_schema(database, 0)
    notes = await old.ask(database, "SELECT note, at FROM candles, newest")
    indexes = await old.ask(database, "SELECT name FROM sqlite_master WHERE type = 'index' AND name = 'theirs'")
    await database.close()

    assert [("mine", "2023-11-14 22:00:00")] == [tuple(row) for row in notes]
    assert 1 == len(indexes)


async def test_rows_without_a_number_get_one(tmp_path: Path) -> None:
    """BIGSERIAL is a word that SQLite takes and does not know."""
    database = Database(address_of(f"sqlite:///{tmp_path / 'old.db'}"))
    await old.run(database, *old.TABLES.split(";\n")[:-1])
    await old.run(database, old.insert(*(old.row("BTCUSD", "1m", number) for number in range(3))))
    await upgrade_schema(database, 0)
    await old.run(database, old.insert(old.row("BTCUSD", "1m", 3)))
    found = await old.ask(database, "SELECT id FROM candles ORDER BY open_time")
    await database.close()

    assert [1, 2, 3, 4] == [number for (number,) in found]
