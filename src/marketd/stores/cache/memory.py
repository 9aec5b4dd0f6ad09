"""The cache's twin in memory, for one process without Redis: the same promises, nothing outlives it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.model.message_log import MAXLEN, Entry, Source
from marketd.stores.cache.cache import (
    FOLLOW_S,
    Logged,
    LogPage,
    Message,
    Operation,
    Publish,
    Resumed,
    Wanted,
    Write,
    entries_of,
    entries_of_read,
    is_pattern,
    logged,
    place_of,
)
from marketd.stores.cache.inbox import Inbox

SWEEP_S = 60.0  # how often values that nobody reads any more are let go


@dataclass(frozen=True)
class MemoryState:
    url: str
    since: int
    connected: bool = True
    reason: str = "in this process's memory"


@asynccontextmanager
async def open_memory(
    clock: Clock, metrics: Metrics, *, maxlen: int = MAXLEN, enabled: bool = True
) -> AsyncIterator["MemoryCache"]:
    """A cache that is gone when the block is left; `maxlen` and `enabled` are the message log's."""
    yield MemoryCache(clock, metrics, maxlen if enabled else 0)


class MemoryCache:
    """A Cache."""

    def __init__(self, clock: Clock, metrics: Metrics, maxlen: int = MAXLEN) -> None:
        self.state = MemoryState("memory:", clock.now_ns())
        self._clock, self._metrics = clock, metrics
        self._values: dict[str, tuple[bytes, float | None]] = {}  # and when it goes, in the clock's seconds
        self._swept_s = clock.monotonic()
        self._inboxes: list[tuple[tuple[str, ...], Inbox]] = []
        self._log: deque[Logged] = deque(maxlen=maxlen)
        self._last = self._gone = (0, 0)  # ids of the newest entry, and of the newest that had to make room
        self._grown = asyncio.Event()

    def of(self, source: Source) -> "MemoryDesk":
        return MemoryDesk(self, source)

    def ttl_s(self, key: str) -> float | None:
        """What is left of a value's life; None where it has no end. Raises KeyError where there is none."""
        _, until_s = self._values[key]
        if until_s is not None and until_s <= self._clock.monotonic():
            raise KeyError(key)
        return None if until_s is None else until_s - self._clock.monotonic()

    def do(self, operations: Sequence[Operation], source: str) -> None:
        now_s = self._clock.monotonic()
        for one in operations:
            if isinstance(one, Write):
                self._values[one.key] = (one.value, None if one.ttl_s is None else now_s + one.ttl_s)
            elif isinstance(one, Publish):
                self._tell(Message(one.channel, one.payload))
        self._sweep(now_s)
        self._keep(entries_of(operations, source, self._clock.now_ns()))

    def read(self, keys: Sequence[str], source: str) -> list[bytes | None]:
        now_s = self._clock.monotonic()
        values = [self._value(key, now_s) for key in keys]
        self._keep(entries_of_read(keys, values, source, self._clock.now_ns()))
        return values

    @asynccontextmanager
    async def listen(self, channels: Sequence[str], source: str) -> AsyncIterator[Inbox]:
        inbox = Inbox(self._metrics.cache_missed.labels(source).inc)
        inbox.resume("listening")
        place = (tuple(channels), inbox)
        self._inboxes.append(place)
        try:
            yield inbox
        finally:
            self._inboxes.remove(place)

    async def log(self, wanted: Wanted, limit: int, cursor: str | None = None) -> LogPage:
        before = None if cursor is None else place_of(cursor)
        found: list[Logged] = []
        for entry in reversed(self._log):
            if (before is None or place_of(entry.id) < before) and wanted.takes(entry):
                if len(found) == limit:
                    return LogPage(found, found[-1].id)
                found.append(entry)
        return LogPage(found, None)

    async def follow(self, after: str | None = None) -> AsyncIterator[Sequence[Logged] | Resumed]:
        at = self._last if after is None else place_of(after)
        while True:
            if at < self._gone:
                yield Resumed(f"entries after {at[0]}-{at[1]} are gone")
            batch = [entry for entry in self._log if place_of(entry.id) > at]
            at = max(at, self._last)
            yield batch
            if at >= self._last:
                self._grown.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(FOLLOW_S):
                        await self._grown.wait()

    def _value(self, key: str, now_s: float) -> bytes | None:
        value, until_s = self._values.get(key, (None, None))
        if until_s is not None and until_s <= now_s:
            del self._values[key]
            return None
        return value

    def _sweep(self, now_s: float) -> None:
        if now_s - self._swept_s >= SWEEP_S:
            self._swept_s = now_s
            for key in list(self._values):
                self._value(key, now_s)

    def _tell(self, message: Message) -> None:
        for channels, inbox in self._inboxes:
            for name in channels:
                if fnmatchcase(message.channel, name) if is_pattern(name) else message.channel == name:
                    inbox.put(message)

    def _keep(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            ms, number = self._clock.now_ns() // 1_000_000, 0
            if ms <= self._last[0]:  # the clock stands, or went back
                ms, number = self._last[0], self._last[1] + 1
            self._last = (ms, number)
            if len(self._log) == self._log.maxlen:
                self._gone = place_of(self._log[0].id) if self._log else self._last
            self._log.append(logged(f"{ms}-{number}", entry))
        if entries:
            self._grown.set()


class MemoryDesk:
    """A Desk."""

    def __init__(self, cache: MemoryCache, source: Source) -> None:
        self._cache, self._source = cache, source

    async def do(self, *operations: Operation) -> None:
        self._cache.do(operations, self._source)

    async def read(self, *keys: str) -> list[bytes | None]:
        return self._cache.read(keys, self._source)

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Message | Resumed]]:
        return self._cache.listen(channels, self._source)
