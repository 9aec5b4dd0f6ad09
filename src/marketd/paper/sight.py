"""What the trader sees of the market at a boundary between candles: of each symbol, what closed, what opens, what is doubted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Literal, NamedTuple

from marketd.model.cached import CachedCandle
from marketd.model.exact import NUMBER_DIGITS

MS = 1_000_000
Direction = Literal["long", "short"]


class Prices(NamedTuple):
    """The prices of a candle."""

    open_time: int  # ns
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Quoted(NamedTuple):
    bid: Decimal
    ask: Decimal
    ts: int  # ns


class Advice(NamedTuple):
    """A signal, as far as the trader is concerned."""

    id: str  # its identity: the same signal twice is one
    venue: str
    symbol: str
    direction: Direction
    close_time: int  # ns, of the candle it was made of
    rule: str
    reasons: str = ""  # for a person
    doubt: str = ""  # why it is not to be trusted; empty: it is


@dataclass(frozen=True)
class Sight:
    """One symbol."""

    closed: Sequence[Prices] = ()  # oldest first; proven to be closed by a successor
    opens: Prices | None = None  # the candle after the last closed one, of which only the open is certain; None: nor is that
    doubt: str = ""  # why nothing is to be bought on these candles; empty: nothing is wrong with them
    quote: Quoted | None = None


@dataclass(frozen=True)
class Look:
    """All symbols at one boundary: `boundary` is where the newest candles of all closed, `now` the clock, both ns."""

    boundary: int
    now: int
    sights: Mapping[str, Sight]
    advices: Sequence[Advice] = field(default=())


def sight_of(candles: Sequence[CachedCandle], step: int, quote: Quoted | None = None) -> Sight:
    """Candles of the cache, oldest first, the last one forming, with a timeframe of `step` ns."""
    prices: list[Prices] = []
    doubt = ""
    for one in candles:
        if wrong := _wrong(one, step):
            doubt = f"candle {one.open_time}: {wrong}"
            continue
        prices.append(Prices(one.open_time * MS, one.open, one.high, one.low, one.close))
    for earlier, later in pairwise(prices):
        if later.open_time <= earlier.open_time:
            return Sight(
                doubt=f"candle {later.open_time // MS} stands after {earlier.open_time // MS}: out of order", quote=quote
            )
        if later.open_time != earlier.open_time + step:
            lacking = (later.open_time - earlier.open_time) // step - 1
            doubt = doubt or f"{lacking} candles are missing before {later.open_time // MS}"
    # Until its first trade a venue shows the last close as a candle's open.
    has_opened = bool(prices) and candles[-1].open_time * MS == prices[-1].open_time and candles[-1].volume > 0
    return Sight(prices[:-1], prices[-1] if has_opened else None, doubt, quote)


def _wrong(one: CachedCandle, step: int) -> str:
    """What no candle is; empty if it is one."""
    numbers = (one.open, one.high, one.low, one.close)
    if any(not is_price(number) for number in numbers):
        return "a price that none is"
    if not one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high:
        return "its open or close lies outside of low and high"
    if not (one.volume.is_finite() and one.volume >= 0):
        return "a volume that none is"
    if one.open_time < 0:
        return "a time before 1970"
    if one.open_time * MS % step or (one.close_time - one.open_time) * MS != step:
        return "it does not lie on the grid of its timeframe"
    return ""


def is_price(number: Decimal) -> bool:
    """Finite, above zero, and of no more digits than sums stay exact with."""
    return (
        number.is_finite()
        and number > 0
        and len(number.as_tuple().digits) <= NUMBER_DIGITS
        and abs(number.adjusted()) <= NUMBER_DIGITS
    )
