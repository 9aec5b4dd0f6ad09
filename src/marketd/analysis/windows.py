"""The trades and the last quote of one symbol over the last minute of event time, kept so that every feature is at hand.

Each trade is looked at a fixed number of times: when it comes, when it leaves the ten seconds, when it leaves the minute.
Sums are whole numbers of 2**-100: what was added is taken away again without a trace, so nothing drifts and nothing needs to
be summed anew, and the result is that of adding the doubles exactly (docs/decisions/feature-windows.md).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from math import inf, log, log1p, sqrt

import msgspec

from marketd.analysis.payloads import Values
from marketd.model.events import Quote, Trade

SECOND = 1_000_000_000
SHORT_NS, LONG_NS = 10 * SECOND, 60 * SECOND
FUTURE_NS = 3_600 * SECOND  # a venue's clock may be off by minutes; an hour is no clock error
REAL_NS = 946_684_800 * SECOND  # 2000-01-01: recordings without receive times count up from zero
NEVER = -(1 << 100)  # before any event time
LATENCY_NS = 100_000  # latencies are counted in tenths of a millisecond
COARSE = 7  # bits: latencies are found by classes of 128 tenths first
UNIT = 2.0**100
_UNIT = 1 << 100
_BPS = Decimal(10_000)


class Row(msgspec.Struct, gc=False):
    """One trade in the window."""

    t: int  # event time, ns
    id: str
    price: float
    size: int  # units
    value: int  # price times size, units
    step: int  # log return from the row before it, units; 0 in the first row
    latency: int | None  # tenths of a millisecond


class Window:
    """Of one symbol at one venue. It stands at `now`, the newest event time seen, and holds (now - window, now]."""

    __slots__ = (
        "_coarse", "_fine", "_ids", "_last", "_latencies", "_old", "_quote_t", "_recent", "_size_long", "_size_short",
        "_spread", "_squares", "_steps", "_value_long", "_value_short", "duplicates", "first", "late", "long_ns", "now",
        "quote", "short_ns", "trade", "unusable",
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
        self._recent: deque[Row] = deque()  # the last ten seconds
        self._old: deque[Row] = deque()  # the rest of the minute
        self._last: Row | None = None  # the newest row, in whichever of the two
        self._ids: set[str] = set()
        self._size_short = self._value_short = self._size_long = self._value_long = 0
        self._steps = self._squares = 0
        self._latencies = 0
        self._fine: dict[int, int] = {}  # tenths of a millisecond -> trades
        self._coarse: dict[int, int] = {}

    @property
    def has_begun(self) -> bool:
        return self.now != NEVER

    # What comes

    def add_trade(self, trade: Trade) -> bool:
        """Whether it counts: False for one that is older than the window, came before, or cannot be."""
        t, latency = trade.ts_event, None
        if t is None:
            t = trade.ts_recv
        else:
            lag = trade.ts_recv - t
            if lag >= -FUTURE_NS:
                if not trade.repaired:  # else it tells how long the repair took, not the line
                    latency = lag // LATENCY_NS
            elif trade.ts_recv > REAL_NS:
                self.unusable += 1
                return False
        now = self.now
        if t <= now - self.long_ns:
            self.late += 1
            return False
        ids, number = self._ids, trade.trade_id
        if number in ids and number:  # other producers may give none
            self.duplicates += 1
            return False
        try:
            price = float(trade.price)
            amount = float(trade.size)
            size, value = int(amount * UNIT), int(price * amount * UNIT)
        except (ValueError, OverflowError):
            price = amount = -1.0
        if not (0.0 < price < inf and amount >= 0.0):
            self.unusable += 1
            return False
        if t > now:
            self.advance(t)
        ids.add(number)
        row, last = Row(t, number, price, size, value, 0, latency), self._last
        if t > self.now - self.short_ns:
            self._size_short += size
            self._value_short += value
            if last is None or t > last.t:
                self._recent.append(row)
                self._last, self.trade = row, trade
                if last is not None and price != last.price:
                    row.step = step = _step(last.price, price)
                    self._steps += step
                    self._squares += step * step
            else:
                self._insert(self._recent, row, trade)
        else:
            self._insert(self._old, row, trade)
        self._size_long += size
        self._value_long += value
        if latency is not None:
            self._latencies += 1
            fine, coarse, at = self._fine, self._coarse, latency >> COARSE
            fine[latency] = fine.get(latency, 0) + 1
            coarse[at] = coarse.get(at, 0) + 1
        return True

    def add_quote(self, quote: Quote) -> bool:
        """Whether it is the newest quote now, or moved the time."""
        t = quote.ts_event
        if t is None:
            t = quote.ts_recv
        elif t - quote.ts_recv > FUTURE_NS and quote.ts_recv > REAL_NS:
            self.unusable += 1
            return False
        now = self.now
        if t <= now - self.long_ns:
            self.late += 1
            return False
        if t < self._quote_t or (t == self._quote_t and _is_before(quote, self.quote)):
            return False
        self.quote, self._quote_t, self._spread = quote, t, None
        if t > now:
            self.advance(t)
        return True

    def advance(self, t: int) -> None:
        """The time is `t` now: what is older than the windows leaves them."""
        if self.now == NEVER:
            self.first = t
        self.now = t
        recent, old = self._recent, self._old
        end = t - self.short_ns
        while recent and recent[0].t <= end:
            row = recent.popleft()
            self._size_short -= row.size
            self._value_short -= row.value
            old.append(row)
        end = t - self.long_ns
        while old and old[0].t <= end:
            self._drop(old.popleft())

    def _drop(self, row: Row) -> None:
        self._ids.discard(row.id)
        self._size_long -= row.size
        self._value_long -= row.value
        latency = row.latency
        if latency is not None:
            self._latencies -= 1
            fine, coarse, at = self._fine, self._coarse, latency >> COARSE
            if fine[latency] == 1:
                del fine[latency]
            else:
                fine[latency] -= 1
            if coarse[at] == 1:
                del coarse[at]
            else:
                coarse[at] -= 1
        first = self._old[0] if self._old else self._recent[0] if self._recent else None
        if first is None:
            self._last = None
        elif first.step:
            self._set_step(first, 0)

    def _insert(self, home: deque[Row], row: Row, trade: Trade) -> None:
        """Where it belongs by its time; among equal times by its id, where ids are numbers, else by arrival."""
        recent, old = self._recent, self._old
        at = bisect_right(home, _place(row), key=_place)
        home.insert(at, row)
        before = home[at - 1] if at else old[-1] if home is recent and old else None
        behind = home[at + 1] if at + 1 < len(home) else recent[0] if home is old and recent else None
        if before is not None:
            self._set_step(row, _step(before.price, row.price))
        if behind is None:
            self._last, self.trade = row, trade
        else:
            self._set_step(behind, _step(row.price, behind.price))

    def _set_step(self, row: Row, step: int) -> None:
        self._steps += step - row.step
        self._squares += step * step - row.step * row.step
        row.step = step

    # What it makes

    def values(self) -> Values:
        """All eleven, as of `now`."""
        mid, wide, bps = self.spread() or (None, None, None)
        return Values(
            mid, wide, bps, self.vwap_short(), self.vwap_long(), self.count(), self.volume(), self.change(),
            self.volatility(), self.latency_p50(), self.latency_p95(),
        )  # fmt: skip

    def spread(self) -> tuple[float, float, float] | None:
        """Mid, ask less bid, and that in 1/10000 of the mid, of the last quote: None if it is older than the window, if a
        side is missing, or if it is crossed.
        """
        if self.quote is None or self._quote_t <= self.now - self.long_ns:
            return None
        if self._spread is None:
            self._spread = _spread(self.quote)
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
        return self._value_short / self._size_short if self._size_short else None

    def vwap_long(self) -> float | None:
        return self._value_long / self._size_long if self._size_long else None

    def count(self) -> int | None:
        return None if self.trade is None else len(self._recent)

    def volume(self) -> float | None:
        return None if self.trade is None else self._size_short / _UNIT

    def change(self) -> float | None:
        """The last price against the one in force ten seconds ago; where none is known, against the first one since."""
        recent = self._recent
        if not recent:
            return None
        first, last = self._old[-1] if self._old else recent[0], recent[-1]
        return None if first is last else last.price / first.price - 1.0

    def volatility(self) -> float | None:
        steps = len(self._old) + len(self._recent) - 1
        if steps < 2:
            return None
        spread = steps * self._squares - self._steps * self._steps
        return sqrt(spread / (steps * (steps - 1))) / UNIT

    def latency_p50(self) -> float | None:
        return self._latency((self._latencies + 1) // 2)

    def latency_p95(self) -> float | None:
        return self._latency((95 * self._latencies + 99) // 100)

    def _latency(self, rank: int) -> float | None:
        """The rank-th smallest, from 1."""
        for at in sorted(self._coarse):
            if rank > self._coarse[at]:
                rank -= self._coarse[at]
                continue
            for latency in range(at << COARSE, (at + 1) << COARSE):
                rank -= self._fine.get(latency, 0)
                if rank <= 0:
                    return latency / 10
        return None


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


def _place(row: Row) -> tuple[int, int, str]:
    number = row.id
    return (row.t, len(number), number) if number.isdecimal() else (row.t, 0, "")


def _is_before(quote: Quote, other: Quote | None) -> bool:
    """Of two quotes of one moment, by the venue's numbers; without them the later to come is the newer."""
    return other is not None and quote.seq is not None and other.seq is not None and quote.seq < other.seq


def _spread(quote: Quote) -> tuple[float, float, float] | tuple[()]:
    try:
        bid, ask = Decimal(quote.bid), Decimal(quote.ask)
        if not 0 < bid <= ask < inf:
            return ()
        mid = (bid + ask) / 2
        return float(mid), float(ask - bid), float((ask - bid) * _BPS / mid)
    except ArithmeticError:
        return ()
