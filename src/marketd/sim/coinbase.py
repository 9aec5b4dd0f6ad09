"""
A pretend Coinbase Exchange: matches, ticker, level2_batch and heartbeat, and the public REST.

Protocol: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels and .../exchange/reference, checked 2026-08-27.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from marketd.sim.candles import timeframes
from marketd.sim.history import Trade
from marketd.sim.limits import Bucket, Sliding
from marketd.sim.market import LEVELS, SymbolMarket
from marketd.sim.session import Session
from marketd.sim.symbols import CRYPTO_USD, Listing, decimal_text, trimmed_text
from marketd.sim.venue import SECOND_NS, SimVenue, iso_text
from marketd.sim.wire import Request, Response, to_json

TIMEFRAMES = timeframes({str(seconds): seconds for seconds in (60, 300, 900, 3600, 21600, 86400)})
CHANNELS = {"matches": "trade", "ticker": "quote", "level2_batch": "book", "heartbeat": "heartbeat"}
RECORDED_TYPES = {
    "match": "trade",
    "last_match": "trade",
    "ticker": "quote",
    "snapshot": "book",
    "l2update": "book",
    "heartbeat": "heartbeat",
}
SUBSCRIBE_WITHIN_S = 5
ROWS_MAX = 300


class CoinbaseSession(Session):
    venue: Coinbase

    def on_open(self) -> None:
        self._inbound = Sliding(100, 1.0)
        self._subscribed = False

    def on_message(self, message: Any) -> None:
        if self.venue.limits and not self._inbound.take(self.venue.clock_ns()):
            self._error("Rate limit exceeded", "too many messages")
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in {"subscribe", "unsubscribe"}:
            self._error("Malformed JSON" if message is None else f"Type {kind} is not supported", "")
            return
        wanted = list(self._pairs(message))
        if kind == "unsubscribe":
            for channel, product in wanted:
                self.leave((CHANNELS.get(channel, ""), self.venue.our_symbol(product) or ""))
            self._tell_state()
            return
        reason = self._objection(wanted)
        if reason is not None:
            self._error("Failed to subscribe", reason)
            return
        self._subscribed = True
        fresh = []
        for channel, product in wanted:
            topic = (CHANNELS[channel], self.venue.our_symbol(product) or "")
            if topic not in self.topics:
                fresh.append(topic)
                self.join(*topic)
        self._tell_state()
        for topic in fresh:
            self._greet(topic)

    def _pairs(self, message: dict[str, Any]) -> Iterable[tuple[str, str]]:
        common = message.get("product_ids") or []
        for channel in message.get("channels") or []:
            if isinstance(channel, dict):
                yield from ((str(channel.get("name")), str(p)) for p in channel.get("product_ids") or common)
            else:
                yield from ((str(channel), str(product)) for product in common)

    def _objection(self, wanted: Sequence[tuple[str, str]]) -> str | None:
        for channel, product in wanted:
            symbol = self.venue.our_symbol(product)
            fault = self.refused(symbol)
            if fault is not None:
                return fault.message or f"{product} is not a valid product"
            if symbol is None:
                return f"{product} is not a valid product"
            if channel in {"level2", "level3", "full"}:
                return f"{channel} subscriptions require authentication"
            if channel not in CHANNELS:
                return f"{channel} is not a valid channel"
        return None if wanted else "No channels provided"

    def _error(self, message: str, reason: str) -> None:
        self.say({"type": "error", "message": message, "reason": reason})

    def _tell_state(self) -> None:
        channels = [
            {"name": name, "product_ids": products}
            for name, channel in CHANNELS.items()
            if (products := [self.venue.venue_symbol(t[1]) for t in sorted(self.topics) if t[0] == channel])
        ]
        self.say({"type": "subscriptions", "channels": channels})

    def _greet(self, topic: tuple[str, str]) -> None:
        venue, (channel, symbol) = self.venue, topic
        state = venue.market.symbols[symbol]
        if channel == "trade":
            self.push(symbol, channel, venue.match_frame(state, state.last_trade(), "last_match"))
        elif channel == "quote":
            self.push(symbol, channel, venue.ticker_frame(state, state.last_trade()))
        elif channel == "book":
            view = venue.view(topic, symbol, LEVELS)
            bids, asks = (venue.level_texts(state.listing, side) for side in (view.bids, view.asks))
            product = venue.venue_symbol(symbol)
            self.push(symbol, channel, to_json({"type": "snapshot", "product_id": product, "asks": asks, "bids": bids}))

    def wants(self, message: Any) -> bool:
        if not isinstance(message, dict):
            return True
        channel = RECORDED_TYPES.get(message.get("type", ""))
        return (channel, self.venue.our_symbol(str(message.get("product_id")))) in self.topics

    def on_second(self, now_ns: int) -> None:
        if not self._subscribed and now_ns - self.since_ns > SUBSCRIBE_WITHIN_S * SECOND_NS:
            self.socket.close(1000, "no subscription within 5 seconds")


class Coinbase(SimVenue):
    name: ClassVar[str] = "coinbase"
    session_class: ClassVar[type[Session]] = CoinbaseSession
    default_symbols: ClassVar[Sequence[str]] = CRYPTO_USD
    timeframes = TIMEFRAMES
    empty = "no row"
    candle_mark = "/candles"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._requests = Bucket(10, 15)

    general_paths = frozenset({"time", "products"})

    def recorded_symbols(self, message: Any) -> Iterable[str]:
        return [message["product_id"].replace("-", "")] if isinstance(message, dict) and "product_id" in message else []

    def is_recorded_control(self, message: Any) -> bool:
        return isinstance(message, dict) and message.get("type") == "subscriptions"

    def venue_symbol(self, symbol: str) -> str:
        listing = self.listings[symbol]
        return f"{listing.base}-{listing.quote}"

    def our_symbol(self, venue_symbol: str) -> str | None:
        base, dash, quote = venue_symbol.partition("-")
        return base + quote if dash and base + quote in self.listings else None

    def size_text(self, listing: Listing, lots: int) -> str:
        return decimal_text(lots * 10 ** (8 - listing.size_decimals), 8)

    # -- pushes ---------------------------------------------------------------------------------------------------

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None:
        if ("trade", state.symbol) in self.watching:
            self.tell(("trade", state.symbol), self.match_frame(state, trade, "match"))
        if ("quote", state.symbol) in self.watching:
            self.tell(("quote", state.symbol), self.ticker_frame(state, trade))

    def match_frame(self, state: SymbolMarket, trade: Trade, kind: str) -> bytes:
        listing, order = state.listing, "0000-4000-8000-000000000000"
        return (
            f'{{"type":"{kind}","trade_id":{trade.trade_id},"maker_order_id":"{trade.number:08x}-{order}",'
            f'"taker_order_id":"{trade.number:08x}-{order[::-1]}","side":"{"sell" if trade.buy else "buy"}",'
            f'"size":"{self.size_text(listing, trade.lots)}","price":"{self.price_text(listing, trade.ticks)}",'
            f'"product_id":"{self.venue_symbol(state.symbol)}","sequence":{state.book.update_id},'
            f'"time":"{iso_text(trade.ts_ms * 1000)}"}}'
        ).encode()

    def ticker_frame(self, state: SymbolMarket, trade: Trade) -> bytes:
        listing, book = state.listing, state.book
        day = self.day_bar(state, trade.ts_ms)
        body = {
            "type": "ticker",
            "sequence": book.update_id,
            "product_id": self.venue_symbol(state.symbol),
            "price": self.price_text(listing, trade.ticks),
            "open_24h": self.price_text(listing, day.open),
            "volume_24h": self.size_text(listing, day.lots),
            "low_24h": self.price_text(listing, day.low),
            "high_24h": self.price_text(listing, day.high),
            "volume_30d": self.size_text(listing, day.lots * 30),
            "best_bid": self.price_text(listing, book.best_bid),
            "best_bid_size": self.size_text(listing, book.bids[book.best_bid]),
            "best_ask": self.price_text(listing, book.best_ask),
            "best_ask_size": self.size_text(listing, book.asks[book.best_ask]),
            "side": "buy" if trade.buy else "sell",  # of the taker, other than in matches
            "time": iso_text(trade.ts_ms * 1000),
            "trade_id": trade.trade_id,
            "last_size": self.size_text(listing, trade.lots),
        }
        return to_json(body)

    def on_book(self, topic: tuple[str, ...], watchers: Iterable[Session], now_ms: int) -> None:
        symbol = topic[1]
        listing = self.listings[symbol]
        _, bids, asks = self.view(topic, symbol, LEVELS).advance()
        changes = [("buy", *level) for level in self.level_texts(listing, bids)]
        changes += [("sell", *level) for level in self.level_texts(listing, asks)]
        if changes:
            product = self.venue_symbol(symbol)
            body = {"type": "l2update", "product_id": product, "changes": changes, "time": iso_text(now_ms * 1000)}
            self.tell(topic, to_json(body))

    def on_second(self, now_ms: int) -> None:
        for topic in list(self.watching):
            if topic[0] == "heartbeat":
                state = self.market.symbols[topic[1]]
                body = {
                    "type": "heartbeat",
                    "last_trade_id": state.last_trade().trade_id,
                    "product_id": self.venue_symbol(topic[1]),
                    "sequence": state.book.update_id,
                    "time": iso_text(now_ms * 1000),
                }
                self.tell(topic, to_json(body))

    # -- REST -----------------------------------------------------------------------------------------------------

    def limited(self, request: Request) -> Response | None:
        return None if self._requests.take(self.clock_ns()) else self.limit_answer()

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        return says("Public rate limit exceeded", 429)

    def answer(self, request: Request) -> Response:
        if "user-agent" not in request.headers:
            return says("User-Agent header is required.", 400)
        parts = request.path.strip("/").split("/")
        if parts == ["time"]:
            now_ms = self.now_ms()
            return raw_json(f'{{"iso":"{iso_text(now_ms * 1000, 3)}","epoch":{decimal_text(now_ms, 3)}}}')
        if parts == ["products"]:
            return Response(to_json([self._describe(listing) for listing in self.listings.values()]))
        symbol = self.our_symbol(parts[1]) if parts[0] == "products" and len(parts) in {2, 3} else None
        if symbol is None:
            return says("NotFound", 404)
        state = self.market.symbols[symbol]
        if len(parts) == 2:
            return Response(to_json(self._describe(state.listing)))
        handler = getattr(self, f"_get_{parts[2]}", None) if parts[2].isalpha() else None
        if handler is None:
            return says("NotFound", 404)
        try:
            found: Response = handler(state, request.query)
        except ValueError as error:
            return says(str(error), 400)
        return found

    def _describe(self, listing: Listing) -> dict[str, Any]:
        return {
            "id": self.venue_symbol(listing.symbol),
            "base_currency": listing.base,
            "quote_currency": listing.quote,
            "quote_increment": decimal_text(1, listing.price_decimals),
            "base_increment": decimal_text(1, 8),
            "display_name": f"{listing.base}/{listing.quote}",
            "min_market_funds": "1",
            "margin_enabled": False,
            "post_only": False,
            "limit_only": False,
            "cancel_only": False,
            "status": "online",
            "status_message": "",
            "trading_disabled": False,
            "auction_mode": False,
        }

    def _get_candles(self, state: SymbolMarket, query: Any) -> Response:
        timeframe = TIMEFRAMES.get(query.get("granularity", "60"))
        if timeframe is None:
            raise ValueError("Unsupported granularity")
        last = self.now_ms()
        first = timeframe.open_of(last) - (ROWS_MAX - 1) * timeframe.length_ms
        if "start" in query and "end" in query:  # one alone is ignored
            first, last = read_time(query["start"], "start"), read_time(query["end"], "end")
            if (last - first) // timeframe.length_ms + 1 > ROWS_MAX:
                raise ValueError(
                    "granularity too small for the requested time range. Count of aggregations requested exceeds 300"
                )
            if (last - first) // timeframe.length_ms + 1 < ROWS_MAX and first // timeframe.length_ms % 2:
                first -= timeframe.length_ms  # rows older than the start may come: here before every other start
        rows = self.rows.page(state.symbol, timeframe, first, last, ROWS_MAX, newest=True)
        rows = self.rows.served(state.symbol, timeframe, rows, newest_first=True)
        texts = [f"[{at // 1000},{low},{high},{open_},{close},{volume}]" for at, open_, high, low, close, volume, _, _ in rows]
        return raw_json(f"[{','.join(texts)}]")

    def candle_price(self, listing: Listing, ticks: int) -> str:
        return trimmed_text(ticks, listing.price_decimals)  # numbers, where trades and books are text

    def candle_size(self, listing: Listing, lots: int) -> str:
        return trimmed_text(lots, listing.size_decimals)

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        granularity = request.query["granularity"]
        if granularity not in TIMEFRAMES:
            raise ValueError(granularity)
        return request.path.split("/")[-2].replace("-", ""), granularity

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        return ((int(at) * 1000, open_, high, low, close, volume) for at, low, high, open_, close, volume in body)

    def _get_trades(self, state: SymbolMarket, query: Any) -> Response:
        limit = min(max(read_number(query, "limit", 1000), 1), 1000)
        end = min(read_number(query, "after", state.number + 1), state.number + 1)
        first = max(end - limit, read_number(query, "before", 0) + 1, 1)
        rows = [
            {
                "trade_id": trade.trade_id,
                "side": "sell" if trade.buy else "buy",  # of the maker
                "size": self.size_text(state.listing, trade.lots),
                "price": self.price_text(state.listing, trade.ticks),
                "time": iso_text(trade.ts_ms * 1000),
            }
            for trade in reversed(state.slice(first, max(end - first, 0)))
        ]
        cursors = {"CB-BEFORE": str(rows[0]["trade_id"]), "CB-AFTER": str(rows[-1]["trade_id"])} if rows else {}
        return Response(to_json(rows), headers=cursors)

    def _get_book(self, state: SymbolMarket, query: Any) -> Response:
        level = query.get("level", "1")
        if level not in {"1", "2"}:
            return says("Invalid level", 400)
        sides = [[[*each, 1] for each in side] for side in self.book(state.symbol, 1 if level == "1" else LEVELS)]
        body = {"sequence": state.book.update_id, "bids": sides[0], "asks": sides[1], "auction_mode": False}
        return Response(to_json(body | {"time": iso_text(self.now_ms() * 1000)}))

    def _get_ticker(self, state: SymbolMarket, query: Any) -> Response:
        trade, ((bid, _),), ((ask, _),) = state.last_trade(), *self.book(state.symbol, 1)
        truth = self.true_trade(state.listing, trade)
        body = {"trade_id": trade.trade_id, "price": truth.price, "size": truth.size, "bid": bid, "ask": ask}
        volume = self.size_text(state.listing, self.day_bar(state, self.now_ms()).lots)
        return Response(to_json(body | {"volume": volume, "time": iso_text(trade.ts_ms * 1000)}))

    def _get_stats(self, state: SymbolMarket, query: Any) -> Response:
        day, listing = self.day_bar(state, self.now_ms()), state.listing
        body = {name: self.price_text(listing, getattr(day, name)) for name in ("open", "high", "low")}
        body |= {"last": self.price_text(listing, day.close), "volume": self.size_text(listing, day.lots)}
        return Response(to_json(body | {"volume_30day": self.size_text(listing, day.lots * 30)}))


def says(message: str, status: int) -> Response:
    return Response(to_json({"message": message}), status)


def raw_json(text: str) -> Response:
    """JSON whose numbers keep their digits."""
    return Response(text.encode())


def read_time(text: str, name: str) -> int:
    """Milliseconds from ISO 8601 or unix seconds."""
    if text.replace(".", "", 1).isdigit():
        return int(float(text) * 1000)
    try:
        return int(datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text).timestamp() * 1000)
    except ValueError:
        raise ValueError(f"Invalid {name}") from None


def read_number(query: Any, name: str, default: int) -> int:
    given = query.get(name)
    if given is None:
        return default
    if not given.isdigit():
        raise ValueError(f"Invalid {name}")
    return int(given)
