"""Candles without a closed flag: each is closed once by a later one, and nothing that came after that is lost."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from marketd.model.events import Candle
from marketd.model.timeframes import MINUTE
from marketd.venues.closing import KEPT, Closing

FIRST = Candle("bitfinex", "BTCUSD", None, 1, "1m", 0, MINUTE, "5", "6", "4", "5", "1", False)


def minute(number: int, volume: str = "1", ts_recv: int = 1) -> Candle:
    opened = number * MINUTE
    return replace(FIRST, open_time=opened, close_time=opened + MINUTE, volume=volume, ts_recv=ts_recv)


def test_the_first_of_a_later_time_closes_the_one_before_as_it_last_was() -> None:
    closing = Closing()
    closing.take(minute(1))
    closing.take(minute(1, "2"))
    said = closing.take(minute(4, ts_recv=9))

    assert [replace(minute(1, "2", 9), closed=True), minute(4, ts_recv=9)] == said


def test_an_older_one_that_changed_is_a_revision_and_one_that_did_not_is_nothing() -> None:
    closing = Closing()
    closing.take(minute(1))
    closing.take(minute(2))

    assert [] == closing.take(minute(1, ts_recv=9))
    assert [replace(minute(1, "3"), closed=True, revision=1)] == closing.take(minute(1, "3"))
    assert [] == closing.take(minute(1, "3"))
    assert [replace(minute(1, "4"), closed=True, revision=2)] == closing.take(minute(1, "4"))


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from("123")), max_size=60))
def test_every_candle_but_the_newest_ends_closed_with_what_was_said_last(sent: list[tuple[int, str]]) -> None:
    closing = Closing()
    told: dict[int, Candle] = {}
    for number, volume in sent:
        for candle in closing.take(minute(number, volume)):
            told[candle.open_time // MINUTE] = candle

    assert dict(sent) == {number: candle.volume for number, candle in told.items()}
    assert all(candle.closed == (number < max(told)) for number, candle in told.items())
    assert len(closing._told) <= KEPT
