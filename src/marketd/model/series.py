"""What candles are kept by: a venue, one of its symbols, a timeframe."""

from typing import NamedTuple


class CandleSeries(NamedTuple):
    venue: str
    symbol: str
    timeframe: str  # 1m, 5m, 1h, 1d, ...

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}"
