"""Events of other producers, read tolerantly: our own form first, else by the names and notations that others use.

A producer may call a venue `exchange`, a size `qty`, a time `timestamp`; write numbers as numbers, times as ISO text or as
epoch s, ms, us or ns, symbols as `btc-usd`; leave out what is optional and add what nobody knows. Digits survive whatever
the notation. What cannot be understood is counted by reason and skipped.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.model import wire
from marketd.model.digits import plain, unsigned
from marketd.model.events import (
    SYSTEM,
    TYPE_NAMES,
    AnyEvent,
    BookDelta,
    BookL2,
    Candle,
    Event,
    Gap,
    Heartbeat,
    Level,
    Quote,
    Status,
    Trade,
)
from marketd.model.timeframes import timeframe
from marketd.model.times import ns_of_epoch, ns_of_iso
from marketd.model.vet import FUTURE_NS, ID_MAX, impossible
from marketd.sources.ours import NAME_MAX, WORDS_MAX, is_ours

SHOWN_MAX = 3  # messages logged for each reason
BYTES_MAX = 4 * 1024 * 1024  # of a message

log = structlog.get_logger("sources")


class Malformed(ValueError):
    """A message that is no event; `reason` is one of a fixed few, for a metric's label."""

    def __init__(self, reason: str, text: str, kind: str = "unknown") -> None:
        super().__init__(text)
        self.reason, self.kind = reason, kind


class TolerantReader:
    """Reads messages one by one; never fails."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self.malformed: Counter[str] = Counter()  # by reason
        self._clock, self._metrics = clock, metrics

    def read(self, data: bytes, subject: str = "") -> AnyEvent | None:
        """The event, or None for a message that is none: counted, the first ones of each reason logged."""
        try:
            return read_event(data, self._clock.now_ns())
        except Malformed as error:
            self.malformed[error.reason] += 1
            self._metrics.features_dropped.labels(f"malformed_{error.reason}", error.kind).inc()
            if self.malformed[error.reason] <= SHOWN_MAX:
                shown = data[:WORDS_MAX].decode("utf-8", "replace")
                log.warning("source.malformed", subject=subject, reason=str(error), frame=shown, left="skipped")
            return None


def read_event(data: bytes, now_ns: int) -> AnyEvent:
    """The event of one JSON object; `now_ns` is when it came, for producers that do not say. Raises Malformed."""
    if len(data) > BYTES_MAX:
        raise Malformed("size", f"{len(data):,} bytes, expected at most {BYTES_MAX:,}")
    try:
        event = wire.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    else:
        if is_ours(event) and impossible(event) is None and event.ts_recv <= now_ns + FUTURE_NS:
            return event
    event = _Fields(data, now_ns).event()
    why = impossible(event)
    if why is None and not 0 <= event.ts_recv <= now_ns + FUTURE_NS:
        why = "receive time in the future"
    if why is not None:
        raise Malformed("impossible", why, TYPE_NAMES[event.__class__])
    return event


# Names are compared without case and without what joins words: `tradeId`, `trade_id` and `trade-id` are one. The first that is
# there and not null is taken.
_TYPE = ("type", "eventtype", "event", "kind", "msgtype", "messagetype", "channel", "stream")
_VENUE = ("provider", "venue", "exchange", "source", "feed")
_SYMBOL = ("symbol", "pair", "instrument", "productid", "product", "ticker", "market", "sym")
_EVENT_TIME = (
    *("tsevent", "eventts", "eventtime", "tsexchange", "exchangets", "exchangetime", "exchangetimestamp", "venuets"),
    *("tradetime", "timestamp", "time", "ts", "datetime", "tsms", "timestampms", "timems", "tsns", "timestampns", "timens"),
)
_RECEIVE_TIME = (
    *("tsrecv", "recvts", "tsreceived", "receivedts", "receivedat", "receivetime", "recvtime", "receivedtime"),
    *("receivetimestamp", "receivedtimestamp", "receivets", "localts", "localtime", "localtimestamp", "ingestts", "ingestedat"),
)
_PRICE = ("price", "tradeprice", "lastprice", "px", "p", "rate")
_SIZE = ("size", "qty", "quantity", "amount", "tradesize", "lastsize", "lastqty", "volume", "vol", "sz", "q")
_SIDE = ("side", "takerside", "aggressor", "aggressorside", "direction")
_MAKER = ("isbuyermaker", "buyermaker")
_ID = ("tradeid", "id", "tid", "tradeno", "execid", "sequence", "seq")
_BID = ("bid", "bidprice", "bestbid", "bestbidprice", "bidpx", "b")
_BID_SIZE = ("bidsize", "bidqty", "bidquantity", "bidamount", "bidvolume", "bestbidsize", "bestbidqty", "bidsz")
_ASK = ("ask", "askprice", "bestask", "bestaskprice", "askpx", "offer", "offerprice", "a")
_ASK_SIZE = ("asksize", "askqty", "askquantity", "askamount", "askvolume", "bestasksize", "bestaskqty", "asksz", "offersize")
_SEQ = ("seq", "sequence", "updateid", "lastupdateid", "u")
_BIDS, _ASKS = ("bids", "bid", "buy"), ("asks", "ask", "sell")
_TIMEFRAME = ("timeframe", "tf", "interval", "resolution", "period")
_OPEN_TIME = ("opentime", "start", "starttime", "openedat", "timestamp", "time", "ts")
_CLOSED = ("closed", "isclosed", "final", "isfinal", "complete", "confirm")

_KINDS: Mapping[str, type[Event]] = {
    **dict.fromkeys(("trade", "trades", "tick", "match", "aggtrade"), Trade),
    **dict.fromkeys(("quote", "quotes", "bbo", "l1", "bookticker", "topofbook", "ticker"), Quote),
    **dict.fromkeys(("bookl2", "book", "l2", "orderbook", "depth", "booksnapshot", "snapshot"), BookL2),
    **dict.fromkeys(("bookdelta", "l2update", "depthupdate"), BookDelta),
    **dict.fromkeys(("candle", "candles", "kline", "ohlc", "ohlcv", "bar"), Candle),
    **dict.fromkeys(("heartbeat", "heartbeats", "ping"), Heartbeat),
    **dict.fromkeys(("gap",), Gap),
    **dict.fromkeys(("status",), Status),
}
_BY_FIELDS: tuple[tuple[tuple[Sequence[str], ...], type[Event]], ...] = (
    ((("bids",), ("asks",)), BookL2),
    ((("open",), ("high",), ("low",), ("close",)), Candle),
    ((_BID, _ASK), Quote),
    ((_PRICE, _SIZE), Trade),
)
_SIDES = {"buy": "buy", "b": "buy", "bid": "buy", "buyer": "buy", "sell": "sell", "s": "sell", "ask": "sell", "seller": "sell"}


def _squeezed(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


class _Fields:
    """One object of another producer, each value in the very characters it was sent in."""

    def __init__(self, data: bytes, now_ns: int) -> None:
        try:
            found = _decode_object(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise Malformed("json", "expected a JSON object") from None
        self._values = {_squeezed(name): bytes(raw).strip() for name, raw in found.items()}
        self._now_ns = now_ns
        self._kind = "unknown"

    def event(self) -> AnyEvent:
        kind = self._type()
        self._kind = TYPE_NAMES[kind]
        make = _MAKERS[kind]
        return make(self)

    # -- what every event has ---------------------------------------------------------------------------------------

    def _type(self) -> type[Event]:
        said = self._maybe(_TYPE)
        if said is not None:
            kind = _KINDS.get(_squeezed(said))
            if kind is None:
                raise self._wrong("type", f"type {said[:NAME_MAX]!r} is none of ours")
            return kind
        for groups, kind in _BY_FIELDS:
            if all(any(name in self._values for name in names) for names in groups):
                return kind
        raise self._wrong("type", "no type, and the fields are those of no event")

    def _head(self, symbol: str | None = None) -> tuple[str, str, int | None, int]:
        """Venue, symbol, event time, receive time."""
        received = self._time(_RECEIVE_TIME)
        return (
            self._venue(),
            symbol or self._symbol(),
            self._time(_EVENT_TIME),
            received if received is not None else self._now_ns,
        )

    def _venue(self) -> str:
        venue = self._text("provider", _VENUE).strip().lower().replace("-", "_").replace(".", "_").replace(" ", "_")
        if not (venue.isascii() and venue.replace("_", "").isalnum() and len(venue) <= NAME_MAX):
            raise self._wrong("value", f"provider: {venue[:NAME_MAX]!r} is no name of a venue")
        return venue

    def _symbol(self) -> str:
        said = self._text("symbol", _SYMBOL)
        if said == SYSTEM:
            return said
        symbol = "".join(letter for letter in said.upper() if letter not in "-_/: ")
        if not (symbol.replace(".", "").isalnum() and len(symbol) <= NAME_MAX):
            raise self._wrong("value", f"symbol: {said[:NAME_MAX]!r} is no symbol")
        return symbol

    # -- the events ---------------------------------------------------------------------------------------------------

    def trade(self) -> Trade:
        price, _ = self._number("price", _PRICE)
        size, is_negative = self._number("size", _SIZE)
        side = _SIDES.get((self._maybe(_SIDE) or "").strip().lower())
        if side is None and (by_maker := self._flag(_MAKER)) is not None:
            side = "sell" if by_maker else "buy"  # a buyer who waited in the book was sold to
        elif side is None and is_negative:
            side = "sell"
        trade_id = self._id("trade_id", _ID) or ""
        return Trade(*self._head(), price, size, side, trade_id, self._flag(("repaired",)) or False)  # type: ignore[arg-type]

    def quote(self) -> Quote:
        bid, ask = self._number("bid", _BID)[0], self._number("ask", _ASK)[0]
        bid_size, ask_size = self._number("bid_size", _BID_SIZE, "0")[0], self._number("ask_size", _ASK_SIZE, "0")[0]
        return Quote(*self._head(), bid, bid_size, ask, ask_size, self._count(_SEQ))

    def book(self) -> BookL2:
        return BookL2(*self._head(), self._levels("bids", _BIDS), self._levels("asks", _ASKS), self._count(_SEQ))

    def book_delta(self) -> BookDelta:
        seq, earlier = self._count(_SEQ), self._count(("prevseq", "prevsequence", "previoussequence"))
        return BookDelta(*self._head(), self._levels("bids", _BIDS), self._levels("asks", _ASKS), seq, earlier)

    def candle(self) -> Candle:
        prices = [self._number(name, (name, f"{name}price", name[0]))[0] for name in ("open", "high", "low", "close")]
        volume = self._number("volume", ("volume", "vol", "basevolume", "v"), "0")[0]
        opened = self._time(_OPEN_TIME)
        if opened is None:
            raise self._wrong("missing", "open_time is missing")
        try:
            frame = timeframe(self._text("timeframe", _TIMEFRAME))
            closed = frame.close_of(opened)
        except (ValueError, OverflowError, OSError) as error:
            raise self._wrong("value", f"timeframe: {str(error)[:WORDS_MAX]}") from None
        flags = self._flag(_CLOSED) or False, self._count(("revision",)) or 0, self._flag(("repaired",)) or False
        return Candle(*self._head(), frame.name, opened, closed, prices[0], prices[1], prices[2], prices[3], volume, *flags)

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(*self._head(symbol=SYSTEM), self._words("reason"))

    def gap(self) -> Gap:
        channel = self._one_of("channel", {"trade", "quote", "book", "candle"})
        state = self._one_of("state", {"found", "filled", "unrecoverable"})
        first, last = self._id("from_id", ("fromid",)), self._id("to_id", ("toid",))
        times = self._time(("fromts", "fromtime")), self._time(("tots", "totime"))
        return Gap(*self._head(), channel, state, first, last, *times, self._words("cause", "reason"))  # type: ignore[arg-type]

    def status(self) -> Status:
        state = self._one_of("state", {"connected", "disconnected", "stale", "refused", "switched"})
        symbol = None if self._maybe(_SYMBOL) is not None else SYSTEM
        return Status(*self._head(symbol=symbol), state, self._words("reason"))  # type: ignore[arg-type]

    # -- values -------------------------------------------------------------------------------------------------------

    def _wrong(self, reason: str, text: str) -> Malformed:
        return Malformed(reason, text, self._kind)

    def _raw(self, names: Sequence[str]) -> bytes | None:
        for name in names:
            raw = self._values.get(name)
            if raw is not None and raw != b"null" and raw != b'""':
                return raw
        return None

    def _maybe(self, names: Sequence[str]) -> str | None:
        """Text or the characters of a number; None for anything else."""
        raw = self._raw(names)
        if raw is None or raw[:1] in b"[{tf":
            return None
        return self._characters(raw)

    def _characters(self, raw: bytes) -> str:
        try:
            return _decode_text(raw) if raw[:1] == b'"' else raw.decode("ascii")
        except (msgspec.MsgspecError, UnicodeError):
            raise self._wrong("value", "a text that is no UTF-8") from None

    def _text(self, name: str, names: Sequence[str]) -> str:
        found = self._maybe(names)
        if found is None:
            raise self._wrong("missing", f"{name} is missing")
        return found

    def _id(self, name: str, names: Sequence[str]) -> str | None:
        """Whole or not at all: cut, two of them might be one."""
        found = self._maybe(names)
        if found is not None and len(found) > ID_MAX:
            raise self._wrong("value", f"{name}: {len(found):,} letters, expected at most {ID_MAX}")
        return found

    def _words(self, *names: str) -> str:
        return (self._maybe(names) or "")[:WORDS_MAX]

    def _one_of(self, name: str, allowed: set[str]) -> str:
        found = self._text(name, (name,)).lower()
        if found not in allowed:
            raise self._wrong("value", f"{name}: {found[:NAME_MAX]!r}, expected one of {', '.join(sorted(allowed))}")
        return found

    def _flag(self, names: Sequence[str]) -> bool | None:
        raw = self._raw(names)
        return None if raw is None else {b"true": True, b'"true"': True, b"1": True}.get(raw.lower(), False)

    def _count(self, names: Sequence[str]) -> int | None:
        """An update id where there is one that fits."""
        text = self._maybe(names) or ""
        return int(text) if len(text) < 19 and text.isascii() and text.isdecimal() else None

    def _number(self, name: str, names: Sequence[str], default: str | None = None) -> tuple[str, bool]:
        """Plain digits as they were sent, and whether a minus stood before them."""
        text = self._maybe(names)
        if text is None and default is not None:
            return default, False
        if text is None:
            raise self._wrong("missing", f"{name} is missing")
        return self._digits(name, text)

    def _digits(self, name: str, text: str) -> tuple[str, bool]:
        try:
            return unsigned(plain(text.strip()))
        except ValueError as error:
            raise self._wrong("number", f"{name}: {str(error)[:WORDS_MAX]}") from None

    def _time(self, names: Sequence[str]) -> int | None:
        """ns; None where nothing is said, which a zero is too."""
        text = (self._maybe(names) or "").strip()
        try:
            return (ns_of_iso(text) if "-" in text[1:8] and ":" in text else ns_of_epoch(text)) or None if text else None
        except ValueError as error:
            raise self._wrong("time", f"{names[0]}: {str(error)[:WORDS_MAX]}") from None

    def _levels(self, name: str, names: Sequence[str]) -> list[Level]:
        raw = self._raw(names)
        if raw is None:
            return []
        try:
            rows = _decode_rows(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise self._wrong("value", f"{name}: expected a list of [price, size]") from None
        levels: list[Level] = []
        for row in rows:
            price, size = self._level(name, row)
            levels.append((self._digits(name, self._characters(price))[0], self._digits(name, self._characters(size))[0]))
        return levels

    def _level(self, name: str, row: list[msgspec.Raw] | dict[str, msgspec.Raw]) -> tuple[bytes, bytes]:
        if isinstance(row, list) and len(row) >= 2:
            return bytes(row[0]).strip(), bytes(row[1]).strip()
        if isinstance(row, dict):
            known = {_squeezed(key): bytes(raw).strip() for key, raw in row.items()}
            price = next((known[key] for key in _PRICE if key in known), None)
            size = next((known[key] for key in _SIZE if key in known), None)
            if price is not None and size is not None:
                return price, size
        raise self._wrong("value", f"{name}: expected levels as [price, size]")


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_rows = msgspec.json.Decoder(list[list[msgspec.Raw] | dict[str, msgspec.Raw]]).decode
_MAKERS: Mapping[type[Event], Callable[[_Fields], AnyEvent]] = {
    Trade: _Fields.trade,
    Quote: _Fields.quote,
    BookL2: _Fields.book,
    BookDelta: _Fields.book_delta,
    Candle: _Fields.candle,
    Heartbeat: _Fields.heartbeat,
    Gap: _Fields.gap,
    Status: _Fields.status,
}
