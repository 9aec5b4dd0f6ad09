"""What cannot be true is told from what can."""

import pytest

from marketd.model.events import BookSnapshot, Event
from marketd.model.vet import impossible
from tests.samples import T0, book, candle, delta, gap, quote, trade

SNAPSHOT = BookSnapshot("binance", "BTCUSDT", T0, T0, [("1.5", "2")], [("1.6", "0.1")], 7)
HOUR = 3_600 * 10**9


@pytest.mark.parametrize("event", [trade(), quote(), candle(), delta(), book(), SNAPSHOT, delta(seq=None, prev_seq=None)])
def test_what_may_be_true_passes(event: Event) -> None:
    assert impossible(event) is None


@pytest.mark.parametrize("text", ["", "-1", "NaN", "Infinity", "1e5", "1.2.3", "1_000", "٣", " 1", "9999-99-99", "+1"])
def test_what_is_no_plain_number_is_found_in_every_place(text: str) -> None:
    places: list[Event] = [trade(price=text), trade(size=text)]
    places += [quote(**{field: text}) for field in ("bid", "bid_size", "ask", "ask_size")]
    places += [candle(**{field: text}) for field in ("open", "high", "low", "close", "volume")]
    for bids, asks in (([(text, "1")], []), ([("1", text)], []), ([], [("2", "1"), (text, "1")]), ([], [("2", text)])):
        places += [delta(bids=bids, asks=asks), BookSnapshot("binance", "BTCUSDT", None, T0, bids, asks, None)]

    assert {"price or size is no plain number", "price or volume is no plain number"} == {impossible(one) for one in places}


@pytest.mark.parametrize("ts_event", [-1, -(2**70), T0 + 10 * HOUR, 2**63, 2**80])
def test_a_time_that_cannot_be_is_found_on_every_event(ts_event: int) -> None:
    events = [one(ts_event=ts_event, ts_recv=T0) for one in (trade, quote, candle, delta)]

    assert all(why and why.startswith("time ") for why in map(impossible, events))


@pytest.mark.parametrize("number", [-1, 2**63, 2**80])
def test_a_sequence_that_no_store_can_hold_is_found(number: int) -> None:
    events = [quote(seq=number), delta(seq=number), delta(prev_seq=number), BookSnapshot("x", "y", None, T0, [], [], number)]

    assert {"sequence out of range"} == {impossible(one) for one in events}


@pytest.mark.parametrize("times", [(-1, 60), (0, 2**63), (60, 60), (-(2**70), 5)])
def test_a_candle_has_a_time_that_can_be(times: tuple[int, int]) -> None:
    assert impossible(candle(open_time=times[0], close_time=times[1])) is not None


def test_zero_and_disorder_are_found() -> None:
    assert impossible(trade(price="0.00")) == "price is zero"
    assert impossible(trade(size="0")) == "size is zero"
    assert impossible(candle(high="1")) == "high and low do not enclose open and close"


def test_an_id_longer_than_any_is_found() -> None:
    events = [trade(trade_id="1" * 129), gap(1, 2, from_id="x" * 129), gap(1, 2, to_id="1" * 5_000)]

    assert {"id is too long"} == {impossible(one) for one in events}
    assert [None, None] == [impossible(trade(trade_id="1" * 128)), impossible(gap(1, 2, from_id=None, to_id="2" * 128))]
