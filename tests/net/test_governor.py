"""Turns to ask: within the allowance, the urgent first, nobody forgotten."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.clock import ManualClock
from marketd.net.governor import FULL, Governor, Priority


class Asking:
    """Requests through a governor on a clock, and when each was sent."""

    def __init__(self, weight: int, per_s: float, share: float = 1.0) -> None:
        self.clock = ManualClock()
        self.governor = Governor(self.clock, {"": (weight, per_s), "other": (weight, per_s)}, share)
        self.sent: list[tuple[float, int, str]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.started_s = self.clock.monotonic()

    async def ask(self, name: str, weight: int, priority: Priority = Priority.LIVE, bucket: str = "") -> asyncio.Task[None]:
        async def turn() -> None:
            await self.governor.turn(weight, priority, bucket)
            self.sent.append((self.clock.monotonic() - self.started_s, weight, name))

        self.tasks.append(asyncio.ensure_future(turn()))
        await asyncio.sleep(0)
        return self.tasks[-1]

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def names(self) -> list[str]:
        return [name for _, _, name in self.sent]


asked = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(Priority), st.floats(0, 3), st.booleans()), min_size=1, max_size=40)


@given(asked, st.integers(8, 40), st.sampled_from([0.25, 0.5, 1.0]))
def test_no_window_ever_holds_more_than_the_share_of_the_allowance_and_all_get_their_turn(
    requests: list[tuple[int, Priority, float, bool]], weight: int, share: float
) -> None:
    async def run() -> Asking:
        asking = Asking(weight, 5.0, share)
        for number, (cost, priority, pause_s, cancelled) in enumerate(requests):
            task = await asking.ask(str(number), min(cost, int(weight * share * FULL)), priority)
            await asking.clock.advance(pause_s)
            if cancelled:
                task.cancel()
        await asking.clock.advance(10_000.0)
        await asking.end()
        return asking

    asking = asyncio.run(run())
    for at, _, _ in asking.sent:
        within = sum(cost for when, cost, _ in asking.sent if at - 5.0 + 1e-6 < when <= at)
        assert within <= weight * share * FULL + 1e-9
    missing = {number for number, one in enumerate(requests) if not one[3]} - {int(name) for name in asking.names()}

    assert missing == set()


async def test_the_urgent_go_before_those_who_waited_longer() -> None:
    asking = Asking(10, 1.0)
    await asking.ask("fills it", 9)
    for name, priority in [("backfill", Priority.BACKFILL), ("audit", Priority.AUDIT), ("repair", Priority.REPAIR)]:
        await asking.ask(name, 9, priority)
    await asking.ask("live", 9, Priority.LIVE)
    await asking.clock.advance(10)

    assert asking.names() == ["fills it", "live", "repair", "audit", "backfill"]
    await asking.end()


async def test_equals_go_in_the_order_of_asking_and_a_small_one_does_not_overtake() -> None:
    asking = Asking(10, 1.0)
    await asking.ask("fills it", 5)
    for number, weight in enumerate([9, 1, 1, 4]):
        await asking.ask(str(number), weight)
    await asking.clock.advance(10)

    assert asking.names() == ["fills it", "0", "1", "2", "3"]
    await asking.end()


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_a_waiter_that_gives_up_blocks_nobody(who: int) -> None:
    asking = Asking(10, 1.0)
    await asking.ask("fills it", 9)
    waiting = [await asking.ask(str(number), 9) for number in range(3)]
    await asking.clock.advance(0.5)
    waiting[who].cancel()
    await asking.clock.advance(10)

    assert asking.names() == ["fills it", *(str(number) for number in range(3) if number != who)]
    assert [at for at, _, _ in asking.sent] == pytest.approx([0.0, 1.0, 2.0])
    await asking.end()


async def test_buckets_do_not_wait_for_each_other() -> None:
    asking = Asking(10, 60.0)
    await asking.ask("fills it", 9)
    await asking.ask("waits", 9)
    await asking.ask("elsewhere", 9, bucket="other")
    await asking.clock.advance(1)

    assert asking.names() == ["fills it", "elsewhere"]
    await asking.end()


async def test_an_unknown_bucket_counts_as_the_first() -> None:
    asking = Asking(10, 60.0)
    await asking.ask("fills it", 9)
    await asking.ask("waits", 1, bucket="nobody knows")
    await asking.clock.advance(1)

    assert asking.names() == ["fills it"]
    await asking.end()


async def test_a_request_larger_than_the_allowance_waits_for_an_empty_window_and_is_not_stuck() -> None:
    asking = Asking(10, 1.0)
    await asking.ask("small", 1)
    await asking.ask("huge", 500)
    await asking.ask("after", 1)
    await asking.clock.advance(10)

    assert [(round(at, 6), name) for at, _, name in asking.sent] == [(0.0, "small"), (1.0, "huge"), (2.0, "after")]
    await asking.end()


async def test_a_pause_silences_every_bucket_even_for_those_who_already_wait() -> None:
    asking = Asking(10, 1.0)
    await asking.ask("fills it", 9)
    await asking.ask("waits", 9)
    await asking.clock.advance(0.5)
    asking.governor.pause(30)
    asking.governor.pause(1)
    await asking.ask("elsewhere", 1, bucket="other")
    assert asking.governor.paused_s == pytest.approx(30)
    await asking.clock.advance(29.9)
    assert asking.names() == ["fills it"]
    await asking.clock.advance(0.2)

    assert sorted(asking.names()) == ["elsewhere", "fills it", "waits"]
    assert asking.governor.paused_s == 0
    await asking.end()


async def test_what_others_spent_from_our_address_counts_and_is_forgotten_with_the_window() -> None:
    asking = Asking(100, 60.0)
    await asking.ask("first", 10)
    asking.governor.observe(5)
    assert asking.governor.used_ratio() == pytest.approx(10 / 80)
    asking.governor.observe(75)
    assert asking.governor.used_ratio() == pytest.approx(75 / 80)
    await asking.ask("waits", 10)
    await asking.clock.advance(59)
    assert asking.names() == ["first"]
    await asking.clock.advance(2)

    assert asking.names() == ["first", "waits"]
    await asking.end()
