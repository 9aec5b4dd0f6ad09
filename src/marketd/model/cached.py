"""The candle cache on the wire: names of keys and channels, and what stands under them, with the venue's own digits."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from marketd.model.foreign import reader_of

UPDATE_ALL = "market:update:all"
EXPONENT_MAX = 60  # either way: written out, a number beyond it would be all zeros, and endless


def ohlcv_key(symbol: str, timeframe: str) -> str:
    """An array of candles, oldest first, the forming one last."""
    return f"market:ohlcv:{symbol}:{timeframe}"


def before_key(symbol: str, timeframe: str) -> str:
    """The one candle before that array."""
    return f"market:before:{symbol}:{timeframe}"


def price_key(symbol: str) -> str:
    return f"market:price:{symbol}"


def analysis_key(symbol: str, timeframe: str) -> str:
    """The technical analysis of a series, as it was said last, its signals included."""
    return f"market:analysis:{symbol}:{timeframe}"


def update_channel(timeframe: str) -> str:
    return f"market:update:{timeframe}"


class CachedCandle(msgspec.Struct, frozen=True, gc=False):
    """A candle of the cache. Its numbers are exact and keep their digits, trailing zeros included."""

    open_time: int  # ms since the epoch
    close_time: int  # ms, open_time + timeframe
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class CachedPrice(msgspec.Struct, frozen=True):
    price: Decimal
    change24h: Decimal | None  # percent
    volume: Decimal | None  # base units, 24 h
    timestamp: str  # ISO 8601, UTC
    bid: Decimal | None = None
    ask: Decimal | None = None


class Updated(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is published after a refresh."""

    timeframe: str
    symbols: list[str]
    failed: list[str]
    timestamp: str  # ISO 8601, UTC
    timeframes: list[str] = []  # of `market:update:all` only


_encode = msgspec.json.encode
_candle = reader_of(CachedCandle)
_candles = reader_of(list[CachedCandle])
_price = reader_of(CachedPrice)
_updated = reader_of(Updated)


def encode_candle(candle: CachedCandle) -> bytes:
    """Numbers are JSON literals with the digits that they came with, written out plain."""
    return _encode(_plain(candle))


def encode_candles(candles: Iterable[CachedCandle]) -> bytes:
    return _encode([_plain(candle) for candle in candles])


def encode_price(price: CachedPrice) -> bytes:
    return _encode(_plain(price))


def encode_updated(updated: Updated) -> bytes:
    return _encode(updated)


def _plain(value: CachedCandle | CachedPrice) -> dict[str, object]:
    """`1E-8` is a number of JSON too, but not the venue's digits."""
    return {
        name: msgspec.Raw(format(field, "f").encode()) if isinstance(field, Decimal) else field
        for name, field in msgspec.structs.asdict(value).items()
    }


def decode_candle(value: bytes) -> CachedCandle:
    """Raises msgspec.DecodeError, as all below."""
    return _candle(value)


def decode_candles(value: bytes) -> list[CachedCandle]:
    return _candles(value)


def decode_price(value: bytes) -> CachedPrice:
    found = _price(value)
    for name in ("price", "change24h", "volume", "bid", "ask"):
        number: Decimal | None = getattr(found, name)
        if number is not None and not (number.is_finite() and abs(number.adjusted()) <= EXPONENT_MAX):
            raise msgspec.DecodeError(f"{name} is no finite number of sane size")
    return found


def decode_updated(value: bytes) -> Updated:
    return _updated(value)
