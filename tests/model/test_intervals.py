"""Sets of intervals, against sets of integers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from marketd.model.intervals import Interval, Intervals

edges = st.integers(0, 40)
changes = st.lists(st.tuples(st.booleans(), edges, edges), max_size=30)


def built(steps: list[tuple[bool, int, int]]) -> tuple[Intervals, set[int]]:
    ours, plain = Intervals(), set[int]()
    for adds, start, stop in steps:
        if adds:
            ours.add(start, stop)
            plain |= set(range(start, stop))
        else:
            ours.remove(start, stop)
            plain -= set(range(start, stop))
    return ours, plain


@given(changes)
def test_adding_and_removing_is_that_of_a_set(steps: list[tuple[bool, int, int]]) -> None:
    ours, plain = built(steps)

    assert plain == {value for value in range(41) if value in ours}
    assert plain == {value for part in ours for value in range(*part)}


@given(changes)
def test_parts_are_sorted_and_do_not_touch(steps: list[tuple[bool, int, int]]) -> None:
    parts = list(built(steps)[0])

    assert all(part.length > 0 for part in parts)
    assert all(left.stop < right.start for left, right in pairwise(parts))


@given(changes, edges, edges)
def test_missing_is_what_the_set_does_not_hold(steps: list[tuple[bool, int, int]], start: int, stop: int) -> None:
    ours, plain = built(steps)
    holes = ours.missing(start, stop)

    assert set(range(start, stop)) - plain == {value for hole in holes for value in range(*hole)}
    assert all(left.stop < right.start for left, right in pairwise(holes))


@given(changes)
def test_the_same_parts_are_the_same_set(steps: list[tuple[bool, int, int]]) -> None:
    ours, _ = built(steps)

    assert ours == Intervals(reversed(list(ours)))
    assert f"Intervals({[tuple(part) for part in ours]})" == repr(ours)


def test_nothing_is_an_empty_interval() -> None:
    assert ([], [Interval(3, 5)]) == (list(Intervals([(5, 5), (6, 2)])), Intervals().missing(3, 5))
