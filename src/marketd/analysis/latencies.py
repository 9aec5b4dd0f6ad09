"""Latencies counted in tenths of a millisecond, from which any percentile is found without sorting them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

TENTH_NS = 100_000
NONE = -(1 << 63)  # of a trade that says nothing about the line
_COARSE = 5  # bits: a latency is found by classes of 32 tenths first


class Latencies:
    """How often each came, in two steps: by classes of 32, then one by one."""

    __slots__ = ("_coarse", "_fine", "count")

    def __init__(self) -> None:
        self.count = 0
        self._fine: defaultdict[int, int] = defaultdict(int)  # tenths of a millisecond -> how often
        self._coarse: defaultdict[int, int] = defaultdict(int)  # 32 of them -> how often

    def add(self, latencies: Iterable[int]) -> None:
        fine, coarse, count = self._fine, self._coarse, 0
        for latency in latencies:
            if latency != NONE:
                count += 1
                fine[latency] += 1
                coarse[latency >> _COARSE] += 1
        self.count += count

    def remove(self, latencies: Iterable[int]) -> None:
        """Some that were added."""
        fine, coarse, count = self._fine, self._coarse, 0
        for latency in latencies:
            if latency != NONE:
                count += 1
                fine[latency] -= 1
                at = latency >> _COARSE
                left = coarse[at] - 1
                if left:
                    coarse[at] = left
                else:
                    del coarse[at]
                    for one in range(at << _COARSE, (at + 1) << _COARSE):
                        fine.pop(one, None)
        self.count -= count

    def percentiles(self, percents: Sequence[int]) -> list[float | None]:
        """The nearest ranks in ms, of rising percents: each the smallest that at least so many percent of all do not exceed.

        None of none.
        """
        found: list[float | None] = []
        classes, below, at = sorted(self._coarse), 0, 0
        for percent in percents if classes else ():
            rank = (percent * self.count + 99) // 100
            while below + self._coarse[classes[at]] < rank:
                below += self._coarse[classes[at]]
                at += 1
            latency, passed = classes[at] << _COARSE, below
            while (passed := passed + self._fine.get(latency, 0)) < rank:
                latency += 1
            found.append(latency / 10)
        return found or [None] * len(percents)
