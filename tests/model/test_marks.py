"""How far sinks have got."""

from hypothesis import given
from hypothesis import strategies as st

from marketd.model.marks import Mark, is_number, lowest

SERIES = ("binance", "BTCUSDT")


def test_ids_that_can_be_counted_decide_before_times() -> None:
    assert Mark("9", 50).is_before(Mark("10", 40))
    assert not Mark("10", 40).is_before(Mark("9", 50))


def test_other_ids_leave_it_to_the_times() -> None:
    assert Mark("b", 1).is_before(Mark("a", 2))
    assert Mark(None, 1).is_before(Mark("7", 2))
    assert not Mark("b", None).is_before(Mark("a", 2))


def test_a_sink_that_never_saw_a_series_has_no_say() -> None:
    assert {SERIES: Mark("5", 5)} == lowest([{SERIES: Mark("7", 7)}, {}, {SERIES: Mark("5", 5)}])


def test_only_plain_digits_are_numbers() -> None:
    assert [True, False, False, False] == [is_number(text) for text in ("012", "", "-1", "²")]


@given(st.lists(st.integers(0, 10**20), min_size=1))
def test_the_lowest_is_before_no_other(ids: list[int]) -> None:
    marks = [{SERIES: Mark(str(number), None)} for number in ids]

    assert {SERIES: Mark(str(min(ids)), None)} == lowest(marks)


def test_what_is_longer_than_any_counter_is_text() -> None:
    assert is_number("9" * 38)
    assert not is_number("9" * 39)
    assert Mark("9" * 5_000, 1).is_before(Mark("8" * 5_000, 2))  # Python itself makes no number of so many digits
