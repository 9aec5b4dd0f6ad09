"""What is known to be there, missing or gone."""

from collections.abc import Iterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import NOTHING_THERE, REPAIRING, Gap
from marketd.model.marks import Mark
from marketd.stores.ledger import NOT_RUNNING, Key, Ledger, Point, Row, State
from tests.samples import gap

KEY: Key = ("binance", "BTCUSDT", "trade")
IDS = {("binance", "trade"): "ids"}


def point(number: int) -> Point:
    return Point(str(number), number * 1000)


def seen(ledger: Ledger) -> list[tuple[State, str | None, str | None]]:
    return [(row.state, row.from_id, row.to_id) for row in ledger.rows()]


def saved_and_read_again(ledger: Ledger, table: dict[int, Row]) -> Ledger:
    """As the store does it: rows by their id, changed and removed."""
    changed, removed = ledger.changes()
    for row_id in removed:
        table.pop(row_id, None)
    table.update((row.id, row) for row in changed)
    ledger.saved()
    return Ledger(IDS, table.values())


def test_what_is_stored_in_order_is_one_interval() -> None:
    ledger = Ledger(IDS)
    ledger.extend(KEY, point(1), point(10), 5)
    ledger.extend(KEY, point(11), point(12), 6)
    ledger.extend(KEY, point(3), point(7), 7)  # again

    assert [("have", "1", "12")] == seen(ledger)
    assert {("binance", "BTCUSDT"): Mark("12", 12_000)} == ledger.marks()
    assert {"ids"} == {row.proof for row in ledger.rows()}


def test_a_gap_is_missing_until_it_is_filled() -> None:
    ledger = Ledger(IDS)
    ledger.extend(KEY, point(1), point(10), 5)
    ledger.note(gap(11, 20, from_ts=11_000, to_ts=20_000))
    ledger.extend(KEY, point(21), point(30), 6)

    assert [("have", "1", "10"), ("missing", "11", "20"), ("have", "21", "30")] == seen(ledger)
    assert [("11", "20", "ids jumped")] == [(one.from_id, one.to_id, one.cause) for one in ledger.open_gaps()]

    ledger.note(gap(11, 15, "filled", from_ts=11_000, to_ts=15_000))
    ledger.note(gap(16, 20, "unrecoverable", from_ts=16_000, to_ts=20_000))
    ledger.extend(KEY, point(31), point(31), 7)

    assert [("have", "1", "15"), ("unrecoverable", "16", "20"), ("have", "21", "31")] == seen(ledger)
    assert [] == ledger.open_gaps()

    ledger.note(gap(16, 20, "filled", from_ts=16_000, to_ts=20_000))

    assert [("have", "1", "31")] == seen(ledger)


def test_a_gap_found_later_in_the_past_cuts_what_was_thought_to_be_there() -> None:
    ledger = Ledger({})
    ledger.extend(KEY, point(1), point(30), 5)
    ledger.note(gap(11, 12, from_ts=11_000, to_ts=12_000))
    ledger.extend(KEY, point(31), point(40), 6)

    assert [("have", "1", "10"), ("missing", "11", "12"), ("have", "13", "40")] == seen(ledger)


def test_what_passed_between_two_runs_is_missing_unless_the_ids_go_on() -> None:
    ledger, table = Ledger(IDS), dict[int, Row]()
    ledger.extend(KEY, point(1), point(10), 5)
    ledger = saved_and_read_again(ledger, table)
    ledger.extend(KEY, point(11), point(12), 6)

    assert [("have", "1", "12")] == seen(ledger)

    ledger = saved_and_read_again(ledger, table)
    ledger.extend(KEY, point(20), point(25), 7)

    assert [("have", "1", "12"), ("missing", "13", "19"), ("have", "20", "25")] == seen(ledger)
    assert NOT_RUNNING == ledger.open_gaps()[0].cause


def test_quotes_missed_between_two_runs_are_gone_for_good() -> None:
    key: Key = ("binance", "BTCUSDT", "quote")
    ledger, table = Ledger({}), dict[int, Row]()
    ledger.extend(key, Point(None, 1000), Point(None, 5000), 5)
    ledger = saved_and_read_again(ledger, table)
    ledger.extend(key, Point(None, 9000), Point(None, 9500), 6)

    assert [("have", 1000, 5000), ("unrecoverable", 5001, 8999), ("have", 9000, 9500)] == [
        (row.state, row.from_ts, row.to_ts) for row in ledger.rows()
    ]


def test_the_gap_that_the_feed_finds_after_a_restart_comes_before_what_is_stored_next() -> None:
    ledger, table = Ledger(IDS), dict[int, Row]()
    ledger.extend(KEY, point(1), point(10), 5)
    ledger = saved_and_read_again(ledger, table)
    ledger.note(gap(11, 19, from_ts=11_000, to_ts=19_000))
    ledger.extend(KEY, point(20), point(25), 7)

    assert [("have", "1", "10"), ("missing", "11", "19"), ("have", "20", "25")] == seen(ledger)


def test_where_ids_cannot_be_counted_times_decide() -> None:
    ledger = Ledger({})
    ledger.extend(KEY, Point("a-7", 1000), Point("c-1", 5000), 5)
    ledger.note(gap(0, 0, from_id=None, to_id=None, from_ts=5001, to_ts=7000))
    ledger.extend(KEY, Point("b-3", 7500), Point("x", 8000), 5)
    ledger.note(gap(0, 0, "filled", from_id=None, to_id=None, from_ts=5001, to_ts=6000))

    assert [("have", 1000, 6000), ("missing", 6001, 7000), ("have", 7500, 8000)] == [
        (row.state, row.from_ts, row.to_ts) for row in ledger.rows()
    ]


def test_a_gap_that_is_filled_up_to_now_is_no_end_of_the_series() -> None:
    ledger = Ledger({})
    ledger.extend(KEY, Point("a-7", 1000), Point("c-1", 5000), 5)
    ledger.note(gap(0, 0, from_id=None, to_id=None, from_ts=5000, to_ts=7000))
    ledger.note(gap(0, 0, "filled", from_id=None, to_id=None, from_ts=5000, to_ts=7000))
    ledger.extend(KEY, Point("b-3", 7500), Point("x", 8000), 5)

    assert [("have", 1000, 8000)] == [(row.state, row.from_ts, row.to_ts) for row in ledger.rows()]


def test_a_gap_of_unknown_extent_is_kept_and_answered_by_its_own_words() -> None:
    ledger = Ledger({})
    ledger.extend(KEY, point(1), point(10), 5)
    unknown = {"from_id": None, "to_id": None, "from_ts": None, "to_ts": None}
    ledger.note(gap(0, 0, **unknown))
    ledger.extend(KEY, point(20), point(30), 6)

    assert ["have", "missing", "have"] == [row.state for row in ledger.rows()]

    ledger.note(gap(0, 0, "unrecoverable", **unknown))

    assert ["have", "unrecoverable", "have"] == [row.state for row in ledger.rows()]


Said = tuple[Literal["data", "found", "filled", "unrecoverable", "restart"], int, int]


@st.composite
def stories(draw: st.DrawFn) -> list[Said]:
    """Data that goes on, sometimes after a jump that is said; things said about the past; restarts."""
    at = 1
    story: list[Said] = []
    for _ in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from(["data", "data", "jump", "filled", "found", "unrecoverable", "restart"]))
        length = draw(st.integers(1, 10))
        if kind == "data":
            story.append(("data", at, at + length - 1))
            at += length
        elif kind == "jump":
            story += [("found", at, at + length - 1), ("data", at + length, at + length)]
            at += length + 1
        elif kind == "restart":
            story.append(("restart", 0, 0))
        elif at > 1:
            first = draw(st.integers(1, at - 1))
            story.append((kind, first, min(at - 1, first + length)))  # type: ignore[arg-type]
    return story


def expected_of(story: list[Said]) -> dict[int, str]:
    """The state of each id, the slow way."""
    states: dict[int, str] = {}
    for kind, first, last in story:
        state = {"data": "have", "found": "missing", "filled": "have", "unrecoverable": "unrecoverable", "restart": ""}[kind]
        if state:
            states.update(dict.fromkeys(range(first, last + 1), state))
    return states


def of_rows(rows: list[Row]) -> Iterator[tuple[int, str]]:
    for row in rows:
        for number in range(int(row.from_id or 0), int(row.to_id or 0) + 1):
            yield number, row.state


@given(stories())
def test_after_any_story_each_id_has_the_state_said_last(story: list[Said]) -> None:
    ledger, table = Ledger(IDS), dict[int, Row]()
    for kind, first, last in story:
        if kind == "restart":
            ledger = saved_and_read_again(ledger, table)
        elif kind == "data":
            ledger.extend(KEY, point(first), point(last), last)
        else:
            ledger.note(gap(first, last, kind, from_ts=first * 1000, to_ts=last * 1000))
    ids = list(of_rows(ledger.rows()))

    assert len(ids) == len(dict(ids)), "rows overlap"
    assert sorted(ids) == ids, "rows are out of order"
    assert expected_of(story) == dict(ids)
    assert dict(ids) == dict(of_rows(saved_and_read_again(ledger, table).rows()))


@pytest.mark.parametrize("state", ["missing", "repairing"])
def test_what_is_open_is_said_as_a_gap_found(state: State) -> None:
    ledger = Ledger({})
    ledger.mark(KEY, state, point(3), point(5), "why", 7)

    assert [("binance", "BTCUSDT", "trade", "found", "3", "5", 3000, 5000, "why")] == [
        (one.venue, one.symbol, one.channel, one.state, one.from_id, one.to_id, one.from_ts, one.to_ts, one.cause)
        for one in ledger.open_gaps()
    ]


def test_what_is_being_repaired_keeps_its_bounds_and_its_cause_and_is_open_after_a_kill() -> None:
    ledger, table = Ledger(IDS), dict[int, Row]()
    ledger.extend(KEY, point(1), point(10), 5)
    ledger.note(gap(11, 20, from_ts=11_000, to_ts=20_000))
    ledger.extend(KEY, point(21), point(30), 6)
    ledger.note(gap(11, 20, cause=f"{REPAIRING}ids jumped"))
    again = saved_and_read_again(ledger, table)

    assert [("have", "1", "10"), ("repairing", "11", "20"), ("have", "21", "30")] == seen(again)
    assert [("11", "20", 11_000, "ids jumped")] == [(one.from_id, one.to_id, one.from_ts, one.cause) for one in again.open_gaps()]


def test_a_repair_of_a_gap_without_ids_is_told_by_its_times() -> None:
    ledger = Ledger({})
    ledger.extend(KEY, Point("a", 5), Point("b", 10), 10)
    ledger.note(gap(0, 0, from_id=None, to_id=None, from_ts=10, to_ts=20))
    ledger.note(gap(0, 0, from_id=None, to_id=None, from_ts=10, to_ts=25, cause=f"{REPAIRING}down"))

    assert ["repairing"] == [row.state for row in ledger.rows() if row.state != "have"]


def test_a_repair_of_what_is_not_missing_changes_nothing() -> None:
    ledger = Ledger(IDS)
    ledger.extend(KEY, point(1), point(10), 5)
    ledger.note(gap(3, 5, cause=f"{REPAIRING}ids jumped"))

    assert [("have", "1", "10")] == seen(ledger)


def test_what_the_venue_never_had_is_known_to_be_empty_and_not_open() -> None:
    ledger = Ledger(IDS)
    ledger.extend(KEY, point(1), point(10), 5)
    ledger.note(gap(11, 20, from_ts=11_000, to_ts=20_000))
    ledger.extend(KEY, point(21), point(30), 6)
    ledger.note(gap(11, 20, "filled", cause=NOTHING_THERE))

    assert [("have", "1", "10"), ("known_empty", "11", "20"), ("have", "21", "30")] == seen(ledger)
    assert [] == ledger.open_gaps()
    assert {KEY[:2]: Mark("30", 30_000)} == ledger.marks()


def test_after_a_first_id_that_was_wrong_the_series_goes_on_from_what_followed() -> None:
    ledger = Ledger({})
    ledger.extend(KEY, Point("9000000000000", 5), Point("9000000000000", 5), 5)
    ledger.note(Gap("binance", "BTCUSDT", None, 8, "trade", "unrecoverable", None, None, 5, 7, "the numbering went back"))
    ledger.extend(KEY, Point("100", 7), Point("102", 9), 9)

    assert ledger.marks() == {KEY[:2]: Mark("102", 9)}
