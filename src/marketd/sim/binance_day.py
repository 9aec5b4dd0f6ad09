"""The last 24 hours of a market as the pretend Binance tells them: `GET /api/v3/ticker/24hr`."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from marketd.sim.candles import DAY_MS
from marketd.sim.history import Bar
from marketd.sim.symbols import decimal_text

if TYPE_CHECKING:
    from marketd.sim.venue import SimVenue

ZERO = decimal_text(0, 8)


def day_of(venue: SimVenue, symbol: str) -> dict[str, Any]:
    """Where files of candles take the market's place, the day is theirs, and the quote is the last close on both sides."""
    row, now_ms, listing = venue.rows.day(symbol), venue.now_ms(), venue.listings[symbol]
    opened, last, volume = Decimal(row.open), Decimal(row.close), Decimal(row.volume)
    turnover, bar, sides = ZERO, Bar(-1, 0), ([(row.close, row.volume)], [(row.close, row.volume)])
    if row.bar is not None:
        turnover = decimal_text(row.bar.notional * 10 ** (8 - listing.price_decimals - listing.size_decimals), 8)
        bar, sides = row.bar, venue.book(symbol, 1)
    (bid, bid_size), (ask, ask_size) = (side[0] if side else (ZERO, ZERO) for side in sides)
    change = 100 * (last - opened) / opened if opened else Decimal(0)
    return {
        "symbol": symbol,
        "priceChange": f"{last - opened:f}",
        "priceChangePercent": f"{change:.3f}",
        "weightedAvgPrice": f"{Decimal(turnover) / volume if volume else last:.8f}",
        "prevClosePrice": row.open,
        "lastPrice": row.close,
        "lastQty": row.volume,
        "bidPrice": bid,
        "bidQty": bid_size,
        "askPrice": ask,
        "askQty": ask_size,
        "openPrice": row.open,
        "highPrice": row.high,
        "lowPrice": row.low,
        "volume": row.volume,
        "quoteVolume": turnover,
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": bar.first,
        "lastId": bar.first + bar.count - 1 if bar.count else -1,
        "count": bar.count,
    }
