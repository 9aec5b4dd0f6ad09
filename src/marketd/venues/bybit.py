"""Bybit spot: V5 public streams and REST.

Streams: https://bybit-exchange.github.io/docs/v5/ws/connect (state of 2026-07-24)
Trades: https://bybit-exchange.github.io/docs/v5/websocket/public/trade (state of 2026-07-24)
Books: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook (state of 2026-07-24)
REST: https://bybit-exchange.github.io/docs/v5/market/kline (state of 2026-07-24)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.model.events import BookDelta, BookSnapshot, Candle, Channel, Event, Level, Quote, Side, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import Timeframe
from marketd.venues.notices import Acked, Alive, Declined, Notice, Unknown, Unsaid
from marketd.venues.rows import read_rows
from marketd.venues.venue import UNREADABLE, Answer, Empty, Limits, Proof, Quota, RawTrades, Request, Span, TradesPage, Wanted

T = TypeVar("T")
Read = Sequence[Event | Notice]
TOPICS_PER_FRAME = 10
TOPICS_PER_CONNECTION = 400  # 21,000 characters of topics are allowed: 52 for each
ROUTE_BYTES = 22
TRADES_PAGE = 60  # all that REST has


class Bybit:
    name: ClassVar[str] = "bybit"
    channels: ClassVar[frozenset[Channel]] = frozenset({"trade", "quote", "book", "candle"})
    timeframes: ClassVar[Mapping[str, str]] = {
        "1m": "1", "3m": "3", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240", "6h": "360",
        "12h": "720", "1d": "D", "1w": "W", "1M": "M",
    }  # fmt: skip
    candle_page: ClassVar[int] = 1000
    candle_reach: ClassVar[int | None] = None
    candle_empty: ClassVar[Empty] = "zero volume"
    candle_streams: ClassVar[int | frozenset[str] | None] = None
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        "trade": Proof("overlap", "GET /v5/market/recent-trade", "the 60 newest trades of the symbol"),
        "quote": Proof("none", "nothing", "the next quote replaces a lost one"),
        "book": Proof("sequence", "subscribing again, that book only", "the 50 best levels a side"),
        "candle": Proof("overlap", "GET /v5/market/kline", "all of the symbol's history"),
    }
    raw_trades: ClassVar[RawTrades] = RawTrades([("data", None)], "i", ("result", "list", None), "execId")
    stream_url = "wss://stream.bybit.com/v5/public/spot"
    rest_url = "https://api.bybit.com"
    book_depth: int | None = 50
    dry = False

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.limits = Limits(
            topics_per_connection=TOPICS_PER_CONNECTION,
            frames_per_s=10.0,
            connects_per_min=60.0,  # 500 in 5 minutes are allowed, frequent ones frowned upon
            ping_every_s=20.0,
            silent_after_s=30.0,
            rest={"": Quota(600, 5.0)},
        )

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str:
        return base

    def connect_headers(self) -> Mapping[str, str]:
        return {}

    def open_line(self, instruments: Instruments) -> "BybitLine":
        return BybitLine()  # the wire's symbols are ours

    def instruments_request(self) -> Request:
        return Request("/v5/market/instruments-info", {"category": "spot"})  # one page, whatever the limit

    def read_instruments(self, answer: Answer) -> list[Instrument]:
        return [
            Instrument(
                venue=self.name,
                symbol=wire.baseCoin + wire.quoteCoin,
                venue_symbol=wire.symbol,
                base=wire.baseCoin,
                quote=wire.quoteCoin,
                tick=wire.priceFilter.tickSize,
                lot=wire.lotSizeFilter.basePrecision,
                status="trading" if wire.status == "Trading" else wire.status,
            )
            for wire in _decoded(answer.body, _decode_instruments).result.list
            if wire.symbol and wire.baseCoin and wire.quoteCoin
        ]

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        return None  # the stream begins with a snapshot; REST numbers its book by another depth's stream

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot:
        raise AssertionError("bybit sends its snapshots over the stream")

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        params = {"category": "spot", "symbol": instrument.venue_symbol, "limit": str(TRADES_PAGE)}
        return Request("/v5/market/recent-trade", params)

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        rows = _decoded(answer.body, _decode_recent).result.list
        trades = [
            Trade(
                self.name, instrument.symbol, row.time * 1_000_000, ts_recv,
                row.price, row.size, _SIDES.get(row.side), row.execId, True,
            )
            for row in reversed(rows)
        ]  # fmt: skip
        return TradesPage(trades, None)

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        params = {
            "category": "spot",  # without it the perpetual of the same name answers
            "symbol": instrument.venue_symbol,
            "interval": self.timeframes[timeframe.name],
            "start": str(-(-span.start // 1_000_000)),
            "end": str(-(-span.stop // 1_000_000) - 1),  # inclusive on the open time
            "limit": str(self.candle_page),
        }
        return Request("/v5/market/kline", params)

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        rows = _decoded(answer.body, _decode_candles).result.list
        found = ((row.open_ms * 1_000_000, row.open, row.high, row.low, row.close, row.volume) for row in rows)
        return read_rows(self.name, answer, instrument, timeframe, ts_recv, found)

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        return None

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        return None

    def read_refusal(self, answer: Answer) -> Exception | None:
        try:
            wire = _decode_refusal(answer.body)
        except UNREADABLE:
            wire = WireRefusal(retMsg=answer.body[:200].decode("utf-8", "replace"))
        if answer.status < 400 and wire.retCode == 0:
            return None
        code, words = wire.retCode, f"{wire.retCode}: {wire.retMsg}" if wire.retCode else wire.retMsg
        wait_s = answer.retry_after_s
        permanent = answer.status == 404 or code in _PERMANENT
        if answer.status == 403:
            permanent = "country" in words.lower()  # blocked by location; else too many calls, a ban of ten minutes
            wait_s = 0.0 if permanent else max(wait_s, 600.0)
        elif code == 10006 or code == 429 or answer.status == 429:
            reset_ms = answer.headers.get("x-bapi-limit-reset-timestamp", "")
            wait_s = max(wait_s, (int(reset_ms) - wire.time) / 1000 if reset_ms.isdecimal() and wire.time else 5.0)
        return Refused(self.name, words, status=answer.status, retry_after_s=wait_s, permanent=permanent)


class BybitLine:
    """Decodes `{"topic": name, ...}` by the topic's name, and the answers to requests by their `req_id`."""

    def __init__(self) -> None:
        self.ready = True
        self._asked: dict[str, Sequence[Wanted]] = {}  # by request id
        self._next_id = 1
        self._quote_ids: dict[str, int] = {}
        self._topics: dict[str, Callable[[bytes, int], Read]] = {
            "publicTrade": self._trades,
            "orderbook.50": self._book,
            "orderbook.1": self._quote,
            "kline": self._candles,
        }
        self._routes = {  # the first bytes of such frames as the venue writes them; every other order of fields is read too
            b'{"topic":"publicTrade.': self._trades,
            b'{"topic":"orderbook.50': self._book,
            b'{"topic":"orderbook.1.': self._quote,
            b'{"type":"snapshot","to': self._type_first,
        }

    def greet(self) -> list[bytes]:
        return []

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        return self._control("subscribe", wanted)

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        return self._control("unsubscribe", wanted)

    def ping(self) -> bytes | None:
        return b'{"op":"ping"}'

    def _control(self, op: str, wanted: Sequence[Wanted]) -> list[bytes]:
        frames = []
        for start in range(0, len(wanted), TOPICS_PER_FRAME):
            part = wanted[start : start + TOPICS_PER_FRAME]
            number, self._next_id = str(self._next_id), self._next_id + 1
            if op == "subscribe":
                self._asked[number] = part
            frames.append(_encode({"req_id": number, "op": op, "args": [topic(one) for one in part]}))
        return frames

    def read(self, frame: bytes, ts_recv: int) -> Read:
        try:
            try:
                return self._routes[frame[:ROUTE_BYTES]](frame, ts_recv)
            except KeyError:
                return self._other(frame, ts_recv)
        except UNREADABLE as error:
            raise BadFrame(Bybit.name, frame, str(error)) from error

    def _trades(self, frame: bytes, ts_recv: int) -> Read:
        try:
            rows = _decode_trades(frame).data
        except msgspec.ValidationError:
            return self._one_by_one(self._trades, frame, ts_recv)
        told = []
        for row in rows:
            time, side = row.time_ms * 1_000_000, _SIDES.get(row.side)
            told.append(Trade("bybit", row.symbol, time, ts_recv, row.price, row.size, side, row.trade_id))
        return told

    def _type_first(self, frame: bytes, ts_recv: int) -> Read:
        candle = frame.startswith(b'{"type":"snapshot","topic":"kline.')
        return self._candles(frame, ts_recv) if candle else self._other(frame, ts_recv)

    def _candles(self, frame: bytes, ts_recv: int) -> Read:
        try:
            wire = _decode_klines(frame)
        except msgspec.ValidationError:
            return self._one_by_one(self._candles, frame, ts_recv)
        _, theirs, symbol = wire.topic.split(".", 2)
        ts_event, timeframe = wire.ts * 1_000_000, _TIMEFRAMES[theirs]
        told = []
        for row in wire.data:
            opens, closes = row.open_ms * 1_000_000, (row.close_ms + 1) * 1_000_000  # the last millisecond is inside
            told.append(
                Candle(
                    "bybit", symbol, ts_event, ts_recv, timeframe, opens, closes,
                    row.open, row.high, row.low, row.close, row.volume, row.closed,
                )
            )  # fmt: skip
        return told

    def _one_by_one(self, read: Callable[[bytes, int], Read], frame: bytes, ts_recv: int) -> Read:
        """What can be read of a frame with a bad row in it: the good rows are kept, the bad ones told."""
        outer = _decode_rows(frame)
        told: list[Event | Notice] = []
        for row in outer.data if len(outer.data) > 1 else ():
            try:
                told += read(_encode({"topic": outer.topic, "ts": outer.ts, "data": [row]}), ts_recv)
            except ValueError:
                told.append(Unknown(f"a row of {outer.topic} cannot be read: {bytes(row)[:200]!r}"))
        if not any(isinstance(one, Event) for one in told):
            raise ValueError(f"no row of {outer.topic} can be read")
        return told

    def _book(self, frame: bytes, ts_recv: int) -> Read:
        wire = _decode_book(frame)
        data = wire.data
        time, number = (wire.cts or wire.ts) * 1_000_000, data.u
        if wire.type == "delta" and number != 1:  # 1: the venue's service restarted, and this is all there is
            return (BookDelta("bybit", data.s, time, ts_recv, data.b, data.a, number, number - 1),)
        return (BookSnapshot("bybit", data.s, time, ts_recv, data.b, data.a, number),)

    def _quote(self, frame: bytes, ts_recv: int) -> Read:
        wire = _decode_book(frame)
        data = wire.data
        if wire.type != "snapshot":
            return (Unknown(f"{wire.type} on orderbook.1, which is snapshots only"),)
        if data.u == self._quote_ids.get(data.s) and data.u != 1:
            return (Alive(data.s, "quote"),)  # said again after 3 s without a change
        self._quote_ids[data.s] = data.u
        if not data.b or not data.a:
            return (Unsaid("a quote with one side only"),)
        (bid, bid_size), (ask, ask_size) = data.b[0], data.a[0]
        time = (wire.cts or wire.ts) * 1_000_000
        return (Quote("bybit", data.s, time, ts_recv, bid, bid_size, ask, ask_size, data.u),)

    def _other(self, frame: bytes, ts_recv: int) -> Read:
        """Answers, topics whose fields come in another order, and topics that nobody asked for."""
        wire = _decode_other(frame)
        if wire.topic is not None:
            kind, _, rest = wire.topic.partition(".")
            if kind == "orderbook":
                kind = f"orderbook.{rest.partition('.')[0]}"
            if kind in self._topics and (kind != "kline" or rest.partition(".")[0] in _TIMEFRAMES):
                return self._topics[kind](frame, ts_recv)
            known = kind in _NOT_ASKED or kind.startswith("orderbook.")
            return (Unsaid(f"topic {kind} is not subscribed") if known else Unknown(f"topic {wire.topic[:60]}"),)
        if wire.op in ("ping", "pong"):
            return (Alive(),)
        if wire.op == "subscribe" and wire.success is not None:
            return self._answer(wire)
        if wire.op == "unsubscribe":
            return (Unsaid("unsubscribed") if wire.success else Unknown(f"unsubscribing failed: {wire.ret_msg}"),)
        return (Unknown("neither a topic nor an answer"),)

    def _answer(self, wire: "WireOther") -> Read:
        asked = self._asked.pop(self._number_of(wire), ())
        if not wire.success and not (len(asked) == 1 and wire.ret_msg.startswith("error:already subscribed")):
            # One bad topic fails all of its request, so only a topic that was asked for alone is known to be bad.
            return (Declined(asked, wire.ret_msg, permanent=len(asked) == 1),)
        return (Acked(asked) if asked else Unsaid("an answer to a request that was not ours"),)

    def _number_of(self, wire: "WireOther") -> str:
        """The request that is answered. A failure may come without its id: then by the topic it names, else the oldest."""
        if wire.req_id or wire.success:
            return wire.req_id
        named = wire.ret_msg.rpartition("topic:")[2]
        for number, asked in self._asked.items():
            if any(topic(one) == named for one in asked):
                return number
        return next(iter(self._asked), "")


def topic(wanted: Wanted) -> str:
    match wanted.channel:
        case "trade":
            return f"publicTrade.{wanted.symbol}"
        case "quote":
            return f"orderbook.1.{wanted.symbol}"
        case "book":
            return f"orderbook.50.{wanted.symbol}"
        case "candle":
            return f"kline.{Bybit.timeframes[wanted.timeframe]}.{wanted.symbol}"


_SIDES: Mapping[str, Side] = {"Buy": "buy", "Sell": "sell"}  # the taker's
_TIMEFRAMES = {theirs: ours for ours, theirs in Bybit.timeframes.items()}
_NOT_ASKED = {"tickers", "liquidation", "allLiquidation", "kline_lt", "tickers_lt", "priceLimit", "system"}
_PERMANENT = {10001, 10009, 10017, 10029}  # bad parameter, region, route, symbol


class WireTrade(msgspec.Struct, gc=False, rename={"time_ms": "T", "symbol": "s", "side": "S", "price": "p", "size": "v", "trade_id": "i"}):  # noqa: E501  # fmt: skip
    time_ms: int
    symbol: str
    side: str
    price: str
    size: str
    trade_id: str


class WireKline(msgspec.Struct, gc=False, rename={"open_ms": "start", "close_ms": "end", "closed": "confirm"}):
    open_ms: int
    close_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed: bool


class WireBook(msgspec.Struct, gc=False):
    s: str
    b: list[Level]
    a: list[Level]
    u: int


class TradesFrame(msgspec.Struct, gc=False):
    data: list[WireTrade]


class KlinesFrame(msgspec.Struct, gc=False):
    topic: str
    ts: int
    data: list[WireKline]


class BookFrame(msgspec.Struct, gc=False):
    type: str
    ts: int  # when it was sent
    data: WireBook
    cts: int | None = None  # when the engine matched it, as a trade's T


class RowsFrame(msgspec.Struct):
    topic: str
    ts: int
    data: list[msgspec.Raw]


class WireOther(msgspec.Struct):
    topic: str | None = None
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class WirePriceFilter(msgspec.Struct, frozen=True):
    tickSize: str | None = None


class WireLotFilter(msgspec.Struct, frozen=True):
    basePrecision: str | None = None


class WireInstrument(msgspec.Struct):
    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str
    priceFilter: WirePriceFilter = WirePriceFilter()
    lotSizeFilter: WireLotFilter = WireLotFilter()


class WireRecent(msgspec.Struct):
    execId: str
    price: str
    size: str
    side: str
    time: int


class Listed(msgspec.Struct):
    list: list[WireInstrument]


class Recent(msgspec.Struct):
    list: list[WireRecent]


class WireRestKline(msgspec.Struct, array_like=True, gc=False):
    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str  # what follows is not used


class Klines(msgspec.Struct):
    list: list[WireRestKline]


class InstrumentsBody(msgspec.Struct):
    result: Listed


class RecentBody(msgspec.Struct):
    result: Recent


class KlinesBody(msgspec.Struct):
    result: Klines


class WireRefusal(msgspec.Struct):
    retCode: int = 0
    retMsg: str = ""
    time: int = 0


_encode = msgspec.json.encode
_decode_trades = msgspec.json.Decoder(TradesFrame).decode
_decode_klines = msgspec.json.Decoder(KlinesFrame).decode
_decode_book = msgspec.json.Decoder(BookFrame).decode
_decode_rows = msgspec.json.Decoder(RowsFrame).decode
_decode_other = msgspec.json.Decoder(WireOther).decode
_decode_instruments = msgspec.json.Decoder(InstrumentsBody).decode
_decode_recent = msgspec.json.Decoder(RecentBody, strict=False).decode  # times are text
_decode_candles = msgspec.json.Decoder(KlinesBody, strict=False).decode
_decode_refusal = msgspec.json.Decoder(WireRefusal).decode


def _decoded(body: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(body)
    except UNREADABLE as error:
        raise BadFrame(Bybit.name, body, str(error)) from error
