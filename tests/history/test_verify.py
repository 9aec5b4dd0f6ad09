"""Two accounts of the same candles, compared."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marketd.history.resample import Bar
from marketd.history.verify import Compared, compare
from marketd.model.intervals import Interval
from marketd.model.ledger import State, Stretch
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import Row
from tests.samples import T0

START = T0 - T0 % MINUTE


def row(number: int, **changes: Any) -> Row:
    at = START + number * MINUTE
    fields: dict[str, Any] = {"open": "1", "high": "2", "low": "1", "close": "2", "volume": "3", "closed": True}
    return Row(open_time=at, close_time=at + MINUTE, revision=0, source="backfill", **{**fields, **changes})


def rows(*numbers: int) -> list[Bar]:
    return [row(number) for number in numbers]


def minutes(start: int, stop: int) -> Interval:
    return Interval(START + start * MINUTE, START + stop * MINUTE)


def stretch(start: int, stop: int, state: State = "have") -> Stretch:
    return Stretch(*minutes(start, stop), state, "", 1)


def said(compared: Compared) -> list[tuple[Any, ...]]:
    return [
        ((one.start - START) // MINUTE, (one.stop - START) // MINUTE, one.kind, one.state, one.fields)
        for one in compared.differences
    ]


def test_equal_accounts_have_no_difference() -> None:
    assert Compared(3, []) == compare(rows(0, 1, 2), rows(0, 1, 2), minutes(0, 3), [stretch(0, 3)])


def test_zeros_at_the_end_are_no_difference() -> None:
    assert Compared(1, []) == compare([row(0, open="1.50")], [row(0, open="1.5")], minutes(0, 1), [stretch(0, 1)])


def test_numbers_that_differ_are_named_and_shown_as_they_are_written() -> None:
    found = compare([row(0, close="1.50", volume="3")], [row(0, close="1.6", volume="4.0")], minutes(0, 1), [stretch(0, 1)])
    one = found.differences[0]

    assert [(0, 1, "values", "have", ("close", "volume"))] == said(found)
    assert one.here is not None
    assert one.there is not None
    assert ("1.50", "1.6") == (one.here.close, one.there.close)


def test_what_only_one_has_is_said_with_what_the_ledger_thinks() -> None:
    ledger = [stretch(0, 2), stretch(2, 3, "known_empty")]
    found = compare(rows(0, 1), rows(0, 2, 3), minutes(0, 4), ledger)

    assert [
        (1, 2, "only here", "have", ()), (2, 3, "only there", "known_empty", ()), (3, 4, "only there", "", ())
    ] == said(found)  # fmt: skip


def test_where_the_other_one_cannot_say_nothing_differs() -> None:
    assert Compared(1, []) == compare(rows(0, 1), rows(0), minutes(0, 2), [stretch(0, 2)], said=[minutes(0, 1)])


def test_a_candle_that_forms_is_left_out_until_a_later_one_is_there() -> None:
    here, there = [row(0, closed=False, close="1")], [row(0, closed=False, close="2")]

    assert Compared(0, []) == compare(here, there, minutes(0, 1), [])
    assert "values" == compare(here, there, minutes(0, 1), [stretch(0, 1)], closed_before=START + MINUTE).differences[0].kind


def test_a_candle_without_volume_is_none_to_those_who_only_know_trades() -> None:
    here: list[Bar] = [row(0, volume="0.000")]

    assert ["only here"] == [one.kind for one in compare(here, [], minutes(0, 1), [stretch(0, 1)]).differences]
    assert [] == compare(here, [], minutes(0, 1), [stretch(0, 1)], empty_is_none=True).differences


def test_what_the_ledger_has_and_nobody_else_is_one_difference_for_the_whole_interval() -> None:
    assert [(1, 4, "ledger", "have", ())] == said(compare(rows(0), rows(0), minutes(0, 4), [stretch(0, 4)]))


def test_a_stored_candle_that_the_ledger_does_not_have_is_said() -> None:
    ledger = [stretch(0, 1), stretch(1, 2, "missing")]

    assert [(1, 2, "ledger", "missing", ())] == said(compare(rows(0, 1), rows(0, 1), minutes(0, 2), ledger))


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_every_difference_is_told_once_and_nothing_else(here: set[int], there: set[int], have: set[int]) -> None:
    ledger = [stretch(number, number + 1) for number in sorted(have)]
    found = said(compare(rows(*sorted(here)), rows(*sorted(there)), minutes(0, 41), ledger))
    told = [minute for start, stop, *_ in found for minute in range(start, stop)]

    assert sorted((here ^ there) | (here ^ have) - (there - here)) == told
    assert [kind for *_, kind, _, _ in found].count("values") == 0
