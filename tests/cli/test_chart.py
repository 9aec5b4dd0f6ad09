"""Candles drawn with characters."""

from marketd.cli.chart import DOWN, UP, WICK, chart
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import Row


def row(number: int, open_: str, high: str, low: str, close: str) -> Row:
    return Row(number * MINUTE, (number + 1) * MINUTE, open_, high, low, close, "1", True, 0, None)


def test_a_rising_body_is_solid_a_falling_one_light_and_wicks_reach_the_extremes() -> None:
    drawn = chart([row(0, "1", "4", "0", "3"), row(1, "3", "4", "0", "1")], 20, 4).splitlines()
    columns = ["".join(line[13:][at : at + 1] for line in drawn[:4]) for at in (0, 1)]

    assert [UP + UP + UP + WICK, DOWN + DOWN + DOWN + WICK] == columns


def test_a_long_stretch_is_drawn_several_candles_to_a_column() -> None:
    drawn = chart([row(number, "1", "2", "1", "2") for number in range(100)], 25, 8)

    assert "4 candles in a column" in drawn
    assert max(len(line) for line in drawn.splitlines()) <= 13 + 60


def test_a_flat_market_and_no_market_are_drawn_too() -> None:
    assert UP in chart([row(0, "1", "1", "1", "1")], 20, 4)
    assert "no candles\n" == chart([], 20, 4)
