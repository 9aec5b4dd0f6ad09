"""Continuity against a venue that loses, repeats and reorders, and against a ledger that knows only what was published."""

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from marketd.model.events import Event, Gap, Trade
from marketd.model.intervals import Intervals
from marketd.venues import continuity as continuity_file
from marketd.venues.continuity import JUMP_MAX, RECENT_MAX, RESTART_NS, SECOND, Continuity, Repair
from marketd.venues.venue import Span

T0 = 1_700_000_000 * SECOND
MINE = "BTCUSDT"


def trade(number: int | str, ts: int | None = None, *, recv: int | None = None, symbol: str = MINE) -> Trade:
    at = T0 + int(number) * 1_000_000 if ts is None else ts
    return Trade("v", symbol, at, at if recv is None else recv, "1.0", "2", "buy", str(number))


def ids(events: object) -> list[int]:
    return [int(one.trade_id) for one in events if isinstance(one, Trade)]  # type: ignore[attr-defined]


def said(events: object) -> list[tuple[str, str | None, str | None]]:
    return [(one.state, one.from_id, one.to_id) for one in events if isinstance(one, Gap)]  # type: ignore[attr-defined]


class Asked(list[Repair]):
    """Repairs as they are asked for."""

    __call__ = list.append


def numbered(**settings: object) -> tuple[Continuity, Asked]:
    asked = Asked()
    return Continuity("v", True, asked, **settings), asked  # type: ignore[arg-type]


def told_apart() -> tuple[Continuity, Asked]:
    asked = Asked()
    return Continuity("v", False, asked), asked


class Ledger:
    """What a consumer knows who sees only what is published."""

    def __init__(self) -> None:
        self.have: set[int] = set()
        self.missing = Intervals()
        self.unrecoverable = Intervals()
        self.not_existing = Intervals()

    def read(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Trade):
                number = int(event.trade_id)
                assert number not in self.have, f"{number} published twice"
                self.have.add(number)
                if any(number in part for part in (self.missing, self.unrecoverable, self.not_existing)):
                    assert event.repaired or number > 0
            elif isinstance(event, Gap) and event.from_id is not None and event.to_id is not None:
                span = (int(event.from_id), int(event.to_id) + 1)
                if event.state == "found":
                    assert not self.have.intersection(range(*span)), "found missing what was published"
                    self.missing.add(*span)
                elif event.state == "filled":
                    exists = event.cause != "the venue has no such trades"
                    if exists:
                        assert self.have.issuperset(range(*span)), f"{event.from_id}..{event.to_id} filled but not published"
                    else:
                        self.not_existing.add(*span)
                    self.missing.remove(*span)
                    self.unrecoverable.remove(*span)
                else:
                    self.missing.remove(*span)
                    self.unrecoverable.add(*span)


class NumberedVenue(RuleBasedStateMachine):
    """Trades 1 by 1; a line that misbehaves; a REST side that answers page by page, late, behind, and not for ever back."""

    @initialize(hold_s=st.sampled_from([0.0, 0.5, 2.0]), hold_events=st.sampled_from([1, 3, 10_000]))
    def start(self, hold_s: float, hold_events: int) -> None:
        self.asked = Asked()
        self.continuity = Continuity("v", True, self.asked, hold_s=hold_s, hold_events=hold_events)
        self.newest, self.oldest_offered = 100, 0
        self.line: list[int] = []
        self.delivered: list[int] = []
        self.walks: list[tuple[Repair, list[int]]] = []
        self.ledger = Ledger()
        self.now = T0
        self.first: int | None = None
        self.garbled = 1_000_000

    def publish(self, events: object) -> None:
        self.ledger.read(list(events))  # type: ignore[call-overload]

    @rule(count=st.integers(1, 8))
    def trades_happen(self, count: int) -> None:
        self.line += range(self.newest + 1, self.newest + count + 1)
        self.newest += count

    @precondition(lambda self: self.line)
    @rule(count=st.integers(1, 6))
    def line_delivers(self, count: int) -> None:
        for _ in range(min(count, len(self.line))):
            self.deliver(self.line.pop(0))

    def deliver(self, number: int) -> None:
        if self.first is None:
            self.first = number
        self.delivered = [*self.delivered[-20:], number]
        self.publish(self.continuity.take(trade(number, recv=self.now)))

    @precondition(lambda self: self.line and self.first is not None)
    @rule(count=st.integers(1, 4))
    def line_loses(self, count: int) -> None:
        del self.line[:count]

    @precondition(lambda self: self.delivered)
    @rule(data=st.data())
    def line_repeats(self, data: st.DataObject) -> None:
        self.publish(self.continuity.take(trade(data.draw(st.sampled_from(self.delivered)), recv=self.now)))

    @precondition(lambda self: len(self.line) > 1 and self.first is not None)
    @rule(by=st.integers(1, 3))
    def line_reorders(self, by: int) -> None:
        self.line.insert(min(by, len(self.line) - 1), self.line.pop(0))

    @precondition(lambda self: self.first is not None)
    @rule()
    def line_garbles_an_id(self) -> None:
        self.garbled += 100 * JUMP_MAX  # two garbled ids that go on from each other would be believed
        self.publish(self.continuity.take(trade(self.garbled, ts=T0, recv=self.now)))

    @precondition(lambda self: self.first is not None)
    @rule()
    def line_is_replaced(self) -> None:
        self.line.clear()
        self.publish(self.continuity.lost([MINE], "the connection was down", self.now))

    @precondition(lambda self: self.first is not None)
    @rule()
    def heartbeat_names_the_newest(self) -> None:
        self.publish(self.continuity.last_trade(MINE, str(self.newest), self.now))

    @rule(passed_ms=st.integers(1, 3000))
    def time_passes(self, passed_ms: int) -> None:
        self.now += passed_ms * 1_000_000
        self.publish(self.continuity.due(self.now))

    @precondition(lambda self: self.asked)
    @rule(behind=st.integers(0, 6), oldest_first=st.booleans())
    def repair_begins(self, behind: int, oldest_first: bool) -> None:
        repair = self.asked.pop(0)
        self.walks.append((repair, self.rows(repair, behind, oldest_first)))

    def rows(self, repair: Repair, behind: int, oldest_first: bool) -> list[int]:
        assert repair.span.from_id is not None
        final = self.newest if repair.span.to_id is None else max(self.newest, int(repair.span.to_id))
        first = max(int(repair.span.from_id) - 1, self.oldest_offered)
        found = list(range(first, min(final, self.newest - behind) + 1))
        return found if oldest_first else found[::-1]

    @precondition(lambda self: self.walks)
    @rule(size=st.integers(1, 7), which=st.integers(0, 10))
    def page_comes(self, size: int, which: int) -> None:
        _, rows = self.walks[which % len(self.walks)]
        page = sorted(rows[:size])
        del rows[:size]
        self.publish(self.continuity.fetched(MINE, [trade(number, recv=self.now) for number in page]))

    @precondition(lambda self: self.walks)
    @rule(which=st.integers(0, 10), fails=st.booleans())
    def repair_ends(self, which: int, fails: bool) -> None:
        repair, rows = self.walks.pop(which % len(self.walks))
        failure = "refused" if fails or rows else None
        self.publish(self.continuity.repaired(MINE, repair.span, failure, self.now))

    @rule(count=st.integers(1, 50))
    def venue_forgets_old_ones(self, count: int) -> None:
        self.oldest_offered = max(self.oldest_offered, self.newest - 150 + count)

    @invariant()
    def bounds_hold(self) -> None:
        if hasattr(self, "continuity"):
            assert len(self.continuity.track(MINE).held) <= 10_000

    def teardown(self) -> None:
        if getattr(self, "first", None) is None:
            return
        for number in self.line:
            self.deliver(number)
        self.publish(self.continuity.last_trade(MINE, str(self.newest), self.now))
        self.now += 10 * SECOND
        self.publish(self.continuity.due(self.now))
        while self.asked or self.walks:
            if self.asked:
                repair = self.asked.pop(0)
                self.walks.append((repair, self.rows(repair, 0, True)))
            repair, rows = self.walks.pop(0)
            self.publish(self.continuity.fetched(MINE, [trade(number, recv=self.now) for number in rows]))
            self.publish(self.continuity.repaired(MINE, repair.span, None, self.now))
        self.now += 10 * SECOND
        self.publish(self.continuity.due(self.now))
        ledger, truth = self.ledger, set(range(self.first, self.newest + 1))
        given_up = {number for part in ledger.unrecoverable for number in range(*part)}

        assert list(ledger.missing) == []
        assert truth - ledger.have == given_up
        assert ledger.have - truth == set()


NumberedVenue.TestCase.settings = settings(stateful_step_count=30)
TestEachTradeOnceAndEveryGapAccountedFor = NumberedVenue.TestCase
TestEachTradeOnceAndEveryGapAccountedFor.__test__ = True


class UnnumberedVenue(RuleBasedStateMachine):
    """Ids that only tell trades apart; what is lost while a line is down; REST with the newest few."""

    @initialize(offered=st.integers(3, 25))
    def start(self, offered: int) -> None:
        self.offered = offered
        self.asked = Asked()
        self.continuity = Continuity("v", False, self.asked)
        self.made: list[Trade] = []
        self.line: list[Trade] = []
        self.published: list[str] = []
        self.found: list[Gap] = []
        self.ended: list[Gap] = []
        self.now, self.ts = T0, T0
        self.first: int | None = None
        self.is_down = False

    def publish(self, events: object) -> None:
        for event in events:  # type: ignore[attr-defined]
            if isinstance(event, Trade):
                self.published.append(event.trade_id)
            elif event.state == "found":
                self.found.append(event)
            else:
                self.ended.append(event)

    @rule(steps=st.lists(st.integers(0, 2), min_size=1, max_size=6))
    def trades_happen(self, steps: list[int]) -> None:
        for step in steps:
            self.ts += step * 1_000_000
            self.now = max(self.now, self.ts) + 1_000
            one = trade(f"{7 * len(self.made) % 1000:03}{len(self.made)}", self.ts, recv=self.now)
            self.made.append(one)
            if not self.is_down:
                self.line.append(one)

    @precondition(lambda self: self.line and not self.is_down)
    @rule(count=st.integers(1, 6))
    def line_delivers(self, count: int) -> None:
        for one in self.line[:count]:
            if self.first is None:
                self.first = self.made.index(one)
            self.publish(self.continuity.take(one))
        del self.line[:count]

    @precondition(lambda self: self.first is not None and not self.is_down)
    @rule()
    def line_breaks(self) -> None:
        self.line.clear()
        self.is_down = True

    @precondition(lambda self: self.is_down)
    @rule()
    def line_is_back(self) -> None:
        self.is_down = False
        self.publish(self.continuity.lost([MINE], "the connection was down", self.now))

    @precondition(lambda self: self.first is not None and not self.is_down and not self.line)
    @rule(count=st.integers(1, 10))
    def venue_repeats_recent_ones(self, count: int) -> None:
        self.publish(self.continuity.overlap(self.made[-count:], self.now))

    @rule(passed_ms=st.integers(1, 3000))
    def time_passes(self, passed_ms: int) -> None:
        self.now += passed_ms * 1_000_000
        self.publish(self.continuity.due(self.now))

    @precondition(lambda self: self.asked)
    @rule(fails=st.booleans())
    def repair_is_done(self, fails: bool) -> None:
        repair = self.asked.pop(0)
        if not fails:
            self.publish(self.continuity.fetched(MINE, self.made[-self.offered :]))
        self.publish(self.continuity.repaired(MINE, repair.span, "refused" if fails else None, self.now))

    @precondition(lambda self: self.first is not None)
    @rule()
    def audit(self) -> None:
        self.publish(self.continuity.fetched(MINE, self.made[-self.offered :]))

    @invariant()
    def nothing_is_published_twice(self) -> None:
        published = getattr(self, "published", [])

        assert len(published) == len(set(published))

    def teardown(self) -> None:
        if getattr(self, "first", None) is None:
            return
        if self.is_down:
            self.line_is_back()
        while self.line:
            self.line_delivers(10)
        while self.asked:
            self.repair_is_done(False)
        self.now += 10 * SECOND
        self.publish(self.continuity.due(self.now))
        published = set(self.published)
        lost = [one for one in self.made[self.first :] if one.trade_id not in published]
        given_up = [gap for gap in self.ended if gap.state == "unrecoverable"]

        assert len(self.found) == len(self.ended)
        for one in lost:
            assert any(gap.from_ts <= one.ts_event <= gap.to_ts for gap in given_up), f"{one} is missing and nobody said so"


UnnumberedVenue.TestCase.settings = settings(stateful_step_count=30)
TestWhatIsNotProvenIsSaid = UnnumberedVenue.TestCase
TestWhatIsNotProvenIsSaid.__test__ = True


def test_trades_in_order_pass_untouched() -> None:
    continuity, asked = numbered()

    assert [1, 2, 3] == [number for n in (1, 2, 3) for number in ids(continuity.take(trade(n)))]
    assert asked == []


def test_a_jump_is_a_gap_at_once_and_what_follows_waits() -> None:
    continuity, asked = numbered()
    continuity.take(trade(1))

    assert [("found", "2", "4")] == said(continuity.take(trade(5)))
    assert [] == list(continuity.take(trade(6)))
    assert [Span("2", "4", trade(1).ts_event, trade(5).ts_event)] == [repair.span for repair in asked]


def test_other_symbols_do_not_wait() -> None:
    continuity, _ = numbered()
    continuity.take(trade(1))
    continuity.take(trade(5))

    assert [9] == ids(continuity.take(trade(9, symbol="ETHUSDT")))


def test_fetched_trades_are_merged_in_order_and_then_said_to_be_there() -> None:
    continuity, asked = numbered()
    for number in (1, 4):
        continuity.take(trade(number))
    told = continuity.fetched(MINE, [trade(1), trade(2), trade(3), trade(4)])

    assert [2, 3, 4] == ids(told)
    assert [True, True, False] == [one.repaired for one in told if isinstance(one, Trade)]
    assert [("filled", "2", "3")] == said(continuity.repaired(MINE, asked[0].span, None, T0))


def test_an_end_that_is_known_early_is_said_after_its_trades() -> None:
    continuity, asked = numbered()
    for number in (1, 4, 7):
        continuity.take(trade(number))
    assert [] == continuity.fetched(MINE, [trade(2), trade(3)])
    assert [] == continuity.repaired(MINE, asked[0].span, None, T0)

    told = continuity.fetched(MINE, [trade(5), trade(6)])

    assert [2, 3, 4, 5, 6, 7] == ids(told)
    assert [("filled", "2", "3")] == said(told)
    assert isinstance(told[-1], Gap)


def test_after_the_hold_live_goes_on_and_repairs_follow_marked() -> None:
    continuity, _ = numbered(hold_s=2.0)
    continuity.take(trade(1))
    continuity.take(trade(3, recv=T0))

    assert [] == continuity.due(T0 + 2 * SECOND - 1)
    assert [3] == ids(continuity.due(T0 + 2 * SECOND))
    assert [4] == ids(continuity.take(trade(4)))
    late = continuity.fetched(MINE, [trade(2)])
    assert [2] == ids(late)
    assert late[0].repaired  # type: ignore[attr-defined]


def test_the_hold_ends_at_its_number_of_events_too() -> None:
    continuity, _ = numbered(hold_events=3)
    continuity.take(trade(1))
    continuity.take(trade(5))
    continuity.take(trade(6))

    assert [5, 6, 7] == ids(continuity.take(trade(7)))


def test_what_the_venue_does_not_have_is_told_from_what_it_no_longer_offers() -> None:
    for absent, state in ((True, "filled"), (False, "unrecoverable")):
        continuity, asked = numbered()
        continuity.take(trade(1))
        continuity.take(trade(4))
        told = continuity.repaired(MINE, asked[0].span, "out of reach", T0, absent=absent)

        assert [(state, "2", "3")] == said(told)
        assert [4] == ids(told)


def test_a_trade_that_was_given_up_and_comes_after_all_is_published_and_filled() -> None:
    continuity, asked = numbered()
    continuity.take(trade(1))
    continuity.take(trade(4))
    continuity.repaired(MINE, asked[0].span, "refused", T0)

    told = list(continuity.take(trade(2)))
    assert [2] == ids(told)
    assert [("filled", "2", "2")] == said(told)
    told = continuity.fetched(MINE, [trade(2), trade(3)])
    assert [3] == ids(told)
    assert [("filled", "3", "3")] == said(told)


def test_an_open_repair_says_nothing_about_a_gap_found_meanwhile() -> None:
    continuity, asked = numbered()
    continuity.take(trade(10))
    continuity.lost([MINE], "down", T0)
    continuity.fetched(MINE, [trade(10), trade(11)])
    continuity.take(trade(15))

    assert [] == said(continuity.repaired(MINE, asked[0].span, None, T0, absent=True))
    told = continuity.fetched(MINE, [trade(12), trade(13), trade(14)])
    assert [12, 13, 14, 15] == ids(told)


def test_fetched_ahead_of_the_line_is_a_gap_only_where_trades_came() -> None:
    continuity, _ = numbered()
    continuity.take(trade(10))
    told = continuity.fetched(MINE, [trade(11), trade(14)])

    assert [("found", "12", "13"), ("found", "11", "11"), ("found", "14", "14")] == said(told)


def test_a_garbled_id_far_ahead_is_kept_out_and_the_line_goes_on() -> None:
    doubted: list[Trade] = []
    continuity, asked = numbered(on_disbelieved=doubted.append)
    continuity.take(trade(1))

    assert [] == list(continuity.take(trade(90_000_001, ts=T0)))
    assert [2] == ids(continuity.take(trade(2)))
    assert ["90000001"] == [one.trade_id for one in doubted]
    assert asked == []


def test_a_true_jump_is_believed_with_the_next_trade_and_loses_neither() -> None:
    continuity, _ = numbered()
    continuity.take(trade(1))
    continuity.take(trade(50_000))
    told = list(continuity.take(trade(50_001)))
    told += continuity.due(T0 + 3600 * SECOND)

    assert [("found", "2", "49999")] == said(told)
    assert [50_000, 50_001] == ids(told)


def test_an_unconfirmed_jump_is_asked_about() -> None:
    continuity, asked = numbered()
    continuity.take(trade(1))
    continuity.take(trade(50_000, recv=T0))
    continuity.due(T0 + 2 * SECOND)

    assert [("2", None)] == [(one.span.from_id, one.span.to_id) for one in asked]


def test_renumbering_is_believed_with_the_second_trade_only() -> None:
    later = T0 + RESTART_NS + SECOND
    continuity, asked = numbered()
    for number in (500, 501, 503):
        continuity.take(trade(number, ts=T0))

    assert [] == list(continuity.take(trade(7, ts=later)))
    told = list(continuity.take(trade(8, ts=later)))
    assert [503, 7, 8] == ids(told)
    assert [("unrecoverable", None, None), ("unrecoverable", "502", "502")] == said(told)
    assert [] == said(continuity.repaired(MINE, asked[0].span, None, T0))


def test_a_lower_id_after_a_quiet_time_alone_changes_nothing() -> None:
    continuity, _ = numbered()
    continuity.take(trade(500, ts=T0))
    continuity.take(trade(7, ts=T0 + 2 * RESTART_NS))

    assert [501] == ids(continuity.take(trade(501, ts=T0 + 2 * RESTART_NS)))


def test_after_a_restart_the_line_goes_on_from_the_mark() -> None:
    continuity, _ = numbered()
    continuity.seed(MINE, "10", T0)
    continuity.resume(MINE, Span("4", "5", None, None))

    assert [("found", "11", "12")] == said(continuity.take(trade(13)))
    told = continuity.fetched(MINE, [trade(n) for n in (3, 4, 5, 11, 12)])
    assert [4, 5, 11, 12, 13] == ids(told)
    told = continuity.repaired(MINE, Span("4", "5", None, None), None, T0)
    assert [("filled", "4", "5")] == said(told)


def test_holes_are_bounded_and_the_oldest_given_up_out_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity_file, "MISSING_MAX", 3)
    continuity, _ = numbered()
    told = [event for number in range(1, 12, 2) for event in continuity.take(trade(number))]

    assert [("unrecoverable", "2", "2"), ("unrecoverable", "4", "4")] == [one for one in said(told) if one[0] != "found"]
    assert 3 == len(continuity.track(MINE).missing)


def test_a_heartbeat_reveals_a_lost_last_trade() -> None:
    continuity, asked = numbered()
    continuity.take(trade(1))

    assert [("found", "2", "3")] == said(continuity.last_trade(MINE, "3", T0))
    assert [] == continuity.last_trade(MINE, "3", T0)
    assert 1 == len(asked)


def test_a_symbol_that_is_no_longer_wanted_publishes_nothing() -> None:
    for continuity, asked in (numbered(), told_apart()):
        continuity.take(trade(1))
        continuity.lost([MINE], "down", T0)
        continuity.forget(MINE)

        assert [] == continuity.fetched(MINE, [trade(1), trade(2)])
        assert [] == continuity.repaired(MINE, asked[0].span, "refused", T0)
        assert [] == continuity.due(T0 + 3600 * SECOND)


def test_trades_that_came_after_the_gap_prove_nothing() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("1"))
    continuity.lost([MINE], "down", T0)
    continuity.take(trade("5"))
    continuity.fetched(MINE, [trade("4"), trade("5")])

    assert ["unrecoverable"] == [state for state, _, _ in said(continuity.repaired(MINE, asked[0].span, None, T0))]


def test_reaching_a_trade_known_before_proves_the_gap_filled() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("1"))
    continuity.lost([MINE], "down", T0)
    continuity.take(trade("5"))
    continuity.fetched(MINE, [trade("1"), trade("3"), trade("5")])
    told = continuity.repaired(MINE, asked[0].span, None, T0)

    assert [3, 5] == ids(told)
    assert ["filled"] == [state for state, _, _ in said(told)]


def test_a_second_outage_keeps_the_gap_open_until_its_own_repair() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("1"))
    continuity.lost([MINE], "down", T0)
    continuity.fetched(MINE, [trade("1"), trade("2")])
    continuity.lost([MINE], "down again", T0 + SECOND)

    assert [] == continuity.repaired(MINE, asked[0].span, None, T0)
    continuity.fetched(MINE, [trade("1"), trade("2"), trade("3")])
    assert ["filled"] == [state for state, _, _ in said(continuity.repaired(MINE, asked[1].span, None, T0 + SECOND))]


def test_what_the_venue_repeats_on_subscribing_closes_the_gap_at_a_known_time() -> None:
    continuity, _ = told_apart()
    continuity.take(trade("1"))
    continuity.lost([MINE], "down", T0)
    told = continuity.overlap([trade("1"), trade("2")], T0 + SECOND)

    assert [2] == ids(told)
    assert [T0 + SECOND] == [one.ts_recv for one in told if isinstance(one, Gap)]


def test_numbered_trades_that_the_venue_repeats_are_a_gap_that_is_filled_at_once() -> None:
    continuity, asked = numbered()
    continuity.take(trade(10))
    told = continuity.overlap([trade(9), trade(10), trade(11), trade(12)], T0)

    assert [11, 12] == ids(told)
    assert [("found", "11", "12"), ("filled", "11", "12")] == said(told)
    assert asked == []
    assert [13] == ids(continuity.take(trade(13)))


def test_repeated_trades_that_begin_further_on_open_a_gap_before_them() -> None:
    continuity, asked = numbered()
    continuity.take(trade(10))
    told = continuity.overlap([trade(13), trade(14)], T0)
    told += continuity.fetched(MINE, [trade(11), trade(12)])
    told += continuity.repaired(MINE, asked[0].span, None)

    assert [11, 12, 13, 14] == ids(told)
    assert ["11", "12"] == [asked[0].span.from_id, asked[0].span.to_id]


def test_a_repeated_trade_of_an_absurd_number_waits_for_another_that_confirms_it() -> None:
    continuity, asked = numbered()
    continuity.take(trade(10))

    assert [] == continuity.overlap([trade(10**15)], T0)
    assert [11] == ids(continuity.take(trade(11)))
    assert asked == []


def test_an_audit_brings_what_the_line_lost_and_nothing_from_before_the_start() -> None:
    continuity, _ = told_apart()
    for number in ("10", "12"):
        continuity.take(trade(number))
    told = continuity.fetched(MINE, [trade(str(number)) for number in range(5, 14)])

    assert [11, 13] == ids(told)
    assert ["found", "filled"] == [state for state, _, _ in said(told)]


def test_an_audit_that_does_not_reach_back_is_a_gap() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("10"))
    told = continuity.fetched(MINE, [trade("20"), trade("21")])

    assert ["found"] == [state for state, _, _ in said(told)]
    assert 1 == len(asked)
    told = continuity.repaired(MINE, asked[0].span, None, T0)
    assert [20, 21] == ids(told)
    assert ["unrecoverable"] == [state for state, _, _ in said(told)]


def test_memory_of_ids_is_bounded_and_what_left_it_does_not_come_back() -> None:
    continuity, _ = told_apart()
    for number in range(RECENT_MAX + 100):
        continuity.take(trade(str(number)))
    track = continuity.track(MINE)

    assert RECENT_MAX == len(track.recent) == len(track.times)
    assert [] == continuity.fetched(MINE, [trade(str(number)) for number in range(90, 300)])


def test_a_gap_that_an_earlier_run_left_open_is_closed_from_its_own_beginning() -> None:
    continuity, asked = told_apart()
    continuity.seed(MINE, "10", trade("10").ts_event)
    continuity.resume(MINE, Span(None, None, trade("5").ts_event, trade("6").ts_event))
    continuity.lost([MINE], "the daemon was not running", T0 + SECOND)
    continuity.repaired(MINE, Span(None, None, None, None), None, T0)
    continuity.fetched(MINE, [trade(str(number)) for number in range(4, 12)])
    told = continuity.repaired(MINE, asked[0].span, None, T0 + SECOND)

    assert [("filled", trade("5").ts_event)] == [(one.state, one.from_ts) for one in told if isinstance(one, Gap)]


def test_a_page_of_the_same_moment_without_a_known_trade_does_not_reach_back() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("1", T0))

    assert ["found"] == [state for state, _, _ in said(continuity.fetched(MINE, [trade("3", T0), trade("4", T0)]))]
    assert 1 == len(asked)


def test_a_page_from_a_second_outage_is_not_proven_by_one_from_before_it() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("1", T0))
    continuity.lost([MINE], "down", T0)
    continuity.fetched(MINE, [trade("1", T0)])  # in time for the first outage
    told = continuity.fetched(MINE, [trade("4"), trade("5")])  # while the line is down again
    for repair in asked:
        told += continuity.repaired(MINE, repair.span, None, T0 + SECOND)

    assert 2 == len(asked)
    assert ["unrecoverable"] == [state for state, _, _ in said(told)]


def test_later_pages_of_an_answer_need_not_reach_back_themselves() -> None:
    continuity, asked = told_apart()
    continuity.take(trade("1"))
    continuity.lost([MINE], "down", T0)
    continuity.fetched(MINE, [trade("1"), trade("2")])
    continuity.fetched(MINE, [trade("3"), trade("4")], goes_on=True)

    assert 1 == len(asked)
    assert ["filled"] == [state for state, _, _ in said(continuity.repaired(MINE, asked[0].span, None, T0))]


FAR = 9_000_000_000_000


def test_a_first_id_far_too_high_hides_nothing_of_what_follows() -> None:
    continuity, asked = numbered()
    assert ids(continuity.take(trade(FAR, ts=T0))) == [FAR]
    events = [event for number in (100, 101, 102) for event in continuity.take(trade(number))]

    assert ids(events) == [100, 101, 102]
    assert said(events) == [("unrecoverable", None, None)]
    assert asked == []


def test_a_mark_far_too_high_hides_nothing_after_a_restart() -> None:
    continuity, _ = numbered()
    continuity.seed(MINE, str(FAR), T0)
    events = [event for number in (100, 101, 102) for event in continuity.take(trade(number))]

    assert ids(events) == [100, 101, 102]


def test_one_lower_id_alone_does_not_contradict_the_first() -> None:
    disbelieved: list[Trade] = []
    continuity, _ = numbered(on_disbelieved=disbelieved.append)
    events = [event for number in (50_000, 100, 50_001, 50_002) for event in continuity.take(trade(number))]

    assert (ids(events), said(events)) == ([50_000, 50_001, 50_002], [])
    assert ids(disbelieved) == [100]


def test_once_a_second_trade_follows_the_first_only_time_lets_the_numbering_go_back() -> None:
    continuity, _ = numbered()
    events = [event for number in (50_000, 50_001, 100, 101) for event in continuity.take(trade(number, ts=T0))]

    assert ids(events) == [50_000, 50_001]
