"""What is traded on a simulated venue: names, ticks, lots and a price to start from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "BTC", "ETH", "BNB")  # longest first


@dataclass(frozen=True)
class Listing:
    """One market. Prices are whole ticks of 10**-price_decimals, sizes whole lots of 10**-size_decimals."""

    symbol: str
    base: str
    quote: str
    price_decimals: int
    size_decimals: int
    start_ticks: int  # the price the long walk circles around
    step_ticks: int  # distance between two book levels, and the spread
    lots: int  # a usual trade has 1 to this many lots


KNOWN = {
    "BTC": (2, 5, 6_500_000, 10, 20_000),
    "ETH": (2, 4, 320_000, 1, 30_000),
    "SOL": (2, 3, 15_000, 1, 40_000),
    "AAPL": (2, 0, 23_150, 1, 400),
    "MSFT": (2, 0, 41_875, 1, 300),
}

CRYPTO_USDT = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
COINS_US = (
    *("BTC", "ETH", "SOL", "XRP", "BNB", "DOGE", "ADA", "LINK", "XLM", "BCH", "HBAR", "SUI", "AVAX", "LTC", "SHIB", "DOT", "UNI"),
    *("AAVE", "NEAR", "ICP", "APT", "ATOM", "ALGO", "FIL", "RENDER"),
)  # traded against USDT
COINS_US_USD = ("ETC", "VET", "ARB", "OP")  # traded against USD only
MARKETS_US = (
    *(f"{coin}USDT" for coin in COINS_US),
    *(f"{coin}USD" for coin in (*COINS_US_USD, "BTC", "ETH", "SOL")),
    "USDCUSDT",
)
CRYPTO_USD = ("BTCUSD", "ETHUSD", "SOLUSD")
STOCKS = ("AAPL", "MSFT")


def invented(count: int, quote: str = "USDT") -> tuple[str, ...]:
    """Names of `count` markets that exist nowhere: AAAUSDT, AABUSDT, ..."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return tuple(f"{letters[i // 676]}{letters[i // 26 % 26]}{letters[i % 26]}{quote}" for i in range(count))


def several(count: int) -> tuple[str, ...]:
    """So many markets: the usual ones, then invented ones."""
    return (*CRYPTO_USDT, *invented(count))[:count]


def split_symbol(symbol: str) -> tuple[str, str] | None:
    """Base and quote; None if the quote is not known."""
    quote = next((q for q in QUOTES if symbol.endswith(q) and len(symbol) > len(q)), None)
    return None if quote is None else (symbol.removesuffix(quote), quote)


def list_symbol(symbol: str, *, stock: bool = False) -> Listing:
    """The listing of a symbol; unknown bases get ticks, lots and a price derived from the name alone."""
    parts = (symbol, "USD") if stock else split_symbol(symbol)
    if parts is None:
        raise ValueError(f"sim symbol {symbol!r}: its quote is not one of {', '.join(QUOTES)}")
    base, quote = parts
    if base in KNOWN:
        price_decimals, size_decimals, start, step, lots = KNOWN[base]
    else:
        weight = sum(ord(letter) * 31**i for i, letter in enumerate(base))
        price_decimals, size_decimals, start, step, lots = 4, 2, 20_000 + weight % 900_000, 1, 10_000
    return Listing(symbol, base, quote, price_decimals, size_decimals, start, step, lots)


def list_symbols(symbols: Iterable[str], *, stock: bool = False) -> dict[str, Listing]:
    return {symbol: list_symbol(symbol, stock=stock) for symbol in symbols}


def decimal_text(units: int, decimals: int) -> str:
    """Whole units of 10**-decimals as plain decimal text, every digit kept: (120, 2) is "1.20"."""
    if decimals == 0:
        return str(units)
    text = str(units).rjust(decimals + 1, "0")
    return f"{text[:-decimals]}.{text[-decimals:]}"


def trimmed_text(units: int, decimals: int) -> str:
    """The same without trailing zeros: (120, 2) is "1.2", (100, 2) is "1"."""
    if decimals == 0:
        return str(units)
    whole, rest = divmod(units, 10**decimals)
    return f"{whole}.{rest:0{decimals}}".rstrip("0") if rest else str(whole)
