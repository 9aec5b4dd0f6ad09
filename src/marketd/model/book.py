"""The exact order book of one venue and symbol, holding the venue's own price and size text.

Levels are found by number, so two spellings of one price are one level. A float is an exact key for numbers of up to 15
significant digits: no two of them share one, and they sort alike. The first longer price moves the whole book to Decimals.

Deltas wait until the book is looked at: most levels change several times between two looks. Only the best levels of a side
are kept sorted; the rest wait unsorted until the market comes to them.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from decimal import Decimal
from heapq import nlargest, nsmallest
from itertools import chain

import msgspec

from marketd.model.events import Level

LEVELS_MAX = 5_000  # a side of a book without a depth; beyond it the worst fifth goes
CUT_FROM = 1_000  # a snapshot side this long is taken as cut by the venue's limit: what is worse is not known
THIN = 100  # with fewer levels than this in all, a cut side is thin
SORTED = 64  # how many of the best levels of a side are sorted again when few are left; up to twice as many are kept so
WAITING_MAX = 1_024  # changed levels that wait to be applied
_FLOAT_DIGITS = 15  # significant digits that survive a float
_ZEROS = frozenset(["0", "00", *("0." + "0" * count for count in range(61))])
_LOWEST, _HIGHEST = float("-inf"), float("inf")

Key = float | Decimal


class Book:
    """Sets and removes levels as told; the caller checks sequence and snapshot rules. Prices and sizes are plain numbers.

    With `depth`, each side is cut to its best `depth` levels after every change: the rule of venues that do not tell about
    levels that fall out. Without, levels beyond the end of a cut snapshot are kept as they are told, but others there may
    never have been told: `is_thin` says when the market comes near.
    """

    def __init__(self, depth: int | None = None) -> None:
        self.depth = depth
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new connection starts from an empty book."""
        self.seq: int | None = None
        self._bids, self._asks = _Side(True, self.depth), _Side(False, self.depth)
        self._waiting: list[tuple[Sequence[Level], Sequence[Level]]] = []
        self._waiting_count = 0

    def apply_snapshot(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None) -> None:
        """Replace everything."""
        self.clear()
        try:
            self._bids.replace(bids)
            self._asks.replace(asks)
        except _TooLong:
            self._go_exact()
            self._bids.replace(bids)
            self._asks.replace(asks)
        self.seq = seq

    def apply_delta(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None) -> None:
        """Set the levels given, remove those of size zero; removing what is not there is fine. The sequences are kept."""
        self.seq = seq
        self._waiting.append((bids, asks))
        self._waiting_count += len(bids) + len(asks)
        if self._waiting_count > WAITING_MAX:
            self._settle()

    def view(self, depth: int) -> tuple[list[Level], list[Level]]:
        """The best `depth` bids and asks, best first, digit for digit as the venue sent them."""
        self._settle()
        return self._bids.view(depth), self._asks.view(depth)

    def best(self) -> tuple[Level | None, Level | None]:
        """The best bid and the best ask."""
        self._settle()
        bids, asks = self._bids, self._asks
        return bids.levels[bids.top[-1]] if bids.top else None, asks.levels[asks.top[0]] if asks.top else None

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which no matching engine lets stand."""
        self._settle()
        bids, asks = self._bids.top, self._asks.top
        return bool(bids) and bool(asks) and bids[-1] >= asks[0]

    @property
    def is_thin(self) -> bool:
        """Whether the best levels of a side reach beyond what is known of it, or soon will: time for a new snapshot."""
        self._settle()
        return self._bids.is_thin or self._asks.is_thin

    @property
    def pruned(self) -> int:
        """Levels let go since the last clear because a side had more than `LEVELS_MAX`."""
        self._settle()
        return self._bids.pruned + self._asks.pruned

    def __len__(self) -> int:
        self._settle()
        return len(self._bids.levels) + len(self._asks.levels)

    def _settle(self) -> None:
        """Apply the deltas that wait."""
        waiting = self._waiting
        if not waiting:
            return
        self._waiting, self._waiting_count = [], 0
        for side, batches in ((self._bids, [bids for bids, _ in waiting]), (self._asks, [asks for _, asks in waiting])):
            try:
                side.change(batches)
            except _TooLong:
                self._go_exact()
                side.change(batches)  # again from the start: levels are absolute, so twice is once

    def _go_exact(self) -> None:
        self._bids.go_exact()
        self._asks.go_exact()


class _TooLong(Exception):
    """A price that a float cannot hold exactly."""


class _Side:
    """One side. `top` holds, in ascending order, every key of `levels` from `low` to `high`, which are the best ones."""

    def __init__(self, is_bid: bool, depth: int | None) -> None:
        self.is_bid, self.depth = is_bid, depth
        self.is_exact = False  # keys are Decimals
        self.levels: dict[Key, Level] = {}
        self.top: list[Key] = []
        self.low: Key = _LOWEST
        self.high: Key = _HIGHEST
        self.edge: Key | None = None  # not every level worse than this is known
        self.pruned = 0

    def replace(self, levels: Sequence[Level]) -> None:
        keys = self._keys([price for price, _ in levels])
        self.levels = {key: level for key, level in zip(keys, levels, strict=True) if level[1] not in _ZEROS}
        if self.depth is None and len(self.levels) >= CUT_FROM:
            self.edge = min(self.levels) if self.is_bid else max(self.levels)
        self._sort(SORTED)
        self._bound()

    def change(self, batches: Sequence[Sequence[Level]]) -> None:
        """Apply changes in order. With a depth each batch is cut on its own: what falls out in between must not come back."""
        if self.depth is None and len(batches) > 1:
            merged = list(chain.from_iterable(batches))
            latest = dict(zip(self._keys([price for price, _ in merged]), merged, strict=True))
            self._set(latest, latest.values())
            return
        for changes in batches:
            if changes:
                self._set(self._keys([price for price, _ in changes]), changes)

    def view(self, depth: int) -> list[Level]:
        if len(self.top) < depth and len(self.top) < len(self.levels):
            self._sort(max(depth, SORTED))
        levels, top = self.levels, self.top
        return [levels[key] for key in (top[: -depth - 1 : -1] if self.is_bid else top[:depth])]

    @property
    def is_thin(self) -> bool:
        worst_sorted = 0 if self.is_bid else -1
        return self.edge is not None and (len(self.levels) < THIN or not self._is_known(self.top[worst_sorted]))

    def go_exact(self) -> None:
        """Make every key a Decimal; `repr` of a float gives back the digits that it was made of."""
        if self.is_exact:
            return
        self.is_exact = True
        self.levels = {Decimal(repr(key)): level for key, level in self.levels.items()}
        self.top = [Decimal(repr(key)) for key in self.top]
        self.low, self.high = Decimal(repr(self.low)), Decimal(repr(self.high))
        self.edge = None if self.edge is None else Decimal(repr(self.edge))

    def _keys(self, prices: list[str]) -> list[Key]:
        if self.is_exact:
            return [Decimal(price) for price in prices]
        if prices and max(map(len, prices)) > _FLOAT_DIGITS:
            for price in prices:
                if len(price) > _FLOAT_DIGITS and len(price.replace(".", "").strip("0")) > _FLOAT_DIGITS:
                    raise _TooLong
        keys: list[Key] = msgspec.convert(prices, list[float], strict=False)  # in half the time of float()
        return keys

    def _set(self, keys: Iterable[Key], changes: Iterable[Level]) -> None:
        levels, top, low, high = self.levels, self.top, self.low, self.high
        for key, level in zip(keys, changes, strict=True):
            if level[1] in _ZEROS:
                if levels.pop(key, None) is not None and low <= key <= high:
                    del top[bisect_left(top, key)]
            elif key in levels:
                levels[key] = level
            else:
                levels[key] = level
                if low <= key <= high:
                    insort(top, key)
        self._bound()

    def _is_known(self, key: Key) -> bool:
        edge = self.edge
        return edge is None or (key >= edge if self.is_bid else key <= edge)

    def _bound(self) -> None:
        """Cut to the bounds, and keep enough levels sorted."""
        top, count = self.top, len(self.levels)
        if self.depth is not None:
            if count > self.depth:
                self._cut(count - self.depth)
        elif count > LEVELS_MAX:
            self._prune()
        elif len(top) > 2 * SORTED:
            if self.is_bid:
                del top[:-SORTED]
                self.low = top[0]
            else:
                del top[SORTED:]
                self.high = top[-1]
        elif len(top) < SORTED // 4 and len(top) < count:
            self._sort(SORTED)

    def _cut(self, surplus: int) -> None:
        """Let the worst go; with a depth, all keys are in `top`."""
        worst = slice(None, surplus) if self.is_bid else slice(-surplus, None)
        for key in self.top[worst]:
            del self.levels[key]
        del self.top[worst]

    def _prune(self) -> None:
        keep = LEVELS_MAX - LEVELS_MAX // 5
        best = sorted(self.levels, reverse=self.is_bid)[:keep]
        self.pruned += len(self.levels) - keep
        self.levels = {key: self.levels[key] for key in best}
        if self._is_known(best[-1]):
            self.edge = best[-1]
        self._sort(SORTED)

    def _sort(self, count: int) -> None:
        """Fill `top` with the best `count` keys, or with all where that is hardly more or the book has a depth."""
        levels = self.levels
        self.low, self.high = _LOWEST, _HIGHEST
        if self.depth is not None or len(levels) <= 2 * count:
            self.top = sorted(levels)
        elif self.is_bid:
            self.top = nlargest(count, levels)[::-1]
            self.low = self.top[0]
        else:
            self.top = nsmallest(count, levels)
            self.high = self.top[-1]
