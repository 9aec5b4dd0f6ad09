"""What a line tells the feed beside events: facts about the line itself, as data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from marketd.model.events import Trade

if TYPE_CHECKING:
    from marketd.venues.venue import Wanted


class Notice(msgspec.Struct, frozen=True):
    """The root of what is for the feed only and never reaches the bus."""


class Ready(Notice, frozen=True):
    """The greeting is done: subscriptions may be sent."""


class Acked(Notice, frozen=True):
    """The venue confirmed these subscriptions."""

    wanted: "Sequence[Wanted]"


class Declined(Notice, frozen=True):
    """The venue refused these, in its own words. Without `wanted`, the words concern the whole connection.

    Several `wanted` that are not `permanent` shared one request that failed as a whole: the feed asks for each of them
    again alone, so that the good ones come through and the bad one is told from them.
    """

    wanted: "Sequence[Wanted]"
    words: str
    permanent: bool = True  # False: asking again later may help; with no `wanted`, True means: do not reconnect at once


class Alive(Notice, frozen=True):
    """A heartbeat or pong: the connection lives (for `symbol`, where it names one) though nothing happened."""

    symbol: str | None = None
    channel: str | None = None


class Cut(Notice, frozen=True):
    """The venue is about to close or asks us to reconnect: open the replacement now."""

    reason: str


class Lost(Notice, frozen=True):
    """Something between was lost on this whole connection: a jump in its numbering, or the venue says so."""

    cause: str
    resubscribe: bool = False  # the venue wants every subscription asked for again


class LastTrade(Notice, frozen=True):
    """The newest trade id of a symbol as the venue knows it: reveals a lost last trade."""

    symbol: str
    trade_id: str


class Overlap(Notice, frozen=True):
    """Recent trades the venue repeats on subscribing, oldest first: they prove or close the gap to what was known before."""

    symbol: str
    trades: Sequence[Trade]


class Checksum(Notice, frozen=True):
    """What the venue's checksum of this book is after the deltas before this notice."""

    symbol: str
    value: int


class Unsaid(Notice, frozen=True):
    """A frame understood and on purpose not used (a channel nobody asked for, another snapshot of the same)."""

    why: str


class Unknown(Notice, frozen=True):
    """A well-formed frame that no rule explains: counted and logged, never guessed at."""

    why: str
