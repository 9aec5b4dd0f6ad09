"""What the bus promises: nobody waits, nothing that matters is lost where it can be kept, and every loss is counted."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from marketd.bus import Bus, Closed, Full, Subscription
from marketd.metrics import Metrics
from marketd.model.events import (
    BookDelta,
    BookL2,
    Candle,
    Event,
    Gap,
    Heartbeat,
    Quote,
    Share,
    Status,
    Trade,
    droppable,
)


class MemorySpill:
    """A spill without a disk."""

    def __init__(self, room: int = 10**9, held: Sequence[Event] = ()) -> None:
        self.room, self.held, self.read_count = room, list(held), 0

    def append(self, events: Sequence[Event]) -> int:
        kept = events[: max(0, self.room - len(self.held))]
        self.held += kept
        return len(events) - len(kept)

    def read(self, limit: int) -> list[Event]:
        batch = self.held[self.read_count : self.read_count + limit]
        self.read_count += len(batch)
        return batch

    def commit(self) -> None:
        del self.held[: self.read_count]
        self.read_count = 0

    def put_back(self, events: Sequence[Event]) -> int:
        self.read_count = 0
        self.held[:0] = events
        return 0

    def close(self) -> None:
        pass

    def __len__(self) -> int:
        return len(self.held)


def trade(number: int) -> Trade:
    return Trade("v", "BTCUSD", None, number, "1", "1", "buy", str(number))


def quote(number: int, symbol: str = "BTCUSD") -> Quote:
    return Quote("v", symbol, None, number, "1", "1", "2", "1")


def view(number: int, symbol: str = "BTCUSD") -> BookL2:
    return BookL2("v", symbol, None, number, [("1", "1")], [("2", "1")], number)


def delta(number: int, symbol: str = "BTCUSD") -> BookDelta:
    return BookDelta("v", symbol, None, number, [("1", "1")], [], number, number - 1)


def candle(number: int, *, closed: bool) -> Candle:
    return Candle("v", "BTCUSD", None, number, "1m", 0, 60, "1", "1", "1", "1", "1", closed)


def heartbeat(number: int) -> Heartbeat:
    return Heartbeat("v", "__system__", None, number, "silence")


def gap(number: int) -> Gap:
    return Gap("v", "BTCUSD", None, number, "trade", "found", "1", "2", None, None, "ids")


def status(number: int) -> Status:
    return Status("v", "__system__", None, number, "connected", "")


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.ts_recv for event in events]


def subscription(
    full: Full = Full.SHED, capacity: int = 10, types: frozenset[type[Event]] | None = None, spill: MemorySpill | None = None
) -> Subscription:
    if full is Full.SPILL and spill is None:
        spill = MemorySpill()
    return Subscription("sink", full, capacity, types, spill, Metrics())


async def everything(held: Subscription) -> list[Event]:
    taken: list[Event] = []
    while not held.drained:
        taken += await held.take()
        held.delivered()
    return taken


async def test_every_subscription_gets_every_event_in_order() -> None:
    bus = Bus(Metrics())
    with bus.subscribe("a", full=Full.SHED) as one, bus.subscribe("b", full=Full.CLOSE) as other:
        bus.publish([trade(1), quote(2)])
        bus.publish([trade(3)])

        assert [1, 2, 3] == numbers(await one.take())
        assert [1, 2, 3] == numbers(await other.take())


async def test_a_subscription_takes_only_the_types_it_names() -> None:
    held = subscription(types=frozenset({Trade, Gap}))
    held.offer([trade(1), quote(2), gap(3), heartbeat(4)])

    assert [1, 3] == numbers(await held.take())


async def test_who_takes_book_deltas_gets_the_full_views_too() -> None:
    held = subscription(types=frozenset({BookDelta}))
    held.offer([view(1), delta(2), trade(3)])

    assert [1, 2] == numbers(await held.take())


async def test_take_waits_for_the_first_event() -> None:
    held = subscription()
    waiting = asyncio.ensure_future(held.take())
    await asyncio.sleep(0)

    assert not waiting.done()

    held.offer([trade(1)])

    assert [1] == numbers(await waiting)


async def test_take_gives_at_most_the_limit_also_of_conflated_events() -> None:
    held = subscription(capacity=100)
    held.offer([trade(number) for number in range(95)])
    held.offer([quote(number, f"S{number}") for number in range(100, 110)])
    sizes = []
    while not held.drained:
        sizes.append(len(await held.take(30)))

    assert [30, 30, 30, 15] == sizes


async def test_below_eighty_percent_nothing_is_lost() -> None:
    held = subscription()
    events = [heartbeat(1), quote(2), quote(3), view(4), delta(5), candle(6, closed=False), trade(7)]
    held.offer(events)

    assert events == await held.take()
    assert {} == held.dropped


@pytest.mark.parametrize(("waiting", "kept"), [(7, True), (8, False), (9, False)])
async def test_heartbeats_go_from_eighty_percent_on(waiting: int, kept: bool) -> None:
    held = subscription()
    held.offer([trade(number) for number in range(waiting)])
    held.offer([heartbeat(100)])

    assert kept == (100 in numbers(await held.take()))
    assert ({} if kept else {("pressure", "heartbeat"): 1}) == held.dropped


@pytest.mark.parametrize(("waiting", "lost"), [(8, 0), (9, 2)])
async def test_quotes_and_views_are_conflated_to_the_latest_from_ninety_percent_on(waiting: int, lost: int) -> None:
    held = subscription(capacity=10)
    held.offer([trade(number) for number in range(waiting)])
    held.offer([quote(100)])
    if lost:
        held.offer([quote(101), view(102), view(103)])
        taken = numbers(await held.take())

        assert [*range(waiting), 101, 103] == taken
        assert {("conflated", "quote"): 1, ("conflated", "book_l2"): 1} == held.dropped
    else:
        assert [*range(waiting), 100] == numbers(await held.take())


async def test_each_symbol_keeps_its_own_latest_quote() -> None:
    held = subscription()
    held.offer([trade(number) for number in range(9)])
    held.offer([quote(100, "A"), quote(101, "B"), quote(102, "A")])

    assert [101, 102] == numbers(await held.take())[9:]


async def test_a_conflated_quote_never_comes_before_an_older_one() -> None:
    held = subscription()
    held.offer([trade(number) for number in range(9)])
    held.offer([quote(100)])
    await held.take(5)
    held.offer([quote(101), trade(102)])

    assert [5, 6, 7, 8, 102, 101] == numbers(await held.take())


async def test_deltas_of_a_book_are_withheld_after_a_loss_until_its_next_full_view() -> None:
    held = subscription()
    held.offer([trade(number) for number in range(9)])
    held.offer([delta(100), delta(101, "ETHUSD")])
    await held.take()
    held.offer([delta(102), view(103, "ETHUSD"), delta(104, "ETHUSD"), delta(105)])

    assert [103, 104] == numbers(await held.take())

    held.offer([view(106), delta(107)])

    assert [106, 107] == numbers(await held.take())
    assert {("pressure", "book_delta"): 4} == held.dropped


async def test_a_delta_never_overtakes_the_conflated_view_that_it_follows() -> None:
    held = subscription()
    held.offer([trade(number) for number in range(9)])
    held.offer([delta(100), view(101)])
    await held.take(8)
    held.offer([delta(102)])
    taken = await held.take()

    assert [8, 101] == numbers(taken)

    held.offer([delta(103)])  # 102 was lost after the view
    held.offer([view(104), delta(105)])

    assert [104, 105] == numbers(await held.take())


async def test_a_full_queue_loses_its_oldest_droppable_event_first() -> None:
    held = subscription()
    held.offer([trade(0), quote(1), trade(2), quote(3)])
    held.offer([trade(number) for number in range(4, 10)])
    held.offer([trade(10)])

    assert [0, 2, 3, 4, 5, 6, 7, 8, 9, 10] == numbers(await held.take())
    assert {("full", "quote"): 1} == held.dropped


async def test_dropping_a_queued_delta_withholds_what_follows_it_up_to_the_next_view() -> None:
    held = subscription()
    held.offer([delta(0), delta(1), view(2), delta(3)])
    held.offer([trade(number) for number in range(4, 10)])
    held.offer([trade(10)])

    assert [2, 3, 4, 5, 6, 7, 8, 9, 10] == numbers(await held.take())
    assert {("full", "book_delta"): 2} == held.dropped


async def test_losing_the_last_queued_delta_withholds_later_ones_too() -> None:
    held = subscription()
    held.offer([view(0), delta(1)])
    held.offer([trade(number) for number in range(2, 10)])
    held.offer([trade(10), trade(11)])
    await held.take()
    held.offer([delta(12), view(13), delta(14)])

    assert [13, 14] == numbers(await held.take())


async def test_a_shedding_consumer_loses_the_oldest_of_what_may_not_be_dropped_and_says_full() -> None:
    held = subscription()
    held.offer([trade(number) for number in range(12)])
    held.offer([candle(12, closed=False), candle(13, closed=True)])

    assert [3, 4, 5, 6, 7, 8, 9, 10, 11, 13] == numbers(await held.take())
    assert {("full", "trade"): 3, ("full", "candle"): 1} == held.dropped


async def test_a_closing_consumer_is_told_why_after_what_was_waiting() -> None:
    held = subscription(Full.CLOSE)
    held.offer([quote(0)])
    held.offer([trade(number) for number in range(1, 11)])

    assert held.closed is None

    held.offer([status(11), trade(12)])
    held.offer([trade(13)])

    assert [*range(1, 11)] == numbers(await held.take())
    with pytest.raises(Closed, match="sink: too slow, 10 events waiting"):
        await held.take()
    assert {("full", "quote"): 1, ("full", "status"): 1} == held.dropped


async def test_a_spilling_consumer_gets_everything_that_matters_in_order() -> None:
    spill = MemorySpill()
    held = subscription(Full.SPILL, spill=spill)
    held.offer([trade(number) for number in range(15)])
    held.offer([quote(15), heartbeat(16), candle(17, closed=True), candle(18, closed=False), gap(19), status(20)])

    assert 8 == len(spill)
    assert 1.0 == held.fill

    first = await held.take()
    held.delivered()
    held.offer([trade(21)])

    assert [*range(10)] == numbers(first)
    assert [10, 11, 12, 13, 14, 17, 19, 20, 21, 15] == numbers(await everything(held))
    assert {("pressure", "heartbeat"): 1, ("pressure", "candle"): 1} == held.dropped
    assert (0, 0.0) == (len(spill), held.fill)


async def test_what_was_on_disk_before_the_start_comes_first() -> None:
    held = subscription(Full.SPILL, spill=MemorySpill(held=[trade(1), trade(2)]))
    held.offer([trade(3)])

    assert [1, 2, 3] == numbers(await everything(held))


async def test_a_batch_that_was_not_delivered_stays_on_disk() -> None:
    spill = MemorySpill(held=[trade(1), trade(2)])
    held = subscription(Full.SPILL, spill=spill)

    assert [1, 2] == numbers(await held.take())
    assert 2 == len(spill)

    held.delivered()

    assert 0 == len(spill)


async def test_a_full_disk_is_counted_event_by_event() -> None:
    held = subscription(Full.SPILL, spill=MemorySpill(room=3))
    held.offer([trade(number) for number in range(15)])

    assert {("spill_full", "trade"): 2} == held.dropped
    assert [*range(13)] == numbers(await everything(held))


async def test_leaving_a_subscription_lets_it_run_dry_before_it_closes() -> None:
    bus = Bus(Metrics())
    spill = MemorySpill()
    with bus.subscribe("sink", full=Full.SPILL, capacity=10, spill=spill) as held:
        bus.publish([trade(number) for number in range(25)])
        bus.publish([quote(25)])
    bus.publish([trade(26)])

    assert [*range(26)] == numbers(await everything(held))
    with pytest.raises(Closed, match="the daemon stops"):
        await held.take()
    assert [] == bus.subscriptions


async def test_closing_wakes_who_waits() -> None:
    held = subscription()
    waiting = asyncio.ensure_future(held.take())
    await asyncio.sleep(0)
    held.close("enough")

    with pytest.raises(Closed, match="enough"):
        await waiting


async def test_a_slow_consumer_costs_the_others_nothing() -> None:
    bus = Bus(Metrics())
    with bus.subscribe("slow", full=Full.SHED, capacity=10) as slow, bus.subscribe("fast", full=Full.SHED, capacity=100) as fast:
        taken = 0
        for number in range(1000):
            bus.publish([trade(number)])
            taken += len(await fast.take())

        assert 1000 == taken
        assert {} == fast.dropped
        assert {("full", "trade"): 990} == slow.dropped


async def test_every_drop_is_exported_by_consumer_reason_and_type() -> None:
    metrics = Metrics()
    held = Subscription("console", Full.SHED, 10, None, None, metrics)
    held.offer([trade(number) for number in range(13)])
    held.offer([heartbeat(13)])

    text = metrics.text().decode()

    assert 'events_dropped_total{consumer="console",reason="full",type="trade"} 3.0' in text
    assert 'events_dropped_total{consumer="console",reason="pressure",type="heartbeat"} 1.0' in text


def test_room_in_a_full_queue_is_made_for_many_at_once() -> None:
    held = subscription(capacity=6400)
    held.offer([quote(number, f"S{number}") for number in range(5000)])
    held.offer([trade(number) for number in range(1400)])
    held.offer([trade(1400)])

    assert {("full", "quote"): 100} == held.dropped
    assert 6301 == len(held)


kinds = st.sampled_from(["trade", "quote", "view", "delta", "closed", "open", "heartbeat", "gap", "status"])


class AnyOrder(RuleBasedStateMachine):
    """Whatever the order of offers and takes, what may not be lost comes out of a spilling consumer once and in order;
    a delta only ever follows what it was made for; and what did not come out was counted."""

    @initialize(capacity=st.integers(4, 20), room=st.just(10**9))
    def start(self, capacity: int, room: int) -> None:
        self.held = subscription(Full.SPILL, capacity, spill=MemorySpill(room))
        self.count = 0
        self.offered: list[Event] = []
        self.taken: list[Event] = []

    @rule(batch=st.lists(st.tuples(kinds, st.sampled_from(["A", "B"])), min_size=1, max_size=12))
    def offer(self, batch: list[tuple[str, str]]) -> None:
        events: list[Event] = []
        for kind, symbol in batch:
            number = self.count = self.count + 1
            events.append(
                {
                    "trade": trade(number),
                    "quote": quote(number, symbol),
                    "view": view(number, symbol),
                    "delta": delta(number, symbol),
                    "closed": candle(number, closed=True),
                    "open": candle(number, closed=False),
                    "heartbeat": heartbeat(number),
                    "gap": gap(number),
                    "status": status(number),
                }[kind]
            )
        self.offered += events
        self.held.offer(events)

    @rule(limit=st.integers(1, 30))
    def take(self, limit: int) -> None:
        if self.held.drained:
            return
        taking = self.held.take(limit)
        try:
            taking.send(None)
        except StopIteration as stop:
            batch: list[Event] = stop.value
        else:
            taking.close()  # the disk turned out to hold nothing more
            return
        assert 0 < len(batch) <= limit
        self.taken += batch
        self.held.delivered()

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "held"):
            assert len(self.held._queue) <= self.held.capacity

    def teardown(self) -> None:
        if not hasattr(self, "held"):
            return
        self.held.close("end")
        while not self.held.drained:
            self.take(limit=1024)

        assert [event for event in self.offered if not droppable(event)] == [
            event for event in self.taken if not droppable(event)
        ]
        assert len(self.offered) == len(self.taken) + sum(self.held.dropped.values())
        assert len(set(numbers(self.taken))) == len(self.taken)
        for symbol in ("A", "B"):
            book = [event for event in self.taken if event.symbol == symbol and isinstance(event, BookL2 | BookDelta)]
            assert sorted(numbers(book)) == numbers(book)
            offered = [event for event in self.offered if event.symbol == symbol and isinstance(event, BookDelta)]
            followed = dict(zip(numbers(offered)[1:], offered, strict=False))
            for before, event in zip([None, *book], book, strict=False):
                if isinstance(event, BookDelta) and event.ts_recv in followed:
                    previous = followed[event.ts_recv].ts_recv
                    assert before is not None
                    assert before.ts_recv >= previous, "a delta came after a lost one without a full view in between"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40)


async def test_what_is_abandoned_goes_back_to_disk_in_order() -> None:
    spill = MemorySpill()
    held = subscription(Full.SPILL, spill=spill)
    held.offer([trade(number) for number in range(14)])
    batch = await held.take(3)

    assert 0 == held.abandon(batch)
    assert [trade(number) for number in range(14)] == spill.held
    assert held.drained


async def test_what_came_from_disk_stays_there_when_abandoned() -> None:
    spill = MemorySpill(held=[trade(number) for number in range(5)])
    held = subscription(Full.SPILL, spill=spill)
    batch = await held.take(3)
    held.abandon(batch)

    assert [trade(number) for number in range(5)] == spill.held


async def test_what_is_abandoned_without_a_disk_is_counted() -> None:
    held = subscription()
    held.offer([trade(1), quote(2)])

    assert 2 == held.abandon([])
    assert {("late", "trade"): 1, ("late", "quote"): 1} == dict(held.dropped)


async def test_what_was_published_is_settled_once_it_is_delivered_whatever_comes_after() -> None:
    queue = subscription(Full.SPILL, 100)
    await queue.settled()
    queue.offer([trade(1), trade(2)])
    waiting = asyncio.create_task(queue.settled())
    await asyncio.sleep(0)
    queue.offer([trade(3)])

    await queue.take(1)
    assert not await is_done(waiting)
    queue.delivered()
    assert not await is_done(waiting)
    await queue.take(1)
    assert not await is_done(waiting)
    queue.delivered()
    assert await is_done(waiting)


async def test_what_waits_on_disk_is_settled_last() -> None:
    queue = subscription(Full.SPILL, 2)
    queue.offer([trade(1), trade(2), trade(3)])
    waiting = asyncio.create_task(queue.settled())

    await queue.take()
    queue.delivered()
    assert not await is_done(waiting)
    await queue.take()
    queue.delivered()
    assert await is_done(waiting)


async def is_done(task: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return task.done()


async def test_what_a_process_looks_after_is_never_lost_to_a_full_queue() -> None:
    shares = [Share("marketd", "__system__", None, number, "assigned", ["BTCUSD"]) for number in range(15)]
    held = subscription(capacity=10)
    held.offer([shares[0], *map(trade, range(100, 109)), *shares[1:12], trade(200), *shares[12:]])
    taken = await everything(held)

    assert shares == [event for event in taken if isinstance(event, Share)]
    assert 10 == held.dropped["full", "trade"]
