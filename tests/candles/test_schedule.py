"""The pace of the cache."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.candles.schedule import Finished, Pace, Round, after_silence, due, next_start, pace, slots

PACES = [pace(name) for name in ("5m", "1h", "4h")]


def test_the_paces_are_those_that_consumers_were_written_for() -> None:
    assert [("5m", 30, 120), ("1h", 120, 300), ("4h", 300, 600)] == PACES


@pytest.mark.parametrize(
    ("name", "every_s"), [("1m", 30), ("15m", 30), ("30m", 30), ("2h", 120), ("6h", 300), ("1d", 300), ("1M", 300)]
)
def test_others_go_with_their_length(name: str, every_s: int) -> None:
    assert every_s == pace(name).every_s


@given(st.integers(1, 100), st.sampled_from([30, 120, 300]), st.floats(0.05, 0.9))
def test_questions_are_spread_evenly_over_the_first_part_of_the_cycle(count: int, every_s: int, spread: float) -> None:
    found = slots(count, every_s, spread)
    steps = [later - earlier for earlier, later in pairwise(found)]

    assert (count, 0.0) == (len(found), found[0])
    assert found[-1] < every_s * spread
    assert steps == pytest.approx([every_s * spread / count] * (count - 1))


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=2), st.sampled_from([30, 120, 300]), st.floats(10, 300))
def test_after_a_silence_the_order_is_kept_and_all_have_a_moment_in_what_is_left(
    places: list[float], every_s: int, room_s: float
) -> None:
    moments = sorted(place * every_s * 0.5 for place in places)
    waits = [after_silence(moment, every_s, 0.5, room_s) for moment in moments]

    assert waits == sorted(waits)
    assert all(wait <= min(moment, room_s) for wait, moment in zip(waits, moments, strict=True))


def test_after_a_silence_that_left_no_room_there_is_no_burst() -> None:
    assert [0.0, 2.5] == [after_silence(moment, 30, 0.5, -10) for moment in (0.0, 7.5)]


def test_what_is_due_at_a_second_is_known_from_the_second() -> None:
    assert [{"5m", "1h", "4h"}, {"5m"}, {"5m", "1h"}, {"5m", "4h"}, {"5m", "1h", "4h"}, set()] == [
        due(PACES, at_s) for at_s in (0, 30, 120, 300, 600, 45)
    ]


@given(st.integers(0, 10**9).map(lambda ms: ms / 1000), st.sampled_from([30, 120, 300]))
def test_a_cycle_that_overran_leaves_out_whole_cycles(now_s: float, every_s: int) -> None:
    start = next_start(now_s, every_s)

    assert start % every_s == 0
    assert now_s <= start < now_s + every_s


def test_a_round_is_done_with_the_last_of_its_timeframes() -> None:
    rounds = Round(PACES)

    assert rounds.finish("5m", 0, ["A", "B"], []) is None
    assert Finished(["5m"], ["A"], ["B"]) == rounds.finish("5m", 30, ["A"], ["B"])
    assert rounds.finish("1h", 0, ["A"], ["B"]) is None
    assert Finished(["5m", "1h", "4h"], ["A"], ["B"]) == rounds.finish("4h", 0, ["A", "B"], [])


def test_rounds_that_never_get_done_are_forgotten() -> None:
    rounds = Round([Pace("5m", 30, 120), Pace("1h", 120, 300)])
    for at_s in range(0, 120_000, 120):
        rounds.finish("5m", at_s, ["A"], [])  # and never the other

    assert len(rounds._done) < 5
