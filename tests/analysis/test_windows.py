"""The window of one symbol: edges, order, duplicates, and what too little data gives."""

import pytest

from marketd.analysis.windows import SECOND, Window
from tests.samples import MS, T0, quote, trade


def at(seconds: float, price: str = "100", size: str = "1", **changes: object) -> object:
    t = T0 + round(seconds * SECOND)
    return trade(round(seconds * 1000), price=price, size=size, **{"ts_event": t, "ts_recv": t + 5 * MS, **changes})


def window_of(*trades: object, window_s: float = 60) -> Window:
    window = Window(round(window_s * SECOND))
    for one in trades:
        window.add_trade(one)  # type: ignore[arg-type]
    return window


def test_a_trade_exactly_as_old_as_the_window_is_out() -> None:
    window = window_of(at(0), at(0.001), at(10))

    assert window.values().trade_count_10s == 2


def test_nothing_known_is_null_and_a_window_that_ran_empty_counts_nothing() -> None:
    assert window_of().values().trade_count_10s is None
    window = window_of(at(0))
    window.advance(T0 + 30 * SECOND)

    assert (window.count(), window.volume(), window.vwap_short(), window.change()) == (0, 0.0, None, None)
    assert window.vwap_long() == 100


def test_the_return_opens_with_the_price_in_force_ten_seconds_ago() -> None:
    assert window_of(at(0, "100"), at(5, "101"), at(11, "102")).change() == pytest.approx(0.02)
    assert window_of(at(0, "100"), at(5, "101")).change() == pytest.approx(0.01)
    assert window_of(at(0, "100")).change() is None


def test_a_trade_out_of_order_gives_what_it_gives_in_order_and_again_is_counted_once() -> None:
    one, two, three = at(1, "100", "0.1"), at(2, "101.5", "0.2"), at(3, "99", "0.7")

    assert window_of(one, two, three).values() == window_of(three, two, one, two).values()
    assert window_of(three, two, one, two).duplicates == 1


def test_a_trade_older_than_the_window_is_counted_and_left_out() -> None:
    window = window_of(at(60), at(0))

    assert (window.late, window.vwap_long(), window.count()) == (1, 100, 1)


def test_mid_and_spread_are_those_of_the_last_quote_until_it_is_older_than_the_window() -> None:
    window = Window()
    window.add_quote(quote(0, bid="37123.40", ask="37123.50"))
    spread = window.spread()
    window.advance(T0 + 60 * SECOND)

    assert spread == pytest.approx((37123.45, 0.1, 0.1 / 37123.45 * 10_000))
    assert window.spread() is None
