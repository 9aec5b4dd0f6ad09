"""A venue that can be polled answers more than the others: its newest candles, and the prices of many symbols at once."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from marketd.model.digits import is_plain, unsigned
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.timeframes import Timeframe
from marketd.model.vet import FUTURE_NS, REAL_NS
from marketd.venues.venue import Answer, Request, Venue


class DayPrice(NamedTuple):
    """What a symbol costs now, and its last 24 hours; the venue's digits."""

    symbol: str  # ours
    price: str
    change: str  # percent, signed
    volume: str  # base units
    ts: int  # ns, the venue's
    bid: str | None  # None where nobody bids
    ask: str | None


@runtime_checkable
class Polled(Protocol):
    """The questions, beside those of a Venue."""

    def newest_candles_request(self, instrument: Instrument, timeframe: Timeframe, count: int) -> Request:
        """The `count` newest candles (at most `candle_page`), the forming one among them."""
        ...

    def read_newest_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        """Oldest first. Raises BadFrame, also for rows in another order, or twice: such an answer is not to be believed."""
        ...

    def prices_request(self, instruments: Sequence[Instrument]) -> Request:
        """All of them in one answer."""
        ...

    def read_prices(self, answer: Answer, instruments: Mapping[str, Instrument], ts_recv: int) -> list[DayPrice]:
        """By the venue's spelling; what was not asked for or cannot be read is left out. Raises BadFrame."""
        ...


def questions_of(venue: Venue) -> Polled | None:
    """None for a venue that does not answer them."""
    return venue if isinstance(venue, Polled) else None


def impossible_price(price: DayPrice, now: int) -> str | None:
    """Why this cannot be true at `now` (ns), in a few words fit for a metric's label; None if it can."""
    numbers = [price.price, unsigned(price.change)[0], price.volume, *filter(None, (price.bid, price.ask))]
    if not all(map(is_plain, numbers)):
        return "price or volume is no plain number"
    if not price.price.strip("0."):
        return "price is zero"
    if price.ts < REAL_NS:
        return "time out of range"
    if price.ts > now + FUTURE_NS:
        return "time in the future"
    return None
