"""One REST governor per venue and process: nobody asks before there is room, and the urgent ask first."""

import asyncio
import heapq
from collections import deque
from collections.abc import Mapping
from enum import IntEnum
from itertools import count

from marketd.clock import Clock

FULL = 0.8  # of the allowance is used at most: others may share our address


class Priority(IntEnum):
    LIVE = 0  # a book or a subscription waits for it
    REPAIR = 1
    AUDIT = 2
    BACKFILL = 3


class Allowance:
    """What was spent in a sliding window of `per_s` seconds, of at most `weight`."""

    def __init__(self, weight: int, per_s: float, share: float) -> None:
        self.weight = max(1.0, weight * share * FULL)
        self.per_s = per_s
        self._spent: deque[tuple[float, float]] = deque()
        self._total = 0.0

    def used(self, now: float) -> float:
        while self._spent and self._spent[0][0] <= now - self.per_s:
            self._total -= self._spent.popleft()[1]
        if not self._spent:
            self._total = 0.0
        return self._total

    def spend(self, now: float, weight: float) -> None:
        self._spent.append((now, weight))
        self._total += weight

    def wait_s(self, now: float, weight: float) -> float:
        """How long until `weight` fits; a request larger than the whole allowance waits for an empty window."""
        excess = self.used(now) + min(weight, self.weight) - self.weight
        if excess <= 0:
            return 0.0
        for spent_at, spent in self._spent:
            excess -= spent
            if excess <= 1e-9:
                return spent_at + self.per_s - now
        return self.per_s


class Governor:
    """Grants turns by priority, then by order of asking; keeps below each allowance; stops while the venue says so."""

    def __init__(self, clock: Clock, quotas: Mapping[str, tuple[int, float]], share: float = 1.0) -> None:
        self._clock = clock
        self._allowances = {bucket: Allowance(weight, per_s, share) for bucket, (weight, per_s) in quotas.items()}
        self._first = next(iter(self._allowances.values()))
        self._paused_until = 0.0
        self._waiting: dict[str, list[tuple[int, int, asyncio.Event]]] = {}
        self._order = count()

    @property
    def paused_s(self) -> float:
        """How long the venue still wants silence."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def used_ratio(self) -> float:
        """Share of the fullest allowance in use, 0 to 1."""
        now = self._clock.monotonic()
        return max(one.used(now) / one.weight for one in self._allowances.values())

    async def turn(self, weight: int, priority: Priority, bucket: str = "") -> None:
        """Returns when the request may be sent, and counts it as spent."""
        allowance = self._allowances.get(bucket, self._first)
        queue = self._waiting.setdefault(bucket, [])
        mine = (int(priority), next(self._order), asyncio.Event())
        heapq.heappush(queue, mine)
        try:
            while True:
                if queue[0] is not mine:
                    await mine[2].wait()
                    mine[2].clear()
                    continue
                wait_s = max(self.paused_s, allowance.wait_s(self._clock.monotonic(), weight))
                if wait_s <= 0:
                    allowance.spend(self._clock.monotonic(), weight)
                    return
                await self._clock.sleep(wait_s)
        finally:
            queue.remove(mine)
            heapq.heapify(queue)
            if queue:
                queue[0][2].set()

    def observe(self, used: float) -> None:
        """The venue's own count of the weight used in its window: if it is higher than ours, others spent the difference."""
        now = self._clock.monotonic()
        unseen = used - self._first.used(now)
        if unseen > 0:
            self._first.spend(now, unseen)

    def pause(self, delay_s: float) -> None:
        """Nobody asks for so long: the venue refused for too many requests."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + delay_s)
