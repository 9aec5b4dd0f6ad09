"""Names, ticks and lots of simulated markets."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.sim.symbols import decimal_text, invented, list_symbol, several, trimmed_text


@given(st.integers(0, 10**15), st.integers(0, 8))
def test_decimal_text_keeps_every_digit(units: int, decimals: int) -> None:
    text = decimal_text(units, decimals)

    assert Decimal(units).scaleb(-decimals) == Decimal(text)
    assert decimals == len(text.partition(".")[2])


@given(st.integers(0, 10**15), st.integers(0, 8))
def test_trimmed_text_is_the_same_number_without_trailing_zeros(units: int, decimals: int) -> None:
    text = trimmed_text(units, decimals)

    assert Decimal(decimal_text(units, decimals)) == Decimal(text)
    assert "." not in text or text[-1] not in "0."


def test_the_longest_quote_wins() -> None:
    assert (list_symbol("BTCFDUSD").base, list_symbol("BTCFDUSD").quote) == ("BTC", "FDUSD")


def test_a_symbol_without_a_known_quote_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"'BTCXYZ'.*USDT"):
        list_symbol("BTCXYZ")


def test_invented_names_are_all_different() -> None:
    assert len({list_symbol(name).symbol for name in invented(200)}) == 200


def test_so_many_markets_begin_with_the_usual_ones() -> None:
    assert several(2) == ("BTCUSDT", "ETHUSDT")
    assert (len(set(several(250))), several(250)[:4]) == (250, ("BTCUSDT", "ETHUSDT", "SOLUSDT", "AAAUSDT"))
