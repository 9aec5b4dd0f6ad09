"""
A pretend Binance spot (binance.com and binance.us): combined and raw streams, market data REST, weights.

Protocol: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and .../rest-api/market-data-endpoints,
state of 2026-07; Binance.US: https://docs.binance.us (2024-06).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from marketd.sim.binance_day import day_of
from marketd.sim.bulk import bulk_answer
from marketd.sim.candles import CandleRow, Timeframe, timeframes
from marketd.sim.history import Bar, Trade
from marketd.sim.limits import Sliding, Window
from marketd.sim.market import SymbolMarket
from marketd.sim.session import Session
from marketd.sim.symbols import Listing, decimal_text
from marketd.sim.venue import SECOND_NS, SimVenue
from marketd.sim.wire import Request, Response, to_json

DAY_S = 86_400
MINUTE = 60
TIMEFRAMES = timeframes(
    {"1s": 1}
    | {f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)}
    | {f"{n}h": n * 3600 for n in (1, 2, 4, 6, 8, 12)}
    | {"1d": DAY_S, "3d": 3 * DAY_S, "1w": 7 * DAY_S, "1M": 0},
    {"3d": DAY_S, "1w": 4 * DAY_S},  # three days as recorded in 2017, weeks open on Monday
)
LIFE_S = 24 * 3600
BAN_S, BAN_S_MAX = 120, 3 * DAY_S  # doubled each time
CUT_NOTICE_S = 10


def eight(units: int, decimals: int) -> str:
    """The venue writes every price and size with eight decimals."""
    return decimal_text(units * 10 ** (8 - decimals), 8)


class BinanceSession(Session):
    venue: Binance

    def on_open(self) -> None:
        self.combined = self.request.path.startswith("/stream")
        self.streams: dict[str, None] = {}
        self.told_cut = False
        self._inbound = Sliding(self.venue.messages_per_s, 1.0)
        names = self.request.query.get("streams", "") if self.combined else self.request.path.removeprefix("/ws")
        for name in filter(None, names.strip("/").split("/")):
            self._add(name)

    def _add(self, name: str) -> None:
        self.streams[name] = None
        topic = self.venue.topic_of(name)
        if topic is not None:  # an unknown stream is acknowledged and stays silent
            self.join(*topic)
            if topic[0] == "book":
                self.venue.view(topic, topic[1], 100)

    def on_message(self, message: Any) -> None:
        if self.venue.limits and not self._inbound.take(self.venue.clock_ns()):
            self.socket.close(1008, "Too many requests")
            return
        if not isinstance(message, dict):
            self.say({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"})
            return
        method, request_id = message.get("method"), message.get("id")
        params: list[Any] = given if isinstance(given := message.get("params"), list) else []
        if method == "SUBSCRIBE" and params:
            fault = self.venue.deck.first("error", self.venue.clock_ns(), lambda fault: self._concerned(fault.symbol, params))
            if fault is not None:
                text = fault.message or "Invalid request: invalid stream"
                self.say({"error": {"code": 2, "msg": text}, "id": request_id})
                return
            if len(self.streams | dict.fromkeys(map(str, params))) > 1024:
                self.say({"error": {"code": 2, "msg": "Invalid request: too many streams"}, "id": request_id})
                return
            for name in params:
                self._add(str(name))
            self.say({"result": None, "id": request_id})
        elif method == "UNSUBSCRIBE" and params:
            for name in map(str, params):
                self.streams.pop(name, None)
                topic = self.venue.topic_of(name)
                if topic is not None:
                    self.leave(topic)
            self.say({"result": None, "id": request_id})
        elif method == "LIST_SUBSCRIPTIONS":
            self.say({"result": list(self.streams), "id": request_id})
        elif method == "SET_PROPERTY" and len(params) == 2 and params[0] == "combined":
            self.combined = bool(params[1])
            self.say({"result": None, "id": request_id})
        else:
            self.say({"code": 2, "msg": f"Invalid request: unknown variant `{method}`", "id": request_id})

    def _concerned(self, symbol: str | None, params: list[Any]) -> bool:
        return symbol is None or any(str(name).upper().startswith(symbol) for name in params)

    def on_second(self, now_ns: int) -> None:
        if self.unanswered_ns is not None and now_ns - self.unanswered_ns > self.venue.pong_within_s * SECOND_NS:
            self.socket.close(1008, "Pong timeout")
        if now_ns - self.last_ping_ns >= self.venue.ping_every_s * SECOND_NS:
            self.ping(str(now_ns // 1_000_000).encode())
        if self.cut_at_ns is None and now_ns - self.since_ns >= (LIFE_S - CUT_NOTICE_S) * SECOND_NS:
            self.announce_cut()
            self.cut_at_ns = max(self.since_ns + LIFE_S * SECOND_NS, now_ns + CUT_NOTICE_S * SECOND_NS)

    def wants(self, message: Any) -> bool:
        return not isinstance(message, dict) or "stream" not in message or message["stream"] in self.streams

    def announce_cut(self) -> None:
        body = f'{{"e":"serverShutdown","E":{self.venue.now_ms()}}}'
        self.say((f'{{"stream":"!serverShutdown","data":{body}}}' if self.combined else body).encode())


class Binance(SimVenue):
    name: ClassVar[str] = "binance"
    session_class: ClassVar[type[Session]] = BinanceSession
    timeframes: ClassVar[Mapping[str, Timeframe]] = TIMEFRAMES
    empty = "zero volume"
    candle_mark = "/klines"
    weight_limit = 6000
    weights: ClassVar[dict[str, int]] = {"exchangeInfo": 20, "klines": 2, "trades": 25, "historicalTrades": 25, "aggTrades": 4}
    depth_weights: ClassVar[tuple[int, ...]] = (5, 25, 50, 250)
    ticker_weights: ClassVar[tuple[int, ...]] = (2, 40, 80)  # 1 to 20 symbols, 21 to 100, all
    ping_every_s, pong_within_s, messages_per_s = 20, 60, 5

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._weight = Window(self.weight_limit, 60)
        self._pushed_bars: dict[tuple[str, ...], int] = {}
        self._prefixes: dict[tuple[str, ...], bytes] = {}

    general_paths = frozenset({"ping", "time", "exchangeInfo"})

    def recorded_symbols(self, message: Any) -> Iterable[str]:
        if isinstance(message, dict) and "stream" in message:
            symbol = str(message["stream"]).partition("@")[0].upper()
            return [symbol] if symbol[:1] != "!" else []
        return [message["s"]] if isinstance(message, dict) and "s" in message else []

    def is_recorded_control(self, message: Any) -> bool:
        return isinstance(message, dict) and "result" in message

    def topic_of(self, stream: str) -> tuple[str, ...] | None:
        """(channel, symbol, ...) of a stream name; None if there is no such stream."""
        symbol, _, kind = stream.partition("@")
        symbol = symbol.upper()
        if symbol not in self.listings or stream != stream.replace(symbol, symbol.lower()):
            return None
        if kind == "trade":
            return "trade", symbol
        if kind == "bookTicker":
            return "quote", symbol
        if kind in {"depth", "depth@100ms"}:
            return "book", symbol, kind
        if kind.startswith("kline_") and kind.removeprefix("kline_") in TIMEFRAMES:
            return "candle", symbol, kind.removeprefix("kline_")
        return None

    # -- pushes ---------------------------------------------------------------------------------------------------

    def _tell(self, topic: tuple[str, ...], stream: str, body: str) -> None:
        raw = body.encode()
        wrapped = f'{{"stream":"{stream}","data":{body}}}'.encode()
        for session in self.watching.get(topic, ()):
            assert isinstance(session, BinanceSession)
            session.push(topic[1], topic[0], wrapped if session.combined else raw)

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None:
        topic = ("trade", state.symbol)
        if topic not in self.watching:
            return
        listing = state.listing
        price, size = eight(trade.ticks, listing.price_decimals), eight(trade.lots, listing.size_decimals)
        body = (
            f'{{"e":"trade","E":{trade.ts_ms},"s":"{state.symbol}","t":{trade.trade_id},"p":"{price}","q":"{size}",'
            f'{self.order_ids(trade)}"T":{trade.ts_ms},"m":{"false" if trade.buy else "true"},"M":true}}'
        )
        self._tell(topic, f"{state.symbol.lower()}@trade", body)

    def order_ids(self, trade: Trade) -> str:
        return ""

    def on_quote(self, state: SymbolMarket, now_ms: int) -> None:
        topic = ("quote", state.symbol)
        if topic not in self.watching:
            return
        book, listing = state.book, state.listing
        pd, sd = listing.price_decimals, listing.size_decimals
        bid, ask = book.best_bid, book.best_ask
        body = (
            f'{{"u":{book.update_id},"s":"{state.symbol}","b":"{eight(bid, pd)}","B":"{eight(book.bids[bid], sd)}",'
            f'"a":"{eight(ask, pd)}","A":"{eight(book.asks[ask], sd)}"}}'
        )
        self._tell(topic, f"{state.symbol.lower()}@bookTicker", body)

    def on_book(self, topic: tuple[str, ...], watchers: Iterable[Session], now_ms: int) -> None:
        symbol = topic[1]
        listing = self.listings[symbol]
        before, bids, asks = self.view(topic, symbol, 100).advance(joinable=True)
        after = self.views[topic].update_id
        if after == before:
            return
        body = (
            f'{{"e":"depthUpdate","E":{now_ms},"s":"{symbol}","U":{before + 1},"u":{after},'
            f'"b":{self._levels(listing, bids)},"a":{self._levels(listing, asks)}}}'
        )
        self._tell(topic, f"{symbol.lower()}@{topic[2]}", body)

    def _levels(self, listing: Listing, levels: dict[int, int]) -> str:
        pd, sd = listing.price_decimals, listing.size_decimals
        return "[" + ",".join(f'["{eight(t, pd)}","{eight(n, sd)}"]' for t, n in levels.items()) + "]"

    def on_second(self, now_ms: int) -> None:
        for topic in [topic for topic in self.watching if topic[0] == "candle"]:
            timeframe = TIMEFRAMES[topic[2]]
            running = timeframe.open_of(now_ms)
            since = self._pushed_bars.get(topic, running)
            for open_ms, bar in self.rows.filled(topic[1], timeframe, since, running):
                self._push_bar(topic, now_ms, open_ms, bar, open_ms < running)
            self._pushed_bars[topic] = running

    def _push_bar(self, topic: tuple[str, ...], now_ms: int, open_ms: int, bar: Bar, is_final: bool) -> None:
        _, symbol, name = topic
        listing = self.listings[symbol]
        body = {
            "e": "kline",
            "E": now_ms,
            "s": symbol,
            "k": {
                "t": open_ms,
                "T": TIMEFRAMES[name].after(open_ms) - 1,
                "s": symbol,
                "i": name,
                "f": bar.first if bar.count else -1,
                "L": bar.first + bar.count - 1 if bar.count else -1,
                **dict(zip("ochl", self._prices(listing, bar), strict=True)),
                "v": eight(bar.lots, listing.size_decimals),
                "n": bar.count,
                "x": is_final,
                "q": self._notional(listing, bar.notional),
                "V": eight(bar.buy_lots, listing.size_decimals),
                "Q": self._notional(listing, bar.buy_notional),
                "B": "0",
            },
        }
        self._tell(topic, f"{symbol.lower()}@kline_{name}", to_json(body).decode())

    def _prices(self, listing: Listing, bar: Bar) -> list[str]:
        return [eight(ticks, listing.price_decimals) for ticks in (bar.open, bar.close, bar.high, bar.low)]

    def _notional(self, listing: Listing, units: int) -> str:
        return eight(units, listing.price_decimals + listing.size_decimals)

    def price_text(self, listing: Listing, ticks: int) -> str:
        return eight(ticks, listing.price_decimals)

    def size_text(self, listing: Listing, lots: int) -> str:
        return eight(lots, listing.size_decimals)

    # -- REST -----------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        if request.path.startswith("/data/spot/") and request.method == "GET":
            return bulk_answer(self, request.path, lambda row, timeframe, state: self._kline_row(state.listing, timeframe, row))
        name, used = request.path.removeprefix("/api/v3/"), self._used()
        word = name.replace("/", "_", 1)
        handler = getattr(self, f"_get_{word}", None) if word.replace("_", "", 1).isalnum() else None
        if handler is None or request.method != "GET":
            return Response(b"<html><body>404 Not found</body></html>", 404, used, content_type="text/html")
        try:
            status, body = 200, handler(request.query)
        except Wrong as wrong:
            status, body = 400, {"code": wrong.args[0], "msg": wrong.args[1]}
        return Response(to_json(body), status, used)

    def limited(self, request: Request) -> Response | None:
        if request.path.startswith("/data/spot/"):
            return None
        now_ns = self.clock_ns()
        if left_s := self.banned.left_s(now_ns):
            return self.ban_answer(left_s)
        if self._weight.take(self._weigh(request.path.removeprefix("/api/v3/"), request), now_ns):
            return None
        if self._weight.used > self._weight.limit * 2:
            self.banned.begin(now_ns, min(BAN_S * 2**self.banned.count, BAN_S_MAX))
            return self.ban_answer(self.banned.left_s(now_ns))
        return self.limit_answer()

    def _used(self) -> dict[str, str]:
        return {"X-MBX-USED-WEIGHT-1M": str(self._weight.used), "X-MBX-USED-WEIGHT": str(self._weight.used)}

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        left_s = self._weight.left_s(self.clock_ns()) if retry_after_s is None else retry_after_s
        message = f"Too much request weight used; current limit is {self._weight.limit} request weight per 1 MINUTE."
        return Response(to_json({"code": -1003, "msg": message}), 429, self._used() | {"Retry-After": str(left_s)})

    def ban_answer(self, left_s: int) -> Response:
        until = self.now_ms() + left_s * 1000
        body = {"code": -1003, "msg": f"Way too much request weight used; IP banned until {until}."}
        return Response(to_json(body), 418, self._used() | {"Retry-After": str(left_s)})

    def _weigh(self, name: str, request: Request) -> int:
        if name == "depth":
            limit = number(request.query, "limit", 100)
            return self.depth_weights[(limit > 100) + (limit > 500) + (limit > 1000)]
        if name == "ticker/24hr":
            few, many, every = self.ticker_weights
            count = 1 if "symbol" in request.query else len(named(request.query)) or 1000
            return few if count <= 20 else many if count <= 100 else every
        return self.weights.get(name, 1)

    def _symbol(self, query: Any) -> SymbolMarket:
        if "symbol" not in query:
            raise Wrong(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if query["symbol"] not in self.listings:
            raise Wrong(-1121, "Invalid symbol.")
        return self.market.symbols[query["symbol"]]

    def _chosen(self, query: Any) -> list[str]:
        """The symbols of `symbol` or `symbols`."""
        wanted = named(query) if "symbols" in query else [query["symbol"]]
        if "symbols" in query and not wanted:
            raise Wrong(-1100, "Illegal characters found in parameter 'symbols'.")
        if any(symbol not in self.listings for symbol in wanted):
            raise Wrong(-1121, "Invalid symbol.")
        return wanted

    def _get_ticker_24hr(self, query: Any) -> Any:
        is_many = "symbol" not in query
        rows = [day_of(self, symbol) for symbol in (self._chosen(query) if {"symbol", "symbols"} & set(query) else self.listings)]
        return rows if is_many else rows[0]

    def _get_ping(self, query: Any) -> Any:
        return {}

    def _get_time(self, query: Any) -> Any:
        return {"serverTime": self.now_ms()}

    def _get_exchangeInfo(self, query: Any) -> Any:
        wanted = list(self.listings)
        if "symbol" in query or "symbols" in query:
            wanted = self._chosen(query)
        limits = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self._weight.limit}
        return {
            "timezone": "UTC",
            "serverTime": self.now_ms(),
            "rateLimits": [limits],
            "exchangeFilters": [],
            "symbols": [self._describe(self.listings[symbol]) for symbol in wanted],
        }

    def _describe(self, listing: Listing) -> dict[str, Any]:
        tick, lot = eight(1, listing.price_decimals), eight(1, listing.size_decimals)
        return {
            "symbol": listing.symbol,
            "status": "TRADING",
            "baseAsset": listing.base,
            "baseAssetPrecision": 8,
            "quoteAsset": listing.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000.00000000", "stepSize": lot},
            ],
            "permissionSets": [["SPOT"]],
        }

    def _get_depth(self, query: Any) -> Any:
        state, limit = self._symbol(query), number(query, "limit", 100)
        bids, asks = self.book(state.symbol, min(limit, 5000))
        return {"lastUpdateId": state.book.update_id, "bids": bids, "asks": asks}

    def _get_klines(self, query: Any) -> Any:
        state = self._symbol(query)
        timeframe = self.timeframes.get(query.get("interval", ""))
        if timeframe is None:
            raise Wrong(-1120, "Invalid interval.")
        limit = min(number(query, "limit", 500), 1000)
        first, last = number(query, "startTime", 0), number(query, "endTime", self.now_ms())
        rows = self.rows.page(state.symbol, timeframe, first, last, limit, newest="startTime" not in query)
        return [self._kline_row(state.listing, timeframe, row) for row in self.rows.served(state.symbol, timeframe, rows)]

    def _kline_row(self, listing: Listing, timeframe: Timeframe, row: CandleRow) -> list[Any]:
        bar = row.bar or Bar(-1, 0)
        return [
            row.open_ms,
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            timeframe.after(row.open_ms) - 1,
            row.turnover or self._notional(listing, bar.notional),
            bar.count,
            eight(bar.buy_lots, listing.size_decimals),
            self._notional(listing, bar.buy_notional),
            "0",
        ]

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        symbol, interval = request.query["symbol"], request.query["interval"]
        if interval not in TIMEFRAMES:
            raise ValueError(interval)
        return symbol, interval

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        return ((*row[:6], row[7]) for row in body)

    def _trade_rows(self, state: SymbolMarket, trades: Iterable[Trade]) -> list[dict[str, Any]]:
        listing = state.listing
        return [
            {
                "id": trade.trade_id,
                "price": eight(trade.ticks, listing.price_decimals),
                "qty": eight(trade.lots, listing.size_decimals),
                "quoteQty": self._notional(listing, trade.ticks * trade.lots),
                "time": trade.ts_ms,
                "isBuyerMaker": not trade.buy,
                "isBestMatch": True,
            }
            for trade in trades
        ]

    def _get_trades(self, query: Any) -> Any:
        state, limit = self._symbol(query), min(number(query, "limit", 500), 1000)
        return self._trade_rows(state, state.slice(state.number - limit + 1, limit))

    def _get_historicalTrades(self, query: Any) -> Any:
        state, limit = self._symbol(query), min(number(query, "limit", 500), 1000)
        first = number(query, "fromId", state.number - limit + 1)
        return self._trade_rows(state, state.slice(first, limit))

    def _get_aggTrades(self, query: Any) -> Any:
        """Here every aggregate is one trade."""
        state, limit = self._symbol(query), min(number(query, "limit", 500), 1000)
        first = state.number - limit + 1
        if "fromId" in query:
            first = number(query, "fromId", 1)
        elif "startTime" in query:
            first = state.number_at(number(query, "startTime", 0))
        until = number(query, "endTime", self.now_ms())
        listing = state.listing
        return [
            {
                "a": trade.trade_id,
                "p": eight(trade.ticks, listing.price_decimals),
                "q": eight(trade.lots, listing.size_decimals),
                "f": trade.trade_id,
                "l": trade.trade_id,
                "T": trade.ts_ms,
                "m": not trade.buy,
                "M": True,
            }
            for trade in state.slice(first, limit)
            if trade.ts_ms <= until
        ]


class Wrong(Exception):
    """A bad parameter: the venue's code and words."""


def named(query: Any) -> list[str]:
    """The names in `symbols`, which is a JSON list; none where it is anything else."""
    try:
        found = json.loads(query.get("symbols", "[]"))
    except ValueError:
        return []
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def number(query: Any, name: str, default: int) -> int:
    """An integer parameter; Wrong in the venue's words if it is not one."""
    given = query.get(name)
    if given is None:
        return default
    if not given.lstrip("-").isdigit():
        raise Wrong(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(given)
