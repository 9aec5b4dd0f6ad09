"""Latencies counted in tenths of a millisecond, from which any percentile is found without sorting them."""

from collections.abc import Iterable

TENTH_NS = 100_000
NONE = -(1 << 63)  # of a trade that says nothing about the line
_COARSE = 7  # bits: a latency is found by classes of 128 tenths first


class Latencies:
    """How often each came, in two steps: by classes of 128, then one by one."""

    __slots__ = ("_coarse", "_fine", "count")

    def __init__(self) -> None:
        self.count = 0
        self._fine: dict[int, int] = {}  # tenths of a millisecond -> how often
        self._coarse: dict[int, int] = {}  # 128 of them -> how often

    def add(self, latencies: Iterable[int], sign: int) -> None:
        """Tenths of a millisecond that came (sign 1) or went (-1)."""
        fine, coarse = self._fine, self._coarse
        for latency in latencies:
            if latency != NONE:
                self.count += sign
                fine[latency] = fine.get(latency, 0) + sign
                at = latency >> _COARSE
                left = coarse[at] = coarse.get(at, 0) + sign
                if not left:
                    del coarse[at]
                    for one in range(at << _COARSE, (at + 1) << _COARSE):
                        fine.pop(one, None)

    def percentile(self, percent: int) -> float | None:
        """The nearest rank in ms: the smallest that at least so many percent of all do not exceed. None of none."""
        rank = (percent * self.count + 99) // 100
        for at in sorted(self._coarse):
            within = self._coarse[at]
            if rank > within:
                rank -= within
                continue
            for latency in range(at << _COARSE, (at + 1) << _COARSE):
                rank -= self._fine.get(latency, 0)
                if rank <= 0:
                    return latency / 10
        return None
