"""Whether a page of newest candles can be believed, and what of it the cache holds."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from marketd.model.cached import CachedCandle
from marketd.model.events import Candle
from marketd.model.timeframes import Timeframe
from marketd.model.vet import impossible

KEPT = 500  # under `market:ohlcv`, the forming one among them
ASKED = KEPT + 1  # and the one before them: with it 500 are over
MS = 1_000_000


class Unbelievable(Exception):
    """What a page says cannot be so; the text fits a metric's label."""


class Newest(NamedTuple):
    rows: list[CachedCandle]
    before: CachedCandle | None  # the one before the first row; None where the venue has no more
    opened: int  # ns, the newest


class Held(NamedTuple):
    """What was believed last of the same series."""

    opened: int
    candles: int


def newest(page: Sequence[Candle], timeframe: Timeframe, now: int, held: Held | None) -> Newest:
    """What of a page (oldest first) goes into the cache; all of it or nothing. Raises Unbelievable.

    The last row is the candle that forms now, or its neighbour where clocks differ: a page that ends elsewhere is old, or of
    another time. Nor does a series go back, or become shorter.
    """
    if not page:
        raise Unbelievable("no candles")
    for candle in page:
        why = impossible(candle)
        if why is None and not all(one.strip("0.") for one in (candle.open, candle.high, candle.low, candle.close)):
            why = "price is zero"
        if why is not None:
            raise Unbelievable(why)
    opened, forming = page[-1].open_time, timeframe.open_of(now)
    if timeframe.close_of(opened) < forming or (held is not None and opened < held.opened):
        raise Unbelievable("the newest candle is old")
    if opened > timeframe.close_of(forming):
        raise Unbelievable("the newest candle is of the future")
    if held is not None and len(page) < min(held.candles, ASKED):
        raise Unbelievable("fewer candles than before")
    rows = [_cached(candle) for candle in page[-ASKED:]]
    return Newest(rows[-KEPT:], rows[0] if len(rows) == ASKED else None, opened)


def _cached(candle: Candle) -> CachedCandle:
    return CachedCandle(
        candle.open_time // MS,
        candle.close_time // MS,
        Decimal(candle.open),
        Decimal(candle.high),
        Decimal(candle.low),
        Decimal(candle.close),
        Decimal(candle.volume),
    )
