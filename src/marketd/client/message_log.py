"""The message log for other programs: what they do on Redis by a client of redis-py, logged in the same round trip."""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from marketd.client.waiting import now_ns, wait
from marketd.model.message_log import (
    MAXLEN,
    NOTE_TYPES,
    SOURCES,
    STREAM,
    Entry,
    NoteType,
    Source,
    is_logged,
    of_note,
    of_publish,
    of_read,
    of_write,
)

RIDE_S = 0.1  # how long the entry of a read waits at most for a pipeline that takes it along
WAITING_MAX = 10_000
Command = tuple[Any, ...]
Value = bytes | str


class Entries:
    """What goes along with an operation. Entries that could not be written are counted in `lost`; `why` has the last reason."""

    def __init__(self, source: Source, maxlen: int) -> None:
        if source not in SOURCES:
            raise ValueError(f"source: found {source!r}, expected one of {', '.join(SOURCES)}")
        self.source, self.lost, self.why = source, 0, ""
        self._maxlen = maxlen
        self._waiting: deque[Command] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Entry) -> Command | None:
        return ("XADD", STREAM, "MAXLEN", "~", self._maxlen, "*", *entry.words()) if is_logged(entry.channel) else None

    def wait(self, *commands: Command | None) -> None:
        """For the next pipeline."""
        self._waiting.extend(each for each in commands if each is not None)
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popleft()
            self.lost += 1

    def take(self) -> list[Command]:
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def count(self, answers: Sequence[Any]) -> None:
        for each in answers:
            if isinstance(each, Exception):
                self.lost, self.why = self.lost + 1, str(each)

    def gone(self, commands: Sequence[Command], error: RedisError) -> None:
        """The connection broke: whether they were written, nobody knows."""
        self.lost, self.why = self.lost + sum(each[0] == "XADD" for each in commands), str(error)

    def answered(self, command: Command | None, before: int, answers: Sequence[Any]) -> Any:
        """The operation's own answer, out of all. Raises what it was refused with; its entry is taken back then."""
        if command is None:
            self.count(answers)
            return None
        own, after = answers[before], answers[before + 1 :]
        self.count(answers[:before])
        self.count(after)
        if isinstance(own, Exception):
            self.wait(*(("XDEL", STREAM, id) for id in after if not isinstance(id, Exception)))
            name = str(command[1])
            self.wait(self.add(of_note("error", name, str(own), 0, self.source, now_ns())))
            raise own
        if command[0] == "MGET":
            pairs = zip(command[1:], own, strict=True)
            self.wait(*(self.add(of_read(str(key), _size(value), self.source, now_ns())) for key, value in pairs))
        return own

    def written(self, key: str, value: Value, ttl_s: float | None) -> tuple[Command, Entry]:
        ttl = () if ttl_s is None else ("PX", max(1, round(ttl_s * 1000)))
        return ("SET", key, value, *ttl), of_write(key, _size(value) or 0, ttl_s, self.source, now_ns())

    def published(self, channel: str, payload: Value, signal: bool, summary: str) -> tuple[Command, Entry]:
        entry = of_publish(channel, _size(payload) or 0, self.source, now_ns(), signal=signal, summary=summary)
        return ("PUBLISH", channel, payload), entry

    def noted(self, type: NoteType, channel: str, summary: str, payload_size: int) -> Entry:
        if type not in NOTE_TYPES:
            raise ValueError(f"type: found {type!r}, expected one of {', '.join(NOTE_TYPES)}")
        return of_note(type, channel, summary, payload_size, self.source, now_ns())


class MessageLog:
    """Operations on your Redis client, each logged as one of `source`. Use it by `async with`; the client is yours to close."""

    def __init__(self, redis: AsyncRedis, source: Source, *, maxlen: int = MAXLEN) -> None:
        """Raises ValueError for a source that is none."""
        self.entries = Entries(source, maxlen)
        self._redis = redis
        self._tasks = asyncio.TaskGroup()
        self._is_waiting = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._riding = self._tasks.create_task(self._ride(), name="message-log")
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._riding.cancel()
        await self._tasks.__aexit__(*error)
        await self.flush()

    async def write(self, key: str, value: Value, ttl_s: float | None) -> None:
        """Put a value under a key for so long; None: for good. Raises RedisError, as all below."""
        await self._do(*self.entries.written(key, value, ttl_s))

    async def publish(self, channel: str, payload: Value, *, signal: bool = False, summary: str = "") -> int:
        """How many listen."""
        return int(await self._do(*self.entries.published(channel, payload, signal, summary)))

    async def read(self, *keys: str) -> list[Any]:
        """The values at one moment, None where nothing is."""
        found = list(await self._do(("MGET", *keys), None)) if keys else []
        self._is_waiting.set()
        return found

    async def note(self, type: NoteType, channel: str, summary: str, payload_size: int = 0) -> None:
        """A line of the log and nothing else. It raises nothing but ValueError."""
        with suppress(RedisError):
            await self._do(None, self.entries.noted(type, channel, summary, payload_size))

    async def flush(self) -> None:
        """Write what waits now."""
        if len(self.entries):
            with suppress(RedisError):
                await self._do(None, None)

    async def _do(self, command: Command | None, entry: Entry | None) -> Any:
        before, own, after = _parts(self.entries, command, entry)
        pipeline = self._redis.pipeline(transaction=False)
        for each in (*before, *own, *after):
            pipeline.execute_command(*each)
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except RedisError as error:
            self.entries.gone((*before, *after), error)
            raise
        return self.entries.answered(command, len(before), answers)

    async def _ride(self) -> None:
        while True:
            await self._is_waiting.wait()
            self._is_waiting.clear()
            await wait(RIDE_S)
            await self.flush()


class SyncMessageLog:
    """The same without `await`, also from several threads."""

    def __init__(self, redis: Redis, source: Source, *, maxlen: int = MAXLEN) -> None:
        """Raises ValueError for a source that is none."""
        self.entries = Entries(source, maxlen)
        self._redis = redis
        self._turn = threading.Lock()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.flush()

    def write(self, key: str, value: Value, ttl_s: float | None) -> None:
        self._do(*self.entries.written(key, value, ttl_s))

    def publish(self, channel: str, payload: Value, *, signal: bool = False, summary: str = "") -> int:
        return int(self._do(*self.entries.published(channel, payload, signal, summary)))

    def read(self, *keys: str) -> list[Any]:
        found = list(self._do(("MGET", *keys), None)) if keys else []
        with self._turn:
            if len(self.entries) and (self._timer is None or not self._timer.is_alive()):
                self._timer = threading.Timer(RIDE_S, self.flush)
                self._timer.daemon = True
                self._timer.start()
        return found

    def note(self, type: NoteType, channel: str, summary: str, payload_size: int = 0) -> None:
        with suppress(RedisError):
            self._do(None, self.entries.noted(type, channel, summary, payload_size))

    def flush(self) -> None:
        """Write what waits now."""
        if len(self.entries):
            with suppress(RedisError):
                self._do(None, None)

    def _do(self, command: Command | None, entry: Entry | None) -> Any:
        with self._turn:
            before, own, after = _parts(self.entries, command, entry)
            pipeline = self._redis.pipeline(transaction=False)
            for each in (*before, *own, *after):
                pipeline.execute_command(*each)  # type: ignore[no-untyped-call]
            try:
                answers = pipeline.execute(raise_on_error=False)
            except RedisError as error:
                self.entries.gone((*before, *after), error)
                raise
            return self.entries.answered(command, len(before), answers)


def _parts(entries: Entries, command: Command | None, entry: Entry | None) -> tuple[list[Command], list[Command], list[Command]]:
    added = None if entry is None else entries.add(entry)
    return entries.take(), [] if command is None else [command], [] if added is None else [added]


def _size(value: Value | None) -> int | None:
    """In bytes, of a client that decodes too."""
    return None if value is None else len(value.encode() if isinstance(value, str) else value)
