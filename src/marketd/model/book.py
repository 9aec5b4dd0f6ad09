"""The exact order book of one venue and symbol, holding the venue's own price and size text.

A side is a dictionary from price text to size text, so applying a frame is one merge. Only a text not seen before is looked at
as a number, which says where it stands and whether it is another spelling of a level that is there; prices come back all the
time, so that is rare. For the same reason a removed level stays in its place with size zero until it is in the way.
"""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import islice

from marketd.model.digits import DIGITS_MAX
from marketd.model.events import Level

LEVELS_MAX = 5_000  # a side of a book without a depth; beyond it the worst fifth goes
CUT_FROM = 1_000  # a snapshot side this long is taken as cut by the venue's limit: what is worse is not known
NEAR = 80  # a side is thin when one of so many levels beyond those that are looked at may never have been told
REMOVED_MAX = 1_000  # removed levels that may stay in a side
IN_THE_WAY = 16  # removed levels among the best that a look steps over; more are let go
MANY = 500  # levels in one change; so many are sorted in, not put in one by one
_DECIMALS = 12
_SCALES = [10**power for power in range(_DECIMALS + 1)]
_NONE = "0" * DIGITS_MAX
_ZEROS = frozenset(  # in every plain spelling
    [_NONE[:count] for count in range(1, DIGITS_MAX + 1)]
    + [_NONE[:whole] + "." + _NONE[: count - whole] for count in range(1, DIGITS_MAX) for whole in range(count + 1)]
)

Number = int | Fraction


@lru_cache(16_384)
def number_of(price: str) -> Number:
    """The price in units of 1e-12, exact. Raises ValueError if it is not plain."""
    whole, _, fraction = price.partition(".")
    digits = whole + fraction
    if len(price) > DIGITS_MAX or not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{price!r} is no price")
    missing = _DECIMALS - len(fraction)
    return int(digits) * _SCALES[missing] if missing >= 0 else Fraction(int(digits), int("1" + "0" * -missing))


class Book:
    """Sets and removes levels as told; the caller checks sequence and snapshot rules.

    With `depth`, each side is cut to its best `depth` levels after every change: the rule of venues that do not tell about
    levels that fall out. Without, levels beyond the end of a cut snapshot are kept as they are told, but others there may
    never have been told: `is_thin` says when the market comes near. `is_cut=False`: the venue's snapshots are whole however long.

    A price that is no plain number raises ValueError where it is applied; the book is to be cleared then.
    """

    def __init__(self, depth: int | None = None, *, is_cut: bool = True) -> None:
        self.depth, self.is_cut = depth, is_cut
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new connection starts from an empty book."""
        self.seq: int | None = None
        self._bids, self._asks = _Side(1, self.depth), _Side(-1, self.depth)

    def apply_snapshot(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None) -> None:
        """Replace everything."""
        self.clear()
        self._bids.replace(bids, self.is_cut)
        self._asks.replace(asks, self.is_cut)
        self.seq = seq

    def apply_delta(self, bids: Sequence[Level], asks: Sequence[Level], seq: int | None) -> None:
        """Set the levels given, remove those of size zero; removing what is not there is fine."""
        self.seq = seq
        if bids:
            self._bids.change(bids)
        if asks:
            self._asks.change(asks)

    def view(self, depth: int) -> tuple[list[Level], list[Level]]:
        """The best `depth` bids and asks, best first, digit for digit as the venue sent them."""
        return self._bids.view(depth), self._asks.view(depth)

    def best(self) -> tuple[Level | None, Level | None]:
        """The best bid and the best ask."""
        return next(iter(self._bids.view(1)), None), next(iter(self._asks.view(1)), None)

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid reaches the best ask, which no matching engine lets stand."""
        bid, ask = self._bids.best(), self._asks.best()
        return bid is not None and ask is not None and bid >= -ask

    def is_thin(self, depth: int) -> bool:
        """Whether the best `depth` levels of a side reach beyond what is known of it, or soon will: time for a new snapshot."""
        return self._bids.is_thin(depth) or self._asks.is_thin(depth)

    @property
    def pruned(self) -> int:
        """Levels let go since the last clear because a side had more than `LEVELS_MAX`."""
        return self._bids.pruned + self._asks.pruned

    def __len__(self) -> int:
        return len(self._bids) + len(self._asks)


class _Side:
    """One side. `prices` has every key of `sizes` from the worst to the best, and `numbers` what they are, negative for asks."""

    def __init__(self, sign: int, depth: int | None) -> None:
        self.sign, self.depth = sign, depth
        self.sizes: dict[str, str] = {}  # zero: removed
        self.prices: list[str] = []
        self.numbers: list[Number] = []
        self.edge: Number | None = None  # not every level worse than this is known
        self.pruned = 0

    def replace(self, levels: Sequence[Level], is_cut: bool) -> None:
        there = [level for level in levels if level[1] not in _ZEROS]
        self.sizes = dict(there)
        self._sort(there)
        count = len(self.prices)
        if self.depth is None and is_cut and count >= CUT_FROM:
            self.edge = self.numbers[0]
        if self.depth is not None:
            self._cut(max(count - self.depth, 0))
        elif count > LEVELS_MAX:
            self._prune()

    def change(self, levels: Sequence[Level]) -> None:
        sizes = self.sizes
        sizes.update(levels)
        if len(levels) > MANY:
            self._sort(levels)
            self._sweep(len(self.prices))
        elif len(sizes) > len(self.prices):
            self._place(levels)
        if self.depth is not None:
            self._remove(levels)
            if len(sizes) > self.depth:
                self._cut(len(sizes) - self.depth)
        elif len(sizes) > LEVELS_MAX + REMOVED_MAX:
            self._prune()

    def view(self, depth: int) -> list[Level]:
        sizes = self.sizes
        reach = depth if self.depth is not None else depth + IN_THE_WAY
        while True:
            nearest = self.prices[: -reach - 1 : -1]
            levels = [(price, size) for price in nearest if (size := sizes[price]) not in _ZEROS]
            if len(levels) >= depth or len(nearest) == len(self.prices):
                return levels[:depth]
            self._sweep(len(nearest))

    def best(self) -> Number | None:
        sizes = self.sizes
        for passed, price in enumerate(reversed(self.prices)):
            if sizes[price] not in _ZEROS:
                if passed > IN_THE_WAY:
                    self._sweep(passed)
                return self.sign * number_of(price)
        return None

    def is_thin(self, depth: int) -> bool:
        if self.edge is None:
            return False
        self.best()  # which lets go of levels that the market left behind
        return len(self.prices) < depth + NEAR or self.numbers[-depth - NEAR] < self.edge

    def __len__(self) -> int:
        return len(self.sizes) - sum(map(_ZEROS.__contains__, self.sizes.values()))

    def _place(self, levels: Sequence[Level]) -> None:
        """Put new prices, which are the last ones of the dictionary, where they belong."""
        sizes, prices, numbers = self.sizes, self.prices, self.numbers
        for price in list(islice(reversed(sizes), len(sizes) - len(prices))):
            number = self.sign * number_of(price)
            at = bisect_left(numbers, number)
            if at < len(numbers) and numbers[at] == number:
                # Another spelling of what is there. Of those in these levels, the last one counts.
                known = prices[at]
                prices[at] = next(one for one, _ in reversed(levels) if one in (price, known))
                del sizes[known if prices[at] == price else price]
            else:
                prices.insert(at, price)
                numbers.insert(at, number)

    def _sort(self, levels: Sequence[Level]) -> None:
        """Put these where they belong, all at once; of several spellings of a price the last one counts."""
        sign, uncached = self.sign, number_of.__wrapped__  # so many would drive out of the cache what comes back
        spelled = dict(zip(self.numbers, self.prices, strict=True))
        for price, _ in levels:
            spelled[sign * uncached(price)] = price
        self.numbers = sorted(spelled)
        self.prices = [spelled[number] for number in self.numbers]
        for price in self.sizes.keys() - set(self.prices) if len(self.sizes) > len(self.prices) else ():
            del self.sizes[price]

    def _remove(self, levels: Sequence[Level]) -> None:
        """Let go of what these removed."""
        sizes = self.sizes
        for price, size in levels:
            if size in _ZEROS and sizes.get(price) in _ZEROS:
                at = bisect_left(self.numbers, self.sign * number_of(price))
                del sizes[price], self.prices[at], self.numbers[at]

    def _sweep(self, count: int) -> None:
        """Let go of what is removed among the best `count`."""
        sizes, prices, numbers = self.sizes, self.prices, self.numbers
        start = len(prices) - count
        stays = [at for at in range(start, len(prices)) if sizes[prices[at]] not in _ZEROS]
        kept = [prices[at] for at in stays]
        for price in set(prices[start:]).difference(kept):
            del sizes[price]
        numbers[start:] = [numbers[at] for at in stays]
        prices[start:] = kept

    def _prune(self) -> None:
        self._sweep(len(self.prices))
        if len(self.prices) > LEVELS_MAX:
            surplus = len(self.prices) - (LEVELS_MAX - LEVELS_MAX // 5)
            self.pruned += surplus
            self._cut(surplus)
            if self.edge is None or self.numbers[0] >= self.edge:
                self.edge = self.numbers[0]

    def _cut(self, surplus: int) -> None:
        """Let the worst go."""
        for price in self.prices[:surplus]:
            del self.sizes[price]
        del self.prices[:surplus], self.numbers[:surplus]
