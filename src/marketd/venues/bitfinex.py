"""Bitfinex spot: public streams and REST, v2. Arrays may grow at their end, so they are read from the front.

Streams: https://docs.bitfinex.com/docs/ws-general, https://docs.bitfinex.com/docs/ws-public (state of 2026-07)
REST: https://docs.bitfinex.com/reference/rest-public-candles, .../rest-public-trades, .../rest-public-conf (state of 2026-07)
"""

import zlib
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, ClassVar

import msgspec

from marketd.errors import BadFrame, Refused
from marketd.model.digits import number_text, signed_number
from marketd.model.events import SYSTEM, BookDelta, BookSnapshot, Candle, Channel, Event, Level, Quote, Side, Status, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import Timeframe, timeframe
from marketd.venues.closing import Closing
from marketd.venues.notices import Acked, Alive, Checksum, Cut, Declined, Lost, Notice, Overlap, Ready, Unknown, Unsaid
from marketd.venues.rows import Row, read_rows
from marketd.venues.venue import Answer, Empty, Limits, Proof, Quota, RawTrades, Request, Span, TradesPage, Wanted

TIMESTAMP, SEQ_ALL, OB_CHECKSUM = 32768, 65536, 131072
FLAGS = TIMESTAMP | SEQ_ALL | OB_CHECKSUM
BOOK_LEVELS = 25
PAGE = 10_000
RATE_WAIT_S, MAINTENANCE_WAIT_S = 60.0, 120.0  # no Retry-After is sent; blocks of 10 to 60 s and pauses up to 120 s are said
PERMANENT = {10001, 10020}  # of REST: unknown pair, wrong parameter
RATE_LIMITED, MAINTENANCE, ALREADY_SUBSCRIBED = 11010, 20060, 10301
NEVER = -9
ARRAY = ord("[")
Said = Sequence[Event | Notice]


class Bitfinex:
    name: ClassVar[str] = "bitfinex"
    channels: ClassVar[frozenset[Channel]] = frozenset({"trade", "quote", "book", "candle"})
    # 1W and 14D stay out: nothing recorded shows which day they begin on. They can be built from 1d.
    timeframes: ClassVar[Mapping[str, str]] = {
        **{name: name for name in ["1m", "5m", "15m", "30m", "1h", "3h", "6h", "12h", "1M"]},
        "1d": "1D",
    }
    candle_page: ClassVar[int] = PAGE
    candle_reach: ClassVar[int | None] = None
    candle_empty: ClassVar[Empty] = "no row"
    candle_streams: ClassVar[int | frozenset[str] | None] = None
    proofs: ClassVar[Mapping[Channel, Proof]] = {
        "trade": Proof("sequence", "GET /trades/{symbol}/hist by time", "all of the symbol's history"),
        "quote": Proof("sequence", "nothing", "the next quote replaces a lost one"),
        "book": Proof("checksum", "subscribing again, that book only", "the 25 best levels a side"),
        "candle": Proof("sequence", "GET /candles/trade:{timeframe}:{symbol}/hist", "all of the symbol's history"),
    }
    raw_trades: ClassVar[RawTrades] = RawTrades([(1, None), (2,)], 0, (None,), 0)
    stream_url = "wss://api-pub.bitfinex.com/ws/2"
    rest_url = "https://api-pub.bitfinex.com/v2"
    book_depth: int | None = BOOK_LEVELS  # recorded: what leaves is removed before what comes, so there are never more
    dry = False

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.limits = Limits(
            topics_per_connection=25,  # one page says 30; the venue's own clients stop at 25
            frames_per_s=5.0,
            connects_per_min=15.0,  # 20 are allowed
            silent_after_s=35.0,  # each channel without data says so every 15 s
            # The pages disagree (10 to 90 a minute): these are the lowest figures that any of them gives.
            rest={"": Quota(10, 60.0), "candles": Quota(30, 60.0), "trades": Quota(15, 60.0)},
        )

    def connect_url(self, base: str, wanted: Sequence[Wanted]) -> str:
        return base

    def connect_headers(self) -> Mapping[str, str]:
        return {}

    def open_line(self, instruments: Instruments) -> "BitfinexLine":
        return BitfinexLine(instruments)

    def instruments_request(self) -> Request:
        return Request("/conf/pub:list:pair:exchange,pub:map:currency:sym")

    def read_instruments(self, answer: Answer) -> list[Instrument]:
        try:
            pairs, renamed = _decode(answer.body)
            return _instruments(pairs, {theirs: ours.upper() for theirs, ours in renamed if ours.isalnum()})
        except _UNREADABLE as error:
            raise _bad(answer.body, error) from error

    def snapshot_request(self, instrument: Instrument) -> Request | None:
        return None

    def read_snapshot(self, answer: Answer, instrument: Instrument, ts_recv: int) -> BookSnapshot:
        raise AssertionError("bitfinex books start from the stream")

    def trades_request(self, instrument: Instrument, span: Span) -> Request | None:
        """Forward in time from the first missing trade; the newest page where nobody knows when that was."""
        params = {"limit": str(PAGE), "sort": "-1"}
        if span.from_ts is not None:
            params.update(sort="1", start=str(span.from_ts // 1_000_000))
        if span.to_ts is not None:
            params["end"] = str(-(-span.to_ts // 1_000_000))
        return Request(f"/trades/{instrument.venue_symbol}/hist", params, bucket="trades")

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        try:
            rows = sorted(_decode(answer.body), key=itemgetter(1, 0))
            trades = [_trade(row, instrument.symbol, ts_recv, True) for row in rows]
        except _UNREADABLE as error:
            raise _bad(answer.body, error) from error
        if len(rows) < PAGE or span.from_ts is None:
            return TradesPage(trades, None)
        # The last millisecond may go on on the next page: asked again, and what is known already drops out by its id.
        first, last = rows[0][1], rows[-1][1]
        later = span._replace(from_ts=(last if last > first else last + 1) * 1_000_000)
        return TradesPage(trades, self.trades_request(instrument, later))

    def candles_request(self, instrument: Instrument, timeframe: Timeframe, span: Interval) -> Request:
        params = {
            "sort": "1",
            "start": str(-(-span.start // 1_000_000)),
            "end": str(-(-span.stop // 1_000_000) - 1),  # inclusive on the open time
            "limit": str(self.candle_page),
        }
        key = f"trade:{self.timeframes[timeframe.name]}:{instrument.venue_symbol}"
        return Request(f"/candles/{key}/hist", params, bucket="candles")

    def read_candles(self, answer: Answer, instrument: Instrument, timeframe: Timeframe, ts_recv: int) -> list[Candle]:
        """An interval without trades has no row; the last row may be forming, its successor proves the others."""
        try:
            return read_rows(self.name, answer, instrument, timeframe, ts_recv, map(_row, _decode(answer.body)))
        except _UNREADABLE as error:
            raise _bad(answer.body, error) from error

    def more_candles(self, answer: Answer, asked: Request) -> Request | None:
        return None

    def checksum(self, bids: Sequence[Level], asks: Sequence[Level], instrument: Instrument) -> int | None:
        """A signed CRC-32 over the best 25 levels, bid and ask in turn (https://docs.bitfinex.com/docs/ws-websocket-checksum)."""
        parts: list[str] = []
        for at in range(BOOK_LEVELS):
            if at < len(bids):
                parts += map(_script_text, bids[at])
            if at < len(asks):
                price, size = asks[at]
                parts += (_script_text(price), "-" + _script_text(size))
        value = zlib.crc32(":".join(parts).encode())
        return value - (1 << 32) if value >> 31 else value

    def read_refusal(self, answer: Answer) -> Exception | None:
        """`["error", code, words]` or `{"error": words}`, under whatever HTTP status: bad parameters come as 500."""
        if answer.status < 400 and not answer.body[:10].replace(b" ", b"").startswith((b'["error"', b'{"error"')):
            return None
        code, words = 0, answer.body[:200].decode("utf-8", "replace")
        try:
            said = msgspec.json.decode(answer.body)
            code, words = (0, str(said["error"])) if isinstance(said, dict) else (int(said[1]), f"{said[1]}: {said[2]}")
        except _UNREADABLE:
            pass  # a gateway's page, in its own words
        limited = answer.status == 429 or code == RATE_LIMITED or words == "ERR_RATE_LIMIT"
        wait_s = RATE_WAIT_S if limited else MAINTENANCE_WAIT_S if code == MAINTENANCE else 0.0
        wait_s = max(wait_s, answer.retry_after_s)
        permanent = wait_s == 0.0 and (code in PERMANENT or 400 <= answer.status < 500)
        return Refused(self.name, words, status=answer.status, retry_after_s=wait_s, permanent=permanent)


class BitfinexLine:
    """Routes arrays by the channel id that the venue drew for this connection, and counts the connection's sequence."""

    def __init__(self, instruments: Instruments) -> None:
        self.ready = False
        self._instruments = instruments
        self._ids: dict[Wanted, int] = {}  # what we hold, by what was asked for
        self._channels: dict[int, _Channel] = {}
        self._asked_flags = 0
        self._numbered = False  # frames carry the line's sequence
        self._sent_after = NEVER  # where the time of sending stands, counted from the sequence
        self._expected = 1  # recorded: the first array after `conf` has this number

    def greet(self) -> list[bytes]:
        self._asked_flags = FLAGS
        return [_encode({"event": "conf", "flags": FLAGS})]

    def subscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        """One frame each; what this connection already holds is given back first, so that the venue begins it anew."""
        return self.unsubscribe(wanted) + [_encode({"event": "subscribe"} | self._topic(one)) for one in wanted]

    def unsubscribe(self, wanted: Sequence[Wanted]) -> list[bytes]:
        held = [self._ids.pop(one) for one in wanted if one in self._ids]
        return [_encode({"event": "unsubscribe", "chanId": number}) for number in held]

    def ping(self) -> bytes | None:
        return None

    def _topic(self, wanted: Wanted) -> dict[str, str]:
        theirs = self._instruments[wanted.symbol].venue_symbol
        if wanted.channel == "candle":
            return {"channel": "candles", "key": f"trade:{Bitfinex.timeframes[wanted.timeframe]}:{theirs}"}
        book = {"prec": "P0", "freq": "F0", "len": str(BOOK_LEVELS)} if wanted.channel == "book" else {}
        return {"channel": _THEIR_CHANNEL[wanted.channel], "symbol": theirs} | book

    def _wanted(self, wire: "WireControl") -> Wanted | None:
        """What a topic that the venue names is to us; None where we never ask for such."""
        name, _, theirs = wire.key.removeprefix("trade:").partition(":")
        symbol = self._instruments.symbols.get(theirs or wire.symbol)
        channel = _OUR_CHANNEL.get(wire.channel)
        if symbol is None or channel is None or wire.prec not in {"", "P0"}:
            return None
        if channel != "candle":
            return Wanted(channel, symbol)
        return Wanted(channel, symbol, _OUR_TIMEFRAME[name]) if name in _OUR_TIMEFRAME else None

    def read(self, frame: bytes, ts_recv: int) -> Said:
        """Data is `[id, rows or word, ..., sequence, sent ms]`, the last two where the venue confirmed the flags."""
        try:
            if frame[0] != ARRAY:
                return self._control(_decode_control(frame), ts_recv)
            message = _decode(frame)
            kind = message[1]
            tail = 3 if kind.__class__ is str and kind != "hb" else 2
            channel = self._channels.get(message[0])
            seq = _whole(message[tail]) if self._numbered else None
            said = channel.read(message, tail + self._sent_after, ts_recv) if channel is not None else _stranger(message)
            # Counted only now: a frame that cannot be read shows as a jump before the next one.
            if seq is not None:
                if seq != self._expected:
                    return self._jumped(seq, said)
                self._expected += 1
            return said
        except _UNREADABLE as error:
            raise _bad(frame, error) from error

    def _jumped(self, seq: int, said: Said) -> Said:
        expected, self._expected = self._expected, seq + 1
        if seq == expected - 1:
            return (Unsaid(f"the frame numbered {seq} came twice"),)
        missing = f"{seq - expected} missing" if seq > expected else "it must only grow"
        return (Lost(f"line sequence went from {expected - 1} to {seq}: {missing}"), *said)

    def _control(self, wire: "WireControl", ts_recv: int) -> Said:
        words = f"{wire.code}: {wire.msg}"
        match wire.event:
            case "subscribed":
                return self._subscribed(wire)
            case "unsubscribed":
                self._channels.pop(_whole(wire.chanId), None)
                return (Unsaid("a channel given back"),)
            case "error":
                return self._error(wire, words)
            case "info" if wire.version is not None:
                return self._greeted(wire)
            case "info" if wire.code == 20051:
                return (Cut(words),)
            case "info" if wire.code == MAINTENANCE:
                return (Status("bitfinex", SYSTEM, None, ts_recv, "stale", f"maintenance begins: {words}"),)
            case "info" if wire.code == 20061:
                return (Lost(f"maintenance is over: {words}", resubscribe=True),)
            case "conf":
                return self._configured(wire.flags if wire.status == "OK" else 0, words)
            case "pong":
                return (Alive(),)
        return (Unknown(f"event {wire.event} {words}"),)

    def _configured(self, flags: int, words: str) -> Said:
        self._numbered = bool(flags & SEQ_ALL)
        self._sent_after = int(self._numbered) if flags & TIMESTAMP else NEVER
        if flags & self._asked_flags == self._asked_flags:
            return (Unsaid(f"flags {flags} confirmed"),)
        return (Unknown(f"asked for flags {self._asked_flags}, the venue confirms {flags} ({words})"),)

    def _greeted(self, wire: "WireControl") -> Said:
        if wire.version != 2:
            return (Declined((), f"the venue speaks version {wire.version}, expected 2"),)
        if wire.platform is not None and wire.platform.status != 1:
            return (Declined((), f"the platform is in maintenance (status {wire.platform.status})"),)
        self.ready = True
        return (Ready(),)

    def _subscribed(self, wire: "WireControl") -> Said:
        number, wanted = _whole(wire.chanId), self._wanted(wire)
        if wanted is None:
            self._channels[number] = unused = _Unused(f"{wire.channel} {wire.key or wire.symbol} {wire.prec}")
            return unused.alive
        self._ids[wanted] = number
        self._channels[number] = _CHANNELS[wanted.channel](wanted)
        return (Acked([wanted]),)

    def _error(self, wire: "WireControl", words: str) -> Said:
        wanted = self._wanted(wire)
        if wanted is None:
            return (Unknown(f"error {words}"),)
        if wire.code == ALREADY_SUBSCRIBED and wanted in self._ids:
            return (Acked([wanted]),)
        return (Declined([wanted], words),)


class _Channel:
    """One channel of a connection. `sent_at` is where a message says when the venue sent it; below 0: nowhere."""

    def __init__(self, wanted: Wanted) -> None:
        self.symbol = wanted.symbol
        self.alive: Said = (Alive(wanted.symbol, wanted.channel),)  # what its heartbeat says

    def read(self, message: list[Any], sent_at: int, ts_recv: int) -> Said:
        return self.alive


class _Unused(_Channel):
    """Understood, and asked for by nobody here."""

    def __init__(self, what: str) -> None:
        self.alive = (Unsaid(f"{what.rstrip()} is not asked for"),)


class _Trades(_Channel):
    """`te` is the trade at once, `tu` says the same a second later; the snapshot repeats the last ones."""

    def read(self, message: list[Any], sent_at: int, ts_recv: int) -> Said:
        kind = message[1]
        if kind == "te":
            return (_trade(message[2], self.symbol, ts_recv),)
        if kind == "tu":
            return _CONFIRMED
        if kind.__class__ is str:
            return self.alive if kind == "hb" else (Unknown(f"trades word {kind}"),)
        return (Overlap(self.symbol, [_trade(row, self.symbol, ts_recv) for row in sorted(kind, key=itemgetter(1, 0))]),)


class _Quotes(_Channel):
    """The venue's sizes here are sums over the 25 best levels, not the best level's own."""

    def read(self, message: list[Any], sent_at: int, ts_recv: int) -> Said:
        if message[1] == "hb":
            return self.alive
        bid, bid_size, ask, ask_size = message[1][:4]
        if bid is None or ask is None:
            return (Unsaid("a ticker of a market without two sides"),)
        said = number_text(bid), number_text(bid_size), number_text(ask), number_text(ask_size)
        return (Quote("bitfinex", self.symbol, _sent(message, sent_at), ts_recv, *said),)


class _Book(_Channel):
    """Rows are [price, count, amount]: an ask's amount is negative, count 0 removes."""

    def read(self, message: list[Any], sent_at: int, ts_recv: int) -> Said:
        rows = message[1]
        if rows.__class__ is str:
            if rows == "cs":
                return (Checksum(self.symbol, _whole(message[2])),)
            return self.alive if rows == "hb" else (Unknown(f"book word {rows}"),)
        sent = _sent(message, sent_at)
        if rows and rows[0].__class__ is not list:
            level, is_ask = _level(rows)
            bids, asks = ((), (level,)) if is_ask else ((level,), ())
            return (BookDelta("bitfinex", self.symbol, sent, ts_recv, bids, asks, None, None),)
        sides: tuple[list[Level], list[Level]] = [], []
        for level, is_ask in map(_level, rows):
            sides[is_ask].append(level)
        return (BookSnapshot("bitfinex", self.symbol, sent, ts_recv, *sides, None),)


class _Candles(_Channel):
    """No candle says that it is closed. Of the snapshot's rows (about 240) the newest two are told; REST has the others."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._timeframe = timeframe(wanted.timeframe)
        self._closing = Closing()

    def read(self, message: list[Any], sent_at: int, ts_recv: int) -> Said:
        rows = message[1]
        if rows == "hb":
            return self.alive
        sent = _sent(message, sent_at)
        if rows and rows[0].__class__ is not list:
            return self._tell(self._candle(rows, sent, ts_recv))
        # All are read before the first is taken in: a bad row spoils its frame only.
        candles = [self._candle(row, sent, ts_recv) for row in sorted(rows, key=itemgetter(0))[-2:]]
        said = [one for candle in candles for one in self._tell(candle)]
        return said[-2:] or self.alive  # of the older one only how it closed

    def _candle(self, row: list[Any], sent: int | None, ts_recv: int) -> Candle:
        candle = _candle(row, self.symbol, self._timeframe, sent, ts_recv)
        if sent is not None and candle.open_time > sent:
            raise ValueError("a candle that opens after the venue sent it")  # it would make all that follow look late
        return candle

    def _tell(self, candle: Candle) -> Said:
        return self._closing.take(candle) or (Unsaid("a closed candle repeated unchanged"),)


_CHANNELS: Mapping[Channel, type[_Channel]] = {"trade": _Trades, "quote": _Quotes, "book": _Book, "candle": _Candles}
_CONFIRMED: Said = (Unsaid("tu repeats the trade that te told"),)
_THEIR_CHANNEL: Mapping[Channel, str] = {"trade": "trades", "quote": "ticker", "book": "book", "candle": "candles"}
_OUR_CHANNEL = {theirs: ours for ours, theirs in _THEIR_CHANNEL.items()}
_OUR_TIMEFRAME = {theirs: ours for ours, theirs in Bitfinex.timeframes.items()}


def _stranger(message: list[Any]) -> Said:
    """Recorded: a channel's heartbeats may come before its acknowledgement; data may not."""
    return (Alive() if message[1] == "hb" else Unknown(f"data on channel id {message[0]}, which is not subscribed"),)


def _trade(row: list[Any], symbol: str, ts_recv: int, repaired: bool = False) -> Trade:
    """[id, ms, amount, price]; the amount is negative where the aggressor sold."""
    number, time_ms, amount, price = row if len(row) == 4 else row[:4]
    if number.__class__ is not int or time_ms.__class__ is not int:
        raise ValueError(f"expected a trade's id and time, found {number!r} and {time_ms!r}")
    size, is_sell = signed_number(amount)
    side: Side = "sell" if is_sell else "buy"
    return Trade("bitfinex", symbol, time_ms * 1_000_000, ts_recv, number_text(price), size, side, str(number), repaired)


def _row(row: list[Any]) -> Row:
    """[open ms, open, close, high, low, volume]: the close comes before the high and the low."""
    open_ms, begin, end, high, low, volume = row[:6]
    return _whole(open_ms) * 1_000_000, begin, high, low, end, volume


def _candle(row: list[Any], symbol: str, length: Timeframe, sent: int | None, ts_recv: int) -> Candle:
    opened, *numbers = _row(row)
    begin, high, low, end, volume = map(number_text, numbers)
    until = length.close_of(opened)
    return Candle("bitfinex", symbol, sent, ts_recv, length.name, opened, until, begin, high, low, end, volume, False)


def _level(row: list[Any]) -> tuple[Level, bool]:
    price, count, amount = row[:3]
    size, is_ask = signed_number(amount)
    return (number_text(price), size if _whole(count) else "0"), is_ask


def _sent(message: list[Any], at: int) -> int | None:
    return _whole(message[at]) * 1_000_000 if at > 0 else None


def _whole(value: Any) -> int:
    if value.__class__ is not int:
        raise ValueError(f"expected a whole number, found {value!r}")
    return value


def _script_text(text: str) -> str:
    """Plain text as JavaScript prints that number, which is how it stood on the wire: below 1e-6 with an exponent."""
    text = text.rstrip("0").rstrip(".") if "." in text else text
    if not text.startswith("0.000000"):
        return text
    digits = text[2:].lstrip("0")
    point = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{point}e-{len(text) - 1 - len(digits)}"


def _instruments(pairs: list[str], renamed: dict[str, str]) -> list[Instrument]:
    """Spot pairs under the names that the currency map gives (UST is USDT); a name that is taken stays the venue's code."""
    split = [(*(pair.split(":", 1) if ":" in pair else (pair[:3], pair[3:])), pair) for pair in pairs]
    listed: dict[str, Instrument] = {}
    for base, quote, pair in sorted(split, key=lambda one: one[0] in renamed):
        if base.endswith("F0") or quote.endswith("F0") or base.startswith("TEST"):
            continue  # derivatives and test assets
        ours, counter = renamed.get(base, base), renamed.get(quote, quote)
        if not (base and quote):
            raise ValueError(f"{pair!r} is not a pair")
        if ours + counter in listed:
            ours, counter = base, quote
        listed[ours + counter] = Instrument("bitfinex", ours + counter, f"t{pair}", ours, counter)
    return list(listed.values())


class WirePlatform(msgspec.Struct):
    status: int = 1


class WireControl(msgspec.Struct):
    event: str
    channel: str = ""
    chanId: int | None = None
    symbol: str = ""
    key: str = ""
    prec: str = ""
    code: int | None = None
    msg: str = ""
    version: int | None = None
    platform: WirePlatform | None = None
    status: str = ""
    flags: int = 0


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(list[Any], float_hook=str).decode  # the venue's digits, exponents included
_decode_control = msgspec.json.Decoder(WireControl).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, OSError, RecursionError)


def _bad(body: bytes, error: Exception) -> BadFrame:
    what = str(error) if isinstance(error, msgspec.MsgspecError | ValueError) else f"not the documented shape ({error})"
    return BadFrame("bitfinex", body, what)
