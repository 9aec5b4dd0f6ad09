"""What of the cache's candles is taken as closed, as the next open, and what is doubted."""

from decimal import Decimal as D

import pytest

from marketd.model.cached import CachedCandle
from marketd.model.timeframes import HOUR
from marketd.paper.sight import MS, Prices, is_price, sight_of
from tests.paper.market import T0

HOUR_MS = HOUR // MS


def cached(
    hour: int, open: str = "100", high: str = "100", low: str = "100", close: str = "100", volume: str = "1"
) -> CachedCandle:
    at = T0 // MS + hour * HOUR_MS
    return CachedCandle(at, at + HOUR_MS, *map(D, (open, high, low, close, volume)))


def test_the_last_candle_is_never_taken_as_closed() -> None:
    sight = sight_of([cached(0), cached(1, "101", "102", "99", "100")], HOUR)

    assert [one.open_time for one in sight.closed] == [T0]
    assert sight.opens == Prices(T0 + HOUR, D("101"), D("102"), D("99"), D("100"))
    assert sight.doubt == ""


def test_a_candle_without_a_trade_has_no_certain_open() -> None:
    sight = sight_of([cached(0), cached(1, volume="0.000")], HOUR)

    assert (sight.opens, len(sight.closed)) == (None, 1)


def test_a_hole_is_doubted_and_what_is_there_is_judged() -> None:
    sight = sight_of([cached(0), cached(3), cached(4)], HOUR)

    assert sight.doubt == f"2 candles are missing before {T0 // MS + 3 * HOUR_MS}"
    assert len(sight.closed) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        cached(1, "0"),
        cached(1, "NaN"),
        cached(1, "Infinity"),
        cached(1, "1" * 31),
        cached(1, "1e40"),
        cached(1, "100", "99"),
        CachedCandle(T0 // MS + 1, T0 // MS + 1 + HOUR_MS, *[D(1)] * 5),
        CachedCandle(T0 // MS + HOUR_MS, T0 // MS + HOUR_MS + 1, *[D(1)] * 5),
    ],
)
def test_a_candle_that_none_is_is_left_out_and_doubted(wrong: CachedCandle) -> None:
    sight = sight_of([cached(0), wrong, cached(2)], HOUR)

    assert sight.doubt.startswith("candle ")
    assert [one.open_time for one in sight.closed] == [T0]


def test_candles_out_of_order_are_not_looked_at() -> None:
    sight = sight_of([cached(1), cached(0), cached(2)], HOUR)

    assert (sight.closed, sight.opens) == ((), None)
    assert "out of order" in sight.doubt


def test_no_candles_are_nothing() -> None:
    assert sight_of([], HOUR).closed == []
    assert is_price(D("0.00000001"))


@pytest.mark.parametrize("volume", ["NaN", "sNaN", "Infinity", "-1"])
def test_a_volume_that_none_is_is_doubted_and_nothing_opens(volume: str) -> None:
    sight = sight_of([cached(0), cached(1, volume=volume)], HOUR)

    assert sight.opens is None
    assert sight.doubt.endswith("a volume that none is")


def test_a_candle_before_the_epoch_is_doubted() -> None:
    sight = sight_of([CachedCandle(-HOUR_MS, 0, *[D(1)] * 5), cached(0), cached(1)], HOUR)

    assert sight.doubt == f"candle {-HOUR_MS}: a time before 1970"
    assert [one.open_time for one in sight.closed] == [T0]
