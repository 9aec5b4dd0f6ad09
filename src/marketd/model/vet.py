"""What cannot be true of a market is kept aside, whichever venue or program says it."""

from itertools import chain

from marketd.model.digits import DIGITS_MAX, is_plain
from marketd.model.events import BookDelta, BookL2, BookSnapshot, Candle, Event, Gap, Quote, Trade

LARGEST = 2**63 - 1  # that a store's integer holds
ID_MAX = 128  # letters of a trade's id
FUTURE_NS = 3_600 * 1_000_000_000  # a venue's clock may be off by minutes; an hour is no clock error
_DIGITS = b"0123456789"
_POINTS = b" ." * 100_000 + b" "
REAL_NS = 946_684_800 * 1_000_000_000  # 2000-01-01: recordings without receive times count up from zero


def impossible(event: Event) -> str | None:
    """Why this event cannot be true, in a few words fit for a metric's label; None if it can."""
    kind = event.__class__
    if kind is Trade:
        why = _trade(event)  # type: ignore[arg-type]
    elif kind is Quote:
        why = _quote(event)  # type: ignore[arg-type]
    elif kind is Candle:
        why = _candle(event)  # type: ignore[arg-type]
    elif kind is BookDelta or kind is BookSnapshot or kind is BookL2:
        why = _book(event)  # type: ignore[arg-type]
    elif kind is Gap:
        why = _gap(event)  # type: ignore[arg-type]
    else:
        why = None
    ts_event, ts_recv = event.ts_event, event.ts_recv
    if why is None and ts_event is not None:
        if ts_event < 0:
            return "time before the epoch"
        if ts_event > LARGEST or (ts_event > ts_recv + FUTURE_NS and ts_recv > REAL_NS):
            return "time in the future"
    return why


def _trade(trade: Trade) -> str | None:
    price, size = trade.price, trade.size
    if not (price.replace(".", "", 1).isdecimal() and size.replace(".", "", 1).isdecimal()) or not (price + size).isascii():
        return "price or size is no plain number"
    if len(price) > DIGITS_MAX or len(size) > DIGITS_MAX:
        return "price or size is no plain number"
    if len(trade.trade_id) > ID_MAX:
        return "id is too long"
    if not price.strip("0."):
        return "price is zero"
    if not size.strip("0."):
        return "size is zero"
    return None


def _gap(gap: Gap) -> str | None:
    return "id is too long" if max(len(gap.from_id or ""), len(gap.to_id or "")) > ID_MAX else None


def _quote(quote: Quote) -> str | None:
    if not (is_plain(quote.bid) and is_plain(quote.ask) and is_plain(quote.bid_size) and is_plain(quote.ask_size)):
        return "price or size is no plain number"
    if quote.seq is not None and not 0 <= quote.seq <= LARGEST:
        return "sequence out of range"
    return None


def _book(book: BookDelta | BookSnapshot | BookL2) -> str | None:
    texts = [*chain(*book.bids, *book.asks)]
    if max(map(len, texts), default=0) > DIGITS_MAX:
        return "price or size is no plain number"
    whole = f" {' '.join(texts)} ".encode()
    # Asked of every level that any venue sends: most write a point in every number, and then one look at all is enough.
    if (whole.translate(None, _DIGITS) != _POINTS[: 2 * len(texts) + 1] or b" . " in whole) and not all(map(is_plain, texts)):
        return "price or size is no plain number"
    if book.seq is not None and not 0 <= book.seq <= LARGEST:
        return "sequence out of range"
    if book.__class__ is BookDelta and book.prev_seq is not None and not 0 <= book.prev_seq <= LARGEST:
        return "sequence out of range"
    return None


def _candle(candle: Candle) -> str | None:
    texts = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    if not all(map(is_plain, texts)):
        return "price or volume is no plain number"
    # float comparison is monotonic in the exact values, so it can only miss what differs beyond 15 digits
    open_, high, low, close = map(float, texts[:4])
    if not low <= min(open_, close) <= max(open_, close) <= high:
        return "high and low do not enclose open and close"
    if candle.close_time <= candle.open_time:
        return "close time is not after open time"
    if candle.open_time < 0 or candle.close_time > LARGEST:
        return "time out of range"
    return None
