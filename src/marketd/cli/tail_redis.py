"""The end of a Redis stream, and what is added to it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TooLate

from marketd.cli.entries import Output
from marketd.clock import SystemClock
from marketd.errors import ConfigError, StartError, words_of
from marketd.secrets import SecretUrl, masked

WITHIN_S = 5.0
BLOCK_MS = 1000
BATCH = 1000
AGAIN_S = 1.0
STREAMS_MAX = 5  # named where the one that was asked for is not there

Answer = TypeVar("Answer")
Fields = dict[str, str]


class Read(NamedTuple):
    """Entries in order, and how many were trimmed away between these and the ones before."""

    entries: list[tuple[str, Fields | None]]  # no fields: the entry was trimmed after this member had taken it
    trimmed: int


class Reader(Protocol):
    """What reads on from where it was."""

    async def read(self, client: Redis, count: int, wait: bool) -> Read: ...

    async def shown(self, client: Redis, entries: list[str]) -> None: ...


async def tail_redis(url: SecretUrl, key: str, count: int, group: str | None, consumer: str) -> None:
    """The last `count` entries, or with 0 those that are added. A member of a group takes what its group has not had.

    Raises StartError where the server does not answer or the key is no stream. Following outlives the server's restarts.
    """
    out = Output()
    async with open_server(url) as client:
        kind: Any = await in_time(client.type(key))
        if kind not in ("stream", "none"):
            raise StartError(f"redis {key}: holds a {kind}, expected a stream; `marketd tail redis:list` names the streams")
        if kind == "none" and (count or group):
            raise StartError(await _not_there(client, key))
        if group is None and count:
            newest: Any = await in_time(client.xrevrange(key, count=count))
            _show(out, Read(newest[::-1], 0), key)
            return
        reader: Reader
        if group is None:
            reader = await Follower.after_the_last(client, key)
        else:
            reader = await Member.joined(client, key, group, consumer)
        if count:
            await _take(client, reader, out, key, count)
        else:
            await _follow(client, reader, out, key, masked(url.get_secret_value()))


@asynccontextmanager
async def open_server(url: SecretUrl) -> AsyncIterator[Redis]:
    """A client of a server that has answered. Raises ConfigError for no address, StartError."""
    where = masked(url.get_secret_value())
    try:
        client: Redis = Redis.from_url(
            url.get_secret_value(),
            protocol=2,
            decode_responses=True,
            encoding_errors="replace",
            socket_connect_timeout=WITHIN_S,
            socket_timeout=None,  # on Python 3.11 the client's own limit can swallow a cancellation
            retry=Retry(NoBackoff(), 0),
            client_name="marketd-tail",
        )
    except ValueError as error:
        raise ConfigError(f"REDIS_URL: found {where}, expected redis://HOST:PORT/DATABASE ({error})") from None
    async with client:
        try:
            await in_time(client.ping())
            yield client
        except (Unreachable, TooLate) as error:
            raise StartError(f"redis at {where} does not answer: {_said(error)}; REDIS_URL says where it is") from None
        except RedisError as error:
            raise StartError(f"redis at {where}: {_said(error)}") from None


async def in_time(asking: Awaitable[Answer]) -> Answer:
    """The answer. Raises TooLate without one."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await asking
    except TimeoutError:
        raise TooLate(f"no answer within {WITHIN_S:g} s") from None


def _said(error: Exception) -> str:
    return masked(words_of(error)).rstrip(".")


async def _not_there(client: Redis, key: str) -> str:
    names = [name async for name in client.scan_iter(_type="STREAM", count=1000)]
    shown = ", ".join(sorted(names)[:STREAMS_MAX]) + (f" and {len(names) - STREAMS_MAX} more" if len(names) > STREAMS_MAX else "")
    return f"redis {key}: there is no such stream; {f'there are {shown}' if names else 'there is none at all'}"


class Follower:
    """Reads without a trace on the server, and counts what was trimmed before it came to it."""

    def __init__(self, key: str, last: str, seen: int) -> None:
        self._key, self._last, self._seen = key, last, seen  # `seen` of all entries that were ever added

    @classmethod
    async def after_the_last(cls, client: Redis, key: str) -> "Follower":
        """Where nothing is yet, from the first that comes."""
        about = await _about(client, key)
        return cls(key, about["last-generated-id"], about["entries-added"]) if about else cls(key, "0-0", 0)

    async def read(self, client: Redis, count: int, wait: bool) -> Read:
        if wait and not await client.xread({self._key: self._last}, count=1, block=BLOCK_MS):
            return Read([], 0)
        async with client.pipeline(transaction=True) as both:  # else it could be trimmed between the two
            both.xinfo_stream(self._key)
            both.xrange(self._key, min=f"({self._last}", count=count)
            about, entries = await both.execute(raise_on_error=False)
        if isinstance(about, ResponseError):  # deleted in this moment
            return Read([], 0)
        added = int(about["entries-added"])
        gone = added - int(about["length"])
        if added < self._seen:  # deleted and begun anew
            self._seen = 0
        trimmed = max(0, gone - self._seen)
        if entries:
            self._last = entries[-1][0]
            self._seen += trimmed + len(entries)
        return Read(entries, trimmed if entries else 0)

    async def shown(self, client: Redis, entries: list[str]) -> None:
        pass


class Member:
    """One of a consumer group: first what it took and never acknowledged, then what nobody of the group has had."""

    def __init__(self, key: str, group: str, consumer: str) -> None:
        self._key, self._group, self._consumer = key, group, consumer
        self._pending: str | None = "0"  # reads on from here in what it took before; None: all of that is done

    @classmethod
    async def joined(cls, client: Redis, key: str, group: str, consumer: str) -> "Member":
        """A group that is not there is made, and begins with the oldest entry that is kept."""
        try:
            await client.xgroup_create(key, group, id="0", entries_read=0)
            sys.stderr.write(f"redis {key}: made group {group}, which begins with the oldest entry\n")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        return cls(key, group, consumer)

    async def read(self, client: Redis, count: int, wait: bool) -> Read:
        if self._pending is not None:
            entries = await self._taken(client, self._pending, count)
            self._pending = entries[-1][0] if entries else None
            if entries:
                return Read(entries, 0)
        trimmed = await self._trimmed(client)
        return Read(await self._taken(client, ">", count, BLOCK_MS if wait else None), trimmed)

    async def _taken(self, client: Redis, after: str, count: int, block: int | None = None) -> list[tuple[str, Fields | None]]:
        found: Any = await client.xreadgroup(self._group, self._consumer, {self._key: after}, count=count, block=block)
        return [(entry, fields or None) for _, entries in found for entry, fields in entries]

    async def _trimmed(self, client: Redis) -> int:
        about = await _about(client, self._key)
        groups = {one["name"]: one for one in await client.xinfo_groups(self._key)} if about else {}
        had = groups.get(self._group, {}).get("entries-read")
        return 0 if had is None else max(0, int(about["entries-added"]) - int(about["length"]) - int(had))

    async def shown(self, client: Redis, entries: list[str]) -> None:
        if entries:
            await client.xack(self._key, self._group, *entries)


async def _about(client: Redis, key: str) -> dict[str, Any]:
    """What the server says of the stream; nothing where there is none."""
    try:
        found: dict[str, Any] = await client.xinfo_stream(key)
    except ResponseError as error:
        if "no such key" in str(error):
            return {}
        raise
    return found


async def _take(client: Redis, reader: Reader, out: Output, key: str, count: int) -> None:
    """At most so many of what is there."""
    while count and (read := await in_time(reader.read(client, min(count, BATCH), wait=False))).entries:
        count -= len(read.entries)
        _show(out, read, key)
        await reader.shown(client, [entry for entry, _ in read.entries])


async def _follow(client: Redis, reader: Reader, out: Output, key: str, where: str) -> None:
    clock, is_lost = SystemClock(), False
    while True:
        try:
            read = await in_time(reader.read(client, BATCH, wait=True))
            if is_lost:
                sys.stderr.write(f"redis at {where} answers again\n")
            is_lost = False
            _show(out, read, key)
            await reader.shown(client, [entry for entry, _ in read.entries])
        except (Unreachable, TooLate) as error:
            if not is_lost:
                sys.stderr.write(f"redis at {where} does not answer: {_said(error)}; asked again until it does\n")
            is_lost = True
            await clock.sleep(AGAIN_S)


def _show(out: Output, read: Read, key: str) -> None:
    if read.trimmed:
        sys.stderr.write(f"redis {key}: {read.trimmed:,} entries were trimmed before they could be read\n")
    for entry, fields in read.entries:
        if fields is None:
            sys.stderr.write(f"redis {key}: entry {entry} was trimmed before it was acknowledged\n")
        else:
            out.redis_entry(entry, fields)
    out.flush()
