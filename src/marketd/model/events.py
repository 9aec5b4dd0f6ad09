"""What happens on a market and to the line it comes over, as flat frozen events, the same inside and on every wire.

Prices and sizes are text with exactly the venue's digits. `ts_event` is the venue's time (None where it gives none),
`ts_recv` ours at the socket, both integer nanoseconds since the epoch, UTC.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]
Channel = Literal["trade", "quote", "book", "candle"]
GapState = Literal["found", "filled", "unrecoverable"]
REPAIRING = "being repaired: "  # how the cause of a gap begins that is said again when its repair begins
NOTHING_THERE = "the venue has no such trades"  # the cause of a gap that is closed because nothing was there
LineState = Literal["connected", "disconnected", "stale", "refused", "switched"]
ShareState = Literal["assigned", "ready", "released"]
Level = tuple[str, str]  # price, size

SYSTEM = "__system__"  # the symbol of events that concern a whole venue


class Event(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """What every event has. On the wire a venue is called `provider`."""

    venue: str = msgspec.field(name="provider")
    symbol: str
    ts_event: int | None
    ts_recv: int


class Trade(Event, frozen=True, gc=False, tag="trade"):
    price: str
    size: str
    side: Side | None  # the aggressor, who crossed the spread; None when the venue does not say
    trade_id: str
    repaired: bool = False  # fetched later to fill a gap
    # The venue's own trade object, its text unchanged, where a sink wants it; the stream's object or, of a repaired one, REST's.
    raw: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def decimal(self) -> tuple[Decimal, Decimal]:
        """Price and size as exact decimals."""
        return Decimal(self.price), Decimal(self.size)


class Quote(Event, frozen=True, gc=False, tag="quote"):
    bid: str
    bid_size: str
    ask: str
    ask_size: str
    seq: int | None = None  # the venue's update id


class BookL2(Event, frozen=True, gc=False, tag="book_l2"):
    """A full top-of-book view from a book in sync, best level first."""

    bids: Sequence[Level]
    asks: Sequence[Level]
    seq: int | None


class BookDelta(Event, frozen=True, gc=False, tag="book_delta"):
    """Levels that changed; size "0" (with any zeros) removes. It follows `prev_seq`; None where the venue numbers nothing."""

    bids: Sequence[Level]
    asks: Sequence[Level]
    seq: int | None
    prev_seq: int | None


class BookSnapshot(Event, frozen=True, gc=False, tag="book_snapshot"):
    """The whole book as the venue gives it to start from: replaces everything known before. Never leaves the feed."""

    bids: Sequence[Level]
    asks: Sequence[Level]
    seq: int | None


class Candle(Event, frozen=True, gc=False, tag="candle"):
    timeframe: str
    open_time: int  # ns
    close_time: int  # ns, always open_time + timeframe
    open: str
    high: str
    low: str
    close: str
    volume: str  # base units
    closed: bool  # by the venue's own word or a proven successor, never by our clock
    revision: int = 0
    repaired: bool = False


class Heartbeat(Event, frozen=True, gc=False, tag="heartbeat"):
    reason: str


class Gap(Event, frozen=True, gc=False, tag="gap"):
    """Something is missing, or no longer. Ids and times are those of the first and the last thing missing, where known."""

    channel: Channel
    state: GapState
    from_id: str | None
    to_id: str | None
    from_ts: int | None
    to_ts: int | None
    cause: str

    @property
    def is_repairing(self) -> bool:
        """Said once more because its repair begins: nothing new is missing."""
        return self.state == "found" and self.cause.startswith(REPAIRING)

    @property
    def is_empty(self) -> bool:
        """The venue's own list proves that nothing was there."""
        return self.state == "filled" and self.cause == NOTHING_THERE


class Status(Event, frozen=True, gc=False, tag="status"):
    state: LineState
    reason: str


class Share(Event, frozen=True, gc=False, tag="share"):
    """Which symbols this process looks after, said among the events that it concerns. Never leaves the process.

    assigned: forget them; what follows is their past, by which to rebuild, saying nothing. ready: live from here on.
    released: forget them, another one has them.
    """

    state: ShareState
    symbols: Sequence[str]


AnyEvent = Trade | Quote | BookL2 | BookDelta | Candle | Heartbeat | Gap | Status
EVENT_TYPES: tuple[type[Event], ...] = (Trade, Quote, BookL2, BookDelta, Candle, Heartbeat, Gap, Status)
TYPE_NAMES: dict[type[Event], str] = {
    Trade: "trade",
    Quote: "quote",
    BookL2: "book_l2",
    BookDelta: "book_delta",
    Candle: "candle",
    Heartbeat: "heartbeat",
    Gap: "gap",
    Status: "status",
    BookSnapshot: "book_snapshot",
    Share: "share",
}


def droppable(event: Event) -> bool:
    """Whether a full queue may lose it. Trades, closed candles, gap and status events never."""
    kind = event.__class__
    if kind is Candle:
        return not event.closed  # type: ignore[attr-defined]
    return kind is Quote or kind is BookL2 or kind is BookDelta or kind is Heartbeat
