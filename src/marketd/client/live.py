"""What a stream is asked for and what it says: events with their place, what was missed, how the connection is."""

from typing import Literal

import msgspec

from marketd.model.events import BookL2, Candle, Gap, Quote, Status, Trade

ChannelType = Literal["trade", "quote", "book", "candle", "status"]
Live = Trade | Quote | BookL2 | Candle | Gap | Status


class Channel(msgspec.Struct, frozen=True):
    """What to listen to. Without `provider` it is the first venue that has the symbol."""

    type: ChannelType
    symbol: str | None = None
    provider: str | None = None
    timeframe: str | None = None
    max_hz: float | None = None


class Streamed(msgspec.Struct, frozen=True):
    """An event and its position in its channel; a snapshot was there before and is not to be counted."""

    event: Live
    pos: int  # 0: a trade that was missed, from the store
    is_snapshot: bool


class Missed(msgspec.Struct, frozen=True):
    """After a break, what came between these positions of a channel is lost to the stream; what is stored can be asked for."""

    channel: Channel
    after: int
    first: int | None
    reason: str
    filled: int = 0  # trades that the store had of it; they came before this


class Connected(msgspec.Struct, frozen=True):
    """The connection is up and everything subscribed."""

    epoch: str
    is_again: bool


class Broken(msgspec.Struct, frozen=True):
    """The connection ended; it is tried again after so long."""

    reason: str
    retry_s: float


Message = Streamed | Missed | Connected | Broken
