"""Gaps are filled over REST beside the reader; what cannot be filled is said, and nothing stops the rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from marketd.clock import ManualClock
from marketd.errors import Disconnected, Refused
from marketd.metrics import Metrics
from marketd.model.events import Event, Gap, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.net.governor import Priority
from marketd.rooms import room
from marketd.venues import repair as repair_file
from marketd.venues.binance import Binance
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.repair import GIVE_UP_S, Repairs
from marketd.venues.venue import Answer, Request, Span, TradesPage, Wanted

BTC = "BTCUSDT"


class Numbers(Binance):
    """Pages of plain numbers: what was asked for is the first of them."""

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        return Request("/trades", {"from": span.from_id or "0"})

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        numbers = [int(word) for word in answer.body.split()]
        return TradesPage([trade(number, ts_recv) for number in numbers], None)


def trade(number: int, at: int = 0) -> Trade:
    return Trade("v", BTC, at - 10 * 10**9, at, "1", "1", None, str(number), True)


class Desk:
    """A repairer, what it is answered, and what comes of it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.venue, self.metrics = clock, Numbers(), Metrics()
        self.events: list[Event] = []
        self.asked: list[str] = []
        self.news: list[str] = []
        self.answer: Callable[[], bytes] = bytes
        self.intake = Intake(self.venue, self.events.extend, self, self.metrics)
        self.intake.want([Wanted("trade", BTC)], clock.now_ns())
        self.listed = Instruments([Instrument("v", BTC, BTC, "BTC", "USDT")])
        self.repairs = Repairs(self.intake, self, lambda: self.listed, clock, self.metrics, self.news.append)  # type: ignore[arg-type]

    def repair(self, repair: Repair) -> None:
        self.repairs.add(repair)

    def notice(self, connection: int, notice: object) -> None: ...

    async def ask(self, request: Request, priority: Priority) -> Answer:
        self.asked.append(request.params["from"])
        return Answer(200, {}, self.answer(), self.clock.now_ns())

    def line(self, *numbers: int) -> None:
        for number in numbers:
            self.intake.take([trade(number, self.clock.now_ns())], 1, b"", self.clock.now_ns())

    def gaps(self, state: str) -> list[tuple[str | None, str | None]]:
        return [(one.from_id, one.to_id) for one in self.events if isinstance(one, Gap) and one.state == state]

    @property
    def published(self) -> list[int]:
        return [int(one.trade_id) for one in self.events if isinstance(one, Trade)]

    def failing(self, error: Exception) -> Callable[[], bytes]:
        def fail() -> bytes:
            raise error

        return fail


@asynccontextmanager
async def working(desk: Desk) -> AsyncIterator[None]:
    async with room("test") as here:
        here.start("repair", desk.repairs.run())
        yield


@pytest.fixture
def desk(clock: ManualClock) -> Desk:
    return Desk(clock)


async def test_a_gap_is_asked_for_from_the_last_known_trade_and_filled(desk: Desk) -> None:
    desk.answer = lambda: b"1 2 3 4"
    async with working(desk):
        desk.line(1, 4)
        await desk.clock.advance(0.1)

    assert ["1"] == desk.asked
    assert [1, 2, 3, 4] == desk.published
    assert [("2", "3")] == desk.gaps("filled")
    assert 0 == desk.repairs.open


async def test_what_an_earlier_page_filled_is_not_asked_for_again(desk: Desk) -> None:
    desk.answer = lambda: b"1 2 3 4 5 6 7"
    async with working(desk):
        desk.line(1, 3, 5, 7)
        await desk.clock.advance(0.1)

    assert ["1"] == desk.asked
    assert [1, 2, 3, 4, 5, 6, 7] == desk.published
    assert [("2", "2"), ("4", "4"), ("6", "6")] == desk.gaps("filled")
    assert 0 == desk.repairs.open


async def test_a_repair_that_begins_is_said_once_and_counts_as_no_new_gap(desk: Desk) -> None:
    desk.answer = desk.failing(Disconnected("no answer"))
    async with working(desk):
        desk.line(1, 3)
        await desk.clock.advance(100)
        said = [one.cause for one in desk.events if isinstance(one, Gap)]
        desk.answer = lambda: b"1 2 3"
        await desk.clock.advance(100)

    assert said == ["trade ids jump from 1 to 3", "being repaired: trade ids jump from 1 to 3"]
    assert [("2", "2")] == desk.gaps("filled")
    assert 1 == desk.intake.streams[Wanted("trade", BTC)].gaps


async def test_only_what_is_still_missing_of_a_gap_is_asked_for(desk: Desk) -> None:
    desk.line(1, 10)
    desk.line(2, 3, 4)  # out of order
    async with working(desk):
        desk.answer = lambda: b"4 5 6 7 8 9 10"
        await desk.clock.advance(0.1)

    assert ["4"] == desk.asked
    assert list(range(1, 11)) == desk.published


async def test_numbers_that_the_venue_never_gave_are_said_not_to_exist(desk: Desk) -> None:
    desk.answer = lambda: b"1 3 5"
    async with working(desk):
        desk.line(1, 5)
        await desk.clock.advance(0.1)

    assert [1, 3, 5] == desk.published
    assert [("3", "3"), ("2", "2"), ("4", "4")] == desk.gaps("filled")


async def test_a_page_that_does_not_reach_back_leaves_the_rest_unrecoverable(desk: Desk) -> None:
    desk.answer = lambda: b"3 4 5"
    async with working(desk):
        desk.line(1, 5)
        await desk.clock.advance(0.1)

    assert [("2", "2")] == desk.gaps("unrecoverable")


async def test_a_rest_side_behind_its_stream_is_asked_again(desk: Desk) -> None:
    answers = iter([b"1", b"1 2", b"1 2 3 4"])
    desk.answer = lambda: next(answers)
    async with working(desk):
        desk.line(1, 4)
        await desk.clock.advance(10)

    assert 3 == len(desk.asked)
    assert [1, 2, 3, 4] == sorted(desk.published)


async def test_failures_that_pass_are_outlasted(desk: Desk) -> None:
    desk.answer = desk.failing(Disconnected("no answer"))
    async with working(desk):
        desk.line(1, 3)
        await desk.clock.advance(GIVE_UP_S / 2)
        assert [] == desk.gaps("unrecoverable")
        desk.answer = lambda: b"1 2 3"
        await desk.clock.advance(120)

    assert [("2", "2")] == desk.gaps("filled")


async def test_failures_that_do_not_pass_are_given_up_out_loud_and_late_luck_is_taken(desk: Desk) -> None:
    desk.answer = desk.failing(Disconnected("no answer"))
    async with working(desk):
        desk.line(1, 3)
        await desk.clock.advance(GIVE_UP_S + 200)
        assert [("2", "2")] == desk.gaps("unrecoverable")
        desk.line(2)

    assert [("2", "2")] == desk.gaps("filled")


async def test_a_refusal_for_good_ends_it_at_once(desk: Desk) -> None:
    desk.answer = desk.failing(Refused("v", "no key", permanent=True))
    async with working(desk):
        desk.line(1, 3)
        await desk.clock.advance(0.1)

    assert 1 == len(desk.asked)
    assert ["v: no key"] == [one.cause for one in desk.events if isinstance(one, Gap) and one.state == "unrecoverable"]


async def test_a_fault_costs_one_repair_only(desk: Desk) -> None:
    answers = iter([b"1 x 3", b"3 4 5"])
    desk.answer = lambda: next(answers)
    async with working(desk):
        desk.line(1, 3)
        await desk.clock.advance(5)
        desk.line(5)
        await desk.clock.advance(5)

    assert [("2", "2")] == desk.gaps("unrecoverable")
    assert [("4", "4")] == desk.gaps("filled")


async def test_a_symbol_that_left_the_list_or_is_no_longer_wanted_hurts_nobody(desk: Desk) -> None:
    async with working(desk):
        desk.listed = Instruments()
        desk.line(1, 3)
        await desk.clock.advance(0.1)
        desk.line(5)
        desk.intake.unwant([Wanted("trade", BTC)])
        await desk.clock.advance(0.1)
        await asyncio.sleep(0)

    assert [] == desk.asked
    assert [("2", "2")] == desk.gaps("unrecoverable")


async def test_unsubscribing_ends_a_repair_that_keeps_failing(desk: Desk) -> None:
    desk.answer = desk.failing(Disconnected("no answer"))
    async with working(desk):
        desk.line(1, 3)
        await desk.clock.advance(5)
        desk.intake.unwant([Wanted("trade", BTC)])
        await desk.clock.advance(200)
        asked = len(desk.asked)
        await desk.clock.advance(500)

    assert asked == len(desk.asked)
    assert 0 == desk.repairs.open


async def test_a_probe_waits_once_per_symbol_and_gives_nothing_up(desk: Desk) -> None:
    desk.line(1)
    probe = Repair(BTC, Span("2", None, None, None), "silent", True)
    for _ in range(5):
        desk.repairs.add(probe, Priority.AUDIT)
    assert 1 == desk.repairs.open
    desk.answer = desk.failing(Refused("v", "no key", permanent=True))
    async with working(desk):
        await desk.clock.advance(0.1)
        desk.answer = lambda: b"1 2 3"
        desk.repairs.add(probe, Priority.AUDIT)
        await desk.clock.advance(0.1)

    assert [] == desk.gaps("unrecoverable")
    assert [BTC] == desk.news
    assert [1, 2, 3] == desk.published


async def test_a_comparison_says_up_to_when_it_holds_and_one_without_an_answer_says_nothing(desk: Desk) -> None:
    desk.line(1)
    audit = Repair(BTC, Span(None, None, 0, None), "audit", True)
    desk.answer = desk.failing(Disconnected("away"))
    async with working(desk):
        desk.repairs.add(audit, Priority.AUDIT)
        await desk.clock.advance(0.1)
        assert desk.intake.continuity.track(BTC).compared_ts is None
        desk.answer = lambda: b"1"
        asked_at = desk.clock.now_ns()
        desk.repairs.add(audit, Priority.AUDIT)
        await desk.clock.advance(0.1)

    assert asked_at - repair_file.PROBE_AGE_NS == desk.intake.continuity.track(BTC).compared_ts


async def test_a_full_queue_gives_up_what_finds_no_room_and_says_so(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair_file, "WAITING_MAX", 1)
    desk = Desk(clock)
    desk.line(1, 3, 5)
    desk.intake.tick(clock.now_ns() + 60 * 10**9)

    assert [("4", "4")] == desk.gaps("unrecoverable")
    assert 1 == desk.repairs.open


async def test_what_finds_no_room_is_said_to_be_lost_after_it_was_said_to_be_missing(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair_file, "WAITING_MAX", 1)
    desk = Desk(clock)
    desk.repairs.add(Repair("ETHUSDT", Span("1", "2", None, None), "another"))
    desk.line(1, 3)
    said = [one.state if isinstance(one, Gap) else one.__class__.__name__ for one in desk.events]

    assert ["Trade", "found", "Trade", "unrecoverable"] == said
