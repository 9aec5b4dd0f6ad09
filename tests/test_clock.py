"""The clock that tests and replay turn by hand."""

import asyncio

from marketd.clock import ManualClock, SystemClock


async def test_sleepers_wake_in_the_order_of_their_time(clock: ManualClock) -> None:
    woken: list[tuple[str, float]] = []
    began = clock.monotonic()

    async def sleep(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append((name, round(clock.monotonic() - began, 3)))

    async with asyncio.TaskGroup() as group:
        for name, delay_s in (("late", 5.0), ("early", 1.0), ("middle", 3.0)):
            group.create_task(sleep(name, delay_s))
        await clock.advance(10)

    assert [("early", 1.0), ("middle", 3.0), ("late", 5.0)] == woken


async def test_what_a_sleeper_sleeps_next_counts_from_its_own_waking(clock: ManualClock) -> None:
    times: list[int] = []
    began = clock.now_ns()

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(2)
            times.append((clock.now_ns() - began) // 1_000_000_000)

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        await clock.advance(7)

    assert [2, 4, 6] == times


async def test_nobody_wakes_before_its_time(clock: ManualClock) -> None:
    async with asyncio.TaskGroup() as group:
        sleeper = group.create_task(clock.sleep(5))
        await clock.advance(4.999)
        early = sleeper.done()
        await clock.advance(0.001)
        late = sleeper.done()

    assert (False, True) == (early, late)


async def test_a_cancelled_sleeper_is_passed_over(clock: ManualClock) -> None:
    sleeper = asyncio.ensure_future(clock.sleep(1))
    await clock.advance(0)
    sleeper.cancel()
    await clock.advance(2)

    assert sleeper.cancelled()


async def test_no_delay_gives_others_their_turn(clock: ManualClock) -> None:
    before = clock.now_ns()
    await clock.sleep(0)

    assert before == clock.now_ns()


async def test_the_machines_clock_goes_on() -> None:
    clock = SystemClock()
    before = (clock.now_ns(), clock.monotonic())
    await clock.sleep(0.001)

    assert clock.now_ns() > 1_600_000_000_000_000_000
    assert clock.monotonic() > before[1]
