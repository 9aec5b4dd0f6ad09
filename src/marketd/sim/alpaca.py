"""
A pretend Alpaca for US stocks, feed iex: authentication, one connection per account, minute bars, pages by token.

Protocol: https://docs.alpaca.markets/docs/real-time-stock-pricing-data and .../reference/stockbars, mid 2026. The
pretend exchange never closes, so that its calendar lists every day.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from marketd.sim.candles import CandleRow, timeframes
from marketd.sim.history import LISTED_MS, Bar, Trade
from marketd.sim.limits import Window
from marketd.sim.market import SymbolMarket
from marketd.sim.session import Session
from marketd.sim.symbols import STOCKS, Listing, trimmed_text
from marketd.sim.venue import SECOND_NS, SimVenue, TrueTrade, iso_text
from marketd.sim.wire import Request, Response, to_json

DAY_MS = 86_400_000
MINUTE_MS = 60_000
TIMEFRAMES = timeframes({f"{n}Min": n * 60 for n in range(1, 60)} | {f"{n}Hour": n * 3600 for n in range(1, 24)})
DAY = "1Day"
NEW_YORK = ZoneInfo("America/New_York")
LISTS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
CHANNELS = {"trades": "trade", "quotes": "quote", "bars": "candle"}
AUTH_WITHIN_S = 10
SYMBOLS_MAX = 30
PAGE_MAX = 10_000


class AlpacaSession(Session):
    venue: Alpaca

    def on_open(self) -> None:
        self.authenticated = False
        self.wanted: dict[str, dict[str, None]] = {name: {} for name in LISTS}
        self._tell({"T": "success", "msg": "connected"})

    def _tell(self, message: dict[str, Any]) -> None:
        self.say([message])

    def _error(self, code: int, words: str) -> None:
        self._tell({"T": "error", "code": code, "msg": words})

    def on_message(self, message: Any) -> None:
        action = message.get("action") if isinstance(message, dict) else None
        if action == "auth":
            self._authenticate(message)
        elif action not in {"subscribe", "unsubscribe"}:
            self._error(400, "invalid syntax")
        elif not self.authenticated:
            self._error(401, "not authenticated")
        else:
            self._change(action, message)

    def _authenticate(self, message: dict[str, Any]) -> None:
        if self.authenticated:
            self._error(403, "already authenticated")
        elif not self.venue.knows(message.get("key"), message.get("secret")):
            self._error(402, "auth failed")
        elif any(isinstance(each, AlpacaSession) and each.authenticated for each in self.venue.sessions):
            self._error(406, "connection limit exceeded")
            self.socket.close(1000)
        else:
            self.authenticated = True
            self._tell({"T": "success", "msg": "authenticated"})

    def _change(self, action: str, message: dict[str, Any]) -> None:
        asked = {name: [str(symbol) for symbol in message.get(name) or []] for name in LISTS}
        fault = next((f for names in asked.values() for s in names if (f := self.refused(s)) is not None), None)
        if fault is not None:
            self._error(400, fault.message or "invalid syntax")
            return
        if action == "subscribe":
            ticks = [len(self.wanted[name] | dict.fromkeys(asked[name])) for name in ("trades", "quotes")]
            if self.venue.limits and sum(ticks) > SYMBOLS_MAX:
                self._error(405, "symbol limit exceeded")
                return
        for name, symbols in asked.items():
            for symbol in symbols:
                if action == "subscribe":
                    self.wanted[name][symbol] = None
                else:
                    self.wanted[name].pop(symbol, None)
        self._follow()
        state = {name: list(symbols) for name, symbols in self.wanted.items()}
        trades = state["trades"]
        self._tell({"T": "subscription", **state, "corrections": trades, "cancelErrors": trades})

    def _follow(self) -> None:
        for topic in list(self.topics):
            self.leave(topic)
        for name, channel in CHANNELS.items():
            for symbol in self.venue.listings if "*" in self.wanted[name] else self.wanted[name]:
                if symbol in self.venue.listings:  # others are acknowledged and stay silent
                    self.join(channel, symbol)

    def wants(self, message: Any) -> bool:
        lists = {"t": "trades", "q": "quotes", "b": "bars", "u": "updatedBars", "d": "dailyBars"}
        rows = [row for row in message if isinstance(row, dict)] if isinstance(message, list) else []
        return any({row.get("S"), "*"} & set(self.wanted.get(lists.get(row.get("T", ""), ""), ())) for row in rows)

    def on_second(self, now_ns: int) -> None:
        if not self.authenticated and now_ns - self.since_ns > AUTH_WITHIN_S * SECOND_NS:
            self._error(404, "auth timeout")
            self.socket.close(1000)


class Alpaca(SimVenue):
    name: ClassVar[str] = "alpaca"
    session_class: ClassVar[type[Session]] = AlpacaSession
    default_symbols: ClassVar[Sequence[str]] = STOCKS
    stock: ClassVar[bool] = True
    timeframes = TIMEFRAMES
    empty = "no row"
    candle_mark = "/bars"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._requests = Window(200, 60)
        self._first_of_day: dict[tuple[str, int], int] = {}
        self._pushed_minute = self.now_ms() // MINUTE_MS * MINUTE_MS

    general_paths = frozenset({"assets", "clock", "calendar"})

    def recorded_symbols(self, message: Any) -> Iterable[str]:
        rows = message if isinstance(message, list) else []
        return [str(row["S"]) for row in rows if isinstance(row, dict) and "S" in row]

    def is_recorded_control(self, message: Any) -> bool:
        return isinstance(message, list) and any(row.get("T") in {"success", "subscription", "error"} for row in message)

    def knows(self, key: object, secret: object) -> bool:
        """Any key will do, unless its secret is the word wrong."""
        return bool(key) and bool(secret) and secret != "wrong"

    def price_text(self, listing: Listing, ticks: int) -> str:
        return trimmed_text(ticks, listing.price_decimals)

    def trade_id(self, state: SymbolMarket, trade: Trade) -> int:
        """Unique within one symbol, exchange and day."""
        day = trade.ts_ms // DAY_MS
        first = self._first_of_day.get((state.symbol, day))
        if first is None:
            first = self._first_of_day[state.symbol, day] = state.number_at(day * DAY_MS)
        return trade.number - first + 1

    def true_trade(self, listing: Listing, trade: Trade) -> Any:
        state = self.market.symbols[listing.symbol]
        texts = self.price_text(listing, trade.ticks), self.size_text(listing, trade.lots)
        return TrueTrade(str(self.trade_id(state, trade)), *texts, "", trade.ts_ms * 1_000_000)

    # -- rows -----------------------------------------------------------------------------------------------------

    def _trade_fields(self, state: SymbolMarket, trade: Trade) -> str:
        listing = state.listing
        return (
            f'"i":{self.trade_id(state, trade)},"x":"V","p":{self.price_text(listing, trade.ticks)},"s":{trade.lots},'
            f'"c":["@"],"z":"C","t":"{iso_text(trade.ts_ms * 1000, 9)}"'
        )

    def _quote_fields(self, state: SymbolMarket, now_ms: int) -> str:
        listing, book = state.listing, state.book
        return (
            f'"bx":"V","bp":{self.price_text(listing, book.best_bid)},"bs":{book.bids[book.best_bid]},'
            f'"ax":"V","ap":{self.price_text(listing, book.best_ask)},"as":{book.asks[book.best_ask]},'
            f'"c":["R"],"z":"C","t":"{iso_text(now_ms * 1000, 9)}"'
        )

    def _bar_fields(self, listing: Listing, open_ms: int, bar: Bar) -> str:
        prices = ",".join(
            f'"{name[0]}":{self.price_text(listing, getattr(bar, name))}' for name in ("open", "high", "low", "close")
        )
        average = trimmed_text(bar.notional * 10_000 // max(bar.lots, 1), listing.price_decimals + 4)
        return f'"t":"{iso_text(open_ms * 1000, 0)}",{prices},"v":{bar.lots},"n":{bar.count},"vw":{average}'

    # -- pushes ---------------------------------------------------------------------------------------------------

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None:
        if ("trade", state.symbol) in self.watching:
            body = f'[{{"T":"t","S":"{state.symbol}",{self._trade_fields(state, trade)}}}]'
            self.tell(("trade", state.symbol), body.encode())

    def on_quote(self, state: SymbolMarket, now_ms: int) -> None:
        if ("quote", state.symbol) in self.watching:
            body = f'[{{"T":"q","S":"{state.symbol}",{self._quote_fields(state, now_ms)}}}]'
            self.tell(("quote", state.symbol), body.encode())

    def on_second(self, now_ms: int) -> None:
        running, since = now_ms // MINUTE_MS * MINUTE_MS, self._pushed_minute
        self._pushed_minute = running
        for topic in [topic for topic in self.watching if topic[0] == "candle"]:
            for open_ms, bar in self.rows.bars(topic[1], TIMEFRAMES["1Min"], since, running - 1):
                if bar is not None:
                    body = f'[{{"T":"b","S":"{topic[1]}",{self._bar_fields(self.listings[topic[1]], open_ms, bar)}}}]'
                    self.tell(topic, body.encode())

    # -- REST -----------------------------------------------------------------------------------------------------

    def limited(self, request: Request) -> Response | None:
        if not self._is_known(request) or self._requests.take(1, self.clock_ns()):
            return None
        return self.limit_answer()

    def _is_known(self, request: Request) -> bool:
        return self.knows(request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key"))

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        return Response(b'{"message":"too many requests."}', 429, self._allowance())

    def _allowance(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self._requests.limit),
            "X-RateLimit-Remaining": str(max(self._requests.limit - self._requests.used, 0)),
            "X-RateLimit-Reset": str((self.clock_ns() // self._requests.per_ns + 1) * 60),
        }

    def answer(self, request: Request) -> Response:
        if not self._is_known(request):
            return Response(b'{"message":"forbidden."}', 401)
        limits = self._allowance()
        parts = request.path.removeprefix("/v2").strip("/").split("/")
        try:
            body = self._route(parts, request.query)
        except (ValueError, PermissionError) as error:
            return Response(to_json({"message": str(error)}), 403 if isinstance(error, PermissionError) else 400, limits)
        if body is None:
            return Response(b'{"message":"endpoint not found."}', 404, limits)
        return Response(body.encode(), headers=limits)

    def _route(self, parts: list[str], query: Any) -> str | None:
        if parts == ["assets"]:
            return to_json([self._describe(listing) for listing in self.listings.values()]).decode()
        if parts[0] == "assets" and len(parts) == 2:
            return to_json(self._describe(self.listings[parts[1]])).decode() if parts[1] in self.listings else None
        if parts == ["clock"]:
            stamp = iso_text(self.now_ms() * 1000, 9)
            later = iso_text((self.now_ms() + DAY_MS) * 1000, 0)
            return to_json({"timestamp": stamp, "is_open": True, "next_open": later, "next_close": later}).decode()
        if parts == ["calendar"]:
            return to_json(self._calendar(query)).decode()
        if parts[0] != "stocks":
            return None
        if parts[-1] == "latest" and parts[-2] in {"trades", "quotes", "bars"}:
            return self._latest(parts[-2], self._symbols(parts, query, 2), single=len(parts) == 4)
        if parts[-1] in {"trades", "bars"}:
            return self._pages(parts[-1], self._symbols(parts, query, 1), query, single=len(parts) == 3)
        return None

    def _symbols(self, parts: list[str], query: Any, tail: int) -> list[str]:
        named = [parts[1]] if len(parts) == tail + 2 else [each for each in query.get("symbols", "").split(",") if each]
        if not named:
            raise ValueError("symbols is required")
        if query.get("feed", "iex") == "sip":
            raise PermissionError("subscription does not permit querying recent SIP data")
        return sorted(named)

    def _describe(self, listing: Listing) -> dict[str, Any]:
        return {
            "id": f"sim-{listing.symbol.lower()}",
            "class": "us_equity",
            "exchange": "NASDAQ",
            "symbol": listing.symbol,
            "name": f"{listing.symbol} (simulated)",
            "status": "active",
            "tradable": True,
            "marginable": False,
            "shortable": False,
            "easy_to_borrow": False,
            "fractionable": False,
        }

    def _calendar(self, query: Any) -> list[dict[str, str]]:
        today = datetime.fromtimestamp(self.now_ms() / 1000, UTC).date()
        first = date.fromisoformat(query.get("start", today.isoformat())[:10])
        last = date.fromisoformat(query.get("end", (first + timedelta(days=30)).isoformat())[:10])
        hours = {"open": "00:00", "close": "23:59", "session_open": "0000", "session_close": "2359"}
        days = min((last - first).days + 1, 4000)
        return [{"date": (first + timedelta(days=i)).isoformat(), **hours} for i in range(days)]

    def _latest(self, kind: str, symbols: list[str], *, single: bool) -> str:
        rows = {}
        for state in (self.market.symbols[symbol] for symbol in symbols if symbol in self.listings):
            if kind == "trades":
                rows[state.symbol] = self._trade_fields(state, state.last_trade())
            elif kind == "quotes":
                rows[state.symbol] = self._quote_fields(state, self.now_ms())
            else:
                last = state.last_trade().ts_ms // MINUTE_MS * MINUTE_MS
                bar = state.bar(last, last + MINUTE_MS)
                assert bar is not None
                rows[state.symbol] = self._bar_fields(state.listing, last, bar)
        if single and rows:
            symbol, fields = next(iter(rows.items()))
            return f'{{"symbol":"{symbol}","{kind[:-1]}":{{{fields}}}}}'
        texts = ",".join(f'"{symbol}":{{{fields}}}' for symbol, fields in rows.items())
        return f'{{"{kind}":{{{texts}}}}}'

    def _pages(self, kind: str, symbols: list[str], query: Any, *, single: bool) -> str:
        now_ms = self.now_ms()
        first = read_time(query.get("start"), now_ms // DAY_MS * DAY_MS, "start")
        last = min(read_time(query.get("end"), now_ms, "end"), now_ms)
        limit = int(query.get("limit", "1000"))
        if not 1 <= limit <= PAGE_MAX:
            raise ValueError("limit must be between 1 and 10000")
        after_symbol, after = read_token(query.get("page_token"))
        read: Callable[[SymbolMarket, int, int, int, str], list[tuple[int, str]]]
        read = self._trade_page if kind == "trades" else self._bar_page
        rows: dict[str, list[str]] = {}
        left, token = limit, None
        for symbol in symbols:
            if symbol not in self.listings or symbol < after_symbol:
                continue
            start = after if symbol == after_symbol else -1
            found = read(self.market.symbols[symbol], first, last, left + 1, f"{query.get('timeframe', '')}|{start}")
            if not found:
                continue
            if left == 0 or len(found) > left:
                taken = found[:left]
                token = make_token(symbol, taken[-1][0] if taken else start)
            else:
                taken = found
            if taken:
                rows[symbol] = [text for _, text in taken]
                left -= len(taken)
            if token is not None:
                break
        tail = f'"next_page_token":{to_json(token).decode()}'
        if single:
            body = ",".join(rows.get(symbols[0], []))
            return f'{{"symbol":"{symbols[0]}","{kind}":{f"[{body}]" if body else "null"},{tail}}}'
        texts = ",".join(f'"{symbol}":[{",".join(each)}]' for symbol, each in rows.items())
        return f'{{"{kind}":{{{texts}}},{tail}}}'

    def _trade_page(self, state: SymbolMarket, first: int, last: int, count: int, where: str) -> list[tuple[int, str]]:
        after = int(where.partition("|")[2])
        number = max(state.number_at(first), after + 1)
        trades = state.slice(number, count)
        return [(t.number, f"{{{self._trade_fields(state, t)}}}") for t in trades if t.ts_ms <= last]

    def _bar_page(self, state: SymbolMarket, first: int, last: int, count: int, where: str) -> list[tuple[int, str]]:
        name, _, after = where.partition("|")
        first = max(first, int(after) + 1)
        if name in {DAY, "1D"}:
            days = ((start, state.bar(start, end)) for start, end in days_between(max(first, LISTED_MS), last))
            found = [(start, bar) for start, bar in days if bar is not None][:count]
            return [(open_ms, f"{{{self._bar_fields(state.listing, open_ms, bar)}}}") for open_ms, bar in found]
        timeframe = TIMEFRAMES.get(name.replace("T", "Min") if name[:-1].isdigit() and name.endswith("T") else name)
        if timeframe is None:
            raise ValueError(f"invalid timeframe: {name}")
        rows = self.rows.page(state.symbol, timeframe, first, last, count)
        return [
            (row.open_ms, f"{{{self._row_fields(state.listing, row)}}}")
            for row in self.rows.served(state.symbol, timeframe, rows)
        ]

    def _row_fields(self, listing: Listing, row: CandleRow) -> str:
        if row.bar is not None:
            return self._bar_fields(listing, row.open_ms, row.bar)
        prices = f'"o":{row.open},"h":{row.high},"l":{row.low},"c":{row.close}'
        return f'"t":"{iso_text(row.open_ms * 1000, 0)}",{prices},"v":{row.volume},"n":1,"vw":{row.close}'

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        symbol, timeframe = request.query["symbols"], request.query["timeframe"]
        if "," in symbol or timeframe not in TIMEFRAMES:
            raise ValueError(request.target)
        return symbol, timeframe

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        [rows] = body["bars"].values()
        return ((read_time(row["t"], 0, "t"), *(row[name] for name in "ohlcv")) for row in rows)


def days_between(first_ms: int, last_ms: int) -> Iterable[tuple[int, int]]:
    """Start and end of each New York day that begins within the range: 04:00 or 05:00 UTC."""
    day = datetime.fromtimestamp(first_ms / 1000, NEW_YORK).date()
    while (start := midnight(day)) <= last_ms:
        day += timedelta(days=1)
        if start >= first_ms:
            yield start, midnight(day)


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * 1000


def read_time(text: str | None, default: int, name: str) -> int:
    """Milliseconds from RFC 3339 or a date; a fraction is cut to milliseconds."""
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise ValueError(f"invalid {name}: {text}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def make_token(symbol: str, after: int) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|{after}".encode()).decode()


def read_token(token: str | None) -> tuple[str, int]:
    if not token:
        return "", -1
    try:
        symbol, _, after = base64.urlsafe_b64decode(token).decode().partition("|")
        return symbol, int(after)
    except ValueError:
        raise ValueError("invalid page token") from None
