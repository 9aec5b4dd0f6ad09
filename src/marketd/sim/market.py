"""A seeded synthetic market: order books of exact ticks and lots, trades, quotes and candles, one per symbol."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile

from marketd.sim.candles import Timeframe
from marketd.sim.history import HOUR_MS, LISTED_MS, MINUTE_MS, TRADES_PER_HOUR, Bar, Columns, History, Path, Trade, seed_number
from marketd.sim.symbols import Listing

LEVELS = 100  # a side
TOUCHED_MAX = 8192  # prices a side whose last change is remembered
FIVE_MS = 5 * MINUTE_MS
KEEP = 2_000_000  # live trades remembered per symbol; the oldest half goes when there are more
BUSY = 3  # of many symbols so many are traded most


class SimBook:
    """Both sides of one market: dense levels `step` ticks apart, sizes in lots, never crossed, never empty."""

    def __init__(self, best_bid: int, step: int, draw: random.Random, lots: int) -> None:
        self.step = step
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.best_bid = self.best_ask = 0
        self.update_id = 0  # grows by one with every change of any level
        self._touched: tuple[dict[int, int], dict[int, int]] = ({}, {})  # bids, asks: price -> update id, newest last
        self._draw, self._lots = draw, lots
        self.relocate(best_bid)

    def level_size(self) -> int:
        return self._lots + self._draw.randrange(self._lots * 8)

    def relocate(self, best_bid: int) -> None:
        """Move the whole book at once."""
        step = self.step
        best_bid = max(best_bid // step, LEVELS + 1) * step
        self.best_bid, self.best_ask = best_bid, best_bid + step
        old_bids, old_asks = self.bids, self.asks
        self.bids = {p: old_bids.get(p) or self.level_size() for p in (best_bid - i * step for i in range(LEVELS))}
        self.asks = {p: old_asks.get(p) or self.level_size() for p in (best_bid + (i + 1) * step for i in range(LEVELS))}
        self.update_id += LEVELS
        for side, olds, news in ((0, old_bids, self.bids), (1, old_asks, self.asks)):
            for price in olds.keys() | news.keys():
                if olds.get(price) != news.get(price):
                    self._touch(side, price)

    def _touch(self, side: int, price: int) -> None:
        touched = self._touched[side]
        touched.pop(price, None)
        touched[price] = self.update_id
        if len(touched) > TOUCHED_MAX:
            for old in list(touched)[: TOUCHED_MAX // 2]:
                del touched[old]

    def touched(self, since: int) -> tuple[list[int], list[int]]:
        """Prices of bids and asks that changed after that update id, also those that changed back."""
        bids, asks = self._touched
        return (
            list(takewhile(lambda price: bids[price] > since, reversed(bids))),
            list(takewhile(lambda price: asks[price] > since, reversed(asks))),
        )

    def take(self, buy: bool, lots: int) -> int:
        """An aggressor takes from the best level; the price moves by one step when the level is used up."""
        self.update_id += 1
        if buy:
            price = self.best_ask
            if lots < self.asks[price]:
                self.asks[price] -= lots
                self._touch(1, price)
            else:
                self._shift(1)
            return price
        price = self.best_bid
        if lots < self.bids[price]:
            self.bids[price] -= lots
            self._touch(0, price)
        elif price > (LEVELS + 1) * self.step:
            self._shift(-1)
        return price

    def _shift(self, way: int) -> None:
        step = self.step
        near, far = (self.asks, self.bids) if way > 0 else (self.bids, self.asks)
        near_best, far_best = (self.best_ask, self.best_bid) if way > 0 else (self.best_bid, self.best_ask)
        del near[near_best]
        near[near_best + way * LEVELS * step] = self.level_size()
        far[far_best + way * step] = self.level_size()
        del far[far_best - way * (LEVELS - 1) * step]
        self.best_bid += way * step
        self.best_ask += way * step
        self.update_id += 3
        near_side = 1 if way > 0 else 0
        for side, price in (
            (near_side, near_best),
            (near_side, near_best + way * LEVELS * step),
            (1 - near_side, far_best + way * step),
            (1 - near_side, far_best - way * (LEVELS - 1) * step),
        ):
            self._touch(side, price)

    def change(self, bits: int) -> bool:
        """A resting order comes or goes within the best twenty levels; true if the best quote changed."""
        distance = bits % 20
        self.update_id += 1
        if bits & 32:
            price = self.best_bid - distance * self.step
            self.bids[price] = self.level_size()
            self._touch(0, price)
        else:
            price = self.best_ask + distance * self.step
            self.asks[price] = self.level_size()
            self._touch(1, price)
        return distance == 0

    def top_bids(self, count: int) -> dict[int, int]:
        """Best first."""
        bids, best, step = self.bids, self.best_bid, self.step
        return {p: bids[p] for p in range(best, best - min(count, LEVELS) * step, -step)}

    def top_asks(self, count: int) -> dict[int, int]:
        asks, best, step = self.asks, self.best_ask, self.step
        return {p: asks[p] for p in range(best, best + min(count, LEVELS) * step, step)}


class SymbolMarket:
    """One symbol on one venue: its past, its book and what happens to it."""

    def __init__(self, listing: Listing, history: History, path: Path, start_ms: int, draw: random.Random) -> None:
        self.listing, self.history, self.path = listing, history, path
        self.symbol = listing.symbol
        self.listed_ms = LISTED_MS
        self.offset_bps = 0  # set by jumps
        self.live_hour = max(start_ms, LISTED_MS) // HOUR_MS
        self.live = Columns()
        self.minutes: dict[int, Bar] = {}
        self._draw = draw
        past = history.trades(self.live_hour)
        for index in range(bisect_left(past.times, start_ms)):
            self._record(past.at(index))
        self.number = self.live.numbers[-1] if self.live else history.first_number(self.live_hour) - 1
        self.first_live_number = self.number + 1  # of the first trade made while the simulation runs
        self.book = SimBook(self._target(start_ms), listing.step_ticks, draw, listing.lots)

    def _record(self, trade: Trade) -> None:
        if len(self.live) >= KEEP:
            self.live.forget(KEEP // 2)
        self.live.append(*trade)
        bar = self.minutes.get(trade.ts_ms // MINUTE_MS)
        if bar is None:
            bar = self.minutes[trade.ts_ms // MINUTE_MS] = Bar(trade.number, trade.ticks)
        bar.add(trade.ticks, trade.lots, trade.buy)

    def _target(self, ts_ms: int) -> int:
        return self.path.ticks(ts_ms) * (10_000 + self.offset_bps) // 10_000

    def follow_path(self, ts_ms: int) -> bool:
        """Move the book to where the price belongs now if it is more than three steps off."""
        target, book = self._target(ts_ms), self.book
        if abs(target - book.best_bid) <= 3 * book.step:
            return False
        book.relocate(target)
        return True

    def trade(self, ts_ms: int, next_id: Callable[[int], int]) -> Trade:
        """The next trade, against the book."""
        bits = self._draw.getrandbits(40)
        lots = 1 + (bits >> 8) % self.listing.lots
        buy = bool(bits & 1)
        self.number += 1
        last = self.live.times[-1] if self.live else 0
        ticks = self.book.take(buy, lots)
        made = Trade(self.number, next_id(self.number), max(ts_ms, last), ticks, lots, buy)
        self._record(made)
        return made

    # -- what REST asks -------------------------------------------------------------------------------------------

    def last_trade(self) -> Trade:
        return self.by_number(self.number)

    def by_number(self, number: int) -> Trade:
        first_live = self.live.numbers[0] if self.live else self.number + 1
        if number >= first_live:
            return self.live.at(number - first_live)
        hour = self.history.hour_of(number)
        return self.history.trades(hour).at(number - self.history.first_number(hour))

    def slice(self, first: int, count: int) -> list[Trade]:
        """Up to `count` trades from `first` on, oldest first; none before the listing or not yet made."""
        first = max(first, 1)
        oldest_live = self.live.numbers[0] if self.live else self.number + 1
        end_of_past = self.history.first_number(self.live_hour)
        out: list[Trade] = []
        while len(out) < count and first < min(end_of_past, oldest_live):
            hour = self.history.hour_of(first)
            made = self.history.trades(hour)
            index = first - self.history.first_number(hour)
            take = min(count - len(out), TRADES_PER_HOUR - index)
            out.extend(made.at(i) for i in range(index, index + take))
            first += take
        first = max(first, oldest_live)
        for number in range(first, min(first + count - len(out), self.number + 1)):
            out.append(self.live.at(number - oldest_live))
        return out

    def number_at(self, ts_ms: int) -> int:
        """Number of the first trade at or after this time; one more than the newest if there is none yet."""
        if ts_ms // HOUR_MS < self.live_hour:
            return self.history.number_at(ts_ms)
        first_live = self.live.numbers[0] if self.live else self.number + 1
        return first_live + bisect_left(self.live.times, ts_ms)

    def number_of_id(self, trade_id: int) -> int:
        """Number of the first trade with this id or a greater one."""
        if self.live and trade_id >= self.live.ids[0]:
            return self.live.numbers[0] + bisect_left(self.live.ids, trade_id)
        low, high = 1, self.number + 1
        while low < high:
            middle = (low + high) // 2
            if self.by_number(middle).trade_id < trade_id:
                low = middle + 1
            else:
                high = middle
        return low

    def _minute_bars(self, hour: int) -> dict[int, Bar]:
        return self.minutes if hour >= self.live_hour else self.history.minute_bars(hour)

    def bars(self, timeframe: Timeframe, first_ms: int, last_ms: int) -> list[tuple[int, Bar | None]]:
        """Open time and content of each interval that opens within first..last, both inclusive. Not to be changed."""
        opens, length = timeframe.opens(first_ms, last_ms), timeframe.length_ms
        if length == MINUTE_MS:
            return [(at, self._minute_bars(at // HOUR_MS).get(at // MINUTE_MS)) for at in opens]
        if 0 < length < MINUTE_MS:
            return [(at, self._short_bar(at, at + length)) for at in opens]
        return [(at, self.bar(at, timeframe.after(at))) for at in opens]

    def bar(self, start_ms: int, end_ms: int) -> Bar | None:
        """All trades with start <= time < end (both on whole minutes) added up; None without a trade. Not to be changed."""
        found: Bar | None = None
        is_ours = False  # what history made stays as it is
        at = max(start_ms, LISTED_MS)
        end_ms = min(end_ms, (self.live.times[-1] if self.live else self.live_hour * HOUR_MS) + MINUTE_MS)
        while at < end_ms:
            hour, into = divmod(at, HOUR_MS)
            if hour < self.live_hour and into == 0 and at + HOUR_MS <= end_ms:
                part, at = self.history.hour_bar(hour), at + HOUR_MS
            elif hour < self.live_hour and into % FIVE_MS == 0 and at + FIVE_MS <= end_ms:
                part, at = self.history.five_bars(hour).get(into // FIVE_MS), at + FIVE_MS
            else:
                part, at = self._minute_bars(hour).get(at // MINUTE_MS), at + MINUTE_MS
            if part is None:
                continue
            if found is None:
                found = part
            else:
                found, is_ours = (found, True) if is_ours else (found.copy(), True)
                found.join(part)
        return found

    def _short_bar(self, start_ms: int, end_ms: int) -> Bar | None:
        found: Bar | None = None
        first = self.number_at(start_ms)
        for trade in self.slice(first, self.number_at(end_ms) - first):
            found = found or Bar(trade.number, trade.ticks)
            found.add(trade.ticks, trade.lots, trade.buy)
        return found

    def close_before(self, ts_ms: int) -> int:
        """Price of the last trade before this time, in ticks."""
        return self.by_number(max(self.number_at(ts_ms) - 1, 1)).ticks


class Market:
    """All symbols of one venue. The same seed, clock readings and calls give the same market, digit for digit."""

    def __init__(
        self,
        venue: str,
        listings: Sequence[Listing],
        seed: int,
        start_ms: int,
        *,
        shared_ids: bool = False,
        thin: Mapping[str, float] | None = None,
    ) -> None:
        self._draw = random.Random(seed_number(seed, venue, "live"))
        self._shared_ids = shared_ids
        stride = len(listings) if shared_ids else 0
        self.symbols: dict[str, SymbolMarket] = {}
        for index, listing in enumerate(listings):
            path = Path(seed, listing.base, listing.start_ticks)
            history = History(seed, venue, listing, path, index, stride, (thin or {}).get(listing.symbol, 0.0))
            own = random.Random(seed_number(seed, venue, listing.symbol, "live"))
            self.symbols[listing.symbol] = SymbolMarket(listing, history, path, start_ms, own)
        states = list(self.symbols.values())
        self._turn = states + states[:BUSY] * (len(states) // BUSY)  # where there are many, half of it is about the first few
        hours = max(start_ms, LISTED_MS) // HOUR_MS + 1 - LISTED_MS // HOUR_MS
        self._last_id = (hours * TRADES_PER_HOUR + 1) * stride

    def _next_id(self, number: int) -> int:
        if not self._shared_ids:
            return number
        self._last_id += 1 + (self._draw.getrandbits(2) & 1)
        return self._last_id

    def next_event(self, ts_ms: int) -> tuple[SymbolMarket, Trade | None, bool]:
        """One thing happens to one symbol: a trade, or a change of a level. The third is true if the quote changed."""
        bits = self._draw.getrandbits(32)
        state = self._turn[bits % len(self._turn)]
        if (bits >> 16) % 8 < 5 and not state.history.is_quiet(ts_ms):
            return state, state.trade(ts_ms, self._next_id), True
        return state, None, state.book.change(bits >> 20)

    def trade(self, symbol: str, ts_ms: int) -> Trade:
        return self.symbols[symbol].trade(ts_ms, self._next_id)

    def jump(self, symbol: str, bps: int, ts_ms: int) -> None:
        """The price moves by that many basis points at once and stays there."""
        state = self.symbols[symbol]
        state.offset_bps += bps
        state.book.relocate(state._target(ts_ms))

    def __iter__(self) -> Iterator[SymbolMarket]:
        return iter(self.symbols.values())
