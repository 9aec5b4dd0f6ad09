"""Sets of half-open integer intervals [start, stop): what the ledger counts in, for ids and for nanoseconds alike."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Interval(NamedTuple):
    start: int
    stop: int  # exclusive

    @property
    def length(self) -> int:
        return self.stop - self.start


class Intervals:
    """A set of integers kept as sorted, disjoint, non-adjacent intervals."""

    def __init__(self, parts: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in parts:
            self.add(start, stop)

    def add(self, start: int, stop: int) -> None:
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def remove(self, start: int, stop: int) -> None:
        if start >= stop:
            return
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        if first >= last:
            return
        left, right = self._starts[first], self._stops[last - 1]
        kept = [(a, b) for a, b in ((left, min(start, right)), (max(stop, left), right)) if a < b]
        self._starts[first:last] = [a for a, _ in kept]
        self._stops[first:last] = [b for _, b in kept]

    def missing(self, start: int, stop: int) -> list[Interval]:
        """The parts of [start, stop) that the set does not hold."""
        holes: list[Interval] = []
        at = start
        for a, b in self:
            if b <= start:
                continue
            if a >= stop:
                break
            if a > at:
                holes.append(Interval(at, a))
            at = max(at, b)
        if at < stop:
            holes.append(Interval(at, stop))
        return holes

    def __contains__(self, value: int) -> bool:
        at = bisect_right(self._starts, value) - 1
        return at >= 0 and value < self._stops[at]

    def __iter__(self) -> Iterator[Interval]:
        return map(Interval, self._starts, self._stops)

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervals) and self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Intervals({[tuple(part) for part in self]})"
