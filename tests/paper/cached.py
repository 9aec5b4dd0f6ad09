"""A cache with candles, readings and messages as the poller and the technical analysis leave them there."""

import msgspec

from marketd.model.cached import (
    CachedCandle,
    Updated,
    analysis_key,
    encode_candles,
    encode_updated,
    ohlcv_key,
    update_channel,
)
from marketd.model.signals import Direction, Signal, SignalQuality, encode_signal, signal_channel
from marketd.model.timeframes import HOUR
from marketd.paper.sight import MS, Prices
from marketd.stores.cache import Desk, Publish, Write

TTL_S = 1e9


def signal(symbol: str, opens: int, direction: Direction = "long", rule: str = "ribbon_up", *, ok: bool = True) -> Signal:
    quality = SignalQuality(ok, None if ok else "a hole", 500)
    return Signal(symbol, "sim", "1h", direction, rule, ("it rose",), "100", opens, opens + HOUR, opens + HOUR, quality)


def candles_of(prices: list[Prices]) -> bytes:
    at = [(one.open_time // MS, (one.open_time + HOUR) // MS) for one in prices]
    return encode_candles(
        CachedCandle(*times, one.open, one.high, one.low, one.close, one.open) for times, one in zip(at, prices, strict=True)
    )


async def put(desk: Desk, candles: dict[str, list[Prices]], *signals: Signal, judged: bool = True, update: bool = True) -> None:
    """Candles under their keys, then the update, then for each symbol its reading with its signals, published with it."""
    await desk.do(*(Write(ohlcv_key(symbol, "1h"), candles_of(its), TTL_S) for symbol, its in candles.items()))
    if update:
        payload = encode_updated(Updated("1h", list(candles), [], "2024-01-01T00:00:00Z"))
        await desk.do(Publish(update_channel("1h"), payload))
    for symbol, its in candles.items() if judged else ():
        mine = [one for one in signals if one.symbol == symbol]
        reading = {"symbol": symbol, "close_time": its[-2].open_time + HOUR, "signals": mine}
        write = Write(analysis_key(symbol, "1h"), msgspec.json.encode(reading), TTL_S)
        await desk.do(write, *(Publish(signal_channel(symbol), encode_signal(one), signal=True) for one in mine))
