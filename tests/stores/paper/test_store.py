"""Books in SQLite and PostgreSQL: a step is there wholly or not at all, and nothing is in them twice."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal as D

import pytest

from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.model.paper import EquityPoint, Fill, Order, Seen
from marketd.stores.archive import open_archive
from marketd.stores.paper.store import Kept, Numbered, Overtaken, PaperStore, open_paper

BOUGHT = Fill("a", "sim", "BTCUSDT", "buy", "entry", D("64250.100"), D("0.155"), D("9.95876550"), 5, stop=D("1.00"))
SOLD = Fill("a:exit", "sim", "BTCUSDT", "sell", "stop", D("1." + "1" * 40), D("0.155"), D(0), 9, closes="a")
ORDER = Order("a", "sim", "BTCUSDT", "buy", "entry", 5, None, "because")
REFUSED = Order("b", "sim", "ETHUSDT", "buy", "entry", 5, "cash", "too little")
POINT = EquityPoint(5, D("10000.10"), D(0), D(0), D("-0.5"), D("1.000"), 1)
SEEN = {"BTCUSDT": Seen(4, D("100.50"))}


@pytest.fixture
async def store(url: str, clock: ManualClock) -> AsyncIterator[PaperStore]:
    async with open_paper(url, clock) as opened:
        yield opened


@pytest.fixture
async def kept(store: PaperStore) -> Kept:
    return await store.open("main", D("10000.10"), "1h", 7)


async def test_a_step_comes_back_with_every_digit(store: PaperStore, kept: Kept) -> None:
    after = await store.keep(kept, 5, [ORDER, REFUSED], [BOUGHT, SOLD], [POINT], SEEN)
    fills = await store.all_fills("main")

    assert await store.open("main", D(1), "5m", 8) == after == Kept("main", D("10000.10"), "1h", 7, 5, 1, 2, 2, 0)
    assert fills == [BOUGHT, SOLD]
    assert [str(one.price) for one in fills] == ["64250.100", "1." + "1" * 40]
    assert await store.seen("main") == SEEN
    assert await store.orders("main", limit=9) == [Numbered(1, ORDER), Numbered(2, REFUSED)]
    assert await store.equity("main", 0, 6, 9) == [POINT]
    assert await store.orders_at("main", 5) == {"a", "b"}
    assert await store.known("main", ["b", "c"]) == {"b"}
    assert await store.all_fills("other") == []


async def test_pages_go_either_way(store: PaperStore, kept: Kept) -> None:
    await store.keep(kept, 5, [ORDER, REFUSED], [BOUGHT, SOLD], [], {})

    assert [one.seq for one in await store.orders("main", after=1, limit=9)] == [2]
    assert [one.seq for one in await store.fills("main", before=3, limit=1)] == [2]
    assert [one.seq for one in await store.fills("main", before=2, limit=9)] == [1]


async def test_of_two_traders_on_one_book_one_is_told(store: PaperStore, kept: Kept) -> None:
    others = Order("c", "sim", "X", "buy", "entry", 5, None, "")
    done = await asyncio.gather(
        store.keep(kept, 5, [ORDER], [BOUGHT], [POINT], SEEN), store.keep(kept, 5, [others], [], [], {}), return_exceptions=True
    )

    assert [type(one) for one in done] in ([Kept, Overtaken], [Overtaken, Kept])
    assert len(await store.orders("main", limit=9)) == 1


@pytest.mark.parametrize("step", [([ORDER], [], []), ([], [BOUGHT], []), ([], [], [POINT])], ids=["order", "fill", "point"])
async def test_what_is_there_already_is_refused_and_nothing_of_the_step_stays(store: PaperStore, kept: Kept, step: tuple) -> None:  # type: ignore[type-arg]
    after = await store.keep(kept, 5, [ORDER], [BOUGHT, SOLD], [POINT], SEEN)
    orders, fills, points = step
    with pytest.raises(DeliveryError):
        await store.keep(after, 6, [REFUSED, *orders], fills, points, {"ETHUSDT": Seen(1, D(1))})

    assert await store.open("main", D(1), "1h", 0) == after
    assert await store.seen("main") == SEEN


async def test_a_position_is_closed_once(store: PaperStore, kept: Kept) -> None:
    after = await store.keep(kept, 5, [], [BOUGHT, SOLD], [], {})
    again = Fill("other", "sim", "BTCUSDT", "sell", "signal", D(1), D("0.155"), D(0), 9, closes="a")
    with pytest.raises(DeliveryError):
        await store.keep(after, 6, [], [again], [], {})

    assert await store.all_fills("main") == [BOUGHT, SOLD]


async def test_what_the_log_was_told_is_remembered_and_the_archive_beside_goes_on(
    store: PaperStore, kept: Kept, url: str, clock: ManualClock
) -> None:
    after = await store.keep(kept, 5, [ORDER], [], [], {})
    assert (await store.told(after, 1)).told == 1
    async with open_archive(url, clock) as archive:
        assert await archive.series() == []
    await store.ping()

    assert (await store.open("main", D(1), "1h", 0)).told == 1
