"""Until when a window is touched by a gap."""

from hypothesis import given
from hypothesis import strategies as st

from marketd.analysis.doubts import Doubts
from marketd.analysis.payloads import WORDS_MAX
from marketd.analysis.windows import SECOND
from tests.samples import T0, gap


def test_a_gap_is_doubt_until_it_is_filled_piece_by_piece() -> None:
    doubts = Doubts()
    assert doubts.gap(gap(5, 9), T0)
    assert not doubts.gap(gap(5, 9, cause="being repaired: soon"), T0)
    doubts.gap(gap(5, 7, "filled"), T0)
    assert doubts.causes(0) == ("ids jumped",)
    doubts.gap(gap(8, 9, "filled"), T0)

    assert doubts.causes(0) == ()


def test_a_gap_that_stays_is_doubt_until_the_window_has_passed_it() -> None:
    doubts = Doubts()
    doubts.gap(gap(5, 9, to_ts=T0), T0)
    doubts.gap(gap(5, 9, "unrecoverable"), T0)

    assert doubts.causes(T0 - 1)
    assert not doubts.causes(T0)


def test_a_line_that_was_down_is_doubt_from_then_until_the_window_has_passed_its_return() -> None:
    doubts = Doubts()
    doubts.down("disconnected", "reset")
    assert doubts.causes(T0 + 3600 * SECOND) == ("disconnected: reset",)
    doubts.up(T0)

    assert (doubts.line, doubts.causes(T0 - 1)) == ("connected", ("disconnected: reset",))
    assert doubts.causes(T0) == ()


STEPS = st.lists(
    st.tuples(st.sampled_from(["found", "filled", "unrecoverable"]), st.integers(0, 12), st.integers(0, 4), st.integers(0, 3)),
    max_size=25,
)


@given(STEPS)
def test_gaps_by_id_are_doubt_as_long_as_one_id_is_missing_and_the_window_has_not_passed_it(
    steps: list[tuple[str, int, int, int]],
) -> None:
    doubts = Doubts()
    missing: list[tuple[set[int], int]] = []  # ids, until
    now = T0
    for state, first, more, seconds in steps:
        now += seconds * SECOND
        ids = set(range(first, first + more + 1))
        doubts.gap(gap(first, first + more, state, from_ts=None, to_ts=None, ts_recv=now), now)
        if state == "filled":
            missing = [(left, until) for those, until in missing if (left := those - ids)]
        elif not any(ids <= those for those, _ in missing):
            missing.append((ids, now))
        start = now - 10 * SECOND
        missing = [(those, until) for those, until in missing if until > start]

        assert bool(doubts.causes(start)) == bool(missing)


def test_a_gap_by_time_is_settled_by_the_one_that_begins_where_it_did() -> None:
    doubts = Doubts()
    open_end = {"from_id": None, "to_id": None, "from_ts": T0 - SECOND}
    assert doubts.gap(gap(0, 0, to_ts=T0, **open_end), T0)
    assert not doubts.gap(gap(0, 0, to_ts=T0 + 5, **open_end), T0)
    doubts.gap(gap(0, 0, "filled", to_ts=T0 + 5, **open_end), T0)

    assert doubts.causes(0) == ()


def test_what_is_lost_for_good_is_news_though_it_was_known_to_be_missing() -> None:
    doubts = Doubts()
    doubts.gap(gap(5, 9), T0)

    assert doubts.gap(gap(5, 9, "unrecoverable"), T0)


def test_doubts_are_bounded_and_none_ends_sooner_for_that() -> None:
    doubts = Doubts()
    for number in range(1_000):
        doubts.gap(gap(10 * number, 10 * number + 1, to_ts=T0 + 1_000 - number), T0)

    assert len(doubts.causes(T0 + 999)) == 1
    assert doubts.causes(T0 + 1_000) == ()


def test_a_cause_of_any_length_is_said_in_few_words() -> None:
    doubts = Doubts()
    for cause in ("a", "b"):
        doubts.add(100, cause * 100_000)
    doubts.down("stale", "c" * 100_000)

    assert [WORDS_MAX] * 3 == [len(cause) for cause in doubts.causes(0)]


def test_ids_of_more_digits_than_any_number_are_no_numbers() -> None:
    doubts = Doubts()

    assert doubts.gap(gap(5, 9, from_id="1" * 5_000, to_id="2" * 5_000), T0)
