"""How often a client may ask: the venues' own limits, counted on the simulated clock."""

from __future__ import annotations

from collections import deque


class Window:
    """At most `limit` units in each period that starts on a whole multiple of `per_s`, as Binance counts."""

    def __init__(self, limit: int, per_s: float) -> None:
        self.limit, self.per_ns = limit, int(per_s * 1e9)
        self.used = 0
        self._period = -1

    def take(self, units: int, now_ns: int) -> bool:
        period = now_ns // self.per_ns
        if period != self._period:
            self._period, self.used = period, 0
        self.used += units
        return self.used <= self.limit

    def left_s(self, now_ns: int) -> int:
        """Whole seconds until the next period, at least 1."""
        return int((self.per_ns - now_ns % self.per_ns) // 1_000_000_000) + 1


class Sliding:
    """At most `limit` events within any `per_s`."""

    def __init__(self, limit: int, per_s: float) -> None:
        self.limit, self.per_ns = limit, int(per_s * 1e9)
        self._times: deque[int] = deque()

    def take(self, now_ns: int) -> bool:
        times = self._times
        while times and times[0] <= now_ns - self.per_ns:
            times.popleft()
        if len(times) >= self.limit:
            return False
        times.append(now_ns)
        return True

    @property
    def left(self) -> int:
        return self.limit - len(self._times)


class Bucket:
    """Tokens that come back at `per_s` a second, up to `burst`."""

    def __init__(self, per_s: float, burst: int) -> None:
        self.per_s, self.burst = per_s, burst
        self._tokens = float(burst)
        self._at_ns = 0

    def take(self, now_ns: int) -> bool:
        if self._at_ns:
            self._tokens = min(self.burst, self._tokens + max(now_ns - self._at_ns, 0) / 1e9 * self.per_s)
        self._at_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Ban:
    """While it lasts nothing is answered, whatever the allowance says."""

    def __init__(self) -> None:
        self.count = 0
        self._until_ns = 0

    def begin(self, now_ns: int, for_s: float) -> None:
        self.count += 1
        self._until_ns = now_ns + int(for_s * 1e9)

    def left_s(self, now_ns: int) -> int:
        """Whole seconds that are left, rounded up; 0 when there is none."""
        return max(0, -(-(self._until_ns - now_ns) // 1_000_000_000))
