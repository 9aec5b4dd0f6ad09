"""What all simulated venues share: who listens to what, the pace of pushes, faults, and the truth for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from marketd.sim.candle_files import CandleFiles
from marketd.sim.candles import Candles, Empty, Timeframe
from marketd.sim.faults import CANDLE_REFUSALS, Deck, Fault
from marketd.sim.history import Bar, Trade, seed_number
from marketd.sim.limits import Ban
from marketd.sim.market import Market, SimBook, SymbolMarket
from marketd.sim.recorded import Recording
from marketd.sim.session import Session
from marketd.sim.symbols import CRYPTO_USDT, Listing, decimal_text, list_symbols, split_symbol
from marketd.sim.wire import Request, Response

SECOND_NS = 1_000_000_000
BOOKS_EVERY_NS = 100_000_000
BAN_S = 120  # of a `ban` that does not say how long
SLOW_CLIENT_BYTES = 64 << 20  # a client that leaves this much unread is cut

NEVER_S = 1e6
GARBAGE = (
    b'[{"id":"bitcoin","symb',
    b"<html><body>Just a moment...</body></html>",
    b'{"unexpected":[1,2,3]}',
    b"\xff\xfe\x00",
    b"",
)

Levels = dict[int, int]  # ticks: lots, best first


class TrueTrade(NamedTuple):
    """A trade as the venue spells it on the wire."""

    trade_id: str
    price: str
    size: str
    side: str  # of the aggressor, buy or sell
    ts_event: int  # ns


class BookView:
    """The best levels as they were last sent, so that the next message says only what changed."""

    def __init__(self, book: SimBook, depth: int) -> None:
        self._book, self.depth = book, depth
        self.bids, self.asks = book.top_bids(depth), book.top_asks(depth)
        self.update_id = book.update_id
        self.pushes = 1
        self.last_push_ns = 0

    def advance(self, *, joinable: bool = False) -> tuple[int, Levels, Levels]:
        """Previous update id and the changed levels of both sides (0 lots: gone); the view is then up to date.

        `joinable` also names levels that changed and changed back, for clients who start from a snapshot taken in between.
        """
        before = self.update_id
        if before == self._book.update_id:
            return before, {}, {}
        bids, asks = self._book.top_bids(self.depth), self._book.top_asks(self.depth)
        changes = changed(self.bids, bids), changed(self.asks, asks)
        if joinable:
            for change, prices, levels in zip(changes, self._book.touched(before), (bids, asks), strict=True):
                change.update((price, levels.get(price, 0)) for price in prices)
        self.bids, self.asks, self.update_id = bids, asks, self._book.update_id
        self.pushes += 1
        return before, *changes


def changed(old: Levels, new: Levels) -> Levels:
    difference = {ticks: lots for ticks, lots in new.items() if old.get(ticks) != lots}
    difference.update((ticks, 0) for ticks in old if ticks not in new)
    return difference


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_text(ts_us: int, digits: int = 6) -> str:
    """RFC 3339 in UTC from microseconds, with that many digits of a second (0 for none)."""
    second, us = divmod(ts_us, 1_000_000)
    part = f"{us:06}".ljust(digits, "0")[:digits]
    return f"{_second_text(second)}{'.' if part else ''}{part}Z"


class SimVenue:
    """One venue: a market, its clients, its REST."""

    name: ClassVar[str]
    session_class: ClassVar[type[Session]]
    default_symbols: ClassVar[Sequence[str]] = CRYPTO_USDT
    stock: ClassVar[bool] = False
    shared_ids: ClassVar[bool] = False
    general_paths: ClassVar[frozenset[str]] = frozenset()  # last parts of paths that a recording need not hold
    timeframes: ClassVar[Mapping[str, Timeframe]]  # by the venue's name
    empty: ClassVar[Empty]  # what REST shows of an interval without a trade
    candle_mark: ClassVar[str]  # a part of the path of every question for candles
    root: ClassVar[str] = ""  # path of the venue's own base that may be repeated after our prefix

    def __init__(
        self,
        now_ns: Callable[[], int],
        later: Callable[..., object],
        *,
        seed: int = 1,
        symbols: Iterable[str] = (),
        limits: bool = True,
        recording: Recording | None = None,
        candle_files: CandleFiles | None = None,
        thin: Mapping[str, float] | None = None,
    ) -> None:
        self._now_ns, self.later, self.limits, self.recording = now_ns, later, limits, recording
        if recording is not None:
            symbols = self._recorded_listings(recording)
        elif candle_files is not None:
            symbols = candle_files.symbols
        self.listings: dict[str, Listing] = list_symbols(symbols or self.default_symbols, stock=self.stock)
        start_ms = now_ns() // 1_000_000
        self.market = Market(self.name, list(self.listings.values()), seed, start_ms, shared_ids=self.shared_ids, thin=thin)
        self.rows = Candles(self, candle_files)
        self.deck = Deck(seed_number(seed, self.name, "faults"))
        self.sessions: dict[Session, None] = {}
        self.watching: dict[tuple[str, ...], dict[Session, None]] = {}
        self.views: dict[tuple[str, ...], BookView] = {}
        self._days: dict[str, tuple[int, Bar]] = {}
        self.muted = False
        self.heard_frames = 0
        self.requests: list[str] = []  # targets of the latest REST requests, newest last
        self.refused = 0  # REST requests beyond the venue's own limits, or while it bans for that; faults do not count
        self.banned = Ban()
        self.accepted = 0
        self._books_ns = self._second_ns = now_ns()
        self._start_ms = now_ns() // 1_000_000

    # -- time -----------------------------------------------------------------------------------------------------

    def clock_ns(self) -> int:
        """True time: what limits and faults are counted on."""
        return self._now_ns()

    def now_ms(self) -> int:
        """The venue's own time, with its skew."""
        now_ns = self._now_ns()
        return (now_ns + (self.deck.skew_ns(now_ns) if self.deck.armed else 0)) // 1_000_000

    # -- the wire -------------------------------------------------------------------------------------------------

    def accept(self, request: Request) -> Session | Response:
        """A client wants a WebSocket."""
        now_ns = self.clock_ns()
        if self.deck.is_out(now_ns):
            return Response(b"", 503)
        refused = self.deck.first("refuse", now_ns, lambda fault: fault.on != "rest")
        if refused is not None:
            return refusal(refused)
        answer = self.handshake(request)
        if answer is not None:
            return answer
        self.accepted += 1
        return self.session_class(self, request)

    def handshake(self, request: Request) -> Response | None:
        """An answer other than 101, where the venue's own rules want one."""
        return None

    def rest(self, request: Request) -> Response:
        now_ns = self.clock_ns()
        self.requests.append(request.target)
        del self.requests[:-1000]

        def fits(fault: Fault) -> bool:
            return fault.on != "ws" and (fault.path or "") in request.target

        limited = self.limited(request) if self.limits else None
        if limited is not None:
            self.refused += 1
            response = limited
        else:
            response = self._faulty_answer(request, now_ns) or self._recorded_answer(request) or self.answer(request)
        slow = self.deck.first("slow", now_ns, fits)
        if slow is not None:
            response.delay_s += slow.by_s
        response.headers.setdefault("Date", formatdate(self.now_ms() // 1000, usegmt=True))
        return response

    def _faulty_answer(self, request: Request, now_ns: int) -> Response | None:
        """What a fault that refuses says in the place of an answer."""
        if not self.deck.armed:
            return None
        is_candles = self.candle_mark in request.path

        def fits(fault: Fault) -> bool:
            if fault.name in CANDLE_REFUSALS and fault.path is None and not is_candles:
                return False
            is_of = fault.symbol is None or any(name in request.target for name in self.spellings(fault.symbol))
            return fault.on != "ws" and (fault.path or "") in request.target and is_of

        if (fault := self.deck.first("refuse", now_ns, fits)) is not None:
            return refusal(fault)
        if (fault := self.deck.first("ban", now_ns, fits)) is not None:
            return self.ban_answer(int(fault.retry_after_s or fault.for_s or BAN_S))
        if (fault := self.deck.first("candle_429", now_ns, fits)) is not None:
            return self.limit_answer(None if fault.retry_after_s is None else int(fault.retry_after_s))
        if self.deck.first("error500", now_ns, fits) is not None:
            return server_error()
        return broken(self.deck, now_ns, fits)

    def spellings(self, symbol: str) -> Iterable[str]:
        """How a symbol may stand in a path or query."""
        return (symbol, self.venue_symbol(symbol)) if symbol in self.listings else (symbol,)

    def limited(self, request: Request) -> Response | None:
        """Counts a request by the venue's own rule: its answer when that is one too many, or while it bans."""
        return None

    def limit_answer(self, retry_after_s: int | None = None) -> Response:
        """How the venue says that there were too many requests."""
        raise NotImplementedError

    def ban_answer(self, left_s: int) -> Response:
        """How it says that nothing will be answered for a while; most have no other words for it."""
        return self.limit_answer(left_s)

    def answer(self, request: Request) -> Response:
        raise NotImplementedError

    # -- a recording in place of the market ------------------------------------------------------------------------

    def _recorded_answer(self, request: Request) -> Response | None:
        """None where the synthetic venue may answer: what lists instruments or tells the time, and all without a recording."""
        if self.recording is None:
            return None
        found = self.recording.answer(request)
        if found is None and not self.general_paths & set(request.path.split("/")[-1:]):
            return Response(b"not in the recording", 503, content_type="text/plain")
        return found

    def _recorded_listings(self, recording: Recording) -> list[str]:
        """The symbols of the recording, so that a client finds them in the list; those of an unknown quote are left out."""
        seen = dict.fromkeys(symbol for frame in recording.frames for symbol in self.recorded_symbols(frame.message))
        return [symbol for symbol in seen if self.stock or split_symbol(symbol) is not None]

    def recorded_symbols(self, message: Any) -> Iterable[str]:
        """Our names of the symbols that a recorded frame speaks of."""
        return ()

    def is_recorded_control(self, message: Any) -> bool:
        """Whether a recorded frame is an acknowledgement, which the venue makes up for the client that is there now."""
        return False

    # -- what happens ---------------------------------------------------------------------------------------------

    def step(self, count: int) -> int:
        """Let `count` things happen now and tell the clients; how many of them were trades."""
        trades, market = 0, self.market
        now_ms = self.now_ms()
        for _ in range(count):
            state, trade, quote_changed = market.next_event(now_ms)
            if trade is not None:
                trades += 1
                self.on_trade(state, trade)
            if quote_changed:
                self.on_quote(state, now_ms)
        return trades

    def tick(self, *, force: bool = False) -> None:
        """Do what is due by the clock: books, candles, heartbeats, pings, faults. `force` pushes books and candles now."""
        now_ns = self.clock_ns()
        if self.deck.armed:
            self.apply_faults(now_ns)
        if force or now_ns - self._books_ns >= BOOKS_EVERY_NS:
            self._books_ns = now_ns
            for state in self.market:
                state.follow_path(now_ns // 1_000_000)
            for topic, watchers in list(self.watching.items()):
                if topic[0] == "book":
                    self.on_book(topic, watchers, self.now_ms())
        if force or now_ns - self._second_ns >= SECOND_NS:
            self._second_ns = now_ns
            self.on_second(self.now_ms())
            for session in list(self.sessions):
                session.on_second(now_ns)
                if session.cut_at_ns is not None and now_ns >= session.cut_at_ns:
                    session.socket.close(1000)
                elif session.socket.waiting_bytes > SLOW_CLIENT_BYTES:
                    session.socket.close(1008, "slow consumer")

    def apply_faults(self, now_ns: int) -> None:
        self.muted = self.deck.is_muted(now_ns)
        stalled = self.deck.is_stalled(now_ns)
        for session in list(self.sessions):
            if session.socket.stalled != stalled:
                session.socket.stall(stalled)
        for armed in self.deck.due(now_ns):
            fault = armed.fault
            if fault.name == "move":
                self._move(fault.symbol, fault.bps if armed.total % 2 else -fault.bps, now_ns)
                continue
            for session in [session for session in self.sessions if session.covers(fault.symbol)]:
                if fault.name == "disconnect":
                    session.socket.abort()
                else:
                    session.announce_cut()
                    session.cut_at_ns = now_ns + int(fault.by_s * 1e9)

    def _move(self, symbol: str | None, bps: int, now_ns: int) -> None:
        for one in self.listings if symbol is None else [symbol] if symbol in self.listings else []:
            self.market.jump(one, bps, now_ns // 1_000_000)

    def view(self, topic: tuple[str, ...], symbol: str, depth: int) -> BookView:
        """The shared view of a book topic; it starts with its first listener."""
        found = self.views.get(topic)
        if found is None:
            found = self.views[topic] = BookView(self.market.symbols[symbol].book, depth)
        return found

    def tell(self, topic: tuple[str, ...], payload: bytes) -> None:
        """The same frame to all who listen to (channel, symbol, ...)."""
        for session in self.watching.get(topic, ()):
            session.push(topic[1], topic[0], payload)

    def on_trade(self, state: SymbolMarket, trade: Trade) -> None: ...

    def on_quote(self, state: SymbolMarket, now_ms: int) -> None: ...

    def on_book(self, topic: tuple[str, ...], watchers: Iterable[Session], now_ms: int) -> None: ...

    def on_second(self, now_ms: int) -> None: ...

    # -- candles --------------------------------------------------------------------------------------------------

    def candle_price(self, listing: Listing, ticks: int) -> str:
        """As REST writes the prices of candles."""
        return self.price_text(listing, ticks)

    def candle_size(self, listing: Listing, lots: int) -> str:
        return self.size_text(listing, lots)

    @classmethod
    def symbol_of(cls, venue_symbol: str) -> str | None:
        """Our name of a symbol as the venue or a file spells it; None where its quote is not known."""
        symbol = venue_symbol.replace("-", "").replace("/", "")
        return symbol if cls.stock or split_symbol(symbol) is not None else None

    @classmethod
    def candle_series(cls, request: Request) -> tuple[str, str]:
        """Our symbol and the venue's timeframe of a recorded question for candles. LookupError, ValueError: it is none."""
        raise NotImplementedError

    @classmethod
    def candle_numbers(cls, body: Any) -> Iterable[tuple[Any, ...]]:
        """Open time (ms), open, high, low, close, volume, perhaps turnover of each row of a recorded answer."""
        raise NotImplementedError

    def day_bar(self, state: SymbolMarket, now_ms: int) -> Bar:
        """The last 24 hours, to the minute; added up at most once a second."""
        known = self._days.get(state.symbol)
        if known is None or known[0] != now_ms // 1000:
            end_ms = now_ms // 60_000 * 60_000 + 60_000
            bar = state.bar(end_ms - 86_400_000, end_ms) or Bar(-1, state.close_before(end_ms))
            known = self._days[state.symbol] = (now_ms // 1000, bar)
        return known[1]

    # -- spelling and truth ---------------------------------------------------------------------------------------

    def venue_symbol(self, symbol: str) -> str:
        return symbol

    def our_symbol(self, venue_symbol: str) -> str | None:
        """None if it is not listed here."""
        return venue_symbol if venue_symbol in self.listings else None

    def price_text(self, listing: Listing, ticks: int) -> str:
        return decimal_text(ticks, listing.price_decimals)

    def size_text(self, listing: Listing, lots: int) -> str:
        return decimal_text(lots, listing.size_decimals)

    def id_text(self, trade: Trade) -> str:
        return str(trade.trade_id)

    def true_trade(self, listing: Listing, trade: Trade) -> TrueTrade:
        return TrueTrade(
            self.id_text(trade),
            self.price_text(listing, trade.ticks),
            self.size_text(listing, trade.lots),
            "buy" if trade.buy else "sell",
            trade.ts_ms * 1_000_000,
        )

    def trades(self, symbol: str, *, since_start: bool = True) -> list[TrueTrade]:
        """Every trade made while the simulation runs (without `since_start`: also the earlier ones of that hour)."""
        state = self.market.symbols[symbol]
        columns = state.live
        made = [columns.at(index) for index in range(len(columns))]
        first = state.first_live_number if since_start else 0
        return [self.true_trade(state.listing, trade) for trade in made if trade.number >= first]

    def book(self, symbol: str, depth: int = 20) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Bids and asks as they are now, best first, in the venue's digits."""
        state = self.market.symbols[symbol]
        return self.level_texts(state.listing, state.book.top_bids(depth)), self.level_texts(
            state.listing, state.book.top_asks(depth)
        )

    def level_texts(self, listing: Listing, levels: Levels) -> list[tuple[str, str]]:
        return [(self.price_text(listing, ticks), self.size_text(listing, lots)) for ticks, lots in levels.items()]

    def candles(self, symbol: str, start_ms: int, end_ms: int, length_ms: int = 60_000) -> list[tuple[int, Bar]]:
        """Open time (ms) and bar of each interval with a trade, start <= open < end."""
        found = self.rows.bars(symbol, Timeframe("", length_ms), start_ms, end_ms - 1)
        return [(open_ms, bar) for open_ms, bar in found if bar is not None]


def refusal(fault: Fault) -> Response:
    """The answer that a `refuse` fault gives."""
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(int(fault.retry_after_s))}
    return Response((fault.message or "").encode(), fault.status, headers, content_type="text/plain")


def server_error() -> Response:
    return Response(b"<html><body>500 Internal Server Error</body></html>", 500, content_type="text/html")


def broken(deck: Deck, now_ns: int, fits: Callable[[Fault], bool] = lambda fault: True) -> Response | None:
    """What the faults `garbage`, `empty` and `hang` say in the place of an answer."""
    if deck.first("garbage", now_ns, fits) is not None:
        return Response(GARBAGE[deck.turn("garbage") % len(GARBAGE)])
    if deck.first("empty", now_ns, fits) is not None:
        return Response(b"[]")
    if deck.first("hang", now_ns, fits) is not None:
        return Response(delay_s=NEVER_S)
    return None
