"""Where events come from: one file a venue, and the loop that runs them all."""

from collections.abc import Callable, Mapping

from marketd.venues.binance import Binance
from marketd.venues.binance_us import BinanceUs
from marketd.venues.bybit import Bybit
from marketd.venues.coinbase import Coinbase
from marketd.venues.venue import Venue

VENUES: Mapping[str, Callable[[Mapping[str, str]], Venue]] = {
    "binance": Binance,
    "binance_us": BinanceUs,
    "bybit": Bybit,
    "coinbase": Coinbase,
}

__all__ = ["VENUES"]
