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


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": "0"}, {"price": "-1"}, {"price": "nan"}, {"price": "much"}, {"price": "1e300"}, {"size": "-1"}, {"size": "inf"},
        {"ts_event": -5, "ts_recv": 5}, {"ts_event": 1 << 70, "ts_recv": 1 << 70}, {"ts_event": T0, "ts_recv": 1 << 70},
        {"ts_event": T0 + 2 * 3_600 * SECOND, "ts_recv": T0}, {"ts_event": T0 + 60 * SECOND + 1, "ts_recv": T0},
    ],
    ids=str,
)  # fmt: skip
def test_a_trade_that_cannot_be_is_counted_and_left_out(wrong: dict[str, object]) -> None:
    window = window_of(trade(1, **wrong))

    assert (window.unusable, window.trade, window.count(), window.has_begun) == (1, None, None, False)


def test_an_event_far_ahead_of_its_receive_time_does_not_silence_the_symbol() -> None:
    window = window_of(at(0))
    ahead = T0 + 59 * 60 * SECOND

    assert not window.add_trade(trade(7, ts_event=ahead, ts_recv=T0))
    assert not window.add_quote(quote(7, ts_event=ahead, ts_recv=T0))
    assert window.add_trade(at(1))  # type: ignore[arg-type]
    assert (window.count(), window.unusable, window.late, window.now) == (2, 2, 0, T0 + SECOND)


def test_a_venue_whose_clock_is_a_minute_ahead_is_followed() -> None:
    window = window_of(*(at(n, ts_recv=T0 + (n - 60) * SECOND) for n in range(3)))

    assert (window.count(), window.unusable, window.latency_p50()) == (3, 0, -60_000)


def test_a_venue_whose_clock_is_ahead_has_negative_latencies_and_keeps_them() -> None:
    window = window_of(*(at(n, ts_recv=T0 + n * SECOND - 1_270 * MS) for n in range(3)))

    assert (window.latency_p50(), window.latency_p95()) == (-1270, -1270)


def test_a_repaired_trade_tells_nothing_of_the_line_and_counts_by_its_own_time() -> None:
    window = window_of(at(1), at(3), at(2, repaired=True, ts_recv=T0 + 40 * SECOND))

    assert (window.count(), window.latency_p95()) == (3, 5.0)


def test_the_newest_trade_is_so_by_event_time_whenever_it_came() -> None:
    window = window_of(at(1), at(3), at(2))

    assert window.trade is not None
    assert window.trade.trade_id == "3000"


def test_a_crossed_or_one_sided_quote_has_no_middle() -> None:
    for bid, ask in (("100.1", "100"), ("0", "100"), ("100", "0"), ("100", "nan")):
        window = Window()
        window.add_quote(quote(0, bid=bid, ask=ask))

        assert window.spread() is None, (bid, ask)


def test_a_shorter_window_keeps_the_names_and_is_computed_over_what_is_retained() -> None:
    short = window_of(*(at(n, str(100 + n)) for n in range(20)), window_s=5)

    assert (short.count(), short.vwap_long(), short.vwap_short()) == (5, 117, 117)
    assert short.change() == pytest.approx(119 / 115 - 1)


def test_a_price_that_stands_has_no_volatility_and_fewer_than_three_trades_have_none_to_tell() -> None:
    assert window_of(at(0), at(1)).volatility() is None
    assert window_of(at(0), at(1), at(2)).volatility() == 0.0
    assert window_of(at(0, "100"), at(1, "200"), at(2, "100")).volatility() == pytest.approx(0.6931471805599453 * 2**0.5)


def test_what_left_is_swept_away_and_the_sums_are_as_if_it_had_never_been() -> None:
    window, fresh = Window(), Window()
    for n in range(20_000):
        one = at(n / 10, f"{100 + n % 7}.5", "0.1")
        window.add_trade(one)
        if n >= 19_400:
            fresh.add_trade(one)
        if n % 777 == 0:
            window.values()

    assert window.values() == fresh.values()
    assert len(window._t) < 2 * 1_024 + 601


def test_a_huge_trade_that_came_and_went_leaves_no_trace() -> None:
    window = window_of(at(0, "99999", "900000000000"), at(1, "100", "0.00000001"))
    before = window.vwap_long()
    window.add_trade(at(60.5, "100", "0.00000001"))  # type: ignore[arg-type]

    assert before == 99999
    assert (window.vwap_long(), window.volume()) == (100, 1e-08)
