"""
A pretend Bybit V5, public spot: topics by operation, snapshots and deltas, market REST.

Protocol: https://bybit-exchange.github.io/docs/v5/ws/connect and .../docs/v5/market/kline, state of 2026-07-24.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from marketd.sim.candles import timeframes
from marketd.sim.history import Bar, Trade
from marketd.sim.limits import Sliding
from marketd.sim.market import SymbolMarket
from marketd.sim.session import Session
from marketd.sim.symbols import Listing, decimal_text, trimmed_text
from marketd.sim.venue import SECOND_NS, BookView, SimVenue
from marketd.sim.wire import Request, Response, to_json

DAY_S = 86_400
TIMEFRAMES = timeframes(
    {str(n): n * 60 for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)} | {"D": DAY_S, "W": 7 * DAY_S, "M": 0},
    {"W": 4 * DAY_S},
)
DEPTHS = (1, 50, 200, 1000)
FIRST_UPDATE = 1_000  # u == 1 would mean that the service restarted
BAN_S = 600  # nothing is answered for so long after one request too many
ARGS_MAX, ARGS_TEXT_MAX = 10, 21_000
IDLE_S = 600
ID_BASE = 2_290_000_000_000_000_000


class BybitSession(Session):
    venue: Bybit

    def on_open(self) -> None:
        self.conn_id = f"sim-{self.venue.accepted}-{self.since_ns % 1_000_000:06}"
        self._args: dict[str, None] = {}

    def on_message(self, message: Any) -> None:
        op = message.get("op") if isinstance(message, dict) else None
        args = [str(arg) for arg in message.get("args") or []] if op in {"subscribe", "unsubscribe"} else []
        if op == "ping":
            self._ack(message, "pong")
        elif op == "subscribe":
            wrong = self._objection(args)
            self._ack(message, wrong or "subscribe", success=wrong is None)
            if wrong is None:
                self._subscribe(args)
        elif op == "unsubscribe":
            self._ack(message, "unsubscribe")
            for arg in args:
                self._args.pop(arg, None)
                topic = self.venue.topic_of(arg)
                if topic is not None:
                    self.leave(topic)
        else:
            self.say({"success": False, "ret_msg": f"error:unknown op {op}", "conn_id": self.conn_id, "op": ""})

    def _ack(self, message: dict[str, Any], words: str, *, success: bool = True) -> None:
        answer = {"success": success, "ret_msg": words, "conn_id": self.conn_id}
        if "req_id" in message:
            answer["req_id"] = message["req_id"]
        self.say(answer | {"op": message["op"]})

    def _objection(self, args: list[str]) -> str | None:
        """Why the whole request is refused: one bad topic is enough."""
        if len(args) > ARGS_MAX:
            return "args size >10"
        if sum(map(len, self._args)) + sum(map(len, args)) > ARGS_TEXT_MAX:
            return "args length exceeds 21000"
        for arg in args:
            topic = self.venue.topic_of(arg)
            if topic is None:
                return f"error:handler not found,topic:{arg}"
            fault = self.refused(topic[1])
            if fault is not None:
                return fault.message or f"error:handler not found,topic:{arg}"
        return None

    def _subscribe(self, args: list[str]) -> None:
        venue = self.venue
        for arg in args:
            self._args[arg] = None
            topic = venue.topic_of(arg)
            assert topic is not None
            self.join(*topic)
            if topic[0] in {"book", "quote"}:
                view = venue.view(topic, topic[1], int(topic[2]))
                self.push(topic[1], topic[0], venue.book_frame(topic, view, "snapshot", view.bids, view.asks, venue.now_ms()))
            elif topic[0] == "ticker":
                self.push(topic[1], topic[0], venue.ticker_frame(topic[1], venue.now_ms()))

    def wants(self, message: Any) -> bool:
        return not isinstance(message, dict) or message.get("topic") in self._args

    def on_second(self, now_ns: int) -> None:
        if now_ns - self.heard_ns > IDLE_S * SECOND_NS:
            self.socket.close(1000)


class Bybit(SimVenue):
    name: ClassVar[str] = "bybit"
    session_class: ClassVar[type[Session]] = BybitSession
    shared_ids: ClassVar[bool] = True
    timeframes = TIMEFRAMES
    empty = "zero volume"
    candle_mark = "/market/kline"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._requests = Sliding(600, 5)
        self._pushed_bars: dict[tuple[str, ...], int] = {}

    general_paths = frozenset({"time", "instruments-info"})

    def recorded_symbols(self, message: Any) -> Iterable[str]:
        return [message["topic"].rpartition(".")[2]] if isinstance(message, dict) and "topic" in message else []

    def is_recorded_control(self, message: Any) -> bool:
        return isinstance(message, dict) and "success" in message

    def topic_of(self, arg: str) -> tuple[str, ...] | None:
        kind, _, symbol = arg.rpartition(".")
        if symbol not in self.listings:
            return None
        if kind == "publicTrade":
            return "trade", symbol
        if kind == "tickers":
            return "ticker", symbol
        first, _, detail = kind.partition(".")
        if first == "orderbook" and detail in map(str, DEPTHS):
            return ("quote" if detail == "1" else "book"), symbol, detail
        return ("candle", symbol, detail) if first == "kline" and detail in TIMEFRAMES else None

    def price_text(self, listing: Listing, ticks: int) -> str:
        return trimmed_text(ticks, listing.price_decimals)

    def size_text(self, listing: Listing, lots: int) -> str:
        return trimmed_text(lots, listing.size_decimals)

    def id_text(self, trade: Trade) -> str:
        return str(ID_BASE + trade.trade_id)

    # -- pushes ---------------------------------------------------------------------------------------------------

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None:
        topic, listing = ("trade", state.symbol), state.listing
        if topic in self.watching:
            body = (
                f'{{"topic":"publicTrade.{state.symbol}","ts":{trade.ts_ms},"type":"snapshot","data":[{{'
                f'"i":"{self.id_text(trade)}","T":{trade.ts_ms},"p":"{self.price_text(listing, trade.ticks)}",'
                f'"v":"{self.size_text(listing, trade.lots)}","S":"{"Buy" if trade.buy else "Sell"}",'
                f'"seq":{state.book.update_id},"s":"{state.symbol}","BT":false,"RPI":false}}]}}'
            )
            self.tell(topic, body.encode())
        if ("ticker", state.symbol) in self.watching:
            self.tell(("ticker", state.symbol), self.ticker_frame(state.symbol, trade.ts_ms))

    def on_quote(self, state: SymbolMarket, now_ms: int) -> None:
        topic = ("quote", state.symbol, "1")
        if topic in self.watching:
            self._push_view(topic, "snapshot", now_ms)

    def on_book(self, topic: tuple[str, ...], watchers: Iterable[Session], now_ms: int) -> None:
        self._push_view(topic, "delta", now_ms)

    def _push_view(self, topic: tuple[str, ...], kind: str, now_ms: int) -> None:
        view = self.view(topic, topic[1], int(topic[2]))
        _, bids, asks = view.advance()
        if not bids and not asks:
            return
        view.last_push_ns = self.clock_ns()
        if kind == "snapshot":
            bids, asks = view.bids, view.asks
        self.tell(topic, self.book_frame(topic, view, kind, bids, asks, now_ms))

    def book_frame(
        self, topic: tuple[str, ...], view: BookView, kind: str, bids: dict[int, int], asks: dict[int, int], now_ms: int
    ) -> bytes:
        listing = self.listings[topic[1]]
        data = {
            "s": topic[1],
            "b": self.level_texts(listing, bids),
            "a": self.level_texts(listing, asks),
            "u": FIRST_UPDATE + view.pushes,
            "seq": view.update_id,
        }
        name = f"orderbook.{topic[2]}.{topic[1]}"
        return to_json({"topic": name, "ts": now_ms, "type": kind, "data": data, "cts": now_ms})

    def ticker_frame(self, symbol: str, now_ms: int) -> bytes:
        return to_json(
            {"topic": f"tickers.{symbol}", "ts": now_ms, "type": "snapshot", "cs": now_ms, "data": self._ticker(symbol)}
        )

    def on_second(self, now_ms: int) -> None:
        for topic in list(self.watching):
            if topic[0] == "candle":
                self._push_bars(topic, now_ms)
            elif topic[0] == "quote" and self.clock_ns() - (view := self.view(topic, topic[1], 1)).last_push_ns >= 3 * SECOND_NS:
                view.last_push_ns = self.clock_ns()  # the same u again: nothing changed
                self.tell(topic, self.book_frame(topic, view, "snapshot", view.bids, view.asks, now_ms))

    def _push_bars(self, topic: tuple[str, ...], now_ms: int) -> None:
        _, symbol, name = topic
        timeframe, listing = TIMEFRAMES[name], self.listings[symbol]
        running = timeframe.open_of(now_ms)
        rows = [
            {
                "start": open_ms,
                "end": timeframe.after(open_ms) - 1,
                "interval": name,
                **self._bar_texts(listing, bar),
                "confirm": open_ms < running,
                "timestamp": min(now_ms, timeframe.after(open_ms) - 1),
            }
            for open_ms, bar in self.rows.filled(symbol, timeframe, self._pushed_bars.get(topic, running), running)
        ]
        self._pushed_bars[topic] = running
        self.tell(topic, to_json({"topic": f"kline.{name}.{symbol}", "ts": now_ms, "type": "snapshot", "data": rows}))

    def _bar_texts(self, listing: Listing, bar: Bar) -> dict[str, str]:
        texts = {name: self.price_text(listing, getattr(bar, name)) for name in ("open", "close", "high", "low")}
        decimals = listing.price_decimals + listing.size_decimals
        return texts | {"volume": self.size_text(listing, bar.lots), "turnover": trimmed_text(bar.notional, decimals)}

    # -- REST -----------------------------------------------------------------------------------------------------

    def limited(self, request: Request) -> Response | None:
        now_ns = self.clock_ns()
        if not self.banned.left_s(now_ns):
            if self._requests.take(now_ns):
                return None
            self.banned.begin(now_ns, BAN_S)
        return self.ban_answer(0)

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        body = {"retCode": 10006, "retMsg": "Too many visits!", "result": {}, "retExtInfo": {}, "time": self.now_ms()}
        reset_ms = self.now_ms() + (5 if retry_after_s is None else retry_after_s) * 1000
        return Response(to_json(body), headers={"X-Bapi-Limit-Reset-Timestamp": str(reset_ms)})

    def ban_answer(self, left_s: int) -> Response:
        return Response(b"access too frequent", 403, content_type="text/plain")

    def answer(self, request: Request) -> Response:
        name = request.path.removeprefix("/v5/market/").replace("-", "_")
        handler = getattr(self, f"_get_{name}", None) if name.replace("_", "").isalnum() else None
        if handler is None or request.query.get("category", "spot") != "spot":
            return Response(b"404 page not found", 404, content_type="text/plain")
        try:
            code, words, result = 0, "OK", handler(request.query)
        except Wrong as wrong:
            code, words, result = 10001, str(wrong), {}
        body = {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}, "time": self.now_ms()}
        limit = {"X-Bapi-Limit": "600", "X-Bapi-Limit-Status": str(self._requests.left)}
        return Response(to_json(body), headers=limit)

    def _state(self, query: Any) -> SymbolMarket:
        if query.get("symbol") not in self.listings:
            raise Wrong("Not supported symbols")
        return self.market.symbols[query["symbol"]]

    def _get_time(self, query: Any) -> Any:
        now_ms = self.now_ms()
        return {"timeSecond": str(now_ms // 1000), "timeNano": str(now_ms * 1_000_000)}

    def _get_instruments_info(self, query: Any) -> Any:
        wanted = [self._state(query).listing] if "symbol" in query else self.listings.values()
        rows = [
            {
                "symbol": listing.symbol,
                "baseCoin": listing.base,
                "quoteCoin": listing.quote,
                "innovation": "0",
                "status": "Trading",
                "marginTrading": "none",
                "lotSizeFilter": {
                    "basePrecision": decimal_text(1, listing.size_decimals),
                    "quotePrecision": decimal_text(1, listing.price_decimals + listing.size_decimals),
                    "minOrderQty": decimal_text(1, listing.size_decimals),
                    "minOrderAmt": "5",
                },
                "priceFilter": {"tickSize": decimal_text(1, listing.price_decimals)},
                "symbolType": "",
                "xstockMultiplier": "1",
            }
            for listing in wanted
        ]
        return {"category": "spot", "list": rows}

    def _get_kline(self, query: Any) -> Any:
        state, timeframe = self._state(query), TIMEFRAMES.get(query.get("interval", ""))
        if timeframe is None:
            raise Wrong("Invalid period!")
        limit = min(number(query, "limit", 200), 1000)
        first, last = number(query, "start", 0), number(query, "end", self.now_ms())
        from_start = "start" in query and "end" not in query  # only a start: the rows from there on; else the newest
        rows = self.rows.page(state.symbol, timeframe, first, last, limit, newest=not from_start)
        rows = self.rows.served(state.symbol, timeframe, rows, newest_first=True)
        decimals = state.listing.price_decimals + state.listing.size_decimals
        told = [
            [str(row.open_ms), *row[1:6], row.turnover or trimmed_text(row.bar.notional if row.bar else 0, decimals)]
            for row in rows
        ]
        return {"category": "spot", "symbol": state.symbol, "list": told}

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        symbol, interval = request.query["symbol"], request.query["interval"]
        if interval not in TIMEFRAMES:
            raise ValueError(interval)
        return symbol, interval

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        return map(tuple, body["result"]["list"])

    def _get_recent_trade(self, query: Any) -> Any:
        state, limit = self._state(query), min(max(number(query, "limit", 60), 1), 60)
        rows = [
            {
                "execId": self.id_text(trade),
                "symbol": state.symbol,
                "price": self.price_text(state.listing, trade.ticks),
                "size": self.size_text(state.listing, trade.lots),
                "side": "Buy" if trade.buy else "Sell",
                "time": str(trade.ts_ms),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(trade.number),
            }
            for trade in reversed(state.slice(state.number - limit + 1, limit))
        ]
        return {"category": "spot", "list": rows}

    def _get_orderbook(self, query: Any) -> Any:
        state, limit = self._state(query), min(max(number(query, "limit", 1), 1), 1000)
        view = self.views.get(("book", state.symbol, "1000")) or BookView(state.book, 1000)
        now_ms = self.now_ms()
        return {
            "s": state.symbol,
            "b": self.level_texts(state.listing, view.bids)[:limit],
            "a": self.level_texts(state.listing, view.asks)[:limit],
            "ts": now_ms,
            "u": FIRST_UPDATE + view.pushes,
            "seq": view.update_id,
            "cts": now_ms,
        }

    def _get_tickers(self, query: Any) -> Any:
        wanted = [self._state(query).symbol] if "symbol" in query else list(self.listings)
        rows = []
        for symbol in wanted:
            (bid, bid_size), (ask, ask_size) = (side[0] for side in self.book(symbol, 1))
            quote = {"bid1Price": bid, "bid1Size": bid_size, "ask1Price": ask, "ask1Size": ask_size}
            rows.append(self._ticker(symbol) | quote)
        return {"category": "spot", "list": rows}

    def _ticker(self, symbol: str) -> dict[str, str]:
        state, end_ms = self.market.symbols[symbol], self.now_ms()
        day = self.day_bar(state, end_ms)
        texts = self._bar_texts(state.listing, day)
        change = (day.close - day.open) * 10_000 // day.open
        return {
            "symbol": symbol,
            "lastPrice": texts["close"],
            "prevPrice24h": texts["open"],
            "price24hPcnt": f"{'-' if change < 0 else ''}{decimal_text(abs(change), 4)}",
            "highPrice24h": texts["high"],
            "lowPrice24h": texts["low"],
            "turnover24h": texts["turnover"],
            "volume24h": texts["volume"],
        }


class Wrong(Exception):
    """A bad parameter, in the venue's words."""


def number(query: Any, name: str, default: int) -> int:
    given = query.get(name)
    if given is None or given == "":
        return default
    if not given.isdigit():
        raise Wrong(f"Request parameter error: {name}")
    return int(given)
