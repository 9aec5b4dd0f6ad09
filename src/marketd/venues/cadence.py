"""Learned cadence: how long a stream may be silent before that is odd.

A flat limit kills healthy sparse subscriptions and is blind on busy ones, so each stream is judged by its own pace. The
reader only counts; the pace is learned once a second, from the time that events took, so silence teaches nothing.
"""

import math

MEMORY_S = 300.0  # how far back the pace is remembered
ODD = 30.0  # mean intervals of silence: for events at random, a chance of e^-30
ODD_S_MIN = 10.0
ODD_S_MAX = 3600.0


class Cadence:
    """One stream's pace. The reader sets `count` and `last_ns` itself."""

    __slots__ = ("_learned_count", "_learned_ns", "_span_s", "count", "last_ns", "rate")

    def __init__(self, now_ns: int) -> None:
        self.count = 0
        self.last_ns: int | None = None
        self.rate = 0.0  # events a second
        self._learned_ns, self._learned_count, self._span_s = now_ns, 0, 0.0

    def learn(self, now_ns: int) -> None:
        fresh, passed_s = self.count - self._learned_count, (now_ns - self._learned_ns) / 1e9
        if not fresh or passed_s <= 0:
            return
        self._span_s += passed_s
        weight = max(passed_s / self._span_s, 1 - math.exp(-passed_s / MEMORY_S))
        self.rate += weight * (fresh / passed_s - self.rate)
        self._learned_ns, self._learned_count = now_ns, self.count

    def silence_s(self, now_ns: int) -> float:
        """Seconds since the last event, or since we began to listen."""
        return (now_ns - (self.last_ns or self._learned_ns)) / 1e9

    @property
    def odd_after_s(self) -> float:
        """The silence from which this stream deserves a question."""
        return min(ODD_S_MAX, max(ODD_S_MIN, ODD / self.rate)) if self.rate else ODD_S_MAX

    def is_odd(self, now_ns: int) -> bool:
        return self.silence_s(now_ns) > self.odd_after_s
