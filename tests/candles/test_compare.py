"""Streamed candles against built ones."""

from msgspec.structs import replace
from structlog.testing import capture_logs

from marketd.candles.build import KEPT
from marketd.candles.compare import Comparison
from marketd.metrics import Metrics
from marketd.model.events import Trade
from marketd.model.series import CandleSeries
from tests.samples import candle, trade

SERIES = CandleSeries("binance", "BTCUSDT", "1m")
START = candle(0).open_time
STREAMED = candle(1, open="10", high="12.0", low="9", close="11", volume="4.00")


def at(second: int, price: str) -> Trade:
    return trade(second, ts_event=START + second * 1_000_000_000, price=price, size="1")


TRADES = [at(30, "8"), at(60, "10"), at(70, "12"), at(80, "9"), at(119, "11"), at(121, "10")]


def counted(metrics: Metrics) -> tuple[float, float]:
    return tuple(metrics.candles_compared.labels("binance", word)._value.get() for word in ("agree", "differ"))  # type: ignore[return-value]


def test_both_sides_may_come_first() -> None:
    for streamed_first in (True, False):
        metrics = Metrics()
        comparison = Comparison([SERIES], metrics)
        if streamed_first:
            comparison.candle(STREAMED)
        for one in TRADES:
            comparison.trade(one)
        if not streamed_first:
            comparison.candle(STREAMED)

        assert (1, 0) == counted(metrics)


def test_a_difference_is_said_with_both_numbers() -> None:
    comparison = Comparison([SERIES], metrics := Metrics())
    with capture_logs() as logs:
        comparison.candle(replace(STREAMED, high="13", volume="5"))
        for one in TRADES:
            comparison.trade(one)

    assert (0, 1) == counted(metrics)
    assert [["high", "volume"]] == [one["differing"] for one in logs if one["event"] == "candles.disagree"]


def test_what_has_no_other_side_is_forgotten_in_time() -> None:
    comparison = Comparison([SERIES], metrics := Metrics())
    for number in range(1, KEPT + 3):
        comparison.candle(candle(number))
    for one in TRADES:
        comparison.trade(one)
    comparison.candle(replace(STREAMED, symbol="ETHUSDT"))

    assert (0, 0) == counted(metrics)
    assert KEPT == sum(map(len, comparison._waiting.values()))
