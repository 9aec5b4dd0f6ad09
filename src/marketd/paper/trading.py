"""One step of the paper trader: books, a look at the market and the settings in, what changed out; no clock, I/O or chance."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby, pairwise

from marketd.model.events import Side
from marketd.model.exact import exact, fee_of, plain
from marketd.model.paper import EquityPoint, Fill, Order, Refusal, Seen, Why
from marketd.model.timeframes import timeframe
from marketd.paper.account import Account, Position
from marketd.paper.books import Books, Step
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Advice, Look, Prices
from marketd.paper.terms import exit_of, levels, price_paid, quote_paid, side_of, size_of

SECOND = 1_000_000_000


@exact
def step(books: Books, look: Look, terms: PaperConfig) -> Step:
    """Exits by every candle that closed up to the boundary, oldest first; then the signals of candles that closed at it.

    The same look again changes nothing. A look at the boundary that was stepped over already takes what came late.
    """
    assert look.boundary >= books.boundary, "boundaries go on"
    stepping = _Stepping(books, look, terms)
    stepping.judge()
    stepping.decide()
    return stepping.done()


class _Stepping:
    def __init__(self, books: Books, look: Look, terms: PaperConfig) -> None:
        self._books, self._look, self._terms = books, look, terms
        self._step = timeframe(terms.timeframe).step
        self._account: Account = books.account
        self._equity = books.equity
        self._seen: dict[str, Seen] = {}
        self._marks = books.marks
        self._decided = set(books.decided) if look.boundary == books.boundary else set()
        self._orders: list[Order] = []
        self._fills: list[Fill] = []
        self._points: list[EquityPoint] = []
        self._troubles: list[str] = []

    def done(self) -> Step:
        books = Books(
            self._account, self._look.boundary, self._equity, {**self._books.seen, **self._seen}, frozenset(self._decided)
        )
        return Step(books, self._orders, self._fills, self._points, self._seen, self._troubles)

    def judge(self) -> None:
        """Let the candles close what they close, boundary by boundary, and say at each how the account stands."""
        closing: dict[int, list[tuple[str, Prices]]] = defaultdict(list)
        for symbol in sorted(self._look.sights):
            for candle in self._news(symbol):
                closing[candle.open_time + self._step].append((symbol, candle))
        last, before = self._look.boundary, self._books.boundary
        for boundary in sorted({*closing, last}):
            for symbol, candle in closing.get(boundary, ()):
                self._judge(symbol, candle)
            if boundary > before and (before or boundary == last):  # books begin where they were opened
                self._points.append(self._point(boundary))
                self._equity = self._points[-1].equity

    def _news(self, symbol: str) -> Sequence[Prices]:
        """Closed candles of a symbol that were not judged yet; of one never seen, the last."""
        last = self._look.boundary - self._step
        candles = [one for one in self._look.sights[symbol].closed if one.open_time <= last]
        seen = self._books.seen.get(symbol)
        if seen is None:
            return candles[-1:]
        candles = [one for one in candles if one.open_time > seen.open_time]
        if symbol in self._account.positions:
            times = [seen.open_time, *(one.open_time for one in candles)]
            lacking = sum((later - earlier) // self._step - 1 for earlier, later in pairwise(times))
            if lacking:
                self._troubles.append(
                    f"{symbol}: {lacking} candles are missing while it is held; stop and take-profit are judged by those after"
                )
        return candles

    def _judge(self, symbol: str, candle: Prices) -> None:
        self._seen[symbol] = Seen(candle.open_time, candle.close)
        self._marks[symbol] = candle.close
        held = self._account.positions.get(symbol)
        closes = candle.open_time + self._step
        if held is None or held.ts >= closes:
            return
        if held.ts > candle.open_time:  # a quote filled it inside of the candle, whose high and low may be from before
            candle = Prices(candle.open_time, *[candle.close] * 4)
        found = exit_of(held, candle)
        if found is None:
            return
        side: Side = "sell" if held.is_long else "buy"
        price = price_paid(found.price, side, self._terms)
        order = f"{held.order}:exit"
        detail = f"{'stop' if found.why == 'stop' else 'take-profit'} at {plain(found.price)}"
        self._order(order, held.venue, symbol, side, found.why, closes, detail)
        self._close(order, held, found.why, price, closes)

    def _point(self, boundary: int) -> EquityPoint:
        account = self._account
        equity = account.equity(self._marks)
        return EquityPoint(
            boundary, account.cash, equity - account.cash, account.realised, account.unrealised(self._marks), account.fees,
            len(account.positions),
        )  # fmt: skip

    def decide(self) -> None:
        """Signals by symbol and rule; each is decided once and for good. Those of candles yet to close wait."""
        due = {one.id: one for one in self._look.advices if one.close_time <= self._look.boundary and one.id not in self._decided}
        ordered = sorted(due.values(), key=lambda one: (one.symbol, one.rule, one.id))
        for _, group in groupby(ordered, key=lambda one: one.symbol):
            advices = list(group)
            is_split = len({one.direction for one in advices if not self._age(one)}) > 1
            for advice in advices:
                self._decide(advice, is_split)
                self._decided.add(advice.id)

    def _decide(self, advice: Advice, is_split: bool) -> None:
        held = self._account.positions.get(advice.symbol)
        side = side_of(advice.direction)
        why: Why = "entry" if held is None else "signal"
        found = self._objection(advice, held, is_split)
        price, words = (None, "") if found else self._price(advice.symbol, side)
        if price is None:
            refusal, detail = found or ("no_price", words)
            self._order(advice.id, advice.venue, advice.symbol, side, why, advice.close_time, detail, refusal)
            return
        ts = self._look.boundary if self._terms.fill == "next_open" else self._look.now
        if held is not None:
            self._order(advice.id, held.venue, advice.symbol, side, why, advice.close_time, advice.reasons)
            self._close(advice.id, held, "signal", price, ts)
            return
        size, lacking = size_of(self._account, self._equity, price, self._terms)
        self._order(
            advice.id, advice.venue, advice.symbol, side, why, advice.close_time,
            lacking or advice.reasons, "cash" if lacking else None,
        )  # fmt: skip
        if not lacking:
            stop, gain = levels(price, advice.direction, self._terms)
            fee = fee_of(price * size, self._terms.fee_bps)
            self._fill(
                Fill(advice.id, advice.venue, advice.symbol, side, "entry", price, size, fee, ts, stop=stop, take_profit=gain)
            )

    def _objection(self, advice: Advice, held: Position | None, is_split: bool) -> tuple[Refusal, str] | None:
        """Why nothing is done about a signal, before its price is asked for."""
        terms, symbol = self._terms, advice.symbol
        if age := self._age(advice):
            return "stale", age
        if doubt := advice.doubt or self._doubt(symbol):
            return "doubtful", doubt
        if is_split:
            return "contradicting", "rules say long and short of the same candle"
        if held is not None and held.is_long == (advice.direction == "long"):
            return "holding", f"{symbol} is held {advice.direction} already"
        other = next((one for one in self._account.positions.values() if one.venue != advice.venue), None)
        if other is not None:
            return "other_venue", f"positions are open on {other.venue}, the signal is of {advice.venue}"
        if held is not None:
            return None
        if advice.direction == "short" and not terms.allow_short:
            return "no_short", "nothing is held to be closed, and paper.allow_short is false"
        closed_at = self._account.closed_at.get(symbol)
        if closed_at is not None:
            passed = self._look.boundary // self._step - closed_at // self._step
            if passed < terms.cooldown_candles:
                return "cooldown", f"{passed} of {terms.cooldown_candles} candles since it was closed"
        if len(self._account.positions) >= terms.positions_max:
            return "positions_max", f"{terms.positions_max} positions are open"
        return None

    def _age(self, advice: Advice) -> str:
        """Why a signal is too old; empty if it is not."""
        if advice.close_time < self._look.boundary:
            return "a newer candle has closed"
        late_s = (self._look.now - advice.close_time) // SECOND
        return f"its candle closed {late_s} s ago" if late_s * SECOND > self._step else ""

    def _doubt(self, symbol: str) -> str:
        sight = self._look.sights.get(symbol)
        seen = self._seen.get(symbol) or self._books.seen.get(symbol)
        if sight is None or seen is None or seen.open_time + self._step != self._look.boundary:
            return "its candle is not in the cache"
        return sight.doubt

    def _price(self, symbol: str, side: Side) -> tuple[Decimal | None, str]:
        """What is paid or got now, or None and why it is not known."""
        sight, terms = self._look.sights[symbol], self._terms
        if terms.fill == "next_open":
            opens = sight.opens
            if opens is None or opens.open_time != self._look.boundary:
                return None, "the candle after it is not in the cache, or nothing was traded in it yet"
            return price_paid(opens.open, side, terms), ""
        if sight.quote is None:
            return None, "no bid and ask in the cache"
        age_s = (self._look.now - sight.quote.ts) / SECOND
        if age_s > terms.stale_s:
            return None, f"the quote is {age_s:.0f} s old, {terms.stale_s:g} are allowed"
        if sight.quote.bid > sight.quote.ask:
            return None, f"the bid {plain(sight.quote.bid)} is above the ask {plain(sight.quote.ask)}"
        return quote_paid(sight.quote, side, terms), ""

    def _order(
        self, id: str, venue: str, symbol: str, side: Side, why: Why, ts: int, detail: str,
        refusal: Refusal | None = None,
    ) -> None:  # fmt: skip
        self._orders.append(Order(id, venue, symbol, side, why, ts, refusal, detail))

    def _close(self, order: str, held: Position, why: Why, price: Decimal, ts: int) -> None:
        size = abs(held.size)
        fee = fee_of(price * size, self._terms.fee_bps)
        side: Side = "sell" if held.is_long else "buy"
        self._fill(Fill(order, held.venue, held.symbol, side, why, price, size, fee, ts, closes=held.order))

    def _fill(self, fill: Fill) -> None:
        self._account = self._account.after(fill)
        self._fills.append(fill)
