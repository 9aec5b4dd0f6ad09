"""What a venue is: static facts and pure questions. And a line: the decoder of one connection.

Neither connects, sleeps, retries, logs or reads the clock; `feed.py` does that for all. What a line reads comes back as
events for the bus and as notices for the feed (`notices.py`), so the same code serves live, replay, backfill and fuzzing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, Protocol

import msgspec

from marketd.model.digits import is_plain
from marketd.model.events import BookSnapshot, Candle, Channel, Event, Level, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import Timeframe
from marketd.venues.notices import Notice

# All that decoding what a venue sent can raise; a venue turns each into BadFrame, at one place.
UNREADABLE = (msgspec.MsgspecError, ValueError, LookupError, ArithmeticError, RecursionError)

Detects = Literal["ids", "sequence", "checksum", "overlap", "none"]
Empty = Literal["no row", "zero volume", "either"]


class Wanted(NamedTuple):
    """One subscription: a channel of a symbol (ours); candles name their timeframe."""

    channel: Channel
    symbol: str
    timeframe: str = ""


class Proof(NamedTuple):
    """How completeness is shown on a channel: the row of docs/venues.md and the word in the ledger."""

    detects: Detects
    repairs: str  # the REST call that fills a gap, or "nothing"
    reach: str  # how far back that call goes


class RawTrades(NamedTuple):
    """Where trades stand in what a venue sends, and where in a trade its id: `raw.py` keeps their texts for who wants them."""

    stream: Sequence["Path"]  # in a frame; the first that leads anywhere is the one
    stream_id: str | int
    rest: "Path"  # in a REST body
    rest_id: str | int
    id_ends_ours: bool = False  # our id is made of more than the venue's, which stands last, after a dash


Path = Sequence[str | int | None]  # into a key, into an index, into everything there is


class Quota(NamedTuple):
    """A REST allowance: `weight` per `per_s` seconds."""

    weight: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the venue allows one client; the feed keeps below it."""

    topics_per_connection: int = 100
    symbols_per_connection: int | None = None
    frames_per_s: float = 4.0  # control frames that we may send
    connects_per_min: float = 60.0
    life_s: float | None = None  # the venue cuts every connection at this age
    ping_every_s: float | None = None  # how often line.ping() is sent; None: the venue pings us
    ack_within_s: float = 10.0
    silent_after_s: float = 30.0  # a connection without any frame for so long is dead
    rest: Mapping[str, Quota] = field(default_factory=lambda: {"": Quota(10, 1.0)})  # by Request.bucket
    used_header: str | None = None  # response header with the weight used in the first quota's window


@dataclass(frozen=True, slots=True)
class Request:
    """A REST GET as data: the caller owns the wire."""

    path: str  # appended to the venue's REST base
    params: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    bucket: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None  # another host than rest_url; used only while rest_url is the venue's own


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    ts_recv: int = 0  # ours, when it was here whole

    @property
    def retry_after_s(self) -> float:
        """What a Retry-After header in seconds asks for; 0 without one, and for a date, which would need a clock."""
        text = self.headers.get("retry-after", "")
        return float(text) if is_plain(text) else 0.0


class Span(NamedTuple):
    """Missing trades: ids inclusive where the venue numbers them, times in ns inclusive; None is unknown."""

    from_id: str | None
    to_id: str | None
    from_ts: int | None
    to_ts: int | None


class TradesPage(NamedTuple):
    trades: list[Trade]  # oldest first; the span decides what is used
    more: Request | None  # the next page towards covering the span; None: the venue has no more


class Line(Protocol):
    """The decoder of one connection. It holds what belongs to that connection only."""

    ready: bool  # False until a Ready notice, where the venue wants a greeting or authentication first

    def greet(self) -> list[bytes]:
        """Frames to send as soon as the connection is open."""
        ...

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        """Frames that ask for these, within the venue's limits per frame. The first call of a line gets exactly what
        `connect_url` got, in the same order, so a venue whose URL carries subscriptions asks only for the rest."""
        ...

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]: ...

    def ping(self) -> bytes | None: ...

    def read(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        """What a frame says. Raises BadFrame; the next frame is unaffected."""
        ...


class Venue(Protocol):
    """A venue's facts and questions. Built from the venue's own settings (keys); most ignore them."""

    name: ClassVar[str]
    channels: ClassVar[frozenset[Channel]]
    stream_url: str
    rest_url: str
    limits: Limits
    proofs: ClassVar[Mapping[Channel, Proof]]
    timeframes: ClassVar[Mapping[str, str]]  # ours -> theirs
    candle_page: ClassVar[int]  # rows that one candles_request may ask for
    candle_reach: ClassVar[
        int | None
    ]  # REST has so many of a series' newest intervals and nothing older; None: its whole history
    candle_empty: ClassVar[Empty]  # what REST shows for an interval without a trade
    candle_streams: ClassVar[int | frozenset[str] | None]  # timeframes that are streamed: so many a symbol, these, or None: all
    book_depth: int | None  # levels a side that the venue keeps us informed of; None: the whole book
    dry: bool  # no connection is made; heartbeats only

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str: ...

    def connect_headers(self) -> Mapping[str, str]: ...

    def open_line(self, instruments: Instruments) -> Line: ...

    def instruments_request(self) -> Request: ...

    def read_instruments(self, answer: Answer) -> list[Instrument]: ...

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        """The REST book to start from, or None where the stream itself sends snapshots (resync = subscribe again)."""
        ...

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot: ...

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        """The first page towards filling `span`, or None where the venue has no way."""
        ...

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage: ...

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        """Candles whose open time lies in `span` (ns), at most `candle_page` of them."""
        ...

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        """Oldest first, each once; closed where a later one in the same answer proves it. Rows outside the span that was
        asked for may be among them where the venue gives such (Kraken knows no end). Raises BadFrame, also for a row that
        is off the timeframe's grid."""
        ...

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        """The rest of a page, where the venue cut it short by itself; None: that was all. Raises BadFrame."""
        ...

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        """The venue's checksum over its top levels (best first), or None where it has none."""
        ...

    def read_refusal(self, answer: Answer) -> Exception | None:
        """A Refused (with the venue's words and waiting time) if the answer is one, whatever its HTTP status says."""
        ...
