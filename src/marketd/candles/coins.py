"""The coins that are kept when none are named, and the market that stands for each."""

from collections.abc import Iterable
from typing import NamedTuple

from marketd.model.instruments import Instrument, Instruments

# The 29 largest by market value among those that Binance.US lists against USDT or USD, without stablecoins and without coins that
# only wrap another one. Reviewed 2026-11-21 by hand; nothing depends on their order. The venue's own list has the last word at
# every start and each hour: what it no longer lists is named and left out.
COINS: tuple[str, ...] = (
    "BTC", "ETH", "XRP", "BNB", "SOL", "DOGE", "ADA", "LINK", "XLM", "BCH",
    "HBAR", "SUI", "AVAX", "LTC", "SHIB", "DOT", "UNI", "AAVE", "NEAR", "ICP",
    "ETC", "APT", "ATOM", "ALGO", "VET", "ARB", "FIL", "OP", "RENDER",
)  # fmt: skip
QUOTES = ("USDT", "USD")  # in this order


class Chosen(NamedTuple):
    instruments: tuple[Instrument, ...]  # one a coin, in the order asked for
    unlisted: tuple[str, ...]  # coins that the venue does not trade


def choose(coins: Iterable[str], listed: Instruments) -> Chosen:
    """A coin (`BTC`) is its USDT market, else its USD market; a whole symbol (`BTCUSD`) is that market."""
    found: dict[str, Instrument] = {}
    unlisted = []
    for coin in dict.fromkeys(coins):
        names = [*(f"{coin}{quote}" for quote in QUOTES), coin]
        instrument = next((one for name in names if (one := listed.get(name)) is not None and one.is_trading), None)
        if instrument is None:
            unlisted.append(coin)
        else:
            found.setdefault(instrument.symbol, instrument)
    return Chosen(tuple(found.values()), tuple(unlisted))
