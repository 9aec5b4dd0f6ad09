"""The rules by which a candle takes the place of another."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.model.events import Candle
from marketd.stores.archive import Archive, Row, Source, Written, open_archive, upgrade_archive
from marketd.stores.archive.address import address_of
from marketd.stores.archive.columns import NS_MAX
from marketd.stores.archive.database import Database
from marketd.stores.archive.writing import copy_text
from tests.stores.archive.conftest import SERIES, candle, have, page


async def after(archive: Archive, *steps: tuple[Candle, Source]) -> tuple[list[Written], Row, list[Row]]:
    written = [await archive.put(page([one], (0, 1), source=source)) for one, source in steps]
    return written, (await archive.candles(SERIES, 0, NS_MAX))[0], await archive.revisions(SERIES, 0, NS_MAX)


async def test_a_forming_candle_moves_on_without_revision_and_closes(archive: Archive) -> None:
    steps = [candle(0, close="1", closed=False), candle(0, close="2", closed=False), candle(0, close="2"), candle(0, close="2")]
    written, row, revisions = await after(archive, *((one, "live") for one in steps))

    assert [Written(1, 0, 0), Written(0, 0, 0, 1), Written(0, 0, 0, 1), Written(0, 0, 1)] == written
    assert ("2", True, 0, "live") == (row.close, row.closed, row.revision, row.source)
    assert [] == revisions


async def test_a_corrected_candle_is_a_revision_and_what_it_said_is_kept(archive: Archive) -> None:
    written, row, revisions = await after(
        archive, (candle(0, close="1.0"), "live"), (candle(0, close="1.00"), "backfill"), (candle(0, close="3"), "repaired")
    )

    assert [Written(1, 0, 0), Written(0, 1, 0), Written(0, 1, 0)] == written
    assert ("3", 2, "repaired") == (row.close, row.revision, row.source)
    assert [("1.0", 0, "live"), ("1.00", 1, "backfill")] == [(old.close, old.revision, old.source) for old in revisions]


async def test_a_forming_candle_never_replaces_a_closed_one(archive: Archive) -> None:
    written, row, _ = await after(archive, (candle(0, close="1"), "live"), (candle(0, close="2", closed=False), "live"))

    assert Written(0, 0, 1) == written[-1]
    assert ("1", True) == (row.close, row.closed)


async def test_a_built_candle_never_replaces_the_venues_own(archive: Archive) -> None:
    written, row, _ = await after(archive, (candle(0, close="1"), "live"), (candle(0, close="2"), "built"))

    assert (Written(0, 0, 1), "1", "live") == (written[-1], row.close, row.source)


async def test_the_venues_own_replaces_a_built_one_and_an_equal_one_confirms_it(archive: Archive) -> None:
    written, row, revisions = await after(
        archive, (candle(0, close="1"), "built"), (candle(0, close="2"), "built"), (candle(0, close="2"), "backfill")
    )

    assert [Written(1, 0, 0), Written(0, 1, 0), Written(0, 0, 0, 1)] == written
    assert ("2", 1, "backfill") == (row.close, row.revision, row.source)
    assert ["1"] == [old.close for old in revisions]


async def test_a_page_of_old_and_new_is_counted_rightly(archive: Archive) -> None:
    await archive.put(page([candle(0), candle(1), candle(2, closed=False), candle(3)], (0, 4)))
    mixed = [candle(0), candle(1, close="9"), candle(2), candle(4), candle(5)]

    assert Written(new=2, revised=1, unchanged=1, updated=1) == await archive.put(page(mixed, (0, 6)))
    assert [0, 1, 0, 0, 0, 0] == [row.revision for row in await archive.candles(SERIES, 0, NS_MAX)]


STEPS = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.integers(0, 4), st.sampled_from(["1", "1.0", "2"]), st.booleans()),
            unique_by=lambda one: one[0],
            min_size=1,
        ),
        st.sampled_from(["live", "built"]),
    ),
    max_size=6,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_any_order_of_pages_ends_as_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[list[tuple[int, str, bool]], Source]]
) -> None:
    """Against the rules, candle by candle."""
    model: dict[int, tuple[str, bool, int, str]] = {}
    kept = 0
    url = f"sqlite:///{tmp_path_factory.mktemp('rules') / 'archive.db'}"
    async with open_archive(url, ManualClock()) as archive:
        for rows, source in steps:
            rows = sorted(rows)
            candles = [candle(minute, close=close, closed=closed) for minute, close, closed in rows]
            written = await archive.put(page(candles, (0, 5), source=source))
            counts = apply(model, rows, source)
            kept += counts[1]

            assert written == Written(*counts)
        stored = await archive.candles(SERIES, 0, NS_MAX)
        revisions = await archive.revisions(SERIES, 0, NS_MAX)

    assert [model[minute] for minute in sorted(model)] == [(row.close, row.closed, row.revision, row.source) for row in stored]
    assert kept == len(revisions)


def apply(
    model: dict[int, tuple[str, bool, int, str]], rows: Sequence[tuple[int, str, bool]], source: str
) -> tuple[int, int, int, int]:
    new = revised = unchanged = updated = 0
    for minute, close, closed in rows:
        old = model.get(minute)
        if old is None:
            model[minute] = (close, closed, 0, source)
            new += 1
            continue
        is_weaker = (old[1] and not closed) or (source == "built" and old[3] != "built")
        is_same = (old[0], old[1]) == (close, closed) and (source == old[3] or source == "built" or old[3] != "built")
        if is_weaker or is_same:
            unchanged += 1
        elif old[1] and old[0] != close:
            model[minute] = (close, closed, old[2] + 1, source)
            revised += 1
        else:
            model[minute] = (close, closed, old[2], source)
            updated += 1
    return new, revised, unchanged, updated


def test_rows_for_copy_are_lines_of_columns_apart_by_tabs() -> None:
    line = copy_text([candle(0)]).decode()

    assert line.startswith("2023-11-14 22:14:00\t2023-11-14 22:15:00\t37000.10\t")
    assert line.endswith("\tTrue\t1700000040000000007\n")


async def test_a_program_that_comes_in_between_costs_one_more_try(postgres_url: str, clock: ManualClock) -> None:
    """It does not know our lock. On SQLite nobody can come in between."""
    await upgrade_archive(postgres_url, clock)
    database, other = Database(address_of(postgres_url)), await asyncpg.connect(postgres_url)
    archive = Archive(database, clock)
    theirs = (
        "INSERT INTO candles (exchange, symbol, timeframe, open_time, close_time, open, high, low, close, volume) "
        "VALUES ('bitfinex', 'BTCUSD', '1m', '2023-11-14 22:14:00', '2023-11-14 22:15:00', 1, 1, 1, 1, 1)"
    )

    @sa.event.listens_for(database.writers.sync_engine, "before_cursor_execute")
    def come_between(connection: sa.Connection, _: object, statement: str, *__: object) -> None:
        if statement.startswith("INSERT INTO candles"):
            sa.util.await_only(other.execute(f"{theirs} ON CONFLICT DO NOTHING"))

    with pytest.raises(DeliveryError, match="uq_candles"):
        await archive.put(page([candle(0), candle(1)], (0, 2)))

    assert Written(1, 1, 0) == await archive.put(page([candle(0), candle(1)], (0, 2)))

    await other.close()
    await database.close()


@pytest.mark.parametrize("count", [8])
async def test_writers_of_one_series_take_turns(url: str, clock: ManualClock, count: int) -> None:
    whole = page([candle(minute) for minute in range(200)], (0, 200), have(0, 200))
    async with open_archive(url, clock) as first, open_archive(url, clock) as second:
        written = await asyncio.gather(*(archive.put(whole) for archive in [first, second] * (count // 2)))
        ledger = await first.ledger(SERIES)

    assert [Written(0, 0, 200)] * (count - 1) + [Written(200, 0, 0)] == sorted(written)
    assert [have(0, 200)] == ledger
