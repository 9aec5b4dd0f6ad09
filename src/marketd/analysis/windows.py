"""The trades and the last quote of one symbol over the last minute of event time, kept so that every feature is at hand.

A trade enters the sums once and leaves them once, whenever they are next asked for; between, only two pointers move.
Sums are whole numbers of 2**-100: what was added is taken away again without a trace, so nothing drifts and nothing needs to
be summed anew, and the result is that of adding the doubles exactly (docs/decisions/feature-windows.md).
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from math import log, log1p, sqrt

from marketd.analysis.latencies import NONE, TENTH_NS, Latencies
from marketd.analysis.payloads import Values
from marketd.analysis.spreads import is_older, spread_of
from marketd.model.events import Quote, Trade

SECOND = 1_000_000_000
SHORT_NS, LONG_NS = 10 * SECOND, 60 * SECOND
# A venue's clock may be so far ahead of ours. One event moves a window for good: what may be stored need not be believed here.
AHEAD_NS = 60 * SECOND
REAL_NS = 946_684_800 * SECOND  # 2000-01-01: recordings without receive times count up from zero
TIME_MAX = 1 << 63
NEVER = -(1 << 100)  # before any event time
LARGEST = 1e100  # of a price or a size; a product of two is still a number
SPARE = 1_024  # trades that left and are not swept away yet, at least
UNIT = 2.0**100
_UNIT = 1 << 100


class Window:
    """Of one symbol at one venue. It stands at `now`, the newest event time seen, and holds (now - window, now].

    Trades lie in columns, by time: from `_head` those of the minute, from `_mid` those of the last ten seconds. The sums
    hold the trades from `_out_long` (ten seconds: `_out_short`) up to `_in`; `_settle` brings them up to date.
    """

    __slots__ = (
        "_head", "_highest", "_id", "_ids", "_in", "_latencies", "_latency", "_mid", "_out_long", "_out_short",
        "_price", "_quote_t", "_size", "_size_long", "_size_short", "_spread", "_squares", "_steps", "_t", "_value_long",
        "_value_short", "duplicates", "first", "late", "long_ns", "now", "quote", "short_ns", "trade", "unusable",
    )  # fmt: skip

    def __init__(self, window_ns: int = LONG_NS) -> None:
        self.long_ns, self.short_ns = min(window_ns, LONG_NS), min(window_ns, SHORT_NS)
        self.late = self.duplicates = self.unusable = 0
        self.clear()

    def clear(self) -> None:
        """Forget every event; what was counted stays counted."""
        self.now = self.first = NEVER  # event times of the newest and the first event, ns
        self.trade: Trade | None = None  # the newest
        self.quote: Quote | None = None  # the newest
        self._quote_t = NEVER
        self._spread: tuple[float, float, float] | tuple[()] | None = None  # of the quote, once it was asked for
        self._t, self._price, self._size = array("q"), array("d"), array("d")
        self._latency = array("q")  # tenths of a millisecond, or NONE
        self._id: list[str] = []
        self._highest = ""  # id so far, by its length first: the order of numbers
        self._ids: set[str] | None = None  # of the trades in the window, once one of them was no number
        self._head = self._mid = self._in = self._out_short = self._out_long = 0
        self._size_short = self._value_short = self._size_long = self._value_long = 0
        self._steps = self._squares = 0
        self._latencies = Latencies()

    @property
    def has_begun(self) -> bool:
        return self.now != NEVER

    # What comes

    def add_trade(self, trade: Trade) -> bool:
        """Whether it counts: False for one that is older than the window, came before, or cannot be."""
        t, latency = trade.ts_event, NONE
        if t is None:
            t = trade.ts_recv
        else:
            lag = trade.ts_recv - t
            if -AHEAD_NS <= lag < TIME_MAX:
                if not trade.repaired:  # else it tells how long the repair took, not the line
                    latency = lag // TENTH_NS
            elif trade.ts_recv > REAL_NS:
                self.unusable += 1
                return False
        now = self.now
        if t <= now - self.long_ns:
            self.late += 1
            return False
        number = trade.trade_id
        digits, highest = len(number), self._highest
        is_highest = False
        if (digits > len(highest) or (digits == len(highest) and number > highest)) and self._ids is None and number.isdecimal():
            self._highest, is_highest = number, True  # ids rise: a higher one never came before
        elif number and self._came_before(t, number):  # other producers may give none
            self.duplicates += 1
            return False
        try:
            price, size = float(trade.price), float(trade.size)
        except ValueError:
            price = size = -1.0
        if not (0.0 < price < LARGEST and 0.0 <= size < LARGEST):
            self.unusable += 1
            return False
        if t > now:
            if not 0 <= t < TIME_MAX:
                self.unusable += 1
                return False
            self.advance(t)
        elif t < self.first:
            self.first = t
        if self._ids is not None:
            self._ids.add(number)
        times = self._t
        if self._head == len(times) or t > times[-1] or (is_highest and t == times[-1]):
            if t <= self.now - self.short_ns:
                self._mid += 1
            times.append(t)
            self._price.append(price)
            self._size.append(size)
            self._latency.append(latency)
            self._id.append(number)
            self.trade = trade
        else:
            self._insert(t, number, price, size, latency, trade)
        return True

    def add_quote(self, quote: Quote) -> bool:
        """Whether it is the newest quote now."""
        t = quote.ts_event
        if t is None:
            t = quote.ts_recv
        elif t - quote.ts_recv > AHEAD_NS and quote.ts_recv > REAL_NS:
            self.unusable += 1
            return False
        now = self.now
        if t <= now - self.long_ns:
            self.late += 1
            return False
        if t > now:
            if not 0 <= t < TIME_MAX:
                self.unusable += 1
                return False
            self.advance(t)
        elif t < self.first:
            self.first = t
        if t < self._quote_t or (t == self._quote_t and is_older(quote, self.quote)):
            return False
        self.quote, self._quote_t, self._spread = quote, t, None
        return True

    def advance(self, t: int) -> None:
        """The time is `t` now: what is older than the windows leaves them."""
        if self.now == NEVER:
            self.first = t
        self.now = t
        times, at = self._t, self._mid
        count = len(times)
        end = t - self.short_ns
        while at < count and times[at] <= end:
            at += 1
        self._mid = at
        at = self._head
        end = t - self.long_ns
        if at < count and times[at] <= end:
            ids = self._ids
            while at < count and times[at] <= end:
                if ids is not None:
                    ids.discard(self._id[at])
                at += 1
            self._head = at
            if at > SPARE and at > count >> 1:
                self._sweep()

    def _came_before(self, t: int, number: str) -> bool:
        """Whether a trade of this id is in the window: looked for among those of its moment first."""
        if self._ids is None:
            if number.isdecimal():
                start, known = self._head, self._id
                at = bisect_left(self._t, t, start)
                return number in known[at : bisect_right(self._t, t, at)] or number in known[start:]
            self._ids = set(self._id[self._head :])
        return number in self._ids

    def _insert(self, t: int, number: str, price: float, size: float, latency: int, trade: Trade) -> None:
        """Where it belongs by its time; among equal times by its id, where ids are numbers, else by arrival."""
        times, count = self._t, len(self._t)
        at = bisect_right(times, t, self._head)
        if number.isdecimal():
            of_equals = bisect_left(times, t, self._head)
            while at > of_equals and _is_less(number, self._id[at - 1]):
                at -= 1
        is_settled = at < self._in
        if is_settled:
            self._settle()
        if t <= self.now - self.short_ns:
            self._mid += 1
        times.insert(at, t)
        self._price.insert(at, price)
        self._size.insert(at, size)
        self._latency.insert(at, latency)
        self._id.insert(at, number)
        if at == count:
            self.trade = trade
        if is_settled:
            self._in, self._out_short = count + 1, self._mid
            price_of = self._price
            before, behind = at > self._head, at < count
            if before and behind:
                self._count_step(_step(price_of[at - 1], price_of[at + 1]), -1)
            if before:
                self._count_step(_step(price_of[at - 1], price), 1)
            if behind:
                self._count_step(_step(price, price_of[at + 1]), 1)
            self._size_long += int(size * UNIT)
            self._value_long += int(price * size * UNIT)
            if at >= self._mid:
                self._size_short += int(size * UNIT)
                self._value_short += int(price * size * UNIT)
            self._latencies.add((latency,))

    def _sweep(self) -> None:
        """Let go of the trades that left."""
        self._settle()
        gone = self._head
        for column in (self._t, self._price, self._size, self._latency, self._id):
            del column[:gone]
        self._highest = max(self._id, key=lambda number: (len(number), number), default="")
        self._head = self._out_long = 0
        self._mid -= gone
        self._out_short -= gone
        self._in -= gone

    # What it adds up to

    def _settle(self) -> None:
        """Bring the sums up to date: each trade enters once and leaves once."""
        count, head, mid, entered = len(self._t), self._head, self._mid, self._in
        if entered == count and self._out_short == mid and self._out_long == head:
            return
        gone, new, first = min(head, entered), max(head, entered), max(mid, entered)
        size_new, value_new = self._sum(first, count)
        size, value = self._sum(self._out_short, min(mid, entered))
        self._size_short += size_new - size
        self._value_short += value_new - value
        size_old, value_old = self._sum(new, first)
        size, value = self._sum(self._out_long, gone)
        self._size_long += size_new + size_old - size
        self._value_long += value_new + value_old - value
        self._sum_steps(self._out_long, min(head + 1, entered), -1)
        self._sum_steps(max(head, entered - 1), count, 1)
        self._latencies.remove(self._latency[self._out_long : gone])
        self._latencies.add(self._latency[new:count])
        self._in, self._out_short, self._out_long = count, mid, head

    def _sum(self, start: int, stop: int) -> tuple[int, int]:
        """Sizes, and prices times sizes, of some trades."""
        sizes = values = 0
        if start < stop:
            unit = UNIT
            for price, size in zip(self._price[start:stop], self._size[start:stop], strict=True):
                scaled = size * unit
                sizes += int(scaled)
                values += int(price * scaled)
        return sizes, values

    def _sum_steps(self, start: int, stop: int, sign: int) -> None:
        """The log returns between the trades of [start, stop)."""
        if stop - start < 2:
            return
        prices = self._price[start:stop]
        steps = squares = 0
        before = prices[0]
        for price in prices:
            if price != before:
                step = _step(before, price)
                steps += step
                squares += step * step
                before = price
        self._steps += sign * steps
        self._squares += sign * squares

    def _count_step(self, step: int, sign: int) -> None:
        self._steps += sign * step
        self._squares += sign * step * step

    # What it makes

    def values(self) -> Values:
        """All eleven, as of `now`."""
        self._settle()
        mid, wide, bps = self.spread() or (None, None, None)
        return Values(
            mid, wide, bps, self.vwap_short(), self.vwap_long(), self.count(), self.volume(), self.change(),
            self.volatility(), *self._latencies.percentiles((50, 95)),
        )  # fmt: skip

    def spread(self) -> tuple[float, float, float] | None:
        """Mid, ask less bid, and that in 1/10000 of the mid, of the last quote: None if it is older than the window, if a
        side is missing, or if it is crossed.
        """
        if self.quote is None or self._quote_t <= self.now - self.long_ns:
            return None
        if self._spread is None:
            self._spread = spread_of(self.quote)
        return self._spread or None

    def mid(self) -> float | None:
        spread = self.spread()
        return spread[0] if spread else None

    def spread_abs(self) -> float | None:
        spread = self.spread()
        return spread[1] if spread else None

    def spread_bps(self) -> float | None:
        spread = self.spread()
        return spread[2] if spread else None

    def vwap_short(self) -> float | None:
        self._settle()
        return self._value_short / self._size_short if self._size_short else None

    def vwap_long(self) -> float | None:
        self._settle()
        return self._value_long / self._size_long if self._size_long else None

    def count(self) -> int | None:
        return None if self.trade is None else len(self._t) - self._mid

    def volume(self) -> float | None:
        self._settle()
        return None if self.trade is None else self._size_short / _UNIT

    def change(self) -> float | None:
        """The last price against the one in force ten seconds ago; where none is known, against the first one since."""
        prices, first = self._price, self._mid
        last = len(prices) - 1
        if first > last:
            return None
        if first > self._head:
            first -= 1
        return None if first == last else prices[last] / prices[first] - 1.0

    def volatility(self) -> float | None:
        steps = len(self._t) - self._head - 1
        if steps < 2:
            return None
        self._settle()
        spread = steps * self._squares - self._steps * self._steps
        return sqrt(spread / (steps * (steps - 1))) / UNIT

    def latency_p50(self) -> float | None:
        self._settle()
        return self._latencies.percentiles((50,))[0]

    def latency_p95(self) -> float | None:
        self._settle()
        return self._latencies.percentiles((95,))[0]


READ: dict[str, Callable[[Window], float | None]] = {
    "mid": Window.mid,
    "spread_abs": Window.spread_abs,
    "spread_bps": Window.spread_bps,
    "trade_vwap_10s": Window.vwap_short,
    "trade_vwap_60s": Window.vwap_long,
    "trade_count_10s": Window.count,
    "trade_volume_10s": Window.volume,
    "return_10s": Window.change,
    "realized_vol_60s": Window.volatility,
    "latency_ms_p50": Window.latency_p50,
    "latency_ms_p95": Window.latency_p95,
}


def _step(before: float, after: float) -> int:
    """The log return in units. Of near prices by log1p, since a ratio near one has lost the digits that matter."""
    if before == after:
        return 0
    ratio = after / before
    return int((log1p((after - before) / before) if 0.5 < ratio < 2.0 else log(after) - log(before)) * UNIT)


def _is_less(number: str, other: str) -> bool:
    """Of two ids of one moment, where both are numbers."""
    return other.isdecimal() and (len(number), number) < (len(other), other)
