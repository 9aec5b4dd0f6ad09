"""Candles as a venue streams them, beside those built from its trades: where they differ, one of the two missed something."""

from collections.abc import Iterable
from decimal import Decimal

import structlog

from marketd.candles.build import KEPT, Builder
from marketd.metrics import Metrics
from marketd.model.events import Candle, Trade
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe

log = structlog.get_logger("candles")


class Comparison:
    """Of these series, every candle that was seen from its first trade to its last and is closed on both sides."""

    def __init__(self, series: Iterable[CandleSeries], metrics: Metrics) -> None:
        self._metrics = metrics
        self._builders: dict[tuple[str, str], list[Builder]] = {}
        self._waiting: dict[CandleSeries, dict[int, Candle]] = {}  # closed on one side only, by open time
        for one in series:
            self._builders.setdefault((one.venue, one.symbol), []).append(Builder(timeframe(one.timeframe)))
            self._waiting[one] = {}

    def trade(self, trade: Trade) -> None:
        for builder in self._builders.get((trade.venue, trade.symbol), ()):
            for built in builder.add(trade):
                if built.revision == 0:
                    self.candle(built)

    def candle(self, candle: Candle) -> None:
        """A closed candle, streamed or built: compared when the other one of the pair is here."""
        series = CandleSeries(candle.venue, candle.symbol, candle.timeframe)
        waiting = self._waiting.get(series)
        if waiting is None:
            return
        other = waiting.pop(candle.open_time, None)
        if other is None:
            waiting[candle.open_time] = candle
            if len(waiting) > KEPT:
                del waiting[min(waiting)]
            return
        differing = [name for name in FIELDS if Decimal(getattr(candle, name)) != Decimal(getattr(other, name))]
        self._metrics.candles_compared.labels(candle.venue, "differ" if differing else "agree").inc()
        if differing:
            log.warning(
                "candles.disagree", venue=candle.venue, symbol=candle.symbol, timeframe=candle.timeframe,
                open_time=candle.open_time, differing=differing, one=_numbers(other), other=_numbers(candle),
            )  # fmt: skip


FIELDS = ("open", "high", "low", "close", "volume")


def _numbers(candle: Candle) -> list[str]:
    return [getattr(candle, name) for name in FIELDS]
