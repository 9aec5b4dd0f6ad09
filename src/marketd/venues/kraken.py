"""Kraken spot: WebSocket v2 and REST 0. The stream spells BTC/USD; REST is asked for XBTUSD and answers under XXBTZUSD.

Streams: https://docs.kraken.com/api/docs/websocket-v2/trade, .../ohlc, .../ticker, .../book, .../guides/spot-ws-book-v2 (2026-07)
REST: https://docs.kraken.com/api/docs/rest-api/get-ohlc-data, .../get-recent-trades (2026-07)
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.model.digits import number_text
from marketd.model.events import SYSTEM, BookDelta, BookSnapshot, Candle, Channel, Event, Level, Quote, Side, Status, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import SECOND, Timeframe, timeframe
from marketd.model.times import ns_of_decimal_seconds, ns_of_iso
from marketd.venues.closing import Closing
from marketd.venues.notices import Acked, Alive, Checksum, Declined, Notice, Overlap, Unknown, Unsaid
from marketd.venues.rows import read_rows
from marketd.venues.venue import UNREADABLE, Answer, Empty, Limits, Proof, Quota, RawTrades, Request, Span, TradesPage, Wanted

T = TypeVar("T")
Places = Annotated[int, msgspec.Meta(ge=0, le=30)]
Read = Sequence[Event | Notice]
BOOK_LEVELS, CHECKED_LEVELS, TRADES_PAGE, CANDLES_PAGE = 25, 10, 1000, 720
SYMBOLS_PER_CONNECTION = 100  # no limit is documented; 200 once was
OVERLAP_NS = 1_000_000  # the stream rounds times to microseconds, REST does not
RATE_WAIT_S, SERVICE_WAIT_S, WAIT_S_MAX = 5.0, 5.0, 900.0  # nothing is said in headers; bans of 15 minutes are reported
OUR_CODE = {"XBT": "BTC", "XDG": "DOGE"}


class Kraken:
    name: ClassVar[str] = "kraken"
    channels: ClassVar[frozenset[Channel]] = frozenset({"trade", "quote", "book", "candle"})
    # Its week begins on Thursday and so is not ours; it can be built from 1d.
    timeframes: ClassVar[Mapping[str, str]] = {
        "1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "4h": "240", "1d": "1440"}  # fmt: skip
    candle_page: ClassVar[int] = CANDLES_PAGE
    candle_reach: ClassVar[int | None] = CANDLES_PAGE
    candle_empty: ClassVar[Empty] = "either"
    candle_streams: ClassVar[int | frozenset[str] | None] = 1  # a second interval of a symbol is refused
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        "trade": Proof("ids", "GET /0/public/Trades by time", "all of the symbol's history"),
        "quote": Proof("none", "nothing", "the next quote replaces a lost one"),
        "book": Proof("checksum", "subscribing again, that book only", "the 25 best levels a side"),
        "candle": Proof("overlap", "GET /0/public/OHLC", "the 720 newest candles of the timeframe"),
    }
    raw_trades: ClassVar[RawTrades] = RawTrades([("data", None)], "trade_id", ("result", None, None), 6)
    stream_url = "wss://ws.kraken.com/v2"
    rest_url = "https://api.kraken.com"
    book_depth: int | None = BOOK_LEVELS  # the venue does not tell about levels that fall out
    dry = False

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.limits = Limits(
            topics_per_connection=4 * SYMBOLS_PER_CONNECTION,
            symbols_per_connection=SYMBOLS_PER_CONNECTION,
            frames_per_s=2.0,  # bursts are refused; one frame carries many symbols
            connects_per_min=12.0,  # 150 in 10 minutes end in a ban; after maintenance one in 5 s is asked for
            ping_every_s=30.0,  # a connection without activity is closed after a minute
            silent_after_s=10.0,  # a heartbeat comes each second in which nothing else does
            rest={"": Quota(1, 1.0)},
        )

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str:
        return base

    def connect_headers(self) -> Mapping[str, str]:
        return {}

    def open_line(self, instruments: Instruments) -> "KrakenLine":
        return KrakenLine(instruments)

    def instruments_request(self) -> Request:
        return Request("/0/public/AssetPairs")

    def read_instruments(self, answer: Answer) -> list[Instrument]:
        listed = []
        for wire in _decoded(answer.body, _decode_pairs).result.values():
            if "/" not in wire.wsname or wire.altname.endswith(".d"):
                continue  # dark pools have no stream
            base, quote = (OUR_CODE.get(code, code) for code in wire.wsname.split("/", 1))
            tick, lot = _step(wire.tick_size, wire.pair_decimals), _step(None, wire.lot_decimals)
            status = "trading" if wire.status == "online" else wire.status
            listed.append(Instrument(self.name, base + quote, f"{base}/{quote}", base, quote, tick, lot, status))
        return listed

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        return None  # the stream begins with a snapshot; nothing numbers the book, so a REST one could not be joined to it

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot:
        raise AssertionError("kraken sends its snapshots over the stream")

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        """Forward in time from just before the span; the newest page where nobody knows when that was."""
        return self._trades_since(instrument, None if span.from_ts is None else max(0, span.from_ts - OVERLAP_NS))

    def _trades_since(self, instrument: Instrument, since: int | None) -> Request:
        after = {} if since is None else {"since": str(since)}  # ns, itself left out
        return Request("/0/public/Trades", {"pair": altname(instrument), "count": str(TRADES_PAGE)} | after)

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        try:
            body, last = _rows(answer.body)
            rows, since = _decode_trades(body), int(last or 0)
            times = [ns_of_decimal_seconds(number_text(row.time)) for row in rows]
        except UNREADABLE as error:
            raise BadFrame(self.name, answer.body, str(error)) from error
        trades = [
            Trade(self.name, instrument.symbol, time, ts_recv, row.price, row.size, _SIDES[row.side], str(row.trade_id), True)
            for row, time in zip(rows, times, strict=True)
        ]
        if len(rows) < TRADES_PAGE or span.from_ts is None:
            return TradesPage(trades, None)
        by_time = span.to_ts is not None and times[-1] > span.to_ts
        reached = by_time if span.to_id is None else rows[-1].trade_id >= int(span.to_id)
        return TradesPage(trades, None if reached else self._trades_since(instrument, since))

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        """Whatever is asked for, the answer never goes back further than the 720 newest candles."""
        since = max(0, -(-span.start // SECOND) - 1)  # the row that opens at `since` is left out
        params = {"pair": altname(instrument), "interval": self.timeframes[timeframe.name], "since": str(since)}
        return Request("/0/public/OHLC", params)

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        """The last row is the running candle. An interval without trades may have a row of volume 0, or none."""
        rows = _decoded(_rows(answer.body)[0], _decode_candles)
        found = ((row.open_s * SECOND, row.open, row.high, row.low, row.close, row.volume) for row in rows)
        return read_rows(self.name, answer, instrument, timeframe, ts_recv, found)

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        return None

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        """CRC-32 over the ten best asks, then bids, each number in the instrument's digits without point and leading zeros."""
        if instrument.tick is None or instrument.lot is None:
            return None
        tick, lot = (len(step.partition(".")[2]) for step in (instrument.tick, instrument.lot))
        best = [*asks[:CHECKED_LEVELS], *bids[:CHECKED_LEVELS]]
        return zlib.crc32("".join([_digits(price, tick) + _digits(size, lot) for price, size in best]).encode())

    def read_refusal(self, answer: Answer) -> Exception | None:
        """Errors come with HTTP 200 as `{"error":["EGeneral:..."]}`; entries that begin with W are only warnings."""
        errors: list[str] = []
        with suppress(*UNREADABLE):
            errors = [text for text in _decode_errors(answer.body).error if not text.startswith("W")]
        if answer.status < 400 and not errors:
            return None
        words = "; ".join(errors) or answer.body[:200].decode("utf-8", "replace")
        wait_s = answer.retry_after_s
        if "Too many requests" in words or "ate limit" in words or answer.status == 429:
            wait_s = max(wait_s, RATE_WAIT_S)
        elif "EService:" in words:
            wait_s = max(wait_s, _throttled_s(words, answer.headers.get("date", "")))
        permanent = wait_s == 0.0 and (answer.status in (400, 401, 404, 451) or words.startswith(_FOR_GOOD))
        return Refused(self.name, words, status=answer.status, retry_after_s=wait_s, permanent=permanent)


class KrakenLine:
    """Decodes `{"channel": name, ...}` by the channel, and the answers to requests, of which each symbol gets its own."""

    def __init__(self, instruments: Instruments) -> None:
        self.ready = True
        self._instruments, self._symbols = instruments, instruments.symbols
        self._asked: dict[int, dict[str, Wanted]] = {}  # by request id and their symbol, until answered
        self._on: set[Wanted] = set()
        self._next_id = 1
        self._closings: dict[tuple[str, str], Closing] = defaultdict(Closing)
        self._system = "online"
        self._say: dict[type, Callable[[Any, int], Read]] = {
            Trades: self._trades, Books: self._book, Tickers: self._quotes, Candles: self._candles, States: self._status
        }  # fmt: skip

    def greet(self) -> list[bytes]:
        return []

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        """One frame for each channel. Of several timeframes of a symbol the venue gives only the first: the shortest here."""
        return self._control("subscribe", wanted)

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        self._on.difference_update(wanted)
        return self._control("unsubscribe", wanted)

    def ping(self) -> bytes | None:
        return b'{"method":"ping"}'

    def _control(self, method: str, wanted: Sequence[Wanted]) -> list[bytes]:
        frames = []
        in_order = sorted(wanted, key=lambda one: (_RANK[one.channel], _RANK[one.timeframe]))
        for (channel, length), group in groupby(in_order, key=attrgetter("channel", "timeframe")):
            named = {self._instruments[one.symbol].venue_symbol: one for one in group}
            number, self._next_id = self._next_id, self._next_id + 1
            params = {"channel": _THEIR_CHANNEL[channel], "symbol": list(named), **_PARAMETERS.get(channel, {})}
            if channel == "candle":
                params["interval"] = int(Kraken.timeframes[length])
            if method == "subscribe":
                self._asked[number] = named
                params |= {"snapshot": True}
            frames.append(_encode({"method": method, "params": params, "req_id": number}))
        return frames

    def read(self, frame: bytes, ts_recv: int) -> Read:
        try:
            try:
                wire = _decode(frame)
            except msgspec.ValidationError:
                return self._other(frame)
            return self._say[wire.__class__](wire, ts_recv)
        except UNREADABLE as error:
            raise BadFrame(Kraken.name, frame, str(error)) from error

    def _trades(self, wire: "Trades", ts_recv: int) -> Read:
        trades = []
        for row in wire.data:  # mostly one: a comprehension would cost it a tenth more
            symbol, time = self._symbols[row.symbol], ns_of_iso(row.timestamp)
            price, size = number_text(row.price), number_text(row.qty)
            trades.append(Trade("kraken", symbol, time, ts_recv, price, size, row.side, str(row.trade_id)))
        if wire.type == "update":
            return trades or _EMPTY
        trades.sort(key=lambda trade: (trade.symbol, int(trade.trade_id)))
        return [Overlap(symbol, list(group)) for symbol, group in groupby(trades, key=attrgetter("symbol"))] or _EMPTY

    def _book(self, wire: "Books", ts_recv: int) -> Read:
        told: list[Event | Notice] = []
        for row in wire.data:
            symbol = self._symbols[row.symbol]
            bids = [(number_text(level.price), number_text(level.qty)) for level in row.bids]
            asks = [(number_text(level.price), number_text(level.qty)) for level in row.asks]
            ts_event = None if row.timestamp is None else ns_of_iso(row.timestamp)
            if wire.type == "update":
                told.append(BookDelta("kraken", symbol, ts_event, ts_recv, bids, asks, None, None))
            else:
                told.append(BookSnapshot("kraken", symbol, ts_event, ts_recv, bids, asks, None))
            if row.checksum is not None:
                told.append(Checksum(symbol, row.checksum))
        return told or _EMPTY

    def _quotes(self, wire: "Tickers", ts_recv: int) -> Read:
        return [
            Quote(
                "kraken", self._symbols[row.symbol], None, ts_recv,
                number_text(row.bid), number_text(row.bid_qty), number_text(row.ask), number_text(row.ask_qty),
            )
            for row in wire.data
        ] or _EMPTY  # fmt: skip

    def _candles(self, wire: "Candles", ts_recv: int) -> Read:
        """Of a snapshot's rows (up to 720) the newest two of each symbol are told; REST has the others."""
        sent = None if wire.timestamp is None else ns_of_iso(wire.timestamp)
        if wire.type == "update":
            return self._taken([self._candle(row, sent, ts_recv) for row in wire.data]) or _EMPTY  # all read, then taken
        by_symbol = groupby(sorted(wire.data, key=attrgetter("symbol", "interval_begin")), key=attrgetter("symbol"))
        newest = [[self._candle(row, sent, ts_recv) for row in list(rows)[-2:]] for _, rows in by_symbol]
        return [told for two in newest for told in self._taken(two)[-2:]] or _EMPTY

    def _taken(self, candles: list[Candle]) -> list[Candle]:
        return [told for one in candles for told in self._closings[one.symbol, one.timeframe].take(one)]

    def _candle(self, row: "WireCandle", sent: int | None, ts_recv: int) -> Candle:
        length, symbol, opened = _TIMEFRAMES[row.interval], self._symbols[row.symbol], ns_of_iso(row.interval_begin)
        if length.open_of(opened) != opened or (sent is not None and opened > sent):
            raise ValueError(f"{row.interval_begin} is not where a candle of {length.name} begins")
        return Candle(
            "kraken", symbol, sent, ts_recv, length.name, opened, length.close_of(opened), number_text(row.open),
            number_text(row.high), number_text(row.low), number_text(row.close), number_text(row.volume), False,
        )  # fmt: skip

    def _status(self, wire: "States", ts_recv: int) -> Read:
        """The first frame of a connection, and again when the system's state changes. Nothing is lost by it."""
        before, self._system = self._system, wire.data[-1]["system"]
        if self._system == before:
            return (Unsaid(f"the system is {self._system}"),)
        state: Literal["connected", "stale"] = "connected" if self._system == "online" else "stale"
        return (Status("kraken", SYSTEM, None, ts_recv, state, f"the venue says {self._system}"),)

    def _other(self, frame: bytes) -> Read:
        """Heartbeats, answers, and channels that nobody asked for."""
        wire = _decode_other(frame)
        if wire.channel == "heartbeat" or wire.method == "pong":
            return (Alive(),)
        if wire.channel in _CHANNELS:
            _decode(frame)  # says what is wrong with it
        if wire.channel is not None:
            return (Unsaid("not subscribed") if wire.channel in _NOT_ASKED else Unknown(f"channel {wire.channel[:60]}"),)
        if wire.method == "subscribe" or (wire.method is None and wire.success is False):
            return self._answer(wire)
        if wire.method == "unsubscribe":
            return (Unsaid("unsubscribed" if wire.success else f"unsubscribing: {wire.error}"),)
        return (Unknown(f"method {wire.method or 'none'}: {wire.error or 'neither data nor an answer'}"),)

    def _answer(self, wire: "WireOther") -> Read:
        asked = self._answered(wire.req_id, wire.symbol or wire.result.symbol)
        words = wire.error or "refused without a word"
        if not asked:
            return (Unsaid("an answer to a request that was not ours") if wire.success else Unknown(words),)
        others = [on for on in self._on for one in asked if on[:2] == one[:2] and on != one]  # timeframes of the same symbol
        if wire.success or (words.startswith("Already subscribed") and not others):
            self._on.update(asked)
            return (Acked(asked),)
        return (Declined(asked, words, permanent=not any(one in words for one in _FOR_NOW)),)

    def _answered(self, number: int | None, theirs: str | None) -> list[Wanted]:
        """What an answer is about: its symbol of the request, or without a symbol all that the request still waits for."""
        named = self._asked.get(number) if number is not None else None
        if named is None:
            return []
        asked = list(named.values()) if theirs is None else [named.pop(theirs)] if theirs in named else []
        if theirs is None or not named:
            self._asked.pop(number or 0)
        return asked


def altname(instrument: Instrument) -> str:
    """The name that REST is asked by: the old codes, joined."""
    return "".join({"BTC": "XBT", "DOGE": "XDG"}.get(code, code) for code in (instrument.base, instrument.quote))


_THEIR_CHANNEL: Mapping[Channel, str] = {"trade": "trade", "quote": "ticker", "book": "book", "candle": "ohlc"}
_CHANNELS = {*_THEIR_CHANNEL.values(), "status"}
_PARAMETERS: Mapping[Channel, dict[str, Any]] = {"quote": {"event_trigger": "bbo"}, "book": {"depth": BOOK_LEVELS}}
_TIMEFRAMES = {int(theirs): timeframe(ours) for ours, theirs in Kraken.timeframes.items()}
_RANK = {name: rank for rank, name in enumerate(["", *_THEIR_CHANNEL, *Kraken.timeframes])}  # trades first: they are missed most
_EMPTY: Read = (Unsaid("no rows, or a closed candle repeated unchanged"),)
_NOT_ASKED = {"instrument", "level3", "executions", "balances"}
_FOR_NOW = ("Exceeded msg rate", "EService", "Too many requests", "ate limit")
_FOR_GOOD = ("EQuery:", "EGeneral:Invalid arguments", "EGeneral:Unknown method", "EGeneral:Permission denied")
_SIDES: Mapping[str, Side] = {"b": "buy", "s": "sell"}  # the taker's


def _step(said: str | None, places: int) -> str:
    """A step with just as many places as the venue prints: the tick 0.5 of prices with two places is 0.50."""
    whole, _, fraction = (said or f"{Decimal(1).scaleb(-places):f}").partition(".")
    fraction = fraction.rstrip("0").ljust(places, "0")
    return f"{whole}.{fraction}" if fraction else whole


@lru_cache(maxsize=16_384)  # most levels are the same from one message to the next
def _digits(text: str, places: int) -> str:
    whole, _, fraction = text.partition(".")
    return (whole + fraction.ljust(places, "0")).lstrip("0")


def _throttled_s(words: str, date: str) -> float:
    """`EService:Throttled: <unix time>` says until when; how long that is, only the answer's own date can tell."""
    try:
        now_s = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
        return min(max(int(words.rpartition(" ")[2]) - now_s, SERVICE_WAIT_S), WAIT_S_MAX)
    except (ValueError, OverflowError):
        return SERVICE_WAIT_S


def _rows(body: bytes) -> tuple[bytes, str]:
    """The rows of an answer, which stand under the venue's internal name beside `last`, and `last` as text."""
    result = _decoded(body, _decode_result).result
    last = bytes(result.pop("last", b"")).decode("utf-8", "replace").strip('"')
    if len(result) != 1:
        raise BadFrame(Kraken.name, body, f"expected the rows of one symbol beside last, found {sorted(result)}")
    return bytes(*result.values()), last


class WireTrade(msgspec.Struct, gc=False):
    symbol: str
    side: Side
    price: Any  # a JSON number as text, as all that are Any here
    qty: Any
    trade_id: int
    timestamp: str


class WireLevel(msgspec.Struct, gc=False):
    price: Any
    qty: Any


class WireBook(msgspec.Struct, gc=False):
    symbol: str
    bids: list[WireLevel]
    asks: list[WireLevel]
    checksum: int | None = None
    timestamp: str | None = None  # not in a snapshot


class WireTicker(msgspec.Struct, gc=False):
    symbol: str
    bid: Any
    bid_qty: Any
    ask: Any
    ask_qty: Any


class WireCandle(msgspec.Struct, gc=False):
    symbol: str
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any
    interval_begin: str
    interval: int


class Frame(msgspec.Struct, Generic[T], gc=False, tag_field="channel"):
    type: Literal["snapshot", "update"]
    data: list[T]


class Trades(Frame[WireTrade], gc=False, tag="trade"): ...


class Books(Frame[WireBook], gc=False, tag="book"): ...


class Tickers(Frame[WireTicker], gc=False, tag="ticker"): ...


class Candles(Frame[WireCandle], gc=False, tag="ohlc"):
    timestamp: str | None = None  # when it was sent; a candle's own timestamp is the end of its interval


class States(Frame[dict[str, Any]], gc=False, tag="status"): ...


class WireResult(msgspec.Struct, frozen=True):
    symbol: str | None = None


class WireOther(msgspec.Struct):
    channel: str | None = None
    method: str | None = None
    req_id: int | None = None
    success: bool | None = None
    symbol: str | None = None
    error: str | None = None
    result: WireResult = WireResult()


class WirePair(msgspec.Struct):
    altname: str
    pair_decimals: Places
    lot_decimals: Places
    wsname: str = ""
    tick_size: str | None = None
    status: str = "online"  # answers of 2021 have none


class Body(msgspec.Struct, Generic[T]):
    result: dict[str, T]


class WireRestTrade(msgspec.Struct, array_like=True):
    price: str
    size: str
    time: Any  # seconds
    side: Literal["b", "s"]
    order: str
    misc: str
    trade_id: int


class WireRestCandle(msgspec.Struct, array_like=True):
    open_s: int
    open: str
    high: str
    low: str
    close: str
    vwap: str
    volume: str


class ErrorsBody(msgspec.Struct):
    error: list[str] = []


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Trades | Books | Tickers | Candles | States, float_hook=str).decode
_decode_other = msgspec.json.Decoder(WireOther).decode
_decode_pairs = msgspec.json.Decoder(Body[WirePair]).decode
_decode_result = msgspec.json.Decoder(Body[msgspec.Raw]).decode
_decode_trades = msgspec.json.Decoder(list[WireRestTrade], float_hook=str).decode
_decode_candles = msgspec.json.Decoder(list[WireRestCandle]).decode
_decode_errors = msgspec.json.Decoder(ErrorsBody).decode


def _decoded(body: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(body)
    except UNREADABLE as error:
        raise BadFrame(Kraken.name, body, str(error)) from error
