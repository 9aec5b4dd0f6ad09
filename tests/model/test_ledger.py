"""Stretches against a model that keeps each point on its own."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from marketd.model.intervals import Interval
from marketd.model.ledger import OUTAGE, STATES, Stretch, replaced

EDGES = st.integers(0, 40)
CAUSES = st.sampled_from(["", "fetch failed"])
Known = dict[int, tuple[str, str]]


@st.composite
def stretches(draw: st.DrawFn, first: int = 0, last: int = 40) -> list[Stretch]:
    """Sorted and disjoint; equal neighbours may stand side by side."""
    edges = sorted(draw(st.lists(st.integers(first, last), unique=True, max_size=8)))
    return [
        Stretch(start, stop, draw(st.sampled_from(STATES)), draw(CAUSES), draw(st.integers(0, 9)))
        for start, stop in pairwise(edges)
        if draw(st.booleans())
    ]


@st.composite
def changes(draw: st.DrawFn) -> tuple[Interval, list[Stretch]]:
    start = draw(EDGES)
    stop = draw(st.integers(start, 40))
    return Interval(start, stop), draw(stretches(start, stop))


def known(rows: list[Stretch]) -> Known:
    return {point: (row.state, row.cause) for row in rows for point in range(row.start, row.stop)}


@given(stretches(), changes())
def test_the_span_says_what_the_parts_say_and_the_rest_what_it_said(
    rows: list[Stretch], change: tuple[Interval, list[Stretch]]
) -> None:
    span, parts = change
    expected = {point: said for point, said in known(rows).items() if not span.start <= point < span.stop} | known(parts)

    assert expected == known(replaced(rows, span, parts))


@given(stretches(), changes())
def test_rows_stay_sorted_disjoint_and_as_few_as_they_can_be(rows: list[Stretch], change: tuple[Interval, list[Stretch]]) -> None:
    after = replaced(replaced(rows, Interval(0, 40), rows), *change)

    assert all(row.start < row.stop for row in after)
    assert all(
        left.stop < right.start or (left.stop == right.start and left[2:4] != right[2:4]) for left, right in pairwise(after)
    )


@given(stretches(), changes())
def test_the_same_change_again_changes_nothing(rows: list[Stretch], change: tuple[Interval, list[Stretch]]) -> None:
    once = replaced(rows, *change)

    assert once == replaced(once, *change)


@given(stretches(), changes())
def test_nothing_is_said_to_be_so_since_later_than_it_was(rows: list[Stretch], change: tuple[Interval, list[Stretch]]) -> None:
    after = replaced(rows, *change)
    since = [
        (row.since, later.since)
        for row in rows
        for later in after
        if row.start < later.stop and later.start < row.stop and row[2:4] == later[2:4]
    ]

    assert all(now <= then for then, now in since)


def test_parts_may_come_in_any_order() -> None:
    have, missing = Stretch(0, 3, "have", "backfill", 5), Stretch(3, 7, "missing", "fetch failed", 5)

    assert [have, missing] == replaced([], Interval(0, 7), [missing, have])


def test_a_repair_in_the_middle_splits_and_a_full_one_joins() -> None:
    missing = Stretch(0, 9, "missing", "fetch failed", 1)
    rows = replaced([missing], Interval(3, 6), [Stretch(3, 6, "have", "repaired", 4)])

    assert [(0, 3, 1), (3, 6, 4), (6, 9, 1)] == [(row.start, row.stop, row.since) for row in rows]

    rows = replaced(rows, Interval(0, 9), [Stretch(0, 9, "have", "repaired", 7)])

    assert [Stretch(0, 9, "have", "repaired", 4)] == rows


def test_a_venue_that_was_down_leaves_a_gap_and_one_without_trades_none() -> None:
    gaps = {
        state: Stretch(0, 1, state, cause, 0).is_gap
        for state, cause in [
            ("have", ""),
            ("missing", ""),
            ("repairing", ""),
            ("unrecoverable", ""),
            ("known_empty", "no trades"),
        ]
    }

    assert {"have": False, "missing": True, "repairing": True, "unrecoverable": True, "known_empty": False} == gaps
    assert Stretch(0, 1, "known_empty", f"{OUTAGE}: said by the venue", 0).is_gap


def test_a_stretch_is_cut_to_a_span() -> None:
    assert Stretch(3, 5, "have", "", 0) == Stretch(0, 9, "have", "", 0).within(Interval(3, 5))
