"""Coinbase Exchange: the WebSocket feed and REST, both without keys.

Feed: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels (state of 2026-06)
REST: https://docs.cdp.coinbase.com/exchange/rest-api/introduction (state of 2026-06)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.model.events import BookDelta, BookSnapshot, Candle, Channel, Event, Level, Quote, Side, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import SECOND, Timeframe
from marketd.model.times import iso_of_ns
from marketd.venues.notices import Acked, Alive, Declined, LastTrade, Notice, Overlap, Unknown, Unsaid
from marketd.venues.rows import read_rows
from marketd.venues.venue import UNREADABLE, Answer, Empty, Limits, Proof, RawTrades, Request, Span, TradesPage, Wanted

T = TypeVar("T")
Read = Sequence[Event | Notice]
TOPICS_PER_FRAME = 50  # one bad product may fail all of its frame
TRADES_PAGE = 1000
AGENT = {"User-Agent": "marketd"}  # requests without one have been refused
CHANNELS: Mapping[Channel, str] = {"trade": "matches", "quote": "ticker", "book": "level2_batch"}


class Coinbase:
    name: ClassVar[str] = "coinbase"
    channels: ClassVar[frozenset[Channel]] = frozenset(CHANNELS)  # candles are built from trades
    timeframes: ClassVar[Mapping[str, str]] = {"1m": "60", "5m": "300", "15m": "900", "1h": "3600", "6h": "21600", "1d": "86400"}
    candle_page: ClassVar[int] = 300
    candle_reach: ClassVar[int | None] = None
    candle_empty: ClassVar[Empty] = "no row"
    candle_streams: ClassVar[int | frozenset[str] | None] = 0
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        "trade": Proof("ids", "GET /products/{id}/trades, back from the gap's end", "all of the product's history"),
        "quote": Proof("none", "nothing", "the next quote replaces a lost one"),
        "book": Proof("none", "subscribing again, that book only", "the whole book"),
    }
    raw_trades: ClassVar[RawTrades] = RawTrades([()], "trade_id", (None,), "trade_id")
    stream_url = "wss://ws-feed.exchange.coinbase.com"
    rest_url = "https://api.exchange.coinbase.com"
    book_depth: int | None = None
    dry = False

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.limits = Limits(
            topics_per_connection=150,  # whole books come on subscribing, up to 1 MB each, and slow readers are closed
            frames_per_s=20.0,  # 100 are allowed
            connects_per_min=120.0,  # 8 a second are allowed
            silent_after_s=10.0,  # each product's heartbeat comes once a second
        )

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str:
        return base

    def connect_headers(self) -> Mapping[str, str]:
        return AGENT

    def open_line(self, instruments: Instruments) -> "CoinbaseLine":
        return CoinbaseLine(instruments)

    def instruments_request(self) -> Request:
        return Request("/products", headers=AGENT)

    def read_instruments(self, answer: Answer) -> list[Instrument]:
        return [
            Instrument(
                venue=self.name,
                symbol=wire.base_currency + wire.quote_currency,
                venue_symbol=wire.id,
                base=wire.base_currency,
                quote=wire.quote_currency,
                tick=wire.quote_increment,
                lot=wire.base_increment,
                status=_status(wire),
            )
            for wire in _decoded(answer.body, _decode_products)
            if wire.id and wire.base_currency and wire.quote_currency
        ]

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        return None  # the stream begins with a snapshot; it numbers nothing, so a REST book could not be joined to it

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot:
        raise AssertionError("coinbase sends its snapshots over the stream")

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        return self._trades_before(instrument, None if span.to_id is None else int(span.to_id) + 1)

    def _trades_before(self, instrument: Instrument, trade_id: int | None) -> Request:
        params = {"limit": str(TRADES_PAGE)}
        if trade_id is not None:
            params["after"] = str(trade_id)  # the venue's word for the older side of an id, which is left out
        return Request(f"/products/{instrument.venue_symbol}/trades", params, headers=AGENT)

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        """Pages lead back in time until one holds the span's first id, or where that is unknown, its first moment."""
        rows = _decoded(answer.body, _decode_trades)
        trades = [_trade(row, instrument.symbol, ts_recv, repaired=True) for row in reversed(rows)]  # newest first on the wire
        if not rows or rows[-1].trade_id <= 1:
            return TradesPage(trades, None)
        if span.from_id is not None:
            reached = rows[-1].trade_id <= int(span.from_id)
        else:
            oldest = trades[0].ts_event
            reached = span.from_ts is None or (oldest is not None and oldest < span.from_ts)
        return TradesPage(trades, None if reached else self._trades_before(instrument, rows[-1].trade_id))

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        first = -(-span.start // timeframe.step) * timeframe.step
        last = (span.stop - 1) // timeframe.step * timeframe.step
        # Both ends are buckets that come back: `first` plus 300 of them would be 301, and those are refused as a whole.
        last = min(last, first + (self.candle_page - 1) * timeframe.step)
        params = {"granularity": self.timeframes[timeframe.name], "start": _iso(first), "end": _iso(max(first, last))}
        return Request(f"/products/{instrument.venue_symbol}/candles", params, headers=AGENT)

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        """Oldest first. Buckets without a trade have no row, and rows older than the asked span may be among them."""
        rows = _decoded(answer.body, _decode_candles)
        found = ((open_s * SECOND, open_, high, low, close, volume) for open_s, low, high, open_, close, volume in rows)
        return read_rows(self.name, answer, instrument, timeframe, ts_recv, found)

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        return None

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        return None

    def read_refusal(self, answer: Answer) -> Exception | None:
        if answer.status < 400:
            return None
        try:
            words = _decode_refusal(answer.body).message
        except UNREADABLE:
            words = answer.body[:200].decode("utf-8", "replace")
        wait_s = answer.retry_after_s or (1.0 if answer.status == 429 else 0.0)
        permanent = answer.status in (400, 401, 403, 404)
        return Refused(self.name, words, status=answer.status, retry_after_s=wait_s, permanent=permanent)


class CoinbaseLine:
    """Decodes `{"type": name, ...}`. Answers carry no id: the venue states all that is subscribed, or an error in words."""

    def __init__(self, instruments: Instruments) -> None:
        self.ready = True
        self._instruments = instruments
        self._symbols = instruments.symbols
        self._asked: list[Sequence[Wanted]] = []  # what each subscribe frame asked for and nothing answered yet
        self._on: set[Wanted] = set()
        self._say: dict[type, Callable[[Any, int], Read]] = {
            WireDelta: self._delta,
            WireTicker: self._quote,
            WireHeartbeat: self._heartbeat,
            WireSnapshot: self._snapshot,
            WireLastMatch: self._last_match,
            WireSubscriptions: self._subscriptions,
            WireError: self._error,
        }

    def greet(self) -> list[bytes]:
        return []

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        frames = []
        for start in range(0, len(wanted), TOPICS_PER_FRAME):
            part = wanted[start : start + TOPICS_PER_FRAME]
            self._asked.append(part)
            self._on.update(part)
            frames.append(self._control("subscribe", part, {one.symbol for one in part}))
        return frames

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        self._on.difference_update(wanted)
        quiet = {one.symbol for one in wanted} - {one.symbol for one in self._on}
        frames = []
        for start in range(0, len(wanted), TOPICS_PER_FRAME):
            part = wanted[start : start + TOPICS_PER_FRAME]
            frames.append(self._control("unsubscribe", part, quiet.intersection(one.symbol for one in part)))
        return frames

    def ping(self) -> bytes | None:
        return None

    def _control(self, kind: str, wanted: Sequence[Wanted], beating: Iterable[str]) -> bytes:
        """Products stand in each channel: named beside them, the venue takes them for an empty product."""
        products: dict[str, list[str]] = {}
        for one in wanted:
            products.setdefault(CHANNELS[one.channel], []).append(self._product(one))
        if beats := sorted(self._instruments[symbol].venue_symbol for symbol in beating):
            products["heartbeat"] = beats
        return _encode({"type": kind, "channels": [{"name": name, "product_ids": ids} for name, ids in products.items()]})

    def read(self, frame: bytes, ts_recv: int) -> Read:
        try:
            wire = _decode(frame)
            if wire.__class__ is not WireMatch:
                return self._say[wire.__class__](wire, ts_recv)
            # Trades are most of what comes. They are told here and not by calls, which would cost a tenth more.
            symbol, side, past = self._symbols[wire.product_id], _TAKER.get(wire.side), wire.time - _EPOCH
            time = (past.days * 86_400 + past.seconds) * SECOND + past.microseconds * 1000
            return (Trade("coinbase", symbol, time, ts_recv, wire.price, wire.size, side, str(wire.trade_id)),)
        except KeyError as error:
            return (Unknown(f"product {str(error)[:60]} is not among the instruments"),)
        except msgspec.ValidationError as error:
            return self._other(frame, error)
        except UNREADABLE as error:
            raise BadFrame(Coinbase.name, frame, str(error)) from error

    def _product(self, wanted: Wanted) -> str:
        return self._instruments[wanted.symbol].venue_symbol

    def _last_match(self, wire: "WireLastMatch", ts_recv: int) -> Read:
        symbol = self._symbols[wire.product_id]
        return (Overlap(symbol, (_trade(wire, symbol, ts_recv),)),)

    def _heartbeat(self, wire: "WireHeartbeat", ts_recv: int) -> Read:
        symbol = self._symbols[wire.product_id]
        alive = Alive(symbol)
        return (LastTrade(symbol, str(wire.last_trade_id)), alive) if wire.last_trade_id else (alive,)  # 0: never traded

    def _quote(self, wire: "WireTicker", ts_recv: int) -> Read:
        if not wire.best_bid_size or not wire.best_ask_size:
            return (Unsaid("a ticker without sizes, as old recordings have"),)
        return (
            Quote(
                "coinbase", self._symbols[wire.product_id], _ns(wire.time), ts_recv,
                wire.best_bid, wire.best_bid_size, wire.best_ask, wire.best_ask_size, wire.sequence,
            ),
        )  # fmt: skip

    def _snapshot(self, wire: "WireSnapshot", ts_recv: int) -> Read:
        return (
            BookSnapshot("coinbase", self._symbols[wire.product_id], _moment(wire.time), ts_recv, wire.bids, wire.asks, None),
        )

    def _delta(self, wire: "WireDelta", ts_recv: int) -> Read:
        bids: list[Level] = []
        asks: list[Level] = []
        for side, price, size in wire.changes:
            if side == "buy":
                bids.append((price, size))
            else:
                asks.append((price, size))
        return (BookDelta("coinbase", self._symbols[wire.product_id], _moment(wire.time), ts_recv, bids, asks, None, None),)

    def _subscriptions(self, wire: "WireSubscriptions", ts_recv: int) -> Read:
        on = [
            Wanted(_CHANNEL_OF[channel.name], self._symbols[product])
            for channel in wire.channels
            if channel.name in _CHANNEL_OF
            for product in channel.product_ids
            if product in self._symbols
        ]
        told = frozenset(on)
        self._asked = [rest for part in self._asked if (rest := [one for one in part if one not in told])]
        return (Acked(on) if on else Unsaid("nothing is subscribed"),)

    def _error(self, wire: "WireError", ts_recv: int) -> Read:
        words = f"{wire.message}: {wire.reason}" if wire.reason else wire.message
        if "unsubscribe" in wire.message:
            return (Unknown(words),)
        if not self._asked or "subscribe" not in wire.message:
            return (Declined((), words, permanent=False),)
        named = frozenset(wire.reason.replace(",", " ").split())
        parts = [[one for one in part if self._product(one) in named or CHANNELS[one.channel] in named] for part in self._asked]
        at = next((at for at, bad in enumerate(parts) if bad), 0)  # requests are answered in order, so else it is the oldest
        bad, part = parts[at], self._asked.pop(at)
        self._on.difference_update(part)
        if not bad:
            return (Declined(part, words, permanent=len(part) == 1),)
        rest = [one for one in part if one not in bad]  # they went down with it
        told: list[Notice] = [Declined(bad, words)]
        return [*told, Declined(rest, words, permanent=False)] if rest else told

    def _other(self, frame: bytes, error: msgspec.ValidationError) -> Read:
        """Types that nobody asked for, and none at all; what remains does not have its type's fields."""
        try:
            kind = _decode_kind(frame).type
        except UNREADABLE:
            kind = None
        if kind is None or kind in _TYPES:
            raise BadFrame(Coinbase.name, frame, str(error)) from error
        if kind in _NOT_ASKED:
            return (Unsaid(f"type {kind} is not subscribed"),)
        return (Unknown(f"type {kind[:60]}" if kind else "a frame without a type"),)


def _trade(wire: "WireTrade", symbol: str, ts_recv: int, repaired: bool = False) -> Trade:
    return Trade(
        "coinbase", symbol, _ns(wire.time), ts_recv,
        wire.price, wire.size, _TAKER.get(wire.side), str(wire.trade_id), repaired,
    )  # fmt: skip


def _ns(time: datetime) -> int:
    past = time - _EPOCH
    return (past.days * 86_400 + past.seconds) * SECOND + past.microseconds * 1000


def _moment(time: datetime | None) -> int | None:
    """The venue writes the year 1 where it knows no time."""
    return None if time is None or time.year == 1 else _ns(time)


def _iso(ts: int) -> str:
    return iso_of_ns(ts).removesuffix("+00:00") + "Z"


def _status(wire: "WireProduct") -> str:
    if wire.status != "online":
        return wire.status
    return "trading_disabled" if wire.trading_disabled else "trading"


# Matches and REST trades name the maker's side, so the taker's is the other one. (A ticker's side is the taker's.)
_TAKER: Mapping[str, Side] = {"buy": "sell", "sell": "buy"}
_CHANNEL_OF: Mapping[str, Channel] = {"level2": "book", **{theirs: ours for ours, theirs in CHANNELS.items()}}
_TYPES = {"match", "last_match", "ticker", "l2update", "heartbeat", "snapshot", "subscriptions", "error"}
_NOT_ASKED = {"status", "received", "open", "done", "change", "activate", "auction", "rfq_match"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Time = Annotated[datetime, msgspec.Meta(tz=True)]  # the venue writes microseconds, all that a datetime holds


class WireTrade(msgspec.Struct, gc=False):
    trade_id: int
    side: str
    size: str
    price: str
    time: Time


class WireMatch(WireTrade, gc=False, tag_field="type", tag="match"):
    product_id: str


class WireLastMatch(WireMatch, gc=False, tag="last_match"):
    """The newest trade, told on subscribing."""


class WireHeartbeat(msgspec.Struct, gc=False, tag_field="type", tag="heartbeat"):
    last_trade_id: int
    product_id: str


class WireTicker(msgspec.Struct, gc=False, tag_field="type", tag="ticker"):
    sequence: int
    product_id: str
    best_bid: str
    best_ask: str
    time: Time
    best_bid_size: str = ""
    best_ask_size: str = ""


class WireSnapshot(msgspec.Struct, gc=False, tag_field="type", tag="snapshot"):
    product_id: str
    bids: list[Level]
    asks: list[Level]
    time: Time | None = None


class WireDelta(msgspec.Struct, gc=False, tag_field="type", tag="l2update"):
    product_id: str
    changes: list[tuple[Literal["buy", "sell"], str, str]]
    time: Time | None = None


class WireChannel(msgspec.Struct):
    name: str
    product_ids: list[str] = []


class WireSubscriptions(msgspec.Struct, tag_field="type", tag="subscriptions"):
    channels: list[WireChannel]


class WireError(msgspec.Struct, tag_field="type", tag="error"):
    message: str = ""
    reason: str = ""


class WireKind(msgspec.Struct):
    type: str = ""


class WireRefusal(msgspec.Struct):
    message: str = ""


class WireProduct(msgspec.Struct):
    id: str
    base_currency: str
    quote_currency: str
    status: str
    quote_increment: str | None = None
    base_increment: str | None = None
    trading_disabled: bool = False


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(
    WireMatch | WireLastMatch | WireTicker | WireDelta | WireHeartbeat | WireSnapshot | WireSubscriptions | WireError
).decode
_decode_kind = msgspec.json.Decoder(WireKind).decode
_decode_refusal = msgspec.json.Decoder(WireRefusal).decode
_decode_products = msgspec.json.Decoder(list[WireProduct]).decode
_decode_trades = msgspec.json.Decoder(list[WireTrade]).decode
_decode_candles = msgspec.json.Decoder(list[tuple[int, Any, Any, Any, Any, Any]], float_hook=str).decode


def _decoded(body: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(body)
    except UNREADABLE as error:
        raise BadFrame(Coinbase.name, body, str(error)) from error
