"""The candle cache on the wire."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.cached import (
    CachedCandle,
    CachedPrice,
    Updated,
    before_key,
    decode_candle,
    decode_candles,
    decode_price,
    decode_updated,
    encode_candle,
    encode_candles,
    encode_price,
    encode_updated,
    ohlcv_key,
    price_key,
    update_channel,
)

DIGITS = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=12) | st.from_regex(
    r"(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?", fullmatch=True
).map(Decimal)


def candle(*numbers: str) -> CachedCandle:
    return CachedCandle(1_700_000_100_000, 1_700_000_400_000, *map(Decimal, numbers))


def test_numbers_are_literals_with_the_digits_that_they_came_with() -> None:
    one = candle("91000.10", "91000.100", "0.00000012", "1.0", "0.000000000")

    assert encode_candle(one) == (
        b'{"open_time":1700000100000,"close_time":1700000400000,"open":91000.10,"high":91000.100,"low":0.00000012,'
        b'"close":1.0,"volume":0.000000000}'
    )


@given(st.lists(st.tuples(DIGITS, DIGITS, DIGITS, DIGITS, DIGITS), max_size=5))
def test_candles_come_back_digit_for_digit(rows: list[tuple[Decimal, ...]]) -> None:
    candles = [CachedCandle(number, number + 1, *row) for number, row in enumerate(rows)]
    read = decode_candles(encode_candles(candles))

    assert candles == read
    assert [[format(one, "f") for one in row] for row in rows] == [
        [format(one, "f") for one in (each.open, each.high, each.low, each.close, each.volume)] for each in read
    ]


def test_a_candle_and_a_price_and_an_update_come_back_as_they_were() -> None:
    one = candle("1.10", "2", "1", "1.5", "3")
    price = CachedPrice(Decimal("1.10"), Decimal("-2.50"), None, "2024-11-14T17:30:00+00:00", bid=Decimal("1.09"))
    updated = Updated("1h", ["BTCUSDT"], [], "2024-11-14T17:30:00+00:00")

    assert one == decode_candle(encode_candle(one))
    assert price == decode_price(encode_price(price))
    assert updated == decode_updated(encode_updated(updated))
    assert b"timeframes" not in encode_updated(updated)


def test_numbers_of_other_programs_may_be_text() -> None:
    read = decode_price(b'{"price": "1.10", "change24h": null, "volume": 5, "timestamp": "", "more": 1}')

    assert Decimal("1.10") == read.price
    assert read.volume == 5


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("market:ohlcv:BTCUSDT:5m", ohlcv_key("BTCUSDT", "5m")),
        ("market:before:BTCUSDT:5m", before_key("BTCUSDT", "5m")),
        ("market:price:BTCUSDT", price_key("BTCUSDT")),
        ("market:update:5m", update_channel("5m")),
    ],
)
def test_names_are_those_that_others_ask_for(expected: str, name: str) -> None:
    assert expected == name


@pytest.mark.parametrize("number", ["1e61", "0e-100000000", '"NaN"', '"Infinity"', '"-Infinity"', '"sNaN"'])
@pytest.mark.parametrize("name", ["price", "change24h", "volume", "bid", "ask"])
def test_a_price_with_a_number_that_is_none_is_not_read(name: str, number: str) -> None:
    fields = {"price": "1", "change24h": "-1.5", "volume": "2", "timestamp": '"2024-01-01T00:00:00Z"', "bid": "1", "ask": "2"}
    body = ",".join(f'"{one}":{value}' for one, value in (fields | {name: number}).items())

    with pytest.raises(msgspec.DecodeError, match=name):
        decode_price(f"{{{body}}}".encode())
