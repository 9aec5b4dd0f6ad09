"""
A pretend Kraken spot: WebSocket v2 with one answer per symbol, book checksums and heartbeats, and REST 0 in three alphabets.

Protocol: https://docs.kraken.com/api/docs/websocket-v2/ and .../rest-api/, pages of 2026-05 to 2026-07.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from marketd.sim.candles import timeframes
from marketd.sim.history import LISTED_MS, Bar, Trade
from marketd.sim.limits import Bucket, Sliding
from marketd.sim.market import SymbolMarket
from marketd.sim.recorded import Recording
from marketd.sim.session import Session
from marketd.sim.symbols import CRYPTO_USD, Listing, decimal_text, trimmed_text
from marketd.sim.venue import SECOND_NS, BookView, Levels, SimVenue, iso_text
from marketd.sim.wire import Request, Response, to_json

TIMEFRAMES = timeframes({str(m): m * 60 for m in (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)})  # weeks open on Thursday
DEPTHS = (10, 25, 100, 500, 1000)
CHANNELS = {"trade": "trade", "ohlc": "candle", "ticker": "quote", "book": "book"}
OLD_NAMES = {"BTC": "XBT", "DOGE": "XDG"}
PREFIXED = {"XBT": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR"}
CODES = {"XXBT": "BTC", "XETH": "ETH", "XXDG": "DOGE", "ZUSD": "USD", "ZEUR": "EUR"}
PRICES = re.compile(rb'"price":"?([0-9.]+)')
ROWS_MAX = 720
IDLE_S = 60
REFUSALS_MAX, BAN_S = 15, 900  # who goes on asking is banned


class KrakenSession(Session):
    venue: Kraken

    def on_open(self) -> None:
        self._inbound = Sliding(20, 1.0)
        self._frames_at_beat = 0
        data = {"system": "online", "api_version": "v2", "connection_id": 10**19 + self.venue.accepted, "version": "2.0.10"}
        self.say({"channel": "status", "type": "update", "data": [data]})

    def on_message(self, message: Any) -> None:
        venue, time_in = self.venue, iso_text(self.venue.now_ms() * 1000)
        method = message.get("method") if isinstance(message, dict) else None
        times = {"time_in": time_in, "time_out": time_in}
        echo = {"req_id": message["req_id"]} if isinstance(message, dict) and "req_id" in message else {}
        if venue.limits and not self._inbound.take(venue.clock_ns()):
            self.say({"method": method, "success": False, "error": "Exceeded msg rate", **times, **echo})
        elif method == "ping":
            self.say({"method": "pong", **times, **echo})
        elif method in {"subscribe", "unsubscribe"} and isinstance(message.get("params"), dict):
            self._change(method, message["params"], times | echo)
        else:
            self.say({"error": "Malformed request", "success": False, **times, **echo})

    def _change(self, method: str, params: dict[str, Any], tail: dict[str, Any]) -> None:
        channel = params.get("channel")
        if channel == "instrument":
            result = {"channel": channel, "snapshot": True, "warnings": []}
            self.say({"method": method, "result": result, "success": True, **tail})
            self.say({"channel": channel, "type": "snapshot", "data": self.venue.instruments()})
            return
        if channel not in CHANNELS:
            self.say({"method": method, "success": False, "error": f"Subscription to {channel} not supported", **tail})
            return
        for name in params.get("symbol") or []:
            topic, error = self._topic(channel, str(name), params)
            if error is None and method == "subscribe":
                error = self._objection(topic)
            elif error is None and topic not in self.topics:
                error = "Subscription Not Found"
            if error is not None:
                self.say({"method": method, "success": False, "error": error, "symbol": name, **tail})
                continue
            extra = {"interval": int(topic[2])} if channel == "ohlc" else {"depth": int(topic[2])} if channel == "book" else {}
            snapshot = bool(params.get("snapshot", channel != "trade"))
            result = {"channel": channel, "symbol": name, **extra, "snapshot": snapshot, "warnings": []}
            self.say({"method": method, "result": result, "success": True, **tail})
            if method == "unsubscribe":
                self.leave(topic)
                continue
            self.join(*topic)
            if snapshot:
                self.push(topic[1], topic[0], self.venue.snapshot(topic))
            elif channel == "book":
                self.venue.view(topic, topic[1], int(topic[2]))

    def _topic(self, channel: str, name: str, params: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
        base, _, quote = name.partition("/")
        symbol = base + quote if f"{base}/{quote}" == name and base + quote in self.venue.listings else None
        if symbol is None:
            return (), f"Currency pair not supported {name}"
        if channel == "ohlc":
            interval = str(params.get("interval", 1))
            return ("candle", symbol, interval), None if interval in TIMEFRAMES else "Ohlc interval not supported"
        if channel == "book":
            depth = params.get("depth", 10)
            return ("book", symbol, str(depth)), None if depth in DEPTHS else "Depth must be one of 10, 25, 100, 500, 1000"
        if channel == "ticker":
            return ("quote", symbol, str(params.get("event_trigger", "trades"))), None
        return ("trade", symbol), None

    def _objection(self, topic: tuple[str, ...]) -> str | None:
        fault = self.refused(topic[1])
        if fault is not None:
            return fault.message or f"Currency pair not supported {self.venue.venue_symbol(topic[1])}"
        if topic[0] == "candle" and any(each[:2] == topic[:2] for each in self.topics):
            return "Already subscribed to one ohlc interval on this symbol"
        return "Already subscribed" if topic in self.topics else None

    def wants(self, message: Any) -> bool:
        symbols = self.venue.recorded_symbols(message)
        channel = CHANNELS.get(message.get("channel", "")) if isinstance(message, dict) else None
        return any(topic[0] == channel and topic[1] in symbols for topic in self.topics)

    def on_second(self, now_ns: int) -> None:
        if self.topics and self.socket.frames_sent == self._frames_at_beat:
            self.say({"channel": "heartbeat"})
        self._frames_at_beat = self.socket.frames_sent
        if not self.topics and now_ns - self.heard_ns > IDLE_S * SECOND_NS:
            self.socket.close(1000)

    def announce_cut(self) -> None:
        data = {"system": "maintenance", "api_version": "v2", "connection_id": 0, "version": "2.0.10"}
        self.say({"channel": "status", "type": "update", "data": [data]})


class Kraken(SimVenue):
    name: ClassVar[str] = "kraken"
    session_class: ClassVar[type[Session]] = KrakenSession
    default_symbols: ClassVar[Sequence[str]] = CRYPTO_USD
    timeframes = TIMEFRAMES
    empty = "either"
    candle_mark = "/OHLC"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._requests = Bucket(1, 5)
        self._refusals = Sliding(REFUSALS_MAX, 60)
        if self.recording is not None:  # the checksum of a recorded book needs the recorded number of decimals
            self.listings = {
                symbol: replace(listing, price_decimals=price_decimals(self.recording, self.venue_symbol(symbol)))
                for symbol, listing in self.listings.items()
            }
        self._alphabets: dict[str, str] = {}
        for symbol, listing in self.listings.items():
            for name in (symbol, self.venue_symbol(symbol), self.altname(listing), self.internal(listing)):
                self._alphabets[name] = symbol

    general_paths = frozenset({"Time", "SystemStatus", "AssetPairs"})

    def recorded_symbols(self, message: Any) -> Sequence[str]:
        rows = message.get("data") if isinstance(message, dict) else None
        rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return [str(row["symbol"]).replace("/", "") for row in rows if "symbol" in row]

    def is_recorded_control(self, message: Any) -> bool:
        return isinstance(message, dict) and ("method" in message or message.get("channel") in {"status", "heartbeat"})

    # -- three alphabets ------------------------------------------------------------------------------------------

    def venue_symbol(self, symbol: str) -> str:
        listing = self.listings[symbol]
        return f"{listing.base}/{listing.quote}"

    def our_symbol(self, venue_symbol: str) -> str | None:
        return self._alphabets.get(venue_symbol)

    def altname(self, listing: Listing) -> str:
        return OLD_NAMES.get(listing.base, listing.base) + listing.quote

    def internal(self, listing: Listing) -> str:
        base = OLD_NAMES.get(listing.base, listing.base)
        if base in PREFIXED and listing.quote in PREFIXED:
            return PREFIXED[base] + PREFIXED[listing.quote]
        return base + listing.quote

    # -- numbers --------------------------------------------------------------------------------------------------

    def price_text(self, listing: Listing, ticks: int) -> str:
        return number_text(ticks, listing.price_decimals)

    def size_text(self, listing: Listing, lots: int) -> str:
        return number_text(lots, listing.size_decimals)

    def ts_us(self, state: SymbolMarket, trade: Trade) -> int:
        """No two trades of a symbol share a time, so that a page can go on from it."""
        return trade.ts_ms * 1000 + min(trade.number - state.number_at(trade.ts_ms), 999)

    def true_trade(self, listing: Listing, trade: Trade) -> Any:
        state = self.market.symbols[listing.symbol]
        return super().true_trade(listing, trade)._replace(ts_event=self.ts_us(state, trade) * 1000)

    # -- frames ---------------------------------------------------------------------------------------------------

    def trade_object(self, state: SymbolMarket, trade: Trade) -> str:
        listing = state.listing
        return (
            f'{{"symbol":"{self.venue_symbol(state.symbol)}","side":"{"buy" if trade.buy else "sell"}",'
            f'"price":{self.price_text(listing, trade.ticks)},"qty":{self.size_text(listing, trade.lots)},'
            f'"ord_type":"market","trade_id":{trade.trade_id},"timestamp":"{iso_text(self.ts_us(state, trade))}"}}'
        )

    def candle_object(self, symbol: str, interval: str, open_ms: int, bar: Bar) -> str:
        listing = self.listings[symbol]
        prices = {name: self.price_text(listing, getattr(bar, name)) for name in ("open", "high", "low", "close")}
        texts = ",".join(f'"{name}":{text}' for name, text in prices.items())
        vwap = self.price_text(listing, bar.notional // bar.lots if bar.lots else bar.close)
        end = iso_text((open_ms + TIMEFRAMES[interval].length_ms) * 1000)
        return (
            f'{{"symbol":"{self.venue_symbol(symbol)}",{texts},"trades":{bar.count},"volume":{self.size_text(listing, bar.lots)},'
            f'"vwap":{vwap},"interval_begin":"{iso_text(open_ms * 1000, 9)}","interval":{interval},"timestamp":"{end}"}}'
        )

    def book_object(self, topic: tuple[str, ...], bids: Levels, asks: Levels, stamp: str) -> str:
        listing = self.listings[topic[1]]
        sides = [
            ",".join(
                f'{{"price":{self.price_text(listing, ticks)},"qty":{self.size_text(listing, lots)}}}'
                for ticks, lots in levels.items()
            )
            for levels in (bids, asks)
        ]
        checksum = self.checksum(listing, self.views[topic])
        return (
            f'{{"symbol":"{self.venue_symbol(topic[1])}","bids":[{sides[0]}],"asks":[{sides[1]}],"checksum":{checksum}{stamp}}}'
        )

    def checksum(self, listing: Listing, view: BookView) -> int:
        """CRC32 over ten asks and ten bids, digits only and without leading zeros; sizes have eight decimals."""
        text = ""
        for levels in (view.asks, view.bids):
            for ticks, lots in list(levels.items())[:10]:
                text += f"{ticks}{lots * 10 ** (8 - listing.size_decimals)}"
        return zlib.crc32(text.encode())

    def ticker_object(self, symbol: str) -> str:
        state, listing = self.market.symbols[symbol], self.listings[symbol]
        day, book = self.day_bar(state, self.now_ms()), state.book
        change = day.close - day.open
        sign = "-" if change < 0 else ""
        numbers = {
            "bid": self.price_text(listing, book.best_bid),
            "bid_qty": self.size_text(listing, book.bids[book.best_bid]),
            "ask": self.price_text(listing, book.best_ask),
            "ask_qty": self.size_text(listing, book.asks[book.best_ask]),
            "last": self.price_text(listing, state.last_trade().ticks),
            "volume": self.size_text(listing, day.lots),
            "vwap": self.price_text(listing, day.notional // max(day.lots, 1)),
            "low": self.price_text(listing, day.low),
            "high": self.price_text(listing, day.high),
            "change": sign + self.price_text(listing, abs(change)),
            "change_pct": sign + decimal_text(abs(change) * 10_000 // day.open, 2),
        }
        texts = ",".join(f'"{name}":{text}' for name, text in numbers.items())
        return f'{{"symbol":"{self.venue_symbol(symbol)}",{texts}}}'

    def snapshot(self, topic: tuple[str, ...]) -> bytes:
        channel, symbol = topic[:2]
        state = self.market.symbols[symbol]
        if channel == "trade":
            return envelope("trade", "snapshot", [self.trade_object(state, t) for t in state.slice(state.number - 49, 50)])
        if channel == "candle":
            timeframe, now_ms = TIMEFRAMES[topic[2]], self.now_ms()
            found = self.rows.bars(symbol, timeframe, timeframe.open_of(now_ms) - (ROWS_MAX - 1) * timeframe.length_ms, now_ms)
            rows = [self.candle_object(symbol, topic[2], open_ms, bar) for open_ms, bar in found if bar is not None]
            return envelope("ohlc", "snapshot", rows)
        if channel == "book":
            view = self.view(topic, symbol, int(topic[2]))
            return envelope("book", "snapshot", [self.book_object(topic, view.bids, view.asks, "")])
        return envelope("ticker", "snapshot", [self.ticker_object(symbol)])

    def instruments(self) -> dict[str, Any]:
        pairs = [
            {
                "symbol": self.venue_symbol(symbol),
                "base": listing.base,
                "quote": listing.quote,
                "status": "online",
                "qty_precision": 8,
                "qty_increment": 1e-8,
                "qty_min": 0.0001,
                "price_precision": listing.price_decimals,
                "price_increment": float(decimal_text(1, listing.price_decimals)),
            }
            for symbol, listing in self.listings.items()
        ]
        assets = sorted({each for listing in self.listings.values() for each in (listing.base, listing.quote)})
        return {"assets": [{"id": each, "status": "enabled", "precision": 10} for each in assets], "pairs": pairs}

    # -- pushes ---------------------------------------------------------------------------------------------------

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None:
        symbol = state.symbol
        if ("trade", symbol) in self.watching:
            self.tell(("trade", symbol), envelope("trade", "update", [self.trade_object(state, trade)]))
        for name, timeframe in TIMEFRAMES.items():
            if ("candle", symbol, name) in self.watching:
                open_ms = timeframe.open_of(trade.ts_ms)
                bar = state.bar(open_ms, open_ms + timeframe.length_ms)
                assert bar is not None
                self.tell(("candle", symbol, name), envelope("ohlc", "update", [self.candle_object(symbol, name, open_ms, bar)]))
        if ("quote", symbol, "trades") in self.watching:
            self.tell(("quote", symbol, "trades"), envelope("ticker", "update", [self.ticker_object(symbol)]))

    def on_quote(self, state: SymbolMarket, now_ms: int) -> None:
        topic = ("quote", state.symbol, "bbo")
        if topic in self.watching:
            self.tell(topic, envelope("ticker", "update", [self.ticker_object(state.symbol)]))

    def on_book(self, topic: tuple[str, ...], watchers: Iterable[Session], now_ms: int) -> None:
        book = self.market.symbols[topic[1]].book
        _, bids, asks = self.view(topic, topic[1], int(topic[2])).advance()
        # A level that only fell out of the depth is not mentioned: the client cuts its own book.
        bids = {ticks: lots for ticks, lots in bids.items() if lots or ticks not in book.bids}
        asks = {ticks: lots for ticks, lots in asks.items() if lots or ticks not in book.asks}
        if bids or asks:
            stamp = f',"timestamp":"{iso_text(now_ms * 1000)}"'
            self.tell(topic, envelope("book", "update", [self.book_object(topic, bids, asks, stamp)]))

    # -- REST -----------------------------------------------------------------------------------------------------

    def limited(self, request: Request) -> Response | None:
        now_ns = self.clock_ns()
        if left_s := self.banned.left_s(now_ns):
            return self.ban_answer(left_s)
        if self._requests.take(now_ns):
            return None
        if not self._refusals.take(now_ns):
            self.banned.begin(now_ns, BAN_S)
        return self.limit_answer()

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        return Response(b'{"error":["EGeneral:Too many requests"]}')

    def ban_answer(self, left_s: int) -> Response:
        return Response(b'{"error":["EAPI:Rate limit exceeded"]}')

    def spellings(self, symbol: str) -> Sequence[str]:
        return [name for name, ours in self._alphabets.items() if ours == symbol]

    def answer(self, request: Request) -> Response:
        name = request.path.removeprefix("/0/public").strip("/")
        handler = getattr(self, f"_get_{name}", None) if name.isalpha() else None
        if handler is None:
            return Response(b'{"error":["EGeneral:Unknown method"]}', 404)
        try:
            return Response(f'{{"error":[],"result":{handler(request.query)}}}'.encode())
        except Wrong as wrong:
            return Response(to_json({"error": [str(wrong)]}))

    def _state(self, query: Any) -> SymbolMarket:
        symbol = self.our_symbol(query.get("pair", ""))
        if symbol is None:
            raise Wrong("EQuery:Unknown asset pair")
        return self.market.symbols[symbol]

    def _get_Time(self, query: Any) -> str:
        return f'{{"unixtime":{self.now_ms() // 1000},"rfc1123":""}}'

    def _get_SystemStatus(self, query: Any) -> str:
        return f'{{"status":"online","timestamp":"{iso_text(self.now_ms() * 1000, 0)}"}}'

    def _get_AssetPairs(self, query: Any) -> str:
        wanted = [self._state({"pair": each}).listing for each in query["pair"].split(",")] if "pair" in query else []
        modern = query.get("assetVersion") == "1"
        rows = {}
        for listing in wanted or self.listings.values():
            old = OLD_NAMES.get(listing.base, listing.base)
            rows[self.venue_symbol(listing.symbol) if modern else self.internal(listing)] = {
                "altname": self.altname(listing),
                "wsname": f"{old}/{listing.quote}",
                "aclass_base": "currency",
                "base": listing.base if modern else PREFIXED.get(old, old),
                "aclass_quote": "currency",
                "quote": listing.quote if modern else PREFIXED.get(listing.quote, listing.quote),
                "pair_decimals": listing.price_decimals,
                "lot_decimals": 8,
                "lot_multiplier": 1,
                "ordermin": "0.0001",
                "tick_size": decimal_text(1, listing.price_decimals),
                "status": "online",
            }
        return to_json(rows).decode()

    def _get_OHLC(self, query: Any) -> str:
        state, timeframe = self._state(query), TIMEFRAMES.get(query.get("interval", "1"))
        if timeframe is None:
            raise Wrong("EGeneral:Invalid arguments")
        running = timeframe.open_of(self.now_ms())
        listing, since_ms = state.listing, number(query, "since", 0) * 1000
        oldest = timeframe.after(running, 1 - ROWS_MAX)
        rows = self.rows.page(state.symbol, timeframe, max(oldest, since_ms + 1), running, ROWS_MAX, newest=True)
        texts = []
        for row in self.rows.served(state.symbol, timeframe, rows):
            bar = row.bar or Bar(-1, 0)
            vwap = decimal_text(bar.notional // bar.lots if bar.lots else 0, listing.price_decimals)
            prices = ",".join(f'"{text}"' for text in (*row[1:5], vwap, row.volume))
            texts.append(f"[{row.open_ms // 1000},{prices},{bar.count}]")
        last = (rows[-2].open_ms if len(rows) > 1 else timeframe.after(running, -1)) // 1000
        return f'{{"{self.internal(listing)}":[{",".join(texts)}],"last":{last}}}'

    def candle_price(self, listing: Listing, ticks: int) -> str:
        return decimal_text(ticks, listing.price_decimals)

    def candle_size(self, listing: Listing, lots: int) -> str:
        return self._eight(listing, lots)

    @classmethod
    def symbol_of(cls, venue_symbol: str) -> str | None:
        name = venue_symbol.replace("/", "").replace("-", "")
        for prefixed, plain in ((f"{a}{b}", plain_a + plain_b) for a, plain_a in CODES.items() for b, plain_b in CODES.items()):
            if name == prefixed:
                return plain
        for ours, old in OLD_NAMES.items():
            name = ours + name.removeprefix(old) if name.startswith(old) else name
        return super().symbol_of(name)

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        symbol, interval = cls.symbol_of(request.query["pair"]), request.query.get("interval", "1")
        if symbol is None or interval not in TIMEFRAMES:
            raise ValueError(request.target)
        return symbol, interval

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        [rows] = [rows for name, rows in body["result"].items() if name != "last"]
        return ((int(at) * 1000, open_, high, low, close, volume) for at, open_, high, low, close, _, volume, _ in rows)

    def _get_Trades(self, query: Any) -> str:
        state, count = self._state(query), min(max(number(query, "count", 1000), 1), 1000)
        listing, first = state.listing, state.number - count + 1
        if "since" in query:
            since_us = number(query, "since", 0) // 1000
            since_us = since_us if since_us > 10**12 else since_us * 10**9  # also whole seconds are understood
            first = state.number_at(max(since_us // 1000, LISTED_MS))
        else:
            since_us = 0
        trades = [trade for trade in state.slice(first, count + 1000) if self.ts_us(state, trade) > since_us][:count]
        rows = [
            f'["{decimal_text(trade.ticks, listing.price_decimals)}","{self._eight(listing, trade.lots)}",'
            f'{decimal_text(self.ts_us(state, trade), 6)},"{"b" if trade.buy else "s"}","m","",{trade.trade_id}]'
            for trade in trades
        ]
        last = self.ts_us(state, trades[-1]) if trades else since_us
        return f'{{"{self.internal(listing)}":[{",".join(rows)}],"last":"{last * 1000}"}}'

    def _get_Depth(self, query: Any) -> str:
        state, count = self._state(query), min(max(number(query, "count", 100), 1), 500)
        listing, second = state.listing, self.now_ms() // 1000
        sides = [
            [[decimal_text(ticks, listing.price_decimals), self._eight(listing, lots), second] for ticks, lots in levels.items()]
            for levels in (state.book.top_asks(count), state.book.top_bids(count))
        ]
        return to_json({self.internal(listing): {"asks": sides[0], "bids": sides[1]}}).decode()

    def _eight(self, listing: Listing, lots: int) -> str:
        return decimal_text(lots * 10 ** (8 - listing.size_decimals), 8)


def price_decimals(recording: Recording, venue_symbol: str) -> int:
    """The most decimals of any price of the symbol, at least one."""
    named = f'"{venue_symbol}"'.encode()
    texts = (text for frame in recording.frames if named in frame.payload for text in PRICES.findall(frame.payload))
    return max((len(text.partition(b".")[2]) for text in texts), default=1) or 1


class Wrong(Exception):
    """A bad parameter, in the venue's words."""


def number_text(units: int, decimals: int) -> str:
    """A JSON number as the venue prints it: at least one decimal, no further trailing zeros."""
    text = trimmed_text(units, decimals)
    return text if "." in text else f"{text}.0"


def envelope(channel: str, kind: str, rows: Iterable[str]) -> bytes:
    return f'{{"channel":"{channel}","type":"{kind}","data":[{",".join(rows)}]}}'.encode()


def number(query: Any, name: str, default: int) -> int:
    given = query.get(name)
    if given is None:
        return default
    if not given.isdigit():
        raise Wrong("EGeneral:Invalid arguments")
    return int(given)
