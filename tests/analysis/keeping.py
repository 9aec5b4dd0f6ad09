"""The candle cache as its poller keeps it, for the tests of those who read it."""

import json
from collections.abc import Sequence

from marketd.model.cached import before_key, ohlcv_key, price_key, update_channel
from marketd.stores.cache import Cache, Publish, Write
from tests.analysis.candles import Made, cached

TTL_S = 600.0


class Keeper:
    """Writes what the poller would, and says so."""

    def __init__(self, cache: Cache) -> None:
        self._desk = cache.of("market-data")

    async def put(self, coin: str, rows: Sequence[Made], timeframe: str = "1h") -> None:
        """The first of `rows` lies before the array, the last one is forming."""
        before, array = cached(rows)
        await self.bytes(coin, before, array, timeframe)

    async def bytes(self, coin: str, before: bytes, array: bytes, timeframe: str = "1h") -> None:
        await self._desk.do(Write(ohlcv_key(coin, timeframe), array, TTL_S), Write(before_key(coin, timeframe), before, TTL_S))

    async def price(self, coin: str, price: str) -> None:
        value = f'{{"price":{price},"change24h":-1.25,"volume":3.50,"timestamp":"2023-12-05T20:00:30+00:00"}}'
        await self._desk.do(Write(price_key(coin), value.encode(), TTL_S))

    async def announce(self, coins: Sequence[str], failed: Sequence[str] = (), timeframe: str = "1h") -> None:
        message = {
            "timeframe": timeframe,
            "symbols": list(coins),
            "failed": list(failed),
            "timestamp": "2023-12-05T20:00:30+00:00",
        }
        await self._desk.do(Publish(update_channel(timeframe), json.dumps(message).encode()))
