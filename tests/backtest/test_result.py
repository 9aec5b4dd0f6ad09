"""What a run comes to reconciles with its fills, to the last digit."""

from decimal import Decimal

import pytest

from marketd.backtest.result import Drawdown, Result, drawdown_of, rule_of
from marketd.backtest.running import Run
from marketd.model.paper import EquityPoint
from tests.analysis.candles import walk
from tests.backtest.markets import coin, made_run


@pytest.fixture(scope="module")
def both() -> tuple[Run, Result]:
    return made_run()


def test_profits_of_the_trades_are_the_profit_of_the_account(both: tuple[Run, Result]) -> None:
    _, found = both

    assert sum((one.profit for one in found.trades), Decimal(0)) == found.profit == found.equity - found.cash
    assert sum((one.fees for one in found.trades), Decimal(0)) == found.fees
    assert sum((one.profit for one in found.coins), Decimal(0)) == found.profit
    assert sum((one.profit for one in found.rules), Decimal(0)) == found.profit


def test_every_fill_is_in_one_trade(both: tuple[Run, Result]) -> None:
    run, found = both
    opens = sum(one.is_open for one in found.trades)

    assert 2 * len(found.trades) - opens == len(run.fills)
    assert len(run.books.account.positions) == opens
    assert [one.opened for one in found.trades] == sorted(one.opened for one in found.trades)


def test_trades_that_won_and_lost_are_all_that_were_closed(both: tuple[Run, Result]) -> None:
    _, found = both

    assert found.won + found.lost == len(found.closed) > 10
    assert {one.direction for one in found.trades} == {"long", "short"}
    assert sum(coin.won for coin in found.coins) == found.won


def test_the_last_point_of_the_curve_is_the_equity_before_the_last_entries(both: tuple[Run, Result]) -> None:
    run, found = both

    assert found.points[-1].ts == found.end
    assert run.points[0].equity == found.cash


def curve(*values: int) -> list[EquityPoint]:
    return [EquityPoint(at, Decimal(value), *[Decimal(0)] * 4, 0) for at, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((100, 110, 120), Drawdown()),
        ((100, 50, 100), Drawdown(50.0, Decimal(50), 0, 1, 2)),
        ((100, 90, 120, 60, 80), Drawdown(50.0, Decimal(60), 2, 3, None)),
        ((100, 50, 200, 150, 200), Drawdown(50.0, Decimal(50), 0, 1, 2)),
        ((100,), Drawdown()),
        ((), Drawdown()),
    ],
)
def test_the_drawdown_is_the_deepest_fall_below_a_height(values: tuple[int, ...], wanted: Drawdown) -> None:
    assert drawdown_of(curve(*values)) == wanted


def test_an_orders_rule_is_the_end_of_its_identity() -> None:
    assert rule_of("made:BTCUSDT:1h:5:ribbon_up") == "ribbon_up"


def test_a_coin_says_how_its_price_went() -> None:
    _, found = made_run([coin("AAAUSDT", walk(600, 1))])
    rows = walk(600, 1)

    assert found.coins[0].change_percent == pytest.approx(100 * (float(rows[-1].close) / float(rows[0].open) - 1))


def test_settings_are_told_as_they_were(both: tuple[Run, Result]) -> None:
    _, found = both

    assert found.settings["paper"]["allow_short"] is True
    assert found.settings["paper"]["fill"] == "next_open"
    assert found.settings["analysis"]["ribbon"] == [8, 13, 21, 34, 55]
