"""What the paper trader does at each boundary: hours, prices and sizes worked out by hand."""

from decimal import Decimal as D

from marketd.paper.sight import Quoted
from tests.paper.market import T0, Trader, advice, candle, terms

FLAT = [candle(-1, "100"), candle(0, "100")]


def entered(**settings: object) -> Trader:
    """One BTCUSDT long at 100 since T0, for 100: stop 90, take-profit 120."""
    trader = Trader(terms(**settings))
    trader.at(0, FLAT, advice(0))
    return trader


def test_a_signal_is_filled_at_the_open_of_the_candle_after_it() -> None:
    trader = Trader()
    trader.at(0, [candle(-1, "90"), candle(0, "100", "130", "70", "110")], advice(0))

    assert trader.fills == [("entry", "100", "1")]
    assert trader.steps[0].fills[0].ts == T0


def test_spread_slippage_and_fee_are_paid_to_the_cent() -> None:
    """Half of 20 bps and 10 bps on 100 are 0.20 a unit; 10 bps of fee on 99.9999 (rounded to 8 digits) and out again at 90."""
    trader = Trader(terms(spread_bps=20, slippage_bps=10, fee_bps=10, size_digits=3, stop_percent="10"))
    trader.at(0, FLAT, advice(0))
    trader.at(1, [candle(0, "100", "101", "80", "95"), candle(1, "95")])
    bought, sold = (fill for done in trader.steps for fill in done.fills)

    # 100 / (100.2 * 1.001) = 0.99700...: 0.997. 100.2 * 0.997 = 99.8994, of it 10 bps.
    assert (bought.price, bought.size, bought.fee) == (D("100.2"), D("0.997"), D("0.09989940"))
    # The stop lies 10 % below 100.2: 90.18, less 0.2 %.
    assert (sold.price, sold.size, sold.fee) == (D("89.99964"), D("0.997"), D("0.08972964"))
    account = trader.books.account
    assert account.cash == D("1000") - D("99.8994") - D("0.0998994") + D("89.72964108") - D("0.08972964")
    assert account.realised == D("89.72964108") - D("99.8994")
    assert account.cash - account.start == account.realised - account.fees


def test_stop_and_take_profit_in_one_candle_is_the_stop() -> None:
    trader = entered()
    trader.at(1, [candle(0, "100", "125", "85", "110"), candle(1, "110")])

    assert trader.fills == [("entry", "100", "1"), ("stop", "90", "1")]


def test_a_gap_through_the_stop_is_filled_at_the_open() -> None:
    trader = entered()
    trader.at(2, [candle(0, "100"), candle(1, "80", "95", "75", "90"), candle(2, "90")])

    assert trader.fills[1:] == [("stop", "80", "1")]


def test_a_gap_beyond_the_take_profit_is_filled_at_the_open_though_the_stop_follows() -> None:
    trader = entered()
    trader.at(2, [candle(0, "100"), candle(1, "125", "126", "60", "70"), candle(2, "70")])

    assert trader.fills[1:] == [("take_profit", "125", "1")]


def test_a_touched_level_closes_and_one_that_is_not_does_not() -> None:
    trader = entered()
    trader.at(1, [candle(0, "100", "119.99", "90.01"), candle(1, "100")])
    trader.at(2, [candle(0, "100"), candle(1, "100", "120", "95", "118"), candle(2, "118")])

    assert trader.fills[1:] == [("take_profit", "120", "1")]
    assert trader.books.account.closed_at == {"BTCUSDT": T0 + 2 * 3600 * 10**9}


def test_the_candle_it_was_entered_in_counts_from_its_open() -> None:
    trader = entered()
    trader.at(1, [candle(0, "100", "100", "89"), candle(1, "95")])

    assert trader.fills[1:] == [("stop", "90", "1")]


def test_without_levels_nothing_closes_but_a_signal() -> None:
    trader = entered(stop_percent=None, take_profit_percent=None)
    trader.at(1, [candle(0, "100", "500", "1", "50"), candle(1, "60")], advice(1, direction="short"))

    assert trader.fills == [("entry", "100", "1"), ("signal", "60", "1")]


def test_a_short_signal_with_nothing_held_is_refused_unless_shorts_are_allowed() -> None:
    trader = Trader()
    trader.at(0, FLAT, advice(0, direction="short"))
    assert trader.refusals == ["no_short"]
    trader = Trader(terms(allow_short=True))
    trader.at(0, FLAT, advice(0, direction="short"))
    trader.at(1, [candle(0, "100", "111"), candle(1, "105")])

    assert trader.fills == [("entry", "100", "1"), ("stop", "110", "1")]
    assert trader.books.account.cash == D(990)


def test_the_cash_of_a_short_sale_and_as_much_again_cannot_be_spent() -> None:
    trader = Trader(terms(allow_short=True, position_quote=400))
    trader.at(0, dict.fromkeys("ABC", FLAT), *(advice(0, name, "short") for name in "ABC"))

    assert [one.size for one in trader.books.account.positions.values()] == [D(-4), D(-4), D(-2)]


def test_an_opposite_signal_closes_and_does_not_turn_the_position_round() -> None:
    trader = entered(allow_short=True)
    trader.at(1, [candle(0, "100"), candle(1, "100")], advice(1, direction="short"))

    assert trader.books.account.positions == {}


def test_a_signal_in_the_direction_held_is_refused() -> None:
    trader = entered()
    trader.at(1, [candle(0, "100"), candle(1, "100")], advice(1))

    assert trader.refusals == ["holding"]


def test_after_a_close_the_symbol_rests_for_the_cooldown() -> None:
    trader = entered(cooldown_candles=2)
    trader.at(1, [candle(0, "100", "100", "80"), candle(1, "100")], advice(1))  # stopped out at hour 1
    trader.at(2, [candle(1, "100"), candle(2, "100")], advice(2))
    trader.at(3, [candle(2, "100"), candle(3, "100")], advice(3))

    assert trader.refusals == ["cooldown", "cooldown"]
    assert [why for why, *_ in trader.fills] == ["entry", "stop", "entry"]


def test_at_most_so_many_positions_in_the_order_of_the_symbols() -> None:
    trader = Trader(terms(positions_max=2))
    trader.at(0, dict.fromkeys("CAB", FLAT), *(advice(0, name) for name in "CBA"))

    assert sorted(trader.books.account.positions) == ["A", "B"]
    assert trader.refusals == ["positions_max"]


def test_exits_make_room_for_entries_at_the_same_boundary() -> None:
    trader = Trader(terms(positions_max=1))
    trader.at(0, {"A": FLAT, "B": FLAT}, advice(0, "A"))
    trader.at(
        1, {"A": [candle(0, "100", "100", "80"), candle(1, "80")], "B": [candle(0, "100"), candle(1, "100")]}, advice(1, "B")
    )

    assert sorted(trader.books.account.positions) == ["B"]


def test_a_share_of_the_equity_is_the_same_for_all_signals_of_a_boundary() -> None:
    trader = Trader(terms(position_quote=None, position_percent=10, fee_bps=100, size_digits=8))
    trader.at(0, dict.fromkeys("AB", FLAT), *(advice(0, name) for name in "AB"))
    sizes = [one.size for one in trader.books.account.positions.values()]

    assert sizes == [D("0.99009900")] * 2


def test_the_cash_is_never_overdrawn_and_an_order_too_small_is_refused() -> None:
    trader = Trader(terms(position_quote=600, order_quote_min=50, fee_bps=30))
    trader.at(0, dict.fromkeys("ABC", FLAT), *(advice(0, name) for name in "ABC"))

    assert trader.refusals == ["cash"]
    assert 0 <= trader.books.account.cash < D("0.001")


def test_a_signal_of_an_older_candle_is_refused_as_stale() -> None:
    trader = Trader()
    trader.at(1, [candle(-1, "100"), candle(0, "100"), candle(1, "100")], advice(0))
    trader.at(2, [candle(1, "100"), candle(2, "100")], advice(2), now_s=3601)

    assert trader.refusals == ["stale", "stale"]


def test_a_signal_of_a_candle_yet_to_close_waits() -> None:
    trader = Trader()
    trader.at(0, FLAT, advice(1))
    trader.at(1, [candle(0, "100"), candle(1, "101")], advice(1))

    assert trader.fills == [("entry", "101", "0.990099")]


def test_doubt_about_the_signal_or_its_candles_is_a_refusal() -> None:
    trader = Trader()
    trader.at(0, FLAT, advice(0, doubt="a hole of 2 candles"))
    trader.at(1, [candle(0, "100"), candle(1, "100")], advice(1), doubt="2 candles are missing")
    trader.at(2, [candle(0, "100"), candle(1, "100")], advice(2))  # the cache is behind the signal

    assert trader.refusals == ["doubtful"] * 3
    assert [one.detail for one in trader.steps[2].orders] == ["its candle is not in the cache"]


def test_rules_that_contradict_each_other_are_both_refused() -> None:
    trader = Trader()
    trader.at(0, FLAT, advice(0, rule="ribbon"), advice(0, direction="short", rule="squeeze"))

    assert trader.refusals == ["contradicting"] * 2


def test_two_rules_that_agree_are_one_position() -> None:
    trader = Trader()
    trader.at(0, FLAT, advice(0, rule="ribbon"), advice(0, rule="squeeze"))

    assert trader.fills == [("entry", "100", "1")]
    assert trader.refusals == ["holding"]


def test_without_the_next_candle_there_is_no_price() -> None:
    trader = Trader()
    trader.at(0, [candle(-1, "100"), candle(1, "100")], advice(0))

    assert trader.refusals == ["no_price"]


def test_while_positions_are_open_signals_of_another_venue_are_refused() -> None:
    trader = entered()
    trader.at(1, {"ETHUSDT": [candle(0, "10"), candle(1, "10")]}, advice(1, "ETHUSDT", venue="other"))

    assert trader.refusals == ["other_venue"]


def test_quotes_are_paid_with_slippage_and_not_when_they_are_old() -> None:
    trader = Trader(terms(fill="quote", slippage_bps=10))
    quote = Quoted(D("99.9"), D("100"), T0)
    trader.at(0, FLAT, advice(0), now_s=91, quote=quote)
    trader.at(1, [candle(0, "100"), candle(1, "200")], advice(1), now_s=90, quote=quote._replace(ts=T0 + 3600 * 10**9))

    assert trader.refusals == ["no_price"]
    assert trader.fills == [("entry", "100.1", "0.999")]


def test_of_the_candle_in_which_a_quote_filled_only_the_close_counts() -> None:
    trader = Trader(terms(fill="quote"))
    trader.at(0, FLAT, advice(0), now_s=60, quote=Quoted(D("100"), D("100"), T0))
    trader.at(1, [candle(0, "100", "200", "10", "100"), candle(1, "100")])
    trader.at(2, [candle(1, "100", "100", "89"), candle(2, "100")])

    assert [why for why, *_ in trader.fills] == ["entry", "stop"]
    assert trader.steps[1].fills == []


def test_the_same_signal_twice_is_one_order_and_the_same_look_changes_nothing() -> None:
    trader = Trader()
    trader.at(0, FLAT, advice(0), advice(0))
    again = trader.at(0, FLAT, advice(0))

    assert trader.fills == [("entry", "100", "1")]
    assert again.is_empty


def test_what_comes_late_is_taken_at_the_same_boundary_and_the_same_equity() -> None:
    late = Trader(terms(position_quote=None))
    late.at(0, {"A": FLAT}, advice(0, "A"))
    late.at(0, {"A": FLAT, "B": FLAT}, advice(0, "A"), advice(0, "B"))
    at_once = Trader(terms(position_quote=None))
    at_once.at(0, {"A": FLAT, "B": FLAT}, advice(0, "A"), advice(0, "B"))

    assert late.books.account == at_once.books.account


def test_candles_missed_are_judged_one_by_one_as_if_nothing_had_been_missed() -> None:
    candles = [candle(-1, "100"), candle(0, "100"), candle(1, "100", "121", "95", "120"), candle(2, "80"), candle(3, "80")]
    missed, whole = entered(), entered()
    missed.at(3, candles)
    for hour in (1, 2, 3):
        whole.at(hour, candles[: hour + 2])

    assert missed.books.account == whole.books.account
    assert [point for done in missed.steps for point in done.points] == [point for done in whole.steps for point in done.points]


def test_candles_that_are_missing_while_something_is_held_are_said_and_those_after_decide() -> None:
    trader = entered()
    trader.at(4, [candle(3, "70"), candle(4, "70")])

    assert trader.fills[1:] == [("stop", "70", "1")]
    assert trader.steps[1].troubles == [
        "BTCUSDT: 3 candles are missing while it is held; stop and take-profit are judged by those after"
    ]


def test_books_begin_at_the_boundary_they_were_opened_at() -> None:
    trader = Trader()
    trader.at(0, [*(candle(-hour, "100") for hour in range(9, 0, -1)), candle(0, "100")])

    assert [(one.ts, one.equity) for one in trader.steps[0].points] == [(T0, D(1000))]
