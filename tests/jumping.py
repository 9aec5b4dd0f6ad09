"""A clock that stands still while anything happens and jumps to the next sleeper when nothing does: hours in seconds.

What takes part is in this process, on one loop; while a server is asked that is not, the clock is held. So a question and its
answer take no time at all, whatever the machine does meanwhile.
"""

import asyncio
import heapq
import math
import selectors
from collections.abc import Callable, Iterator
from contextlib import contextmanager

QUIET_S = 0.001  # of the machine's time without anything to do, before the clock jumps
LOOK_S = 0.1  # of the clock's, between two looks at what shall come true
TOGETHER_S = 0.001  # of the clock's: who wakes within it wakes at once


class JumpingClock:
    """A Clock, for tests that are marked `jumping`; one for all that takes part."""

    def __init__(self, start_s: int = 1_700_000_123) -> None:
        self._start_ns = start_s * 1_000_000_000
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = self._holding = 0

    def now_ns(self) -> int:
        return self._start_ns + int(self._now * 1e9)

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop), "the test is not marked `jumping`"
        loop.on_quiet, self._count = self.jump, self._count + 1
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self._now + delay_s, self._count, woken))
        await woken

    async def until(self, at_s: float) -> None:
        """This second since the clock was made."""
        await self.sleep(at_s - self._now)

    async def when(self, ask: Callable[[], object], within_s: float = 3600.0) -> None:
        """Until this holds, by this clock."""
        until_s = self._now + within_s
        while not ask():
            assert self._now < until_s, f"did not come true within {within_s:g} s of this clock"
            await self.sleep(LOOK_S)

    def stand_still(self, until_s: float) -> None:
        """As a machine that is suspended and goes on at this second since the clock was made: nobody is woken meanwhile."""
        self._now = max(self._now, until_s)

    @contextmanager
    def held(self) -> Iterator[None]:
        """It stands still until this is left: another process is asked, which may be slow."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1

    def jump(self) -> None:
        """Wake who sleeps until the earliest time, all at once, if anybody sleeps."""
        if self._holding:
            return
        due_s = math.inf
        while self._sleepers and self._sleepers[0][0] <= due_s:
            at_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self._now = max(self._now, at_s)
                due_s = self._now + TOGETHER_S
                woken.set_result(None)


class JumpingLoop(asyncio.SelectorEventLoop):
    """Tells when it would wait for longer than it may. Tests marked `jumping` run on it."""

    def __init__(self) -> None:
        self.on_quiet: Callable[[], None] = lambda: None
        super().__init__(_Quiet(lambda: self.on_quiet()))


class _Quiet(selectors.DefaultSelector):
    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= QUIET_S:
            return super().select(timeout)
        found = super().select(QUIET_S)
        if not found:
            self._told()
        return found


__all__ = ["JumpingClock", "JumpingLoop"]
