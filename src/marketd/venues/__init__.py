"""Where events come from. Here: the venues there are, ours and those that other packages bring (group `marketd.venues`)."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points

from marketd.errors import ConfigError
from marketd.venues.alpaca import Alpaca
from marketd.venues.binance import Binance
from marketd.venues.binance_us import BinanceUs
from marketd.venues.bitfinex import Bitfinex
from marketd.venues.bybit import Bybit
from marketd.venues.coinbase import Coinbase
from marketd.venues.kraken import Kraken
from marketd.venues.provider import MarketDataProvider
from marketd.venues.venue import Venue

GROUP = "marketd.venues"
VENUES: Mapping[str, Callable[[Mapping[str, str]], Venue]] = {
    "alpaca": Alpaca,
    "binance": Binance,
    "binance_us": BinanceUs,
    "bitfinex": Bitfinex,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "kraken": Kraken,
}
POLLED = "binance_us"  # by the candle cache, unless it is told otherwise


def known_venues() -> list[str]:
    """Every name that may stand in a config, ours first."""
    return [*VENUES, *sorted({one.name for one in entry_points(group=GROUP)} - VENUES.keys())]


def venue_named(name: str, settings: Mapping[str, str]) -> Venue:
    """Build a venue. Raises ConfigError that names the nearest known one."""
    found = source_named(name, settings)
    if isinstance(found, MarketDataProvider):
        raise ConfigError(f"{name} is a provider of its own kind: it can be run, but not asked or replayed as a venue")
    return found


def source_named(name: str, settings: Mapping[str, str]) -> Venue | MarketDataProvider:
    """Build whatever stands behind a venue's name. Raises ConfigError that names the nearest known one."""
    build = VENUES.get(name)
    if build is not None:
        return build(settings)
    brought = {one.name: one for one in entry_points(group=GROUP)}
    if name not in brought:
        near = get_close_matches(name, known_venues(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigError(f"no venue {name!r}{hint} Known: {', '.join(known_venues())}")
    outside = brought[name].load()
    if isinstance(outside, type) and issubclass(outside, MarketDataProvider):
        return outside()
    built: Venue = outside(settings)
    return built
