"""Candles from trades."""

import random
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketd.candles.build import KEPT, Builder, built
from marketd.model.events import Candle, Trade
from marketd.model.timeframes import MINUTE, timeframe
from tests.samples import T0, trade

M1 = timeframe("1m")
START = M1.open_of(T0)


def at(second: int, price: str, size: str = "1", number: int | None = None) -> Trade:
    return trade(1 if number is None else number, ts_event=START + second * 1_000_000_000, price=price, size=size)


def told(candles: list[Candle]) -> list[tuple[int, str, str, str, str, str, bool, int]]:
    return [
        ((one.open_time - START) // MINUTE, one.open, one.high, one.low, one.close, one.volume, one.closed, one.revision)
        for one in candles
    ]


def test_a_candle_has_the_trades_digits_and_is_closed_by_the_first_trade_of_a_later_interval() -> None:
    builder = Builder(M1, whole_from=0)
    said = [builder.add(one) for one in (at(1, "10.10", "0.50"), at(20, "9.0"), at(59, "10.20", "0.25"), at(61, "11"))]

    assert [[], [], []] == said[:3]
    assert [(0, "10.10", "10.20", "9.0", "10.20", "1.75", True, 0)] == told(said[3])


def test_intervals_without_trades_have_no_candle() -> None:
    candles = built([at(1, "1"), at(200, "2"), at(201, "3")], M1)

    assert [(0, "1", "1", "1", "1", "1", True, 0), (3, "2", "3", "2", "3", "2", False, 0)] == told(candles)


def test_the_first_candle_after_joining_a_running_market_is_not_told() -> None:
    builder = Builder(M1)
    said = [told(builder.add(one)) for one in (at(30, "1"), at(61, "2"), at(121, "3"))]

    assert [[], [], [(1, "2", "2", "2", "2", "1", True, 0)]] == said


def test_a_late_trade_makes_a_revision() -> None:
    builder = Builder(M1, whole_from=0)
    for one in (at(1, "5"), at(61, "6")):
        builder.add(one)

    assert [(0, "5", "7", "5", "7", "3", True, 1)] == told(builder.add(at(59, "7", "2")))


def test_a_late_trade_of_an_interval_that_had_none_is_told_at_once() -> None:
    builder = Builder(M1, whole_from=0)
    for one in (at(1, "5"), at(121, "6")):
        builder.add(one)

    assert [(1, "4", "4", "4", "4", "1", True, 0)] == told(builder.add(at(61, "4")))


def test_a_trade_older_than_all_that_is_kept_changes_nothing() -> None:
    builder = Builder(M1, whole_from=0)
    for minute in range(KEPT + 3):
        builder.add(at(60 * minute + 1, "5"))

    assert [] == builder.add(at(2, "9"))


def test_trades_of_one_moment_go_by_number() -> None:
    candles = built([at(1, "3", number=10), at(1, "1", number=9), at(1, "2", number=100)], M1)

    assert [("1", "2")] == [(one.open, one.close) for one in candles]


def test_a_trade_without_a_time_counts_when_it_was_received() -> None:
    assert [0] == [one.open_time - START for one in built([trade(1, ts_event=None, ts_recv=START + 5)], M1)]


prices = st.decimals("0.0001", "99999", places=4, allow_nan=False).map(lambda number: format(number, "f"))


@given(st.lists(st.tuples(st.integers(0, 599), prices, prices), min_size=1, max_size=60), st.randoms())
def test_the_order_of_arrival_within_what_is_kept_changes_nothing(drawn: list[tuple[int, str, str]], dice: random.Random) -> None:
    trades = [at(second, price, size, number) for number, (second, price, size) in enumerate(sorted(drawn), 1)]
    shuffled = trades.copy()
    dice.shuffle(shuffled)

    def content(candles: list[Candle]) -> list[tuple[int, str, str, Decimal, Decimal, Decimal]]:
        return [(one.open_time, one.open, one.close, Decimal(one.high), Decimal(one.low), Decimal(one.volume)) for one in candles]

    in_order = built(trades, M1)
    assert content(in_order) == content(built(shuffled, M1))
    assert sum(Decimal(one.size) for one in trades) == sum(Decimal(one.volume) for one in in_order)


def test_each_candle_is_what_a_naive_count_says() -> None:
    dice = random.Random(7)
    trades = [at(second, f"{dice.randint(1, 500) / 100:.2f}", f"{dice.randint(1, 9)}", second) for second in range(1, 1200)]
    for candle in built(trades, M1)[:-1]:
        mine = [one for one in trades if one.ts_event is not None and candle.open_time <= one.ts_event < candle.close_time]

        assert (mine[0].price, mine[-1].price) == (candle.open, candle.close)
        assert Decimal(candle.high) == max(Decimal(one.price) for one in mine)
        assert Decimal(candle.low) == min(Decimal(one.price) for one in mine)
        assert Decimal(candle.volume) == sum(Decimal(one.size) for one in mine)
