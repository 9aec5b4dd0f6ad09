"""The table of gaps follows the ledger."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from marketd.model.intervals import Interval
from marketd.model.ledger import OUTAGE, Stretch, replaced
from marketd.stores.archive.gaps import gaps_after
from marketd.stores.archive.rows import GapRow
from tests.model.test_ledger import stretches
from tests.stores.archive.conftest import SERIES


def gap(
    start: int, end: int, *, found: int = 1, repaired: int | None = None, state: str = "missing", cause: str = "late"
) -> GapRow:
    return GapRow(*SERIES, start, end, found, repaired, state, cause)


def test_what_is_missing_is_a_gap_from_when_it_was_found() -> None:
    assert [gap(3, 5, found=8)] == gaps_after(SERIES, [], [Stretch(3, 5, "missing", "late", 8)], now=9)


def test_a_repair_closes_what_it_repairs_and_the_rest_stays_open() -> None:
    after = gaps_after(SERIES, [gap(0, 9)], [Stretch(0, 3, "have", "repaired", 7), Stretch(6, 7, "have", "repaired", 7)], now=7)

    assert [
        gap(0, 3, repaired=7, state="have"),
        gap(3, 6),
        gap(6, 7, repaired=7, state="have"),
        gap(7, 9),
    ] == after


def test_repairs_from_the_end_grow_into_one_row() -> None:
    rows = [gap(0, 9)]
    for start in (6, 3, 0):
        rows = gaps_after(SERIES, rows, [Stretch(start, start + 3, "have", "repaired", start)], now=10 - start)

    assert [gap(0, 9, repaired=10, state="have")] == rows


def test_a_venue_without_trades_ends_a_gap_and_an_outage_is_one() -> None:
    empty, outage = Stretch(0, 3, "known_empty", "no trades", 7), Stretch(3, 5, "known_empty", f"{OUTAGE}: maintenance", 7)
    after = gaps_after(SERIES, [gap(0, 5)], [empty, outage], now=7)

    assert [
        gap(0, 3, repaired=7, state="known_empty", cause="no trades"),
        gap(3, 5, state="known_empty", cause=f"{OUTAGE}: maintenance"),
    ] == after
    assert [] == gaps_after(SERIES, [], [empty], now=7)


def test_a_gap_that_opens_again_is_found_again() -> None:
    closed = gap(0, 5, repaired=4, state="have")

    assert [gap(0, 5, found=8)] == gaps_after(SERIES, [closed], [Stretch(0, 5, "missing", "late", 8)], now=9)


@given(stretches(), stretches(), stretches())
def test_open_gaps_are_what_the_ledger_lacks(first: list[Stretch], second: list[Stretch], third: list[Stretch]) -> None:
    ledger: list[Stretch] = []
    gaps: list[GapRow] = []
    for said in (first, second, third):
        span = Interval(said[0].start, said[-1].stop) if said else Interval(0, 0)
        ledger = replaced(ledger, span, said)
        gaps = gaps_after(
            SERIES, gaps, [row.within(span) for row in ledger if row.start < span.stop and row.stop > span.start], 99
        )
    lacking = {point for row in ledger if row.is_gap for point in range(row.start, row.stop)}
    open_now = {point for row in gaps if row.repaired_at is None for point in range(row.gap_start, row.gap_end)}

    assert lacking <= open_now
    assert {point for row in ledger if not row.is_gap for point in range(row.start, row.stop)}.isdisjoint(open_now)
    assert sorted({row.gap_start for row in gaps}) == [row.gap_start for row in gaps]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12), st.booleans()), unique_by=lambda row: row[0]), stretches())
def test_rows_that_overlap_as_old_programs_wrote_them_end_as_rows_that_do_not(
    old: list[tuple[int, int, bool]], said: list[Stretch]
) -> None:
    rows = [gap(start, start + length, repaired=5 if repaired else None) for start, length, repaired in old]
    after = gaps_after(SERIES, rows, said, now=9)
    lacking = {point for row in said if row.is_gap for point in range(row.start, row.stop)}
    open_now = {point for row in after if row.repaired_at is None for point in range(row.gap_start, row.gap_end)}

    assert all(left.gap_end <= right.gap_start for left, right in pairwise(after))
    assert lacking <= open_now
    assert {point for row in said if not row.is_gap for point in range(row.start, row.stop)}.isdisjoint(open_now)


def test_what_is_said_again_changes_nothing() -> None:
    said = [Stretch(0, 5, "missing", "late", 1), Stretch(5, 7, "unrecoverable", "the venue lost it", 2)]
    once = gaps_after(SERIES, [], said, now=3)

    assert once == gaps_after(SERIES, once, said, now=4)
