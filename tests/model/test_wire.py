"""Events as JSON: what goes in comes out, digit for digit."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.events import AnyEvent, Trade
from marketd.model.wire import decode, decode_lines, encode, encode_lines
from tests.model.strategies import digits, events, trades

TRADE = Trade("one", "BTCUSDT", 1, 2, price="60000.10", size="0.50", side="buy", trade_id="7")


@given(events)
def test_an_event_survives_the_wire(event: AnyEvent) -> None:
    back = decode(encode(event))

    assert msgspec.to_builtins(event) == msgspec.to_builtins(back)


@given(trades, digits, digits)
def test_digits_on_the_wire_are_the_digits_given(trade: Trade, price: str, size: str) -> None:
    said = json.loads(encode(msgspec.structs.replace(trade, price=price, size=size)))

    assert (price, size) == (said["price"], said["size"])


@given(st.lists(events, max_size=20))
def test_lines_are_the_events_one_a_line(many: list[AnyEvent]) -> None:
    lines = encode_lines(many)

    assert [encode(event) for event in many] == lines.splitlines()
    assert [msgspec.to_builtins(event) for event in many] == [msgspec.to_builtins(event) for event in decode_lines(lines)]


def test_a_trade_has_the_names_that_readers_know() -> None:
    said = json.loads(encode(TRADE))

    assert {
        "type": "trade",
        "provider": "one",
        "symbol": "BTCUSDT",
        "ts_event": 1,
        "ts_recv": 2,
        "price": "60000.10",
        "size": "0.50",
        "side": "buy",
        "trade_id": "7",
        "repaired": False,
    } == said


def test_unknown_fields_are_ignored() -> None:
    assert TRADE == decode(encode(TRADE)[:-1] + b',"added_later":{"a":[1]}}')


@pytest.mark.parametrize("wrong", [b"", b"{}", b'{"type":"trade"}', b'{"type":"no such type"}', b"[]", b"\xff"])
def test_what_is_no_event_is_refused(wrong: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode(wrong)
