"""Which pairs of a venue follow from a ranking of coins, and which of them are collected: pure, and steady at the edge."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import ceil, inf
from typing import NamedTuple

from marketd.model.instruments import Instrument
from marketd.venues.coingecko import Coin

DOLLARS = ("USDT", "USD", "USDC", "FDUSD")
# Bases that are money themselves: their price is one by design. What is not in here can be added by `discovery.exclude`.
STABLE = (
    "USDT", "USDC", "USDE", "USDS", "DAI", "FDUSD", "TUSD", "USDP", "PYUSD", "USDD", "BUSD", "GUSD", "FRAX", "LUSD", "RLUSD",
    "USD1", "USDG", "USDX", "USDF", "SUSD", "SUSDE", "XUSD", "BFUSD", "UST", "EURC", "EURI", "EURT", "AEUR",
    "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "CHF",
)  # fmt: skip
LEVERAGED = tuple([f"{times}{way}" for times in "2345" for way in "LS"] + ["UP", "DOWN", "BULL", "BEAR"])
PREFIX_MIN = 3  # letters of a coin's ticker before such an ending: JUP and SOUP are coins of their own
PATIENCE = 3  # rankings in a row that a running pair may be missing from


class Standing(NamedTuple):
    """Where a running pair stands."""

    position: int  # among the venue's candidates, from 0, when it was last among them
    misses: int = 0  # rankings in a row that it was missing from since


def ranked(coins: Iterable[Coin]) -> list[Coin]:
    """By rank, each id once and of coins that share a ticker the best one; those without a rank come last, as they came."""
    ordered = sorted(coins, key=lambda coin: inf if coin.rank is None else coin.rank)
    by_ticker: dict[str, Coin] = {}
    for coin in ordered:
        if coin.ticker:
            by_ticker.setdefault(coin.ticker, coin)
    return list(by_ticker.values())


def candidates(
    coins: Sequence[Coin], listed: Iterable[Instrument], quotes: Sequence[str] = (), exclude: Collection[str] = STABLE
) -> list[str]:
    """The symbols that the venue trades of these coins, one a coin, in their order. `quotes`: the first that is listed is
    taken; without any, dollars, those first in which the venue lists the most."""
    trading = {(one.base, one.quote): one.symbol for one in listed if one.is_trading}
    if not quotes:
        pairs = Counter(quote for _, quote in trading)
        quotes = sorted(DOLLARS, key=lambda quote: -pairs[quote])
    tickers = {coin.ticker for coin in coins}
    left_out = {*exclude, *quotes}
    found: dict[str, None] = {}
    for coin in ranked(coins):
        if coin.ticker in left_out or is_leveraged(coin.ticker, tickers):
            continue
        symbol = next((trading[coin.ticker, quote] for quote in quotes if (coin.ticker, quote) in trading), None)
        if symbol is not None:
            found[symbol] = None
    return list(found)


def is_leveraged(ticker: str, tickers: Collection[str]) -> bool:
    """Whether the ticker is that of a coin and a leverage: BTCUP, ETH3L."""
    return any(
        ticker.endswith(ending) and len(ticker) - len(ending) >= PREFIX_MIN and ticker.removesuffix(ending) in tickers
        for ending in LEVERAGED
    )


def resume(saved: Mapping[str, Standing], fallback: Sequence[str], limit: int) -> dict[str, Standing]:
    """What to begin with before there is a ranking: the fallback pairs, and those that an earlier run ended with."""
    first = dict.fromkeys(fallback, Standing(-1))
    rest = sorted(((symbol, stand) for symbol, stand in saved.items() if symbol not in first), key=lambda one: one[1].position)
    return dict([*first.items(), *rest][:limit])


def choose(
    found: Sequence[str], running: Mapping[str, Standing], fallback: Sequence[str], limit: int, margin: float
) -> dict[str, Standing]:
    """The pairs to collect, never more than `limit`: the fallback pairs, then by position.

    Of the places that the fallback pairs leave, `margin` is the share on each side of the edge in which nothing moves: who
    stands above the band has a place, who runs keeps it down to its lower end, and a free place goes to the best. A running
    pair that is missing from the ranking or not traded keeps its place until it was missing `PATIENCE` times in a row.
    """
    first = list(dict.fromkeys(fallback))[:limit]
    places = limit - len(first)
    ranks = {symbol: place for place, symbol in enumerate(one for one in found if one not in first)}
    band = min(ceil(places * margin), places)
    stands = {
        symbol: Standing(ranks[symbol]) if symbol in ranks else Standing(before.position, before.misses + 1)
        for symbol, before in running.items()
        if symbol not in first
    }
    keeps = [
        symbol
        for symbol, stand in sorted(stands.items(), key=lambda one: one[1].position)
        if stand.position < places + band and stand.misses < PATIENCE
    ]
    sure = list(ranks)[: places - band]
    taken = list(dict.fromkeys([*sure, *keeps, *ranks]))[:places]
    chosen = {symbol: stands.get(symbol) or Standing(ranks[symbol]) for symbol in taken}
    by_position = sorted(chosen.items(), key=lambda one: one[1].position)
    return {**dict.fromkeys(first, Standing(-1)), **dict(by_position)}
