"""What only the twin in memory has: a clock to turn, and bounds of its own."""

import pytest

from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.stores.cache.cache import Note, Wanted, Write
from marketd.stores.cache.memory import SWEEP_S, MemoryCache, open_memory


async def test_a_value_lives_as_long_as_its_ttl_and_not_longer(clock: ManualClock) -> None:
    cache = MemoryCache(clock, Metrics())
    desk = cache.of("market-data")
    await desk.do(Write("a", b"1", 60), Write("b", b"2", None))
    await clock.advance(59.9)
    before = await desk.read("a", "b", "c")
    left = cache.ttl_s("a")
    await clock.advance(0.1)

    assert [b"1", b"2", None] == before
    assert left == pytest.approx(0.1)
    assert [None, b"2", None] == await desk.read("a", "b", "c")
    with pytest.raises(KeyError):
        cache.ttl_s("a")


async def test_values_that_nobody_reads_any_more_are_let_go(clock: ManualClock) -> None:
    cache = MemoryCache(clock, Metrics())
    desk = cache.of("market-data")
    for number in range(100):
        await desk.do(Write(f"key:{number}", b"1", 1))
    await clock.advance(SWEEP_S)
    await desk.do(Write("last", b"1", 1))

    assert {"last"} == cache._values.keys()


async def test_ids_grow_also_while_the_clock_stands(clock: ManualClock) -> None:
    async with open_memory(clock, Metrics(), maxlen=5) as cache:
        for number in range(8):
            await cache.of("dashboard").do(Note("error", "x", str(number)))
        page = await cache.log(Wanted(), 10)

    assert ["7", "6", "5", "4", "3"] == [entry.summary for entry in page.entries]
    assert len({entry.id for entry in page.entries}) == 5


async def test_a_log_that_is_off_holds_nothing(clock: ManualClock) -> None:
    async with open_memory(clock, Metrics(), enabled=False) as cache:
        await cache.of("dashboard").do(Note("error", "x", "y"))

        assert (await cache.log(Wanted(), 10)).entries == []
