"""The event store as a sink that can be asked."""

from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.errors import DeliveryError, StartError
from marketd.model.events import Trade
from marketd.model.marks import Mark
from marketd.stores.events import EventStore, EventStoreConfig
from tests.samples import book, candle, gap, one_of_each, quote, trade, trades

EVERYTHING = EventStore.types


def stored(one: object) -> bool:
    return EVERYTHING is not None and one.__class__ in EVERYTHING


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    db = apsw.Connection(str(path / "market_data.db"))
    try:
        return list(db.execute(sql))
    finally:
        db.close()


async def test_every_type_lands_in_its_table_once(tmp_path: Path, clock: ManualClock) -> None:
    events = [event for event in one_of_each(7) if stored(event)]
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write(events)
        await store.write(events)
        counts = await store.ask(lambda reader: reader.counts())

    assert dict.fromkeys(("trades", "quotes", "books", "candles", "gaps", "statuses"), 1) == counts
    assert [('[["37123.40","1.20"],["37123.30","0.10"]]', '[["37123.50","0.70"]]', 7)] == rows(
        tmp_path, "SELECT bids, asks, seq FROM books"
    )


async def test_columns_carry_the_names_of_the_wire(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write([trade(3)])

    assert [("binance", "BTCUSDT", "37123.45000000", "0.00150000", "buy", "3", 0, "text")] == rows(
        tmp_path, "SELECT provider, symbol, price, size, side, trade_id, repaired, typeof(price) FROM trades"
    )


async def test_quotes_without_an_update_id_are_told_apart_by_time_and_content(tmp_path: Path, clock: ManualClock) -> None:
    one, other = quote(1, seq=None, ts_event=5), quote(1, seq=None, ts_event=5, bid="1.0")
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write([one, other, one, quote(1, seq=None, ts_event=5, ts_recv=77)])
        await store.write([book(1, seq=None), book(1, seq=None), quote(9, seq=2**64)])

    assert [(3,)] == rows(tmp_path, "SELECT count(*) FROM quotes")
    assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM books")
    assert [(str(2**64), None)] == rows(tmp_path, "SELECT key, seq FROM quotes WHERE ts_event IS NULL")


async def test_only_closed_candles_are_kept(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write([candle(1, closed=False), candle(1), candle(2, closed=False), candle(1, revision=1)])

    assert [(0, 1), (1, 1)] == rows(tmp_path, "SELECT revision, closed FROM candles")


async def test_the_latest_are_known_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write([*trades(1, 200), *(quote(number) for number in range(1, 50)), trade(500, venue="bybit")])
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        last = await store.ask(lambda reader: reader.latest_trade("BTCUSDT", "binance"))
        top = await store.ask(lambda reader: reader.latest_quote("BTCUSDT", "binance"))
        venues = await store.ask(lambda reader: reader.venues_of("BTCUSDT"))
        none = await store.ask(lambda reader: reader.latest_quote("BTCUSDT", "bybit"))
        marks = dict(store.progress())

    assert (trade(200), quote(49), ["binance", "bybit"], None) == (last, top, venues, none)
    assert {
        ("binance", "BTCUSDT"): Mark("200", trade(200).ts_event),
        ("bybit", "BTCUSDT"): Mark("500", trade(500).ts_event),
    } == marks


async def test_trades_are_read_page_by_page(tmp_path: Path, clock: ManualClock) -> None:
    events = trades(1, 100)
    others = trades(1, 30, venue="bybit")
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write([*reversed(events), *others, trade(3, symbol="ETHUSDT")])
        found: list[Trade] = []
        cursor: str | None = None
        while True:
            page = await store.ask(lambda reader, at=cursor: reader.trades("BTCUSDT", limit=7, cursor=at))  # type: ignore[misc]
            found.extend(page.trades)
            if (cursor := page.cursor) is None:
                break
        start, end = trade(10).ts_event or 0, trade(20).ts_event or 0
        part = await store.ask(lambda reader: reader.trades("BTCUSDT", start=start, end=end, venue="binance"))

    assert sorted([*events, *others], key=lambda one: (one.ts_event, one.venue)) == found
    assert trades(10, 19) == part.trades
    assert part.cursor is None


async def test_a_cursor_of_another_kind_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        await store.write([trade(1)])
        for wrong in ("", "x", "1:", "1:a", "a:b:c"):
            with pytest.raises(ValueError, match="is not a cursor"):
                await store.ask(lambda reader, at=wrong: reader.trades("BTCUSDT", cursor=at))  # type: ignore[misc]


async def test_what_is_missing_is_known_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock, {("binance", "trade"): "ids"}) as store:
        await store.write([*trades(1, 10), gap(11, 14), *trades(15, 20), gap(11, 12, "filled")])
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        open_gaps = store.open_gaps()
        ledger = await store.ask(lambda reader: reader.ledger("BTCUSDT"))
        said = await store.ask(lambda reader: reader.gaps("BTCUSDT", "binance"))

    assert [("13", "14")] == [(one.from_id, one.to_id) for one in open_gaps]
    assert [("have", "1", "12", "ids"), ("missing", "13", "14", "ids"), ("have", "15", "20", "ids")] == [
        (row.state, row.from_id, row.to_id, row.proof) for row in ledger
    ]
    assert {"found", "filled"} == {one.state for one in said}


async def test_a_database_from_a_newer_version_is_refused_by_name(tmp_path: Path, clock: ManualClock) -> None:
    async with EventStore(EventStoreConfig(), tmp_path, clock):
        pass
    rows(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(StartError, match=r"written by a newer marketd \(schema 99, this one knows 1\)"):
        async with EventStore(EventStoreConfig(), tmp_path, clock):
            pass


async def test_a_damaged_file_is_said_and_once_it_is_moved_away_writing_goes_on(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "market_data.db"
    path.write_bytes(b"this is no database" * 1000)
    async with EventStore(EventStoreConfig(), tmp_path, clock) as store:
        with pytest.raises(DeliveryError, match=r"the file is damaged .* move it away"):
            await store.write([trade(1)])
        path.rename(tmp_path / "damaged")
        await store.write([trade(1)])

    assert [(1,)] == rows(tmp_path, "SELECT count(*) FROM trades")


numbers = st.from_regex(r"\A[0-9]{1,25}(\.[0-9]{1,20})?\Z")


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@settings(max_examples=settings.default.max_examples // 5)  # each has a store of its own, and many values
@given(st.lists(st.tuples(numbers, numbers, names), min_size=1, max_size=20, unique_by=lambda row: row[2]))
async def test_digits_in_are_digits_out(tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, str, str]]) -> None:
    told = [trade(at, price=price, size=size, trade_id=trade_id) for at, (price, size, trade_id) in enumerate(values, 1)]
    async with EventStore(EventStoreConfig(), tmp_path_factory.mktemp("digits"), ManualClock()) as store:
        await store.write(told)
        page = await store.ask(lambda reader: reader.trades("BTCUSDT", venue="binance"))

    assert told == sorted(page.trades, key=lambda one: one.ts_recv)
