"""A venue and a provider that live outside the package: installed, they are named in the config like any other.

exchanges:
  binance_mirror: {symbols: [BTCUSDT]}
  dice: {symbols: [SIXUSD]}
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar

from marketd import MarketDataProvider
from marketd.clock import SystemClock
from marketd.model.events import Channel, Event, Trade
from marketd.venues.binance import Binance


class BinanceMirror(Binance):
    """Another host that speaks Binance's protocol: a class with the shape of `marketd.venues.venue.Venue` is a venue."""

    name: ClassVar[str] = "binance_mirror"
    stream_url = "wss://mirror.example:9443"
    rest_url = "https://mirror.example"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)


class Dice(MarketDataProvider):
    """A source that is no WebSocket: it throws a dice now and then and calls it a trade."""

    name = "dice"

    def __init__(self) -> None:
        self._symbols: Sequence[str] = ()
        self._dice = random.Random(6)
        self._clock = SystemClock()
        self._thrown = 0

    async def connect(self) -> None:
        """There is nothing to connect to; a real source raises marketd.errors.Disconnected when it cannot."""

    async def subscribe(self, symbols: Sequence[str], channels: Sequence[Channel]) -> None:
        self._symbols = symbols

    async def stream(self) -> AsyncIterator[Event]:
        while True:
            await asyncio.sleep(0.05)
            for symbol in self._symbols:
                self._thrown += 1
                now = self._clock.now_ns()
                yield Trade(self.name, symbol, now, now, str(self._dice.randint(1, 6)), "1", None, str(self._thrown))

    async def close(self) -> None:
        self._symbols = ()
