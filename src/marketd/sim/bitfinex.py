"""
A pretend Bitfinex v2, public: channels by number, arrays, conf flags with sequence and checksum, public REST.

Protocol: https://docs.bitfinex.com/docs/ws-general, .../docs/ws-public and .../reference, pages of up to 2026.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from marketd.sim.candles import timeframes
from marketd.sim.history import Bar, Trade
from marketd.sim.limits import Sliding
from marketd.sim.market import SymbolMarket
from marketd.sim.session import Session
from marketd.sim.symbols import CRYPTO_USD, Listing, trimmed_text
from marketd.sim.venue import SECOND_NS, Levels, SimVenue
from marketd.sim.wire import Request, Response, Socket, to_json

DAY_S = 86_400
TIMEFRAMES = timeframes(
    {f"{n}m": n * 60 for n in (1, 5, 15, 30)}
    | {f"{n}h": n * 3600 for n in (1, 3, 6, 12)}
    | {"1D": DAY_S, "1W": 7 * DAY_S, "14D": 14 * DAY_S, "1M": 0},
    {"1W": 4 * DAY_S, "14D": 4 * DAY_S},
)
TIMESTAMP, SEQ_ALL, OB_CHECKSUM = 32_768, 65_536, 131_072
CHANNELS_MAX = 30
HEARTBEAT_S = 15
ECHOED = ("channel", "symbol", "key", "prec", "freq", "len", "subId")
ALIASES = {"USDT": "UST", "USDC": "UDC"}
BLOCK_S = 60  # nothing is answered for so long after one request too many
PER_MINUTE = {"candles": 30, "trades": 15, "book": 30, "ticker": 30, "tickers": 30, "platform": 15, "conf": 90}


class BitfinexSession(Session):
    venue: Bitfinex

    def opened(self, socket: Socket) -> None:
        self.channels: dict[int, tuple[str, ...]] = {}
        self.sent_at: dict[int, int] = {}
        self.flags = self.sequence = 0
        self._replayed: set[int] = set()  # channel numbers of the recording
        self._next_id = 1000 + self.venue.accepted * 7919 % 90_000
        super().opened(socket)

    def on_open(self) -> None:
        self.say({"event": "info", "version": 2, "serverId": "sim", "platform": {"status": 1}})

    def on_message(self, message: Any) -> None:
        event = message.get("event") if isinstance(message, dict) else None
        if event == "ping":
            self.say({"event": "pong", "ts": self.venue.now_ms(), "cid": message.get("cid")})
        elif event == "conf":
            self.flags = int(message.get("flags") or 0)
            self.say({"event": "conf", "status": "OK", "flags": self.flags})
        elif event == "subscribe":
            self._subscribe(message)
        elif event == "unsubscribe":
            channel = message.get("chanId")
            if channel not in self.channels:
                self.say({"event": "error", "msg": "unsubscribe: invalid", "code": 10400, "chanId": channel})
                return
            self.leave(self.channels.pop(channel))
            self.say({"event": "unsubscribed", "status": "OK", "chanId": channel})
        else:
            self.say({"event": "error", "msg": "event: unknown", "code": 10000})

    def _subscribe(self, message: dict[str, Any]) -> None:
        echo: dict[str, Any] = {key: message[key] for key in ECHOED if key in message}
        topic, wrong = self.venue.topic_of(message)
        fault = self.refused(topic[1] if topic else None)
        if fault is not None:
            wrong = (fault.message or "subscribe: failed", 10300)
        elif wrong is None and topic in self.channels.values():
            wrong = ("subscribe: dup", 10301)
        elif wrong is None and len(self.channels) >= CHANNELS_MAX:
            wrong = ("subscribe: limit", 10305)
        if topic is None or wrong is not None:
            words, code = wrong or ("subscribe: failed", 10300)
            self.say({"event": "error", "msg": words, "code": code, **echo})
            return
        channel = self._next_id = self._next_id + 1 + (self._next_id * 31) % 977
        self.channels[channel] = topic
        self.join(*topic)
        if self.venue.recording is not None:
            return  # the recorded acknowledgement comes with the recorded channel number
        extra: dict[str, Any] = {"prec": "P0", "freq": "F0", "len": topic[2]} if topic[0] == "book" else {}
        pair: dict[str, Any] = {} if topic[0] == "candle" else {"pair": self.venue.venue_symbol(topic[1]).removeprefix("t")}
        self.say({"event": "subscribed", "chanId": channel, **extra, **echo, **pair})
        self.tell(topic, self.venue.snapshot(topic))
        if topic[0] == "book":
            self.tell_checksum(topic)

    def number_of(self, topic: tuple[str, ...]) -> int:
        return next(number for number, each in self.channels.items() if each == topic)

    def tell(self, topic: tuple[str, ...], content: str) -> None:
        """One array frame of a channel; sequence and time are appended as asked for."""
        number = self.number_of(topic)
        self.sequence += 1
        tail = f",{self.sequence}" if self.flags & SEQ_ALL else ""
        tail += f",{self.venue.now_ms()}" if self.flags & TIMESTAMP else ""
        self.sent_at[number] = self.venue.clock_ns()
        self.push(topic[1], topic[0], f"[{number},{content}{tail}]".encode())

    def tell_checksum(self, topic: tuple[str, ...]) -> None:
        if self.flags & OB_CHECKSUM:
            self.tell(topic, f'"cs",{self.venue.checksum(topic)}')

    def wants(self, message: Any) -> bool:
        """A recorded acknowledgement that this client asked for, or a frame of a channel that one opened."""
        if isinstance(message, dict):
            topic, _ = self.venue.topic_of(message)
            if message.get("event") != "subscribed" or topic not in self.channels.values():
                return False
            self._replayed.add(message["chanId"])
            return True
        return isinstance(message, list) and message[0] in self._replayed

    def on_second(self, now_ns: int) -> None:
        for number, topic in self.channels.items():
            if now_ns - self.sent_at.get(number, now_ns) >= HEARTBEAT_S * SECOND_NS:
                self.tell(topic, '"hb"')

    def announce_cut(self) -> None:
        self.say({"event": "info", "code": 20051, "msg": "Stopping. Please try to reconnect"})


class Bitfinex(SimVenue):
    name: ClassVar[str] = "bitfinex"
    session_class: ClassVar[type[Session]] = BitfinexSession
    default_symbols: ClassVar[Sequence[str]] = CRYPTO_USD
    shared_ids: ClassVar[bool] = True
    timeframes = TIMEFRAMES
    empty = "no row"
    candle_mark = "/candles/"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._requests = {name: Sliding(limit, 60) for name, limit in PER_MINUTE.items()}
        self._handshakes = Sliding(20, 60)
        self._pushed: dict[tuple[str, ...], tuple[int, int]] = {}  # candles: open time and trades of the last push
        self._theirs = {self.venue_symbol(symbol): symbol for symbol in self.listings}

    general_paths = frozenset({"status"})

    def _recorded_answer(self, request: Request) -> Response | None:
        return None if "/conf/" in request.path else super()._recorded_answer(request)

    def recorded_symbols(self, message: Any) -> Iterable[str]:
        if not isinstance(message, dict) or message.get("event") != "subscribed":
            return []
        return [our_name(str(message.get("symbol") or str(message.get("key", "")).rpartition(":t")[2]))]

    def venue_symbol(self, symbol: str) -> str:
        listing = self.listings[symbol]
        base, quote = (ALIASES.get(asset, asset) for asset in (listing.base, listing.quote))
        return f"t{base}{':' if len(base + quote) > 6 else ''}{quote}"

    def our_symbol(self, venue_symbol: str) -> str | None:
        return self._theirs.get(venue_symbol)

    def price_text(self, listing: Listing, ticks: int) -> str:
        return trimmed_text(ticks, listing.price_decimals)

    def size_text(self, listing: Listing, lots: int) -> str:
        return trimmed_text(lots, listing.size_decimals)

    def topic_of(self, message: dict[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str, int] | None]:
        """The topic of a subscription, or what is wrong with it (words and code)."""
        channel, theirs = message.get("channel"), str(message.get("symbol", ""))
        if channel == "candles":
            _, _, rest = str(message.get("key", "")).partition("trade:")
            timeframe, _, theirs = rest.partition(":")
            symbol = self.our_symbol(theirs)
            if symbol is None or timeframe not in TIMEFRAMES:
                return None, ("key: invalid", 10300)
            return ("candle", symbol, timeframe), None
        if channel not in {"trades", "ticker", "book"}:
            return None, ("channel: unknown", 10302)
        if not theirs.startswith("t"):
            theirs = f"t{message.get('pair', theirs)}"
        symbol = self.our_symbol(theirs)
        if symbol is None:
            return None, ("symbol: invalid", 10300)
        if channel != "book":
            return ("trade" if channel == "trades" else "ticker", symbol), None
        if message.get("prec", "P0") != "P0":
            return None, ("prec: invalid", 10011)
        length = str(message.get("len", "25"))
        return (("book", symbol, length), None) if length in {"1", "25", "100", "250"} else (None, ("len: invalid", 10012))

    def handshake(self, request: Request) -> Response | None:
        if self.limits and not self._handshakes.take(self.clock_ns()):
            return Response(b"Too Many Requests", 429, content_type="text/plain")
        return None

    # -- rows -----------------------------------------------------------------------------------------------------

    def trade_row(self, listing: Listing, trade: Trade) -> str:
        sign = "" if trade.buy else "-"
        size = self.size_text(listing, trade.lots)
        return f"[{trade.trade_id},{trade.ts_ms},{sign}{size},{self.price_text(listing, trade.ticks)}]"

    def candle_row(self, listing: Listing, open_ms: int, bar: Bar) -> str:
        prices = ",".join(self.price_text(listing, ticks) for ticks in (bar.open, bar.close, bar.high, bar.low))
        return f"[{open_ms},{prices},{self.size_text(listing, bar.lots)}]"

    @classmethod
    def symbol_of(cls, venue_symbol: str) -> str | None:
        return super().symbol_of(our_name(venue_symbol))

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        _, timeframe, theirs = request.path.partition("/candles/")[2].removesuffix("/hist").split(":", 2)
        if timeframe not in TIMEFRAMES:
            raise ValueError(timeframe)
        return our_name(theirs), timeframe

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        return ((open_ms, open_, high, low, close, volume) for open_ms, open_, close, high, low, volume in body)

    def book_rows(self, listing: Listing, bids: Levels, asks: Levels) -> list[str]:
        rows = []
        for levels, sign in ((bids, ""), (asks, "-")):
            for ticks, lots in levels.items():
                price = self.price_text(listing, ticks)
                rows.append(f"[{price},{1 + lots % 5},{sign}{self.size_text(listing, lots)}]" if lots else f"[{price},0,{sign}1]")
        return rows

    def ticker_row(self, symbol: str) -> str:
        state, listing = self.market.symbols[symbol], self.listings[symbol]
        book, day = state.book, self.day_bar(state, self.now_ms())
        sizes = [self.size_text(listing, sum(side.values())) for side in (book.top_bids(25), book.top_asks(25))]
        change = day.close - day.open
        sign = "-" if change < 0 else ""
        texts = [
            self.price_text(listing, book.best_bid),
            sizes[0],
            self.price_text(listing, book.best_ask),
            sizes[1],
            sign + self.price_text(listing, abs(change)),
            sign + trimmed_text(abs(change) * 100_000_000 // day.open, 8),
            self.price_text(listing, day.close),
            self.size_text(listing, day.lots),
            self.price_text(listing, day.high),
            self.price_text(listing, day.low),
        ]
        return f"[{','.join(texts)}]"

    def snapshot(self, topic: tuple[str, ...]) -> str:
        channel, symbol = topic[:2]
        state, listing = self.market.symbols[symbol], self.listings[symbol]
        if channel == "trade":
            rows = [self.trade_row(listing, trade) for trade in reversed(state.slice(state.number - 29, 30))]
        elif channel == "candle":
            timeframe, now_ms = TIMEFRAMES[topic[2]], self.now_ms()
            found = self.rows.bars(symbol, timeframe, timeframe.open_of(now_ms) - 239 * timeframe.length_ms, now_ms)
            rows = [self.candle_row(listing, open_ms, bar) for open_ms, bar in reversed(found) if bar is not None]
        elif channel == "book":
            view = self.view(topic, symbol, int(topic[2]))
            rows = self.book_rows(listing, view.bids, view.asks)
        else:
            return self.ticker_row(symbol)
        return f"[{','.join(rows)}]"

    def checksum(self, topic: tuple[str, ...]) -> int:
        """CRC32 over the best 25 of both sides, interleaved, signed."""
        view, listing = self.view(topic, topic[1], int(topic[2])), self.listings[topic[1]]
        bids, asks = list(view.bids.items())[:25], list(view.asks.items())[:25]
        parts: list[str] = []
        for i in range(max(len(bids), len(asks))):
            for levels, sign in ((bids, ""), (asks, "-")):
                if i < len(levels):
                    ticks, lots = levels[i]
                    parts += [self.price_text(listing, ticks), sign + self.size_text(listing, lots)]
        value = zlib.crc32(":".join(parts).encode())
        return value - (1 << 32) if value >= 1 << 31 else value

    # -- pushes ---------------------------------------------------------------------------------------------------

    def _tell_each(self, topic: tuple[str, ...], content: str) -> None:
        for session in self.watching.get(topic, ()):
            assert isinstance(session, BitfinexSession)
            session.tell(topic, content)

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None:
        topic = ("trade", state.symbol)
        if topic in self.watching:
            row = self.trade_row(state.listing, trade)
            self._tell_each(topic, f'"te",{row}')
            self._tell_each(topic, f'"tu",{row}')

    def on_book(self, topic: tuple[str, ...], watchers: Iterable[Session], now_ms: int) -> None:
        _, bids, asks = self.view(topic, topic[1], int(topic[2])).advance()
        # Levels that go are said before levels that come, so that a book of 25 never holds 26 (as in recorded sessions).
        rows = sorted(self.book_rows(self.listings[topic[1]], bids, asks), key=lambda row: ",0," not in row)
        for session in watchers:
            assert isinstance(session, BitfinexSession)
            for row in rows:
                session.tell(topic, row)
            if rows:
                session.tell_checksum(topic)

    def on_second(self, now_ms: int) -> None:
        for topic in list(self.watching):
            if topic[0] == "ticker":
                self._tell_each(topic, self.ticker_row(topic[1]))
            elif topic[0] == "candle":
                self._push_bars(topic, now_ms)

    def _push_bars(self, topic: tuple[str, ...], now_ms: int) -> None:
        timeframe = TIMEFRAMES[topic[2]]
        last_open, last_count = self._pushed.get(topic, (timeframe.open_of(now_ms), 0))
        for open_ms, bar in self.rows.bars(topic[1], timeframe, last_open, now_ms):
            if bar is not None and (open_ms, bar.count) != (last_open, last_count):
                self._tell_each(topic, self.candle_row(self.listings[topic[1]], open_ms, bar))
                self._pushed[topic] = (open_ms, bar.count)

    # -- REST -----------------------------------------------------------------------------------------------------

    def limited(self, request: Request) -> Response | None:
        now_ns, limit = self.clock_ns(), self._requests.get(request.path.removeprefix("/v2").strip("/").split("/")[0])
        if self.banned.left_s(now_ns):
            return self.limit_answer()
        if limit is None or limit.take(now_ns):
            return None
        self.banned.begin(now_ns, BLOCK_S)
        return self.limit_answer()

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        return Response(b'{"error":"ERR_RATE_LIMIT"}', 429)

    def answer(self, request: Request) -> Response:
        parts = request.path.removeprefix("/v2").strip("/").split("/")
        is_known = parts[0] in self._requests
        handler: Callable[..., str] | None = getattr(self, f"_get_{parts[0]}", None) if is_known else None
        if handler is None:
            return Response(b'{"error":"ERR_ENDPOINT_NOT_FOUND"}', 404)
        try:
            return Response(handler(parts[1:], request.query).encode())
        except (Wrong, IndexError) as wrong:
            words = str(wrong) if isinstance(wrong, Wrong) else "path: invalid"
            return Response(to_json(["error", 10020, words]), 500)

    def _get_platform(self, parts: list[str], query: Any) -> str:
        return "[1]"

    def _get_conf(self, parts: list[str], query: Any) -> str:
        pairs = [theirs.removeprefix("t") for theirs in self._theirs]
        assets = {each for listing in self.listings.values() for each in (listing.base, listing.quote)}
        known: dict[str, list[Any]] = {
            "pub:list:pair:exchange": pairs,
            "pub:list:currency": sorted(ALIASES.get(asset, asset) for asset in assets),
            "pub:map:currency:sym": [[theirs, ours] for ours, theirs in ALIASES.items()],
            "pub:info:pair": [[pair, [None, None, None, "0.0001", "1000.0", None, None, None]] for pair in pairs],
        }
        return to_json([known.get(name, []) for name in parts[0].split(",")]).decode()

    def _state(self, venue_symbol: str) -> SymbolMarket:
        symbol = self.our_symbol(venue_symbol)
        if symbol is None:
            raise Wrong("symbol: invalid")
        return self.market.symbols[symbol]

    def _get_candles(self, parts: list[str], query: Any) -> str:
        kind, _, rest = parts[0].partition(":")
        name, _, theirs = rest.partition(":")
        timeframe, state = TIMEFRAMES.get(name), self._state(theirs)
        if timeframe is None or kind != "trade":
            raise Wrong("time_interval: invalid")
        if parts[1] not in {"hist", "last"}:
            raise Wrong("section: invalid")
        now_ms, limit = self.now_ms(), 1 if parts[1] == "last" else page_limit(query, 100)
        first, last = number(query, "start", 0), number(query, "end", now_ms)
        is_rising = query.get("sort") == "1"
        rows = self.rows.page(state.symbol, timeframe, first, last, limit, newest=not is_rising)
        rows = self.rows.served(state.symbol, timeframe, rows, newest_first=not is_rising)
        texts = [f"[{at},{open_},{close},{high},{low},{volume}]" for at, open_, high, low, close, volume, _, _ in rows]
        return (texts[0] if texts else "[]") if parts[1] == "last" else f"[{','.join(texts)}]"

    def _get_trades(self, parts: list[str], query: Any) -> str:
        state, limit = self._state(parts[0]), page_limit(query, 125)
        first = state.number_at(number(query, "start", 0)) if "start" in query else 1
        end = state.number_at(number(query, "end", 0) + 1) if "end" in query else state.number + 1
        if query.get("sort") == "1":
            trades = state.slice(first, min(limit, max(end - first, 0)))
        else:
            first = max(first, end - limit)
            trades = state.slice(first, max(end - first, 0))[::-1]
        return f"[{','.join(self.trade_row(state.listing, trade) for trade in trades)}]"

    def _get_book(self, parts: list[str], query: Any) -> str:
        state, length = self._state(parts[0]), number(query, "len", 25)
        if parts[1] != "P0":
            raise Wrong("precision: invalid")
        if length not in {1, 25, 100}:
            raise Wrong("len: invalid")
        rows = self.book_rows(state.listing, state.book.top_bids(length), state.book.top_asks(length))
        return f"[{','.join(rows)}]"

    def _get_ticker(self, parts: list[str], query: Any) -> str:
        return self.ticker_row(self._state(parts[0]).symbol)

    def _get_tickers(self, parts: list[str], query: Any) -> str:
        asked = query.get("symbols", "ALL")
        wanted = list(self._theirs) if asked == "ALL" else [name for name in asked.split(",") if name in self._theirs]
        rows = [f'["{name}",{self.ticker_row(self._theirs[name]).removeprefix("[")}' for name in wanted]
        return f"[{','.join(rows)}]"


class Wrong(Exception):
    """A bad parameter, in the venue's words."""


def our_name(venue_symbol: str) -> str:
    """tBTCUST is BTCUSDT, tDOGE:USD is DOGEUSD."""
    name = venue_symbol.removeprefix("t")
    base, colon, quote = name.partition(":")
    base, quote = (base, quote) if colon else (name[:3], name[3:])
    ours = {theirs: asset for asset, theirs in ALIASES.items()}
    return ours.get(base, base) + ours.get(quote, quote)


def number(query: Any, name: str, default: int) -> int:
    given = query.get(name)
    if given is None:
        return default
    if not given.isdigit():
        raise Wrong(f"{name}: invalid")
    return int(given)


def page_limit(query: Any, default: int) -> int:
    limit = number(query, "limit", default)
    if not 1 <= limit <= 10_000:
        raise Wrong("limit: invalid")
    return limit
