"""Prices after costs, levels, exits and sizes, worked out by hand."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.model.exact import exact, fee_of
from marketd.paper.account import Account, Position
from marketd.paper.sight import Quoted
from marketd.paper.terms import exit_of, levels, price_paid, quote_paid, side_of, size_of
from tests.paper.market import candle, terms


def test_half_of_the_spread_and_the_slippage_are_paid_on_both_sides() -> None:
    costs = terms(spread_bps=4, slippage_bps=5)

    assert (price_paid(D(10_000), "buy", costs), price_paid(D(10_000), "sell", costs)) == (D(10_007), D(9_993))
    assert quote_paid(Quoted(D(9_999), D(10_000), 0), "buy", costs) == D(10_005)
    assert quote_paid(Quoted(D(10_000), D(10_001), 0), "sell", costs) == D(9_995)


def test_levels_lie_around_the_price_paid() -> None:
    assert levels(D("200.5"), "long", terms(stop_percent="2.5")) == (D("195.4875"), D("240.6"))
    assert levels(D(200), "short", terms(stop_percent=5)) == (D(210), D(160))
    assert levels(D(200), "long", terms(stop_percent=None, take_profit_percent=None)) == (None, None)


@pytest.mark.parametrize(
    ("size", "stop", "gain", "its", "expected"),
    [
        (1, 90, 120, candle(0, "100", "121", "89"), ("stop", 90)),
        (1, 90, 120, candle(0, "130", "131", "80"), ("take_profit", 130)),
        (1, 90, 120, candle(0, "90", "121", "90"), ("stop", 90)),
        (1, None, 120, candle(0, "100", "120", "1"), ("take_profit", 120)),
        (1, 90, None, candle(0, "100", "999", "91"), None),
        (-1, 110, 80, candle(0, "100", "111", "79"), ("stop", 110)),
        (-1, 110, 80, candle(0, "115", "116", "70"), ("stop", 115)),
        (-1, 110, 80, candle(0, "75", "120", "70"), ("take_profit", 75)),
        (-1, 110, 80, candle(0, "100", "109", "80"), ("take_profit", 80)),
    ],
)
def test_what_a_candle_does_to_a_position(size: int, stop: int | None, gain: int | None, its, expected) -> None:  # type: ignore[no-untyped-def]
    levels_of = [None if level is None else D(level) for level in (stop, gain)]
    found = exit_of(Position("1", "sim", "X", D(size), D(100), D(0), 0, *levels_of), its)

    assert expected == (None if found is None else (found.why, found.price))


@given(
    st.decimals("1", "100000", places=2),
    st.decimals("0.0001", "90000", places=8),
    st.integers(0, 200),
    st.integers(0, 8),
)
def test_a_position_never_costs_more_than_it_may(cash: D, price: D, fee_bps: int, digits: int) -> None:
    with_fee = terms(position_quote=50, fee_bps=fee_bps, size_digits=digits, order_quote_min="0.01")
    size, lacking = size_of(Account.opened(cash), cash, price, with_fee)
    cost = exact(lambda: size * price + fee_of(size * price, with_fee.fee_bps))()

    assert bool(lacking) == (size == 0)
    assert cost <= min(cash, D(50))


def test_nothing_is_opened_without_equity() -> None:
    size, lacking = size_of(Account.opened(D(10)), D(-5), D(1), terms(position_quote=None))

    assert (size, lacking) == (D(0), "10 of cash is free, the equity is -5")
    assert side_of("long") == "buy"
