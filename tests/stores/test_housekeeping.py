"""A store that stays small and a log that stays short."""

import asyncio
from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.stores import housekeeping
from marketd.stores.events import EventStore, EventStoreConfig
from marketd.stores.housekeeping import DAY_NS, Retention, remove_oldest
from marketd.stores.schema import EVENT_TABLES, connect
from marketd.stores.writing import Writer
from tests.samples import T0, one_of_each, quote, trade, trades


@pytest.mark.parametrize("table", EVENT_TABLES)
async def test_the_oldest_rows_of_any_table_can_go(table: str, tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        for number in range(1, 11):
            await store.write(
                [one for one in one_of_each(number) if EventStore.types is None or one.__class__ in EventStore.types]
            )
    db = connect(tmp_path / "market_data.db")
    removed = [remove_oldest(db, table, 2**62, 4), remove_oldest(db, table, 0, 4)]
    (left,) = next(db.execute(f"SELECT count(*) FROM {table}"))
    db.close()

    assert ([4, 0], 6) == (removed, left)


async def test_events_go_by_age_and_the_marks_stay(tmp_path: Path) -> None:
    clock = ManualClock(T0 + 3 * DAY_NS)
    async with EventStore(EventStoreConfig(keep_days=1), tmp_path, clock) as store:
        await store.write([*trades(1, 2500), quote(1)])
        for _ in range(5):
            await clock.advance(1)
            await store.write([trade(3000, ts_recv=clock.now_ns())])
        counts = await store.ask(lambda reader: reader.counts())
        ledger = await store.ask(lambda reader: reader.ledger(channel="trade"))

    assert (1, 0) == (counts["trades"], counts["quotes"])
    assert [("have", "1", "3000")] == [(row.state, row.from_id, row.to_id) for row in ledger]


async def test_events_go_by_size_oldest_first(tmp_path: Path, clock: ManualClock) -> None:
    limit = 1_000_000
    async with EventStore(EventStoreConfig(keep_bytes=limit), tmp_path, clock) as store:
        for at in range(0, 20_000, 500):
            await clock.advance(1)
            await store.write(trades(at + 1, at + 500))
        for _ in range(10):
            await clock.advance(1)
            await store.write([trade(20_001)])
        newest = await store.ask(lambda reader: reader.trades("BTCUSDT", limit=100_000))
    size = (tmp_path / "market_data.db").stat().st_size
    ids = [int(one.trade_id) for one in newest.trades]

    assert 1000 < len(ids) < 15_000
    assert list(range(20_002 - len(ids), 20_002)) == ids
    assert size < 3 * limit


async def test_the_log_starts_over_while_writing_goes_on(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "WAL_PAGES", 32)
    sizes: list[int] = []
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        copier = store._writer._checkpointer
        for at in range(0, 20_000, 100):
            await store.write(trades(at + 1, at + 100))
            while copier._is_copying:  # noqa: ASYNC110 (a thread has no event)
                await asyncio.sleep(0)
            sizes.append((tmp_path / "market_data.db-wal").stat().st_size)
        counts = await store.ask(lambda reader: reader.counts())

    assert 20_000 == counts["trades"]
    assert max(sizes) < 4 * 32 * 8192


async def test_the_log_stays_short_when_the_writer_never_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "WAL_PAGES", 32)
    sizes: list[int] = []
    writer = Writer(tmp_path / "market_data.db", {}, Retention(None, None))
    for at in range(0, 60_000, 100):
        writer.write(trades(at + 1, at + 100), T0)
        sizes.append((tmp_path / "market_data.db-wal").stat().st_size)
    writer.close()

    assert max(sizes) < 60_000 * 200
