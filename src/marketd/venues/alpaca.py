"""Alpaca US stocks, market data v2, feed iex (one exchange, 2 to 3 % of the volume): trades, quotes and minute bars.

Streams: https://docs.alpaca.markets/docs/real-time-stock-pricing-data, .../docs/streaming-market-data (state of 2026-07)
REST: https://docs.alpaca.markets/reference/stockbars, .../reference/stocktrades, .../reference/get-v2-assets (state of 2026-07)
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, TypeVar

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.model.digits import number_text
from marketd.model.events import BookSnapshot, Candle, Channel, Event, Level, Quote, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import SECOND, Timeframe, timeframe
from marketd.model.times import iso_of_ns, ns_of_iso
from marketd.venues.hours import Hours, NewYorkHours
from marketd.venues.notices import Acked, Alive, Declined, Lost, Notice, Ready, Unknown, Unsaid
from marketd.venues.rows import Row, read_rows
from marketd.venues.venue import Answer, Empty, Limits, Proof, Quota, RawTrades, Request, Span, TradesPage, Wanted

T = TypeVar("T")
Said = Sequence[Event | Notice]
FEED = "iex"
TOPICS_PER_FRAME = 400  # frames are limited to about 16 kB
PAGE = 10_000
REVISED_MAX = 4096  # revised bars remembered per connection
RATE_WAIT_S = 60.0  # where a 429 does not say when the minute ends


class Alpaca:
    """Live only with both keys and ALPACA_DRY_RUN=false. One connection per feed and account: run one process per key."""

    name: ClassVar[str] = "alpaca"
    channels: ClassVar[frozenset[Channel]] = frozenset({"trade", "quote", "candle"})
    # Longer ones open by New York time, off the UTC grid; they are built from these.
    timeframes: ClassVar[Mapping[str, str]] = {
        "1m": "1Min", "3m": "3Min", "5m": "5Min", "15m": "15Min", "30m": "30Min", "1h": "1Hour",
    }  # fmt: skip
    candle_page: ClassVar[int] = 1000  # far below what a page may hold: one that is cut cannot be followed
    candle_reach: ClassVar[int | None] = None
    candle_empty: ClassVar[Empty] = "no row"
    candle_streams: ClassVar[int | frozenset[str] | None] = frozenset({"1m"})
    hours: ClassVar[Hours | None] = NewYorkHours()
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        "trade": Proof("overlap", "GET /v2/stocks/trades by time", "all of the symbol's history on the feed"),
        "quote": Proof("none", "nothing", "the next quote replaces a lost one"),
        "candle": Proof("overlap", "GET /v2/stocks/bars", "all of the symbol's history on the feed"),
    }
    raw_trades: ClassVar[RawTrades] = RawTrades([(None,)], "i", ("trades", None, None), "i", id_ends_ours=True)
    stream_url = f"wss://stream.data.alpaca.markets/v2/{FEED}"
    rest_url = "https://data.alpaca.markets"
    book_depth: int | None = None

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        settings = settings or {}
        self._key, self._secret = settings.get("ALPACA_KEY", ""), settings.get("ALPACA_SECRET", "")
        self.dry = not (self._key and self._secret and settings.get("ALPACA_DRY_RUN", "true").lower() == "false")
        self._headers = _Hidden({"APCA-API-KEY-ID": self._key, "APCA-API-SECRET-KEY": self._secret})
        self.limits = Limits(
            topics_per_connection=30_000,  # a second connection is refused (406); too many symbols are declined (405)
            frames_per_s=4.0,
            connects_per_min=20.0,
            # At night the market is silent for hours, the connection is not: see AlpacaLine.ping.
            ping_every_s=5.0,
            silent_after_s=60.0,
            rest={"": Quota(200, 60.0)},
        )

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str:
        return base

    def connect_headers(self) -> Mapping[str, str]:
        return {}

    def open_line(self, instruments: Instruments) -> "AlpacaLine":
        return AlpacaLine(self._key, self._secret)

    def instruments_request(self) -> Request:
        """The list is with the trading API, where paper keys (PK...) and live keys have different hosts."""
        host = "https://paper-api.alpaca.markets" if self._key.startswith("PK") else "https://api.alpaca.markets"
        return self._ask("/v2/assets", {"status": "active", "asset_class": "us_equity"}, base=host)

    def read_instruments(self, answer: Answer) -> list[Instrument]:
        return [
            Instrument(self.name, one.symbol, one.symbol, one.symbol, "USD", status="trading" if one.tradable else "not tradable")
            for one in _decoded(answer.body, _decode_assets)
            if one.symbol
        ]

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        return None

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot:
        raise AssertionError("alpaca has no book of stocks")

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        """Forward in time; there is no way by id."""
        if span.from_ts is None:
            return None
        params = {"symbols": instrument.venue_symbol, "start": _iso(span.from_ts), "limit": str(PAGE), "feed": FEED}
        return self._ask("/v2/stocks/trades", params if span.to_ts is None else params | {"end": _iso(span.to_ts)})

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        page = _decoded(answer.body, _decode_page)
        times = _Times()
        try:
            rows = (page.trades or {}).get(instrument.venue_symbol, [])
            trades = [_trade(row, instrument.symbol, times, ts_recv, True) for row in rows]
        except _UNREADABLE as error:
            raise BadFrame(self.name, answer.body, str(error)) from error
        first = self.trades_request(instrument, span) if page.next_page_token else None
        if first is None:
            return TradesPage(trades, None)
        return TradesPage(trades, self._ask(first.path, {**first.params, "page_token": page.next_page_token or ""}))

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        params = {
            "symbols": instrument.venue_symbol,
            "timeframe": self.timeframes[timeframe.name],
            "start": _iso(span.start),
            "end": _iso(span.stop - 1),  # inclusive on the open time
            "limit": str(PAGE),
            "adjustment": "raw",
            "feed": FEED,
        }
        return self._ask("/v2/stocks/bars", params)

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        """An interval without eligible trades has no row; the last row may be forming, its successor proves the others."""
        page, times = _decoded(answer.body, _decode_page), _Times()
        rows = (page.bars or {}).get(instrument.venue_symbol, [])
        return read_rows(self.name, answer, instrument, timeframe, ts_recv, (_row(row, times) for row in rows))

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        """A page may be short, even empty, although more follows."""
        token = _decoded(answer.body, _decode_page).next_page_token
        return self._ask(asked.path, {**asked.params, "page_token": token}) if token else None

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        return None

    def read_refusal(self, answer: Answer) -> Exception | None:
        if answer.status < 400:
            return None
        try:
            words = _decode_refusal(answer.body).message
        except _UNREADABLE:
            words = answer.body[:200].decode("utf-8", "replace")
        if answer.status in (401, 403):
            words += " (wrong keys for this host, or the plan does not permit this)"
        wait_s = answer.retry_after_s
        if answer.status == 429:
            wait_s = wait_s or _until_reset(answer.headers)
        return Refused(
            self.name, words, status=answer.status, retry_after_s=wait_s, permanent=answer.status in (400, 401, 403, 404, 422)
        )

    def _ask(self, path: str, params: Mapping[str, str], base: str | None = None) -> Request:
        return Request(path, params, headers=self._headers, base=base)


class AlpacaLine:
    """Every frame is an array of objects, each with its `T`. There is no numbering: a loss cannot be seen here."""

    def __init__(self, key: str, secret: str) -> None:
        self.ready = False
        self._key, self._secret = key, secret
        self._requests: deque[Sequence[Wanted] | None] = deque()  # not answered yet, in order; None: a ping
        self._held: Wanted | None = None  # one subscription that the venue confirmed
        self._revised: dict[tuple[str, str], int] = {}
        self._times = _Times()
        self._say: dict[type, Callable[[Any, int], Said]] = {
            WireTrade: self._trade,
            WireQuote: self._quote,
            WireBar: self._bar,
            WireUpdatedBar: self._updated_bar,
            WireSuccess: self._success,
            WireSubscription: self._subscription,
            WireError: self._error,
        }

    def greet(self) -> list[bytes]:
        return [_encode({"action": "auth", "key": self._key, "secret": self._secret})]

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        return self._control("subscribe", wanted)

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        if self._held in wanted:
            self._held = None
        return self._control("unsubscribe", wanted)

    def ping(self) -> bytes | None:
        """One confirmed subscription asked for again: the venue answers with all that is in force, however quiet the market."""
        if self._held is None:
            return None
        self._requests.append(None)
        return _encode({"action": "subscribe", **_lists([self._held])})

    def _control(self, action: str, wanted: Sequence[Wanted]) -> list[bytes]:
        frames = []
        for start in range(0, len(wanted), TOPICS_PER_FRAME):
            part = wanted[start : start + TOPICS_PER_FRAME]
            self._requests.append(part if action == "subscribe" else ())
            frames.append(_encode({"action": action, **_lists(part)}))
        return frames

    def read(self, frame: bytes, ts_recv: int) -> Said:
        try:
            messages = _decode(frame)
            if len(messages) == 1:
                return self._say[messages[0].__class__](messages[0], ts_recv)
            return [one for wire in messages for one in self._say[wire.__class__](wire, ts_recv)] or _NOTHING
        except _UNREADABLE:
            return self._one_by_one(frame, ts_recv)

    def _one_by_one(self, frame: bytes, ts_recv: int) -> Said:
        """A message that cannot be read, or that no rule explains, must not take its neighbours with it."""
        said: list[Event | Notice] = []
        failure: Exception | None = None
        try:
            for part in _decode_parts(frame):
                kind = _decode_kind(part).T
                if kind not in _KINDS:
                    said.append(_NOT_USED.get(kind) or Unknown(f"message of type {kind}"))
                    continue
                try:
                    wire = _decode_one(part)
                    said += self._say[wire.__class__](wire, ts_recv)
                except _UNREADABLE as error:
                    failure = error
        except _UNREADABLE as error:
            raise BadFrame("alpaca", frame, str(error)) from error
        if failure is None:
            return said
        if not said:
            raise BadFrame("alpaca", frame, str(failure)) from failure
        return [*said, Unknown(f"one message of several cannot be read: {failure}")]

    def _trade(self, wire: "WireTrade", ts_recv: int) -> Said:
        return (_trade(wire, wire.S, self._times, ts_recv),)

    def _quote(self, wire: "WireQuote", ts_recv: int) -> Said:
        if wire.bp == 0 or wire.ap == 0:
            return (Unsaid("a quote with one side only"),)
        said = number_text(wire.bp), number_text(wire.bs), number_text(wire.ap), number_text(wire.asked)
        return (Quote("alpaca", wire.S, self._times.ns(wire.t), ts_recv, *said),)

    def _bar(self, wire: "WireBar", ts_recv: int) -> Said:
        return (self._candle(wire, ts_recv),)

    def _updated_bar(self, wire: "WireUpdatedBar", ts_recv: int) -> Said:
        """Trades that were reported late changed a closed bar."""
        revision = self._revised.get((wire.S, wire.t), 0) + 1
        candle = msgspec.structs.replace(self._candle(wire, ts_recv), revision=revision)
        self._revised[wire.S, wire.t] = revision
        if len(self._revised) > REVISED_MAX:
            del self._revised[next(iter(self._revised))]
        return (candle,)

    def _candle(self, wire: "WireBar | WireUpdatedBar", ts_recv: int) -> Candle:
        opened, *numbers = _row(wire, self._times)
        open_, high, low, close, volume = map(number_text, numbers)
        until = _MINUTE.close_of(opened)
        return Candle("alpaca", wire.S, None, ts_recv, _MINUTE.name, opened, until, open_, high, low, close, volume, True)

    def _success(self, wire: "WireSuccess", ts_recv: int) -> Said:
        if wire.msg == "authenticated":
            self.ready = True
            return (Ready(),)
        return (Alive() if wire.msg == "connected" else Unknown(f"success: {wire.msg}"),)

    def _subscription(self, wire: "WireSubscription", ts_recv: int) -> Said:
        """Always the whole state, not the change."""
        asked = self._requests.popleft() if self._requests else ()
        if asked is None:
            return (Alive(),)
        state = [Wanted("trade", symbol) for symbol in wire.trades]
        state += [Wanted("quote", symbol) for symbol in wire.quotes]
        state += [Wanted("candle", symbol, "1m") for symbol in wire.bars]
        self._held = state[0] if state else None
        not_streamed = [one for one in asked if one.timeframe not in ("", "1m")]
        if not not_streamed:
            return (Acked(state),)
        return (Acked(state), Declined(not_streamed, "bars of one minute are the only ones on the stream"))

    def _error(self, wire: "WireError", ts_recv: int) -> Said:
        words = f"{wire.code}: {wire.msg}"
        if wire.code in _OF_REQUEST:
            asked = self._requests.popleft() if self._requests else ()
            if asked is None:
                return (Alive(),)
            # Nothing of such a request is applied. One of several may be wrong: the feed asks them one by one.
            return (Declined(asked, words, permanent=len(asked) == 1) if asked else Unknown(f"error {words}"),)
        if wire.code in _OF_CONNECTION:
            return (Declined((), words, permanent=_OF_CONNECTION[wire.code]),)
        if wire.code == 407:
            return (Lost(f"{words}: the venue dropped what we were too slow to read"),)
        return (Unsaid(words) if wire.code == 403 else Unknown(f"error {words}"),)


# Codes: https://docs.alpaca.markets/docs/streaming-market-data#errors
_OF_REQUEST = {400, 405, 410}  # syntax, too many symbols, no such channel on this feed
# Not authenticated, keys wrong, greeting late, a connection too many (the old one lives on for a while), no v2, plan, scope,
# server error. True: the same again would be refused again.
_OF_CONNECTION = {401: False, 402: True, 404: False, 406: False, 408: True, 409: True, 411: True, 500: False}


class _Hidden(dict[str, str]):
    """Headers that hold secrets: their values are not shown."""

    def __repr__(self) -> str:
        return f"{{{', '.join(self)}: not shown}}"


class _Times:
    """Times to ns. Most lie in the same second as the one before, which is remembered."""

    def __init__(self) -> None:
        self._second, self._second_ns, self.day = "", 0, ""

    def ns(self, text: str) -> int:
        """The time in ns; `day` is then its UTC day."""
        if text[:19] == self._second and text[-1] == "Z":
            fraction = text[20:-1]
            if fraction.isdecimal() and len(fraction) <= 9 and text[19] == ".":
                return self._second_ns + int(fraction) * _SCALE[len(fraction)]
            if len(text) == 20:
                return self._second_ns
        whole = ns_of_iso(text)
        self._second_ns = whole - whole % SECOND
        self._second = iso_of_ns(self._second_ns)[:19]
        self.day = self._second[:10]
        return whole


_SCALE: list[int] = [10 ** (9 - length) for length in range(10)]
_MINUTE = timeframe("1m")


def _lists(wanted: Sequence[Wanted]) -> dict[str, list[str]]:
    bars = [one.symbol for one in wanted if one.channel == "candle" and one.timeframe == "1m"]
    return {
        "trades": [one.symbol for one in wanted if one.channel == "trade"],
        "quotes": [one.symbol for one in wanted if one.channel == "quote"],
        "bars": bars,
        "updatedBars": bars,
    }


def _trade(row: "WireTrade", symbol: str, times: _Times, ts_recv: int, repaired: bool = False) -> Trade:
    """Ids are unique within an exchange and a UTC day only, so both belong to the id. Nobody says who crossed the spread."""
    ts_event = times.ns(row.t)
    number = f"{row.x}-{times.day}-{row.i}"
    return Trade("alpaca", symbol, ts_event, ts_recv, number_text(row.p), number_text(row.s), None, number, repaired)


def _row(row: "WireRestBar", times: _Times) -> Row:
    return times.ns(row.t), row.o, row.h, row.l, row.c, row.v


def _iso(ts: int) -> str:
    return iso_of_ns(ts).replace("+00:00", "Z")


def _until_reset(headers: Mapping[str, str]) -> float:
    """By the venue's own clock: when the minute ends against when it answered."""
    try:
        wait_s = float(headers["x-ratelimit-reset"]) - parsedate_to_datetime(headers["date"]).timestamp()
        return min(max(wait_s, 1.0), RATE_WAIT_S)
    except (KeyError, ValueError):
        return RATE_WAIT_S


class WireTrade(msgspec.Struct, gc=False, tag_field="T", tag="t"):
    i: int
    x: str  # exchange
    p: Any
    s: Any
    t: str
    S: str = ""


class WireQuote(msgspec.Struct, gc=False, tag_field="T", tag="q", rename={"asked": "as"}):
    S: str
    bp: Any
    bs: Any
    ap: Any
    asked: Any
    t: str


class WireRestBar(msgspec.Struct, gc=False):
    t: str  # its start
    o: Any
    h: Any
    l: Any  # noqa: E741
    c: Any
    v: Any


class WireBar(WireRestBar, gc=False, tag_field="T", tag="b", kw_only=True):
    S: str


class WireUpdatedBar(WireBar, gc=False, tag_field="T", tag="u", kw_only=True):
    pass


class WireSuccess(msgspec.Struct, tag_field="T", tag="success"):
    msg: str


class WireSubscription(msgspec.Struct, tag_field="T", tag="subscription"):
    trades: list[str] = []
    quotes: list[str] = []
    bars: list[str] = []


class WireError(msgspec.Struct, tag_field="T", tag="error"):
    code: int
    msg: str = ""


class WireKind(msgspec.Struct):
    T: str


class WirePage(msgspec.Struct):
    trades: dict[str, list[WireTrade]] | None = None
    bars: dict[str, list[WireRestBar]] | None = None
    next_page_token: str | None = None


class WireAsset(msgspec.Struct):
    symbol: str
    tradable: bool = True


class WireRefusal(msgspec.Struct):
    message: str


WireMessage = WireTrade | WireQuote | WireBar | WireUpdatedBar | WireSuccess | WireSubscription | WireError
_NOTHING: Said = (Unknown("an empty frame"),)
_KINDS = {"t", "q", "b", "u", "success", "subscription", "error"}
_NOT_USED: dict[str, Notice] = {
    "d": Unsaid("daily bars are not asked for"),
    "s": Unsaid("trading statuses are not asked for"),
    "l": Unsaid("price bands are not asked for"),
    # These come with the trades by themselves. What is stored stays as it was told; the words and the frame go to the log.
    "c": Unknown("the venue corrects a trade told earlier; it stays as told, the bar may be revised"),
    "x": Unknown("the venue cancels a trade told earlier; it stays as told, the bar may be revised"),
}
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, LookupError, OverflowError, RecursionError)
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(list[WireMessage], float_hook=str).decode  # the venue's digits
_decode_one = msgspec.json.Decoder(WireMessage, float_hook=str).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_kind = msgspec.json.Decoder(WireKind).decode
_decode_page = msgspec.json.Decoder(WirePage, float_hook=str).decode
_decode_assets = msgspec.json.Decoder(list[WireAsset]).decode
_decode_refusal = msgspec.json.Decoder(WireRefusal).decode


def _decoded(body: bytes, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(body)
    except _UNREADABLE as error:
        raise BadFrame("alpaca", body, str(error)) from error
