"""Binance spot: combined streams and REST v3.

Streams: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (state of 2026-07-21)
REST: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (state of 2026-07-21)
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import ClassVar, TypeVar

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.model.events import BookDelta, BookSnapshot, Candle, Channel, Event, Level, Quote, Side, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import Timeframe
from marketd.venues.notices import Acked, Cut, Declined, Notice, Unknown, Unsaid
from marketd.venues.polled import DayPrice
from marketd.venues.rows import check_order, read_rows
from marketd.venues.venue import UNREADABLE, Answer, Empty, Limits, Proof, Quota, RawTrades, Request, Span, TradesPage, Wanted

T = TypeVar("T")
TOPICS_PER_FRAME = 100
URL_BYTES_MAX = 6000  # longer request lines than about 8 kB are refused
PAIRS_PER_CONNECTION = 50
PAIRS_PER_CONNECTION_MAX = 100


class Binance:
    name: ClassVar[str] = "binance"
    channels: ClassVar[frozenset[Channel]] = frozenset({"trade", "quote", "book", "candle"})
    timeframes: ClassVar[Mapping[str, str]] = {
        name: name for name in ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
    }
    candle_page: ClassVar[int] = 1000
    candle_reach: ClassVar[int | None] = None
    candle_empty: ClassVar[Empty] = "zero volume"
    candle_streams: ClassVar[int | frozenset[str] | None] = None
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        "trade": Proof("ids", "GET /api/v3/historicalTrades by id", "all of the symbol's history"),
        "quote": Proof("none", "nothing", "the next quote replaces a lost one"),
        "book": Proof("sequence", "GET /api/v3/depth, that book only", "the 1000 best levels a side"),
        "candle": Proof("overlap", "GET /api/v3/klines", "all of the symbol's history"),
    }
    raw_trades: ClassVar[RawTrades] = RawTrades([("data",)], "t", (None,), "id")
    # Of the archive at https://data.binance.vision (`bulk_url`), whose files venues/bulk.py reads.
    bulk_path: ClassVar[str | None] = "data/spot/{period}/klines/{symbol}/{timeframe}/{symbol}-{timeframe}-{date}.zip"
    stream_url = "wss://stream.binance.com:9443"
    rest_url = "https://api.binance.com"
    book_depth: int | None = None
    dry = False
    weight_instruments, weight_trades, weight_snapshot, weight_candles = 20, 25, 50, 2
    weight_prices: ClassVar[tuple[int, int, int]] = (2, 40, 80)  # of 1 to 20 symbols, of 21 to 100, of more

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        pairs = int((settings or {}).get("PAIRS_PER_CONNECTION", PAIRS_PER_CONNECTION))
        self.limits = Limits(
            topics_per_connection=1024,
            symbols_per_connection=max(1, min(pairs, PAIRS_PER_CONNECTION_MAX)),
            frames_per_s=4.0,  # 5 are allowed, pongs count
            connects_per_min=60.0,
            life_s=24 * 3600.0,
            silent_after_s=60.0,  # the server pings every 20 s
            rest={"": Quota(6000, 60.0)},
            used_header="x-mbx-used-weight-1m",
        )

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str:
        return f"{base}/stream?streams={'/'.join(_url_topics(wanted))}"

    def connect_headers(self) -> Mapping[str, str]:
        return {}

    def open_line(self, instruments: Instruments) -> "BinanceLine":
        return BinanceLine(self.name)

    def instruments_request(self) -> Request:
        return Request("/api/v3/exchangeInfo", weight=self.weight_instruments)

    def read_instruments(self, answer: Answer) -> list[Instrument]:
        return [self._instrument(wire) for wire in _decoded(self.name, answer.body, _decode_instruments).symbols if wire.symbol]

    def _instrument(self, wire: "WireInstrument") -> Instrument:
        steps = {one.filterType: one for one in wire.filters}
        price, lot = steps.get("PRICE_FILTER"), steps.get("LOT_SIZE")
        return Instrument(
            venue=self.name,
            symbol=wire.symbol,
            venue_symbol=wire.symbol,
            base=wire.baseAsset,
            quote=wire.quoteAsset,
            tick=price.tickSize if price else None,
            lot=lot.stepSize if lot else None,
            status="trading" if wire.status == "TRADING" else wire.status,
        )

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        return Request("/api/v3/depth", {"symbol": instrument.venue_symbol, "limit": "1000"}, weight=self.weight_snapshot)

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot:
        wire = _decoded(self.name, answer.body, _decode_snapshot)
        return BookSnapshot(self.name, instrument.symbol, None, ts_recv, wire.bids, wire.asks, wire.lastUpdateId)

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        if span.from_id is None:
            return None
        return self._trades_from(instrument, int(span.from_id))

    def _trades_from(self, instrument: Instrument, first: int) -> Request:
        params = {"symbol": instrument.venue_symbol, "fromId": str(first), "limit": "1000"}
        return Request("/api/v3/historicalTrades", params, weight=self.weight_trades)

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        rows = _decoded(self.name, answer.body, _decode_trades)
        trades = [self._trade(row, instrument, ts_recv) for row in rows]
        reached = span.to_id is not None and bool(rows) and rows[-1].id >= int(span.to_id)
        more = None if reached or len(rows) < 1000 else self._trades_from(instrument, rows[-1].id + 1)
        return TradesPage(trades, more)

    def _trade(self, row: "WireRestTrade", instrument: Instrument, ts_recv: int) -> Trade:
        side: Side = "sell" if row.isBuyerMaker else "buy"  # the maker bought, so the aggressor sold
        return Trade(self.name, instrument.symbol, row.time * 1_000_000, ts_recv, row.price, row.qty, side, str(row.id), True)

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        params = {
            "symbol": instrument.venue_symbol,
            "interval": self.timeframes[timeframe.name],
            "startTime": str(-(-span.start // 1_000_000)),
            "endTime": str(-(-span.stop // 1_000_000) - 1),  # inclusive on the open time
            "limit": str(self.candle_page),
        }
        return Request("/api/v3/klines", params, weight=self.weight_candles)

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        rows = _decoded(self.name, answer.body, _decode_candles)
        found = ((row.open_ms * 1_000_000, row.open, row.high, row.low, row.close, row.volume) for row in rows)
        return read_rows(self.name, answer, instrument, timeframe, ts_recv, found)

    def newest_candles_request(self, instrument: Instrument, timeframe: Timeframe, count: int) -> Request:
        params = {"symbol": instrument.venue_symbol, "interval": self.timeframes[timeframe.name], "limit": str(count)}
        return Request("/api/v3/klines", params, weight=self.weight_candles)

    def read_newest_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        opens = [row.open_ms * 1_000_000 for row in _decoded(self.name, answer.body, _decode_candles)]
        check_order(self.name, answer, opens)
        return self.read_candles(answer, instrument, timeframe, ts_recv)

    def prices_request(self, instruments: Sequence[Instrument]) -> Request:
        few, many, every = self.weight_prices
        weight = few if len(instruments) <= 20 else many if len(instruments) <= 100 else every
        symbols = msgspec.json.encode([one.venue_symbol for one in instruments]).decode()
        return Request("/api/v3/ticker/24hr", {"symbols": symbols}, weight=weight)

    def read_prices(self, answer: Answer, instruments: Mapping[str, Instrument], ts_recv: int) -> list[DayPrice]:
        rows = []
        for raw in _decoded(self.name, answer.body, _decode_rows):
            with suppress(*UNREADABLE):  # it costs that symbol its price, and no other
                rows.append(_decode_price(raw))
        return [
            DayPrice(
                instruments[row.symbol].symbol, row.lastPrice, row.priceChangePercent, row.volume, row.closeTime * 1_000_000,
                _quoted(row.bidPrice), _quoted(row.askPrice),
            )
            for row in rows
            if row.symbol in instruments
        ]  # fmt: skip

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        return None

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        return None

    def read_refusal(self, answer: Answer) -> Exception | None:
        if answer.status < 400:
            return None
        try:
            words = _decode_error(answer.body).msg
        except UNREADABLE:
            words = answer.body[:200].decode("utf-8", "replace")
        if answer.status == 451:
            words += " (this host refuses your location for good; the venue binance_us may serve it)"
        permanent = answer.status in (400, 401, 404, 451)
        return Refused(self.name, words, status=answer.status, retry_after_s=answer.retry_after_s, permanent=permanent)


class BinanceLine:
    """Decodes `{"stream": name, "data": {...}}` by the stream's name, and the bare control answers."""

    def __init__(self, venue: str) -> None:
        self.ready = True
        self._venue = venue
        self._asked: dict[int, Sequence[Wanted]] = {}  # by request id
        self._in_url: Sequence[Wanted] | None = None
        self._next_id = 1
        # By the third byte from the end, as the venue writes it: a flag ends a trade, a text a quote, a list a delta, an object
        # a candle. It only says what to try: the frame must have all fields of that shape, and name the same event itself.
        self._endings = {ord("e"): self._trade, ord('"'): self._quote, ord("]"): self._delta, ord("}"): self._candle}

    def greet(self) -> list[bytes]:
        return []

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        frames = []
        if self._in_url is None:
            carried = len(_url_topics(wanted))
            self._in_url, wanted = wanted[:carried], wanted[carried:]
            frames.append(_encode({"method": "LIST_SUBSCRIPTIONS", "id": self._ask(self._in_url)}))
        return frames + self._control("SUBSCRIBE", wanted)

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        return self._control("UNSUBSCRIBE", wanted)

    def ping(self) -> bytes | None:
        return None

    def _control(self, method: str, wanted: Sequence[Wanted]) -> list[bytes]:
        frames = []
        for start in range(0, len(wanted), TOPICS_PER_FRAME):
            part = wanted[start : start + TOPICS_PER_FRAME]
            number = self._ask(part if method == "SUBSCRIBE" else ())
            frames.append(_encode({"method": method, "params": [topic(one) for one in part], "id": number}))
        return frames

    def _ask(self, wanted: Sequence[Wanted]) -> int:
        number, self._next_id = self._next_id, self._next_id + 1
        self._asked[number] = wanted
        return number

    def read(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        try:
            return self._endings[frame[-3]](frame, ts_recv)
        except UNREADABLE:
            return self._by_name(frame, ts_recv)

    def _by_name(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        """What the ending did not tell: streams that nobody asked for, control answers, other orders of fields, and garbage."""
        try:
            if not frame.startswith(b'{"stream":"'):
                return self._answer(frame, ts_recv)
            kind = frame[11 : frame.index(b'"', 11)].decode().partition("@")[2]
            routes = {"trade": self._trade, "bookTicker": self._quote, "depth@100ms": self._delta, "depth": self._delta}
            route = self._candle if kind.startswith("kline_") else routes.get(kind, self._other)
            return route(frame, ts_recv)
        except UNREADABLE as error:
            raise BadFrame(self._venue, frame, str(error)) from error

    def _trade(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        wire = _decode_trade(frame).data
        side: Side = "sell" if wire.buyer_is_maker else "buy"  # the maker bought, so the aggressor sold
        return (
            Trade(
                self._venue, wire.symbol, wire.time_ms * 1_000_000, ts_recv, wire.price, wire.size, side, str(wire.trade_id)
            ),
        )  # fmt: skip

    def _quote(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        wire = _decode_quote(frame).data
        return (Quote(self._venue, wire.symbol, None, ts_recv, wire.bid, wire.bid_size, wire.ask, wire.ask_size, wire.update_id),)

    def _delta(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        wire = _decode_delta(frame).data
        return (
            BookDelta(
                self._venue, wire.symbol, wire.time_ms * 1_000_000, ts_recv, wire.bids, wire.asks, wire.last_id, wire.first_id - 1
            ),
        )  # fmt: skip

    def _candle(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        wire = _decode_candle(frame).data
        one = wire.candle
        opened = one.open_ms * 1_000_000
        closes = (one.close_ms + 1) * 1_000_000  # the venue writes the last millisecond inside
        return (
            Candle(
                self._venue, wire.symbol, wire.time_ms * 1_000_000, ts_recv, one.timeframe, opened, closes,
                one.open, one.high, one.low, one.close, one.volume, one.closed,
            ),
        )  # fmt: skip

    def _other(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        wire = _decode_other(frame)
        if wire.stream == "!serverShutdown":
            return (Cut("serverShutdown announced"),)
        kind = wire.stream.partition("@")[2]
        if kind.partition("_")[0].partition("@")[0] in _NOT_ASKED:
            return (Unsaid(f"stream {kind} is not subscribed"),)
        return (Unknown(f"stream {wire.stream[:60]}"),)

    def _answer(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        wire = _decode_answer(frame)
        if wire.event == "serverShutdown":
            return (Cut("serverShutdown announced"),)
        asked = self._asked.pop(wire.id, ()) if wire.id is not None else ()
        failure = wire.error or (wire if wire.code is not None else None)
        if failure is not None:
            return (Declined(asked, f"{failure.code}: {failure.msg}"),)
        if isinstance(wire.result, list):
            listed = frozenset(wire.result)
            silent = [one for one in asked if topic(one) not in listed]
            told: list[Notice] = [Acked([one for one in asked if topic(one) in listed])]
            return [*told, Declined(silent, "not among the streams that the venue lists")] if silent else told
        if wire.id is None:
            return (Unknown("neither a stream nor an answer"),)
        return (Acked(asked),)


def topic(wanted: Wanted) -> str:
    """The stream's name: symbols are lower case here, and only here."""
    kind = {"trade": "trade", "quote": "bookTicker", "book": "depth@100ms", "candle": f"kline_{wanted.timeframe}"}
    return f"{wanted.symbol.lower()}@{kind[wanted.channel]}"


def _url_topics(wanted: Sequence[Wanted]) -> list[str]:
    """The topics that fit the URL, a prefix of `wanted`; the rest is subscribed to afterwards."""
    topics, room = [], URL_BYTES_MAX
    for name in map(topic, islice(wanted, 1024)):
        room -= len(name.encode()) + 1
        if room < 0:
            break
        topics.append(name)
    return topics


_NOT_ASKED = {"aggTrade", "miniTicker", "ticker", "avgPrice", "depth5", "depth10", "depth20", "kline"}


def _quoted(price: str) -> str | None:
    """A side without orders has the price zero."""
    return price if price.strip("0.") else None


class WireTrade(msgspec.Struct, gc=False, tag_field="e", tag="trade", rename={"symbol": "s", "price": "p", "size": "q", "time_ms": "T", "trade_id": "t", "buyer_is_maker": "m"}):  # noqa: E501  # fmt: skip
    symbol: str
    trade_id: int
    price: str
    size: str
    time_ms: int
    buyer_is_maker: bool


class WireQuote(msgspec.Struct, gc=False, rename={"update_id": "u", "symbol": "s", "bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A"}):  # noqa: E501  # fmt: skip
    update_id: int
    symbol: str
    bid: str
    bid_size: str
    ask: str
    ask_size: str


class WireDelta(msgspec.Struct, gc=False, tag_field="e", tag="depthUpdate", rename={"time_ms": "E", "symbol": "s", "first_id": "U", "last_id": "u", "bids": "b", "asks": "a"}):  # noqa: E501  # fmt: skip
    time_ms: int
    symbol: str
    first_id: int
    last_id: int
    bids: list[Level]
    asks: list[Level]


class WireCandle(msgspec.Struct, gc=False, rename={"open_ms": "t", "close_ms": "T", "timeframe": "i", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "closed": "x"}):  # noqa: E501  # fmt: skip
    open_ms: int
    close_ms: int
    timeframe: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed: bool


class WireCandleEvent(msgspec.Struct, gc=False, tag_field="e", tag="kline", rename={"time_ms": "E", "symbol": "s", "candle": "k"}):  # noqa: E501  # fmt: skip
    time_ms: int
    symbol: str
    candle: WireCandle


class TradeFrame(msgspec.Struct, gc=False):
    data: WireTrade


class QuoteFrame(msgspec.Struct, gc=False):
    data: WireQuote


class DeltaFrame(msgspec.Struct, gc=False):
    data: WireDelta


class CandleFrame(msgspec.Struct, gc=False):
    data: WireCandleEvent


class OtherFrame(msgspec.Struct):
    stream: str


class WirePrice(msgspec.Struct, gc=False):
    symbol: str
    lastPrice: str
    priceChangePercent: str
    volume: str
    closeTime: int
    bidPrice: str = "0"
    askPrice: str = "0"


class WireError(msgspec.Struct):
    code: int | None = None
    msg: str = ""


class WireAnswer(msgspec.Struct, rename={"event": "e"}):
    id: int | None = None
    result: list[str] | None = None
    code: int | None = None
    msg: str = ""
    error: WireError | None = None
    event: str | None = None


class WireSnapshot(msgspec.Struct):
    lastUpdateId: int
    bids: list[Level]
    asks: list[Level]


class WireRestCandle(msgspec.Struct, array_like=True, gc=False):
    open_ms: int
    open: str
    high: str
    low: str
    close: str
    volume: str  # what follows is not used


class WireRestTrade(msgspec.Struct):
    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool


class WireFilter(msgspec.Struct):
    filterType: str
    tickSize: str | None = None
    stepSize: str | None = None


class WireInstrument(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str
    quoteAsset: str
    filters: list[WireFilter] = []


class WireInstruments(msgspec.Struct):
    symbols: list[WireInstrument]


_encode = msgspec.json.encode
_decode_trade = msgspec.json.Decoder(TradeFrame).decode
_decode_quote = msgspec.json.Decoder(QuoteFrame).decode
_decode_delta = msgspec.json.Decoder(DeltaFrame).decode
_decode_candle = msgspec.json.Decoder(CandleFrame).decode
_decode_other = msgspec.json.Decoder(OtherFrame).decode
_decode_answer = msgspec.json.Decoder(WireAnswer).decode
_decode_snapshot = msgspec.json.Decoder(WireSnapshot).decode
_decode_trades = msgspec.json.Decoder(list[WireRestTrade]).decode
_decode_instruments = msgspec.json.Decoder(WireInstruments).decode
_decode_candles = msgspec.json.Decoder(list[WireRestCandle]).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_price = msgspec.json.Decoder(WirePrice).decode
_decode_error = msgspec.json.Decoder(WireError).decode


def _decoded(venue: str, body: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(body)
    except UNREADABLE as error:
        raise BadFrame(venue, body, str(error)) from error
