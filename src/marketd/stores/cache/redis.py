"""The cache in Redis: each operation one round trip, its entries in the log with it, and nothing fails for the log's sake."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import structlog

from marketd.clock import Clock
from marketd.errors import DeliveryError, Disconnected, Unreachable
from marketd.metrics import Metrics
from marketd.model.message_log import STREAM, Entry, Source, of_note
from marketd.net.redis import LinkState, RedisLink
from marketd.net.redis_wire import RedisWire, ReplyError, Word, pack, refusal
from marketd.rooms import room, to_the_end
from marketd.stores.cache.cache import (
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
)
from marketd.stores.cache.hearing import hear
from marketd.stores.cache.inbox import Inbox
from marketd.stores.cache.log_reading import follow, page
from marketd.stores.cache.section import MessageLogConfig

ANSWER_S = 5.0
RIDE_S = 0.1  # how long an entry waits at most for a pipeline that takes it along
AGAIN_S = 1.0  # the same while the server is away
WAITING_MAX = 10_000  # entries that wait so
log = structlog.get_logger("message_log")


@asynccontextmanager
async def open_redis(link: RedisLink, config: MessageLogConfig, clock: Clock, metrics: Metrics) -> AsyncIterator["RedisCache"]:
    """A cache over this link, which is asked for anew whenever it broke; the server need not be there. Whoever made the link
    keeps its state."""
    cache = RedisCache(link, config, clock, metrics)
    try:
        async with room("cache") as here:
            here.start("ride", cache.ride())
            yield cache
    finally:
        await cache.close()


class RedisCache:
    """A Cache."""

    def __init__(self, link: RedisLink, config: MessageLogConfig, clock: Clock, metrics: Metrics) -> None:
        self._link, self._config, self._clock, self._metrics = link, config, clock, metrics
        self._wire: RedisWire | None = None
        self._turn = asyncio.Lock()  # one question at a time
        self._waiting: deque[Entry] = deque()  # entries for the next pipeline
        self._is_waiting = asyncio.Event()
        self._streams = [STREAM, *([config.mirror] if config.mirror else [])] if config.enabled else []
        self._failing: dict[str, int] = {}  # streams that take no entries now, and how many they did not take

    @property
    def state(self) -> LinkState:
        return self._link.state

    def of(self, source: Source) -> "RedisDesk":
        return RedisDesk(self, source)

    async def do(self, operations: Sequence[Operation], source: str) -> None:
        commands = [words for one in operations if (words := _command(one))]
        if len(commands) > 1:
            commands = [("MULTI",), *commands, ("EXEC",)]
        async with self._turn:
            entries = entries_of(operations, source, self._clock.now_ns())
            if not commands and not entries:
                return
            wire = await self._ready()
            await to_the_end(self._do(wire, commands, entries, source))

    async def read(self, keys: Sequence[str], source: str) -> list[bytes | None]:
        if not keys:
            return []
        async with self._turn:
            wire = await self._ready()
            return await to_the_end(self._read(wire, keys, source))

    def listen(self, channels: Sequence[str], source: str) -> AbstractAsyncContextManager[Inbox]:
        return self._listen(channels, source)

    async def log(self, wanted: Wanted, limit: int, cursor: str | None = None) -> LogPage:
        return await page(self._link, wanted, limit, cursor)

    def follow(self, after: str | None = None) -> AsyncIterator[Sequence[Logged] | Resumed]:
        return follow(self._link, after)

    async def ride(self) -> None:
        """See that no entry waits longer than it should. Until cancelled."""
        while True:
            await self._is_waiting.wait()
            await self._clock.sleep(RIDE_S)
            try:
                await self._flush()
            except DeliveryError:
                await self._clock.sleep(AGAIN_S)

    async def close(self) -> None:
        """What still waits for a pipeline gets one, if the server is there."""
        if self._wire is not None and self._wire.is_open:
            with suppress(DeliveryError):
                await self._flush()
            await self._wire.close("closed")

    async def _flush(self) -> None:
        async with self._turn:
            if self._waiting:
                wire = await self._ready()
                await to_the_end(self._exchange(wire, [], []))

    @asynccontextmanager
    async def _listen(self, channels: Sequence[str], source: str) -> AsyncIterator[Inbox]:
        inbox = Inbox(self._metrics.cache_missed.labels(source).inc)
        async with room("listener") as here:
            here.start(source, hear(self._link, channels, inbox, self._clock))
            yield inbox

    # One pipeline. Whoever began it sees it through: an answer that nobody waits for would be taken for the next one's.

    async def _do(self, wire: RedisWire, commands: Sequence[tuple[Word, ...]], entries: list[Entry], source: str) -> None:
        answers, ids = await self._exchange(wire, commands, entries)
        last = answers[-1] if answers else None
        inner = last if isinstance(last, list) else []
        # EXEC says that something was wrong, the command itself what it was.
        refused = next((one for one in (*answers, *inner) if isinstance(one, ReplyError)), None)
        if refused is not None:
            why = refusal(refused)
            await self._take_back(wire, ids, of_note("error", _name(commands), why, 0, source, self._clock.now_ns()))
            raise DeliveryError(f"redis: {self.state.url}: {_name(commands)}: {why}; nothing of it was done")

    async def _read(self, wire: RedisWire, keys: Sequence[str], source: str) -> list[bytes | None]:
        (values,), _ = await self._exchange(wire, [("MGET", *keys)], [])
        if isinstance(values, ReplyError):
            raise DeliveryError(f"redis: {self.state.url}: {keys[0]}: {refusal(values)}")
        if self._streams:
            self._wait(entries_of_read(keys, values, source, self._clock.now_ns()))
        found: list[bytes | None] = values
        return found

    async def _exchange(
        self, wire: RedisWire, commands: Sequence[tuple[Word, ...]], entries: Sequence[Entry]
    ) -> tuple[list[Any], list[tuple[str, bytes]]]:
        """The answers, and what entries of these operations became: stream and id. Raises Unreachable."""
        waiting, self._waiting = self._waiting, deque()
        self._is_waiting.clear()
        before, after = self._packed(waiting), self._packed(entries)
        sent = b"".join((*before, *(pack(*words) for words in commands), *after))
        count = len(before) + len(commands) + len(after)
        if not count:
            return [], []
        self._metrics.cache_round_trips.inc()
        self._metrics.cache_bytes.labels("sent").inc(len(sent))
        try:
            answers = await self._answers(wire, sent, count)
        except Unreachable:
            for stream in self._streams:
                self._metrics.log_lost.labels(stream, "disconnected").inc(len(waiting) + len(entries))
            raise
        self._metrics.cache_bytes.labels("received").inc(wire.answered_bytes)
        done = answers[len(before) : len(before) + len(commands)]
        ids = self._logged([*answers[: len(before)], *answers[len(before) + len(commands) :]])
        return done, ids[len(ids) - len(after) :] if after else []

    async def _answers(self, wire: RedisWire, sent: bytes, count: int) -> list[Any]:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await wire.send(sent, count)
        except TimeoutError:
            wire.abort(f"no answer within {ANSWER_S:g} s")
            raise self._link.lost(f"no answer within {ANSWER_S:g} s") from None
        except Disconnected as error:
            raise self._link.lost(str(error)) from error

    async def _ready(self) -> RedisWire:
        if self._wire is None or not self._wire.is_open:
            self._wire = await self._link.open("cache")
        return self._wire

    # The log.

    def _packed(self, entries: Sequence[Entry] | deque[Entry]) -> list[bytes]:
        maxlen = self._config.maxlen
        return [pack("XADD", stream, "MAXLEN", "~", maxlen, "*", *entry.words()) for entry in entries for stream in self._streams]

    def _wait(self, entries: Sequence[Entry]) -> None:
        self._waiting.extend(entries)
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            for stream in self._streams:
                self._metrics.log_lost.labels(stream, "waiting").inc()
        if self._waiting:
            self._is_waiting.set()

    def _logged(self, answers: Sequence[Any]) -> list[tuple[str, bytes]]:
        """That a stream takes no entries is said once, and again when it does."""
        ids = []
        for at, answer in enumerate(answers):
            stream = self._streams[at % len(self._streams)]
            if isinstance(answer, ReplyError):
                self._metrics.log_lost.labels(stream, _kind(answer)).inc()
                if stream not in self._failing:
                    log.warning("message_log.failing", stream=stream, reason=refusal(answer), text="the operations go on")
                self._failing[stream] = self._failing.get(stream, 0) + 1
                ids.append((stream, b""))
                continue
            if stream in self._failing:
                log.info("message_log.back", stream=stream, lost=self._failing.pop(stream))
            ids.append((stream, answer))
        return ids

    async def _take_back(self, wire: RedisWire, ids: Sequence[tuple[str, bytes]], instead: Entry) -> None:
        """Entries of what was not done. Where they cannot be deleted they stay, and the entry after them says why."""
        self._wait([instead] if self._streams else [])
        taken: list[tuple[Word, ...]] = [
            ("XDEL", stream, *(id for its, id in ids if its == stream and id)) for stream in self._streams
        ]
        await self._exchange(wire, [words for words in taken if len(words) > 2], [])


class RedisDesk:
    """A Desk."""

    def __init__(self, cache: RedisCache, source: Source) -> None:
        self._cache, self._source = cache, source

    async def do(self, *operations: Operation) -> None:
        await self._cache.do(operations, self._source)

    async def read(self, *keys: str) -> list[bytes | None]:
        return await self._cache.read(keys, self._source)

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Message | Resumed]]:
        return self._cache.listen(channels, self._source)


def _command(one: Operation) -> tuple[Word, ...]:
    match one:
        case Write(key, value, None):
            return "SET", key, value
        case Write(key, value, float() | int() as ttl_s):
            return "SET", key, value, "PX", max(1, round(ttl_s * 1000))
        case Publish(channel, payload):
            return "PUBLISH", channel, payload
    return ()


def _name(commands: Sequence[tuple[Word, ...]]) -> str:
    """What a refusal is about: the first key or channel."""
    return next((str(words[1]) for words in commands if len(words) > 1), "")


def _kind(error: ReplyError) -> str:
    """`WRONGTYPE`, `OOM`, `NOPERM`: few enough for a metric."""
    word = str(error).partition(" ")[0]
    return word if word.isupper() and len(word) <= 12 else "other"
