"""When a book may be looked at, and when its venue has to be asked again."""

from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import BookDelta, BookL2, BookSnapshot, Event, Gap, Level
from marketd.venues import books
from marketd.venues.books import SECOND, BookKeeper
from marketd.venues.notices import Checksum

NOW = 1_700_000_000 * SECOND


def snapshot(
    seq: int | None, bids: Sequence[Level] = (("99", "1"),), asks: Sequence[Level] = (("101", "1"),), **more: Any
) -> BookSnapshot:
    return BookSnapshot("v", more.get("symbol", "BTCUSD"), None, more.get("at", NOW), bids, asks, seq)


def delta(
    seq: int | None,
    prev: int | None,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    symbol: str = "BTCUSD",
    at: int = NOW,
) -> BookDelta:
    return BookDelta("v", symbol, at - 5, at, bids, asks, seq, prev)


def rest_keeper(**more: Any) -> BookKeeper:
    keeper = BookKeeper("v", by_rest=True, **more)
    assert [] == keeper.reset(["BTCUSD"], "start", NOW)
    return keeper


def stream_keeper(**more: Any) -> BookKeeper:
    keeper = BookKeeper("v", 25, by_rest=False, **more)
    assert [] == keeper.reset(["BTCUSD", "ETHUSD"], "start", NOW)
    return keeper


def kinds(events: Sequence[Event]) -> list[str]:
    return [f"{event.state} {event.cause}" if isinstance(event, Gap) else type(event).__name__ for event in events]


def content(keeper: BookKeeper) -> tuple[Sequence[Level], Sequence[Level], int | None] | None:
    view = keeper.view("BTCUSD")
    return None if view is None else (view.bids, view.asks, view.seq)


CHAIN = [delta(seq, seq - 1, [(str(90 + seq % 7), str(seq))], [(str(110 + seq % 5), str(seq * 2))]) for seq in range(101, 107)]


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("snapshot_seq", range(100, 107))
def test_the_book_is_the_same_wherever_the_snapshot_arrives_among_the_deltas(place: int, snapshot_seq: int) -> None:
    whole = snapshot(100)
    expected = rest_keeper()
    expected.on_snapshot(whole)
    bids, asks = dict(whole.bids), dict(whole.asks)
    for one in CHAIN:
        expected.on_delta(one)
        if one.seq is not None and one.seq <= snapshot_seq:
            bids.update(one.bids)
            asks.update(one.asks)
    keeper = rest_keeper()
    published: list[Event] = []
    arrived: list[BookDelta | BookSnapshot] = list(CHAIN)
    arrived.insert(place, snapshot(snapshot_seq, list(bids.items()), list(asks.items())))
    for event in arrived:
        published += keeper.on_snapshot(event) if isinstance(event, BookSnapshot) else keeper.on_delta(event)

    assert content(expected) == content(keeper)
    assert "BookL2" == kinds(published)[0]
    assert 106 == max(event.seq or 0 for event in published if isinstance(event, BookL2 | BookDelta))


def test_deltas_in_any_order_never_make_a_wrong_book() -> None:
    for order in permutations(CHAIN[:4]):
        keeper = rest_keeper()
        keeper.on_snapshot(snapshot(100))
        for one in order:
            keeper.on_delta(one)
        if keeper.is_in_sync("BTCUSD"):
            seen = content(keeper)
            again = rest_keeper()
            again.on_snapshot(snapshot(100))
            for one in CHAIN[: ((seen and seen[2]) or 100) - 100]:
                again.on_delta(one)

            assert content(again) == seen


def test_nothing_is_published_before_the_snapshot() -> None:
    keeper = rest_keeper()

    assert [] == [event for one in CHAIN for event in keeper.on_delta(one)]
    assert keeper.view("BTCUSD") is None
    assert [] == keeper.due_views(NOW + SECOND)
    assert {"BTCUSD": "start"} == keeper.wants(NOW)


def test_a_rest_snapshot_is_asked_for_after_the_first_delta_or_a_little_later_without_one() -> None:
    keeper = rest_keeper()

    assert {} == keeper.wants(NOW)
    assert NOW + books.FIRST_DELTA_WITHIN == keeper.next_want_ns()
    assert {"BTCUSD": "start"} == keeper.wants(NOW + books.FIRST_DELTA_WITHIN)

    keeper.on_delta(CHAIN[0])

    assert {"BTCUSD": "start"} == keeper.wants(NOW)


def test_a_stream_snapshot_is_asked_for_only_when_it_does_not_come_by_itself() -> None:
    keeper = stream_keeper()

    assert {} == keeper.wants(NOW)
    assert {"BTCUSD": "start", "ETHUSD": "start"} == keeper.wants(NOW + books.ANSWER_WITHIN)


def test_a_snapshot_older_than_the_first_buffered_delta_is_asked_for_again() -> None:
    keeper = rest_keeper()
    keeper.on_delta(CHAIN[2])
    keeper.asked("BTCUSD", NOW)

    assert {} == keeper.wants(NOW)
    assert [] == keeper.on_snapshot(snapshot(101))
    assert (1, False) == (keeper.snapshots_old, keeper.is_in_sync("BTCUSD"))
    assert {"BTCUSD": "start"} == keeper.wants(NOW + SECOND)
    assert ["BookL2"] == kinds(keeper.on_snapshot(snapshot(102)))


def test_a_gap_is_found_named_and_filled() -> None:
    keeper = rest_keeper()
    keeper.on_snapshot(snapshot(100))
    later = NOW + SECOND
    found = keeper.on_delta(delta(107, 104, at=later))

    assert [Gap("v", "BTCUSD", None, later, "book", "found", "101", "104", NOW, None, "sequence")] == found
    assert {"BTCUSD": "sequence"} == keeper.wants(later)
    assert keeper.view("BTCUSD") is None
    assert [] == keeper.on_delta(delta(108, 107, [("98", "2")], at=later))

    after = keeper.on_snapshot(snapshot(106, at=later + 1))

    assert [
        Gap("v", "BTCUSD", None, later + 1, "book", "filled", "101", "104", NOW, later + 1, "sequence"),
        BookL2("v", "BTCUSD", later - 5, later, [("99", "1"), ("98", "2")], [("101", "1")], 108),
    ] == after
    assert {} == keeper.wants(later + 100 * SECOND)


def test_old_deltas_are_dropped_and_counted() -> None:
    keeper = rest_keeper()
    keeper.on_snapshot(snapshot(103))

    assert [[], [], [], [CHAIN[3]]] == [keeper.on_delta(one) for one in CHAIN[:4]]
    assert {"old": 3} == keeper.dropped


def test_a_reconnect_starts_from_an_empty_book_so_no_price_haunts_it() -> None:
    keeper = stream_keeper()
    keeper.on_snapshot(snapshot(None, [("99", "1"), ("98", "1")], [("101", "1")]))

    assert ["found disconnected"] == kinds(keeper.reset(["BTCUSD", "ETHUSD"], "disconnected", NOW))
    assert [] == keeper.on_delta(delta(None, None, [("97", "1")]))

    filled, view = keeper.on_snapshot(snapshot(None, [("95", "1")], [("96", "1")]))

    assert ["filled disconnected"] == kinds([filled])
    assert isinstance(view, BookL2)
    assert ([("95", "1")], [("96", "1")]) == (view.bids, view.asks)


def test_a_second_break_before_the_first_is_mended_is_the_same_gap() -> None:
    keeper = stream_keeper()
    keeper.on_snapshot(snapshot(None))

    assert ["found disconnected"] == kinds(keeper.reset(["BTCUSD"], "disconnected", NOW))
    assert [] == keeper.reset(["BTCUSD"], "disconnected", NOW + SECOND)
    assert ["filled disconnected", "BookL2"] == kinds(keeper.on_snapshot(snapshot(None)))


def test_a_snapshot_in_the_middle_replaces_the_book_and_says_so() -> None:
    keeper = stream_keeper()
    keeper.on_snapshot(snapshot(500))
    events = keeper.on_snapshot(snapshot(1, [("50", "1")], [("51", "1")]))

    assert ["found replaced", "filled replaced", "BookL2"] == kinds(events)
    assert [delta(2, 1)] == keeper.on_delta(delta(2, 1))


def test_a_checksum_that_differs_breaks_that_book_only() -> None:
    keeper = stream_keeper(checks=lambda symbol, bids, asks: len(bids) * 10 + len(asks))
    keeper.on_snapshot(snapshot(None))
    keeper.on_snapshot(snapshot(None, symbol="ETHUSD"))

    assert [] == keeper.on_checksum(Checksum("BTCUSD", 11), NOW)
    assert ["found checksum"] == kinds(keeper.on_checksum(Checksum("BTCUSD", 12), NOW))
    assert {"BTCUSD": "checksum"} == keeper.wants(NOW)
    assert (False, True) == (keeper.is_in_sync("BTCUSD"), keeper.is_in_sync("ETHUSD"))
    assert [] == keeper.on_checksum(Checksum("BTCUSD", 12), NOW)


def test_a_crossed_book_is_withheld_and_asked_for_anew() -> None:
    keeper = rest_keeper()
    keeper.on_snapshot(snapshot(100))

    assert ["found crossed"] == kinds(keeper.on_delta(delta(101, 100, [("101.00", "1")])))
    assert keeper.view("BTCUSD") is None


def test_without_deltas_a_crossed_book_is_found_before_its_view_goes_out() -> None:
    keeper = rest_keeper(deltas=False)
    keeper.on_snapshot(snapshot(100))

    assert [] == keeper.on_delta(delta(101, 100, [("102", "1")]))
    assert keeper.view("BTCUSD") is None
    assert ["found crossed"] == kinds(keeper.due_views(NOW + SECOND))


def test_a_crossed_snapshot_is_never_shown() -> None:
    keeper = rest_keeper()

    assert [] == keeper.on_snapshot(snapshot(100, [("101", "1")]))
    assert not keeper.is_in_sync("BTCUSD")


def test_views_are_conflated_to_the_interval_and_sent_only_when_the_best_levels_changed() -> None:
    keeper = rest_keeper(view_depth=2)
    keeper.on_snapshot(snapshot(100))
    for seq in range(101, 111):
        keeper.on_delta(delta(seq, seq - 1, [("99", str(seq))]))

    assert [] == keeper.due_views(NOW + SECOND // 10 - 1)

    (view,) = keeper.due_views(NOW + SECOND // 10)

    assert isinstance(view, BookL2)
    assert (110, [("99", "110")]) == (view.seq, view.bids)

    keeper.on_delta(delta(111, 110, [("99", "110")], [("105", "0")]))

    assert [] == keeper.due_views(NOW + SECOND)


def test_asking_again_waits_longer_each_time_up_to_a_bound() -> None:
    keeper = rest_keeper()
    keeper.on_delta(CHAIN[0])
    now, waits = NOW, []
    for _ in range(9):
        assert keeper.wants(now)
        keeper.asked("BTCUSD", now)
        keeper.ask_failed("BTCUSD", now)
        due = keeper.next_want_ns()
        assert due is not None
        waits.append((due - now) // SECOND)
        now = due

    assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == waits


def test_a_book_that_breaks_again_and_again_is_asked_for_ever_more_seldom() -> None:
    keeper = stream_keeper()
    now, waits = NOW, []
    for _ in range(5):
        keeper.on_snapshot(snapshot(None, at=now))
        keeper.on_delta(delta(None, None, [("200", "1")], at=now))
        due = keeper.next_want_ns()
        assert due is not None
        waits.append((keeper.state("BTCUSD").next_ask - now) // SECOND)  # type: ignore[union-attr, operator]
        now += waits[-1] * SECOND
        keeper.asked("BTCUSD", now)

    assert [0, 0, 2, 4, 8] == waits


def test_a_steady_book_is_asked_for_at_once_when_it_breaks() -> None:
    keeper = rest_keeper()
    keeper.on_delta(CHAIN[0])
    for _ in range(5):
        keeper.asked("BTCUSD", NOW)
    keeper.on_snapshot(snapshot(101))
    later = NOW + books.STEADY
    keeper.on_delta(delta(109, 105, at=later))

    assert {"BTCUSD": "sequence"} == keeper.wants(later)


def test_an_ask_that_is_never_answered_is_repeated() -> None:
    keeper = rest_keeper()
    keeper.on_delta(CHAIN[0])
    keeper.asked("BTCUSD", NOW)

    assert {} == keeper.wants(NOW + books.ANSWER_WITHIN - 1)
    assert {"BTCUSD": "start"} == keeper.wants(NOW + books.ANSWER_WITHIN)


def test_the_buffer_is_bounded_and_its_loss_asks_for_a_newer_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "BUFFER_MAX", 3)
    keeper = rest_keeper()
    for one in CHAIN:
        keeper.on_delta(one)

    assert {"buffer_full": 3} == keeper.dropped
    assert [] == keeper.on_snapshot(snapshot(101))
    assert ["BookL2"] == kinds(keeper.on_snapshot(snapshot(103)))


def test_a_hole_in_the_buffer_needs_a_snapshot_from_after_it() -> None:
    keeper = rest_keeper()
    keeper.on_delta(CHAIN[0])
    keeper.on_delta(CHAIN[4])

    assert [] == keeper.on_snapshot(snapshot(101))
    assert ["BookL2"] == kinds(keeper.on_snapshot(snapshot(104)))


def test_a_thin_book_is_refreshed_in_the_background_while_it_goes_on() -> None:
    bids = [(str(price), "1") for price in range(2000, 1000, -1)]
    keeper = rest_keeper()
    keeper.on_snapshot(snapshot(100, bids, [("3000", "1")]))
    keeper.on_delta(delta(101, 100, [(price, "0") for price, _ in bids[:950]]))
    keeper.due_views(NOW + SECOND)

    assert {"BTCUSD": "thin"} == keeper.wants(NOW + SECOND)
    assert keeper.is_in_sync("BTCUSD")

    keeper.asked("BTCUSD", NOW + SECOND)
    live = delta(103, 101, [("1049.5", "7")], at=NOW + 2 * SECOND)

    assert [live] == keeper.on_delta(live)

    fresh = [(str(price), "2") for price in range(1050, 50, -1)]
    (view,) = keeper.on_snapshot(snapshot(102, fresh, [("3000", "1")], at=NOW + 3 * SECOND))

    assert isinstance(view, BookL2)
    assert [("1050", "2"), ("1049.5", "7"), ("1049", "2")] == view.bids[:3]
    assert 103 == view.seq
    assert {} == keeper.wants(NOW + 100 * SECOND)


def test_a_pruned_book_of_a_stream_is_subscribed_to_again_when_the_market_nears_what_was_let_go() -> None:
    keeper = BookKeeper("v", by_rest=False)
    keeper.reset(["BTCUSD"], "start", NOW)
    bids = [(str(price), "1") for price in range(20_000, 10_000, -1)]
    keeper.on_snapshot(snapshot(None, bids, [("30000", "1")]))

    assert [] == keeper.due_views(NOW + SECOND)
    assert {} == keeper.wants(NOW + SECOND)

    keeper.on_delta(delta(None, None, [(price, "0") for price, _ in bids[:3_950]]))
    keeper.due_views(NOW + SECOND)

    assert {"BTCUSD": "thin"} == keeper.wants(NOW + SECOND)
    assert keeper.is_in_sync("BTCUSD")

    keeper.asked("BTCUSD", NOW + SECOND)
    told = keeper.on_snapshot(snapshot(None, bids[3_950:], [("30000", "1")], at=NOW + 2 * SECOND))

    assert ["found thin", "filled thin", "BookL2"] == kinds(told)
    assert {} == keeper.wants(NOW + 100 * SECOND)


def test_a_book_that_every_snapshot_leaves_thin_is_asked_for_ever_more_seldom() -> None:
    keeper = rest_keeper(view_depth=1_000)
    bids, asks = [(str(price), "1") for price in range(2_000, 1_000, -1)], [("3000", "1")]
    asked: list[int] = []
    for now in range(NOW, NOW + 600 * SECOND, SECOND):
        if keeper.wants(now):
            asked.append(now)
            keeper.asked("BTCUSD", now)
            keeper.on_snapshot(snapshot(len(asked), bids, asks, at=now))

    pauses = [(later - before) // SECOND for before, later in pairwise(asked)]

    assert keeper.is_in_sync("BTCUSD")
    assert [2, 4, 8, 16, 32, 60, 60] == pauses[1:8]


def test_a_book_without_changes_is_stale() -> None:
    keeper = rest_keeper()
    keeper.on_snapshot(snapshot(100))

    assert [] == keeper.stale(NOW + 30 * SECOND, 30 * SECOND)
    assert ["BTCUSD"] == keeper.stale(NOW + 31 * SECOND, 30 * SECOND)


def test_the_state_of_a_book_tells_its_story() -> None:
    keeper = rest_keeper()

    assert ["BTCUSD"] == keeper.unsynced()
    assert ("waiting", NOW, "", 0) == (lambda s: (s.state, s.since, s.cause, s.resyncs))(keeper.states()[0])

    keeper.on_snapshot(snapshot(100))

    assert [] == keeper.unsynced()

    keeper.on_delta(delta(105, 103, at=NOW + 1))
    state = keeper.state("BTCUSD")

    assert state is not None
    assert ("resyncing", NOW + 1, "sequence", 1, 0) == (state.state, state.since, state.cause, state.resyncs, state.levels)

    keeper.forget(["BTCUSD"])

    assert (None, [], {}) == (keeper.state("BTCUSD"), keeper.states(), keeper.wants(NOW + 100 * SECOND))


@given(
    st.lists(st.tuples(st.sampled_from(["delta", "skip", "old", "snapshot", "lost", "cross"]), st.integers(0, 3)), max_size=40)
)
def test_whatever_happens_only_books_in_sync_are_shown_and_gaps_come_in_pairs(steps: list[tuple[str, int]]) -> None:
    keeper = rest_keeper()
    seq, out = 100, list[Event]()
    price: dict[str, str] = {"99": "1"}
    for step, number in steps:
        if step == "snapshot":
            out += keeper.on_snapshot(snapshot(seq, list(price.items())))
        elif step == "lost":
            out += keeper.reset(["BTCUSD"], "disconnected", NOW)
        elif step == "old":
            out += keeper.on_delta(delta(seq - number, seq - number - 1, [("1", "9")]) if number else delta(seq, seq - 1))
        elif step == "cross":
            seq += 1
            out += keeper.on_delta(delta(seq, seq - 1, [("150", "1")]))
            seq += 1
            out += keeper.on_delta(delta(seq, seq - 1, [("150", "0")]))
        else:
            seq += 1 + number
            price[str(90 + number)] = str(seq)
            lost = step == "skip"
            out += keeper.on_delta(delta(seq, seq - 1 if lost else seq - 1 - number, [(str(90 + number), str(seq))]))

    states = [event.state for event in out if isinstance(event, Gap)]

    assert states == [("found", "filled")[index % 2] for index in range(len(states))]
    assert all(int(event.bids[0][0]) < int(event.asks[0][0]) for event in out if isinstance(event, BookL2))


@pytest.mark.parametrize("price", ["1.2.3", "", "."])
@pytest.mark.parametrize("asked", [False, True])
def test_a_level_that_is_no_number_breaks_that_book_only_and_out_loud(price: str, asked: bool) -> None:
    keeper = BookKeeper("v", by_rest=False, deltas=False)
    for symbol in ("A", "B"):
        keeper.reset([symbol], "start", NOW)
        keeper.on_snapshot(snapshot(None, symbol=symbol))
        keeper.on_delta(delta(None, None, [("99", "2")], symbol=symbol))
    told = keeper.on_delta(delta(None, None, [(price, "1")], symbol="A"))
    if asked:
        assert keeper.view("A") is None
    told += keeper.due_views(NOW + SECOND)

    assert [("A", "found", "impossible value")] == [(one.symbol, one.state, one.cause) for one in told if isinstance(one, Gap)]
    assert ["B"] == [one.symbol for one in told if isinstance(one, BookL2)]
    assert not keeper.is_in_sync("A")
    assert "A" in keeper.wants(NOW + 20 * SECOND)


@pytest.mark.parametrize("asked", [False, True])
def test_a_size_that_is_no_number_is_not_shown(asked: bool) -> None:
    keeper = BookKeeper("v", by_rest=False, deltas=False)
    keeper.on_snapshot(snapshot(None))
    keeper.on_delta(delta(None, None, [("99", "1.2.3")]))
    if asked:
        assert keeper.view("BTCUSD") is None

    assert ["impossible value"] == [one.cause for one in keeper.due_views(NOW + SECOND) if isinstance(one, Gap)]
