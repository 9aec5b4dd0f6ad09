"""What to ask for next."""

from hypothesis import given
from hypothesis import strategies as st

from marketd.history.planning import Piece, open_spans, pieces
from marketd.history.settling import ASKED_ONCE
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.timeframes import timeframe

MINUTE = timeframe("1m")
MONTH = timeframe("1M")
STEP = MINUTE.step


def span(start: int, stop: int) -> Interval:
    return Interval(start * STEP, stop * STEP)


def stretch(start: int, stop: int, state: str, cause: str = "") -> Stretch:
    return Stretch(start * STEP, stop * STEP, state, cause, 0)  # type: ignore[arg-type]


def test_an_empty_ledger_is_asked_for_in_pages() -> None:
    found = list(pieces([], span(0, 25), MINUTE, 10))

    assert [Piece(span(0, 10), False), Piece(span(10, 20), False), Piece(span(20, 25), False)] == found


def test_the_newest_page_comes_first_when_asked_so() -> None:
    assert [20, 10, 0] == [piece.span.start // STEP for piece in pieces([], span(0, 25), MINUTE, 10, newest_first=True)]


def test_what_is_had_empty_or_unrecoverable_is_never_asked_for() -> None:
    rows = [stretch(0, 5, "have"), stretch(5, 9, "known_empty", "venue outage"), stretch(9, 12, "unrecoverable", "gone")]

    assert [span(12, 20)] == open_spans(rows, span(0, 20))


def test_what_is_missing_or_was_being_repaired_is_asked_for() -> None:
    rows = [stretch(0, 5, "repairing"), stretch(5, 9, "missing", "fetch failed"), stretch(9, 12, "have")]

    assert [Piece(span(0, 9), False)] == list(pieces(rows, span(0, 12), MINUTE, 100))


def test_doubts_that_fit_on_a_page_are_asked_for_together() -> None:
    rows = [
        stretch(0, 3, "have"), stretch(3, 4, "missing", ASKED_ONCE), stretch(4, 7, "have"), stretch(7, 8, "missing", ASKED_ONCE),
        stretch(8, 30, "have"), stretch(30, 31, "missing", ASKED_ONCE), stretch(31, 40, "have"),
    ]  # fmt: skip

    assert [Piece(span(2, 9), True), Piece(span(29, 32), True)] == list(pieces(rows, span(0, 40), MINUTE, 10))


def test_doubts_are_not_joined_across_what_was_never_asked_for() -> None:
    rows = [stretch(0, 1, "missing", ASKED_ONCE), stretch(3, 4, "missing", ASKED_ONCE)]

    assert [Piece(span(0, 1), True), Piece(span(1, 3), False), Piece(span(3, 4), True)] == list(
        pieces(rows, span(0, 4), MINUTE, 10)
    )


def test_months_are_counted_as_months() -> None:
    start = 0
    stop = start
    for _ in range(7):
        stop = MONTH.close_of(stop)
    found = list(pieces([], Interval(start, stop), MONTH, 3))

    assert 3 == len(found)
    assert [start, stop] == [found[0].span.start, found[-1].span.stop]


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 9), st.sampled_from(["have", "known_empty", "missing", "doubt"])),
        max_size=12,
    ),
    st.integers(1, 15),
    st.booleans(),
)
def test_the_pieces_cover_what_is_open_and_no_piece_is_longer_than_a_page(
    drawn: list[tuple[int, int, str]], page: int, newest_first: bool
) -> None:
    rows: list[Stretch] = []
    at = 0
    for skip, length, state in drawn:
        at += skip % 7
        rows.append(stretch(at, at + length, "missing", ASKED_ONCE) if state == "doubt" else stretch(at, at + length, state))
        at += length
    asked = span(0, 80)
    found = list(pieces(rows, asked, MINUTE, page, newest_first=newest_first))
    covered = Intervals(piece.span for piece in found)

    assert all(not covered.missing(*part) for part in open_spans(rows, asked))
    assert all(0 < piece.span.length <= page * STEP for piece in found)
    assert not any(
        Intervals((row.start, row.stop) for row in rows if row.state == "have").missing(*piece.span) == [] for piece in found
    )
