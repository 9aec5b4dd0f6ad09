"""What a fill is worth and does to the cash, exactly."""

from decimal import Decimal as D

from marketd.model.paper import EquityPoint, Fill


def test_what_is_bought_costs_its_value_and_the_fee_and_what_is_sold_brings_it_less_the_fee() -> None:
    bought = Fill("1", "sim", "BTCUSDT", "buy", "entry", D("1.1"), D("3"), D("0.01"), 0)
    sold = Fill("2", "sim", "BTCUSDT", "sell", "stop", D("1.1"), D("3"), D("0.01"), 0, closes="1")

    assert (bought.value, bought.cash, sold.cash) == (D("3.3"), D("-3.31"), D("3.29"))


def test_a_value_of_many_digits_is_not_rounded() -> None:
    fill = Fill("1", "sim", "X", "buy", "entry", D("1234567890123456789.123456789"), D("0.123456789123456789"), D(0), 0)

    assert len(fill.value.as_tuple().digits) == 45


def test_equity_is_cash_and_positions() -> None:
    assert EquityPoint(0, D(7), D(-2), D(0), D(0), D(0), 1).equity == D(5)
