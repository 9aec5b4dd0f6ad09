"""What every cache promises, in Redis as in memory: operations that are logged, listeners that are told what they missed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from marketd.model.message_log import Entry, NoteType, Source, is_logged, of_note, of_publish, of_read, of_write

FOLLOW_S = 0.5  # an empty batch for whoever follows a quiet log, so that it can see what else there is to do


@dataclass(frozen=True)
class Write:
    """Put a value under a key, in place of what is there."""

    key: str
    value: bytes
    ttl_s: float | None  # None: for good


@dataclass(frozen=True)
class Publish:
    """Tell whoever listens to a channel now."""

    channel: str
    payload: bytes
    signal: bool = False  # logged as a signal
    summary: str = ""  # the log's line; default channel and size


@dataclass(frozen=True)
class Note:
    """A line in the log, and nothing else."""

    type: NoteType
    channel: str  # what it concerns: a channel, a key, a symbol
    summary: str
    payload_size: int = 0


Operation = Write | Publish | Note


@dataclass(frozen=True)
class Message:
    """What was published."""

    channel: str
    payload: bytes


@dataclass(frozen=True)
class Resumed:
    """From here on nothing is missed; before it, something may have been: read again whatever the messages are about.

    It is the first thing that a listener gets, and comes after every reconnect and every loss.
    """

    reason: str
    missed: int | None = None  # messages; None: nobody can say


class CacheState(Protocol):
    """How the server is doing, for /health."""

    @property
    def url(self) -> str: ...  # nothing secret in it

    @property
    def since(self) -> int: ...  # ns, when it came or went

    @property
    def connected(self) -> bool: ...

    @property
    def reason(self) -> str: ...  # where it is connected, or why it is not


class Logged(Entry, frozen=True):
    """An entry as the log has it."""

    id: str  # of the stream: milliseconds, a dash, a number


class Wanted(msgspec.Struct, frozen=True):
    """Which entries of the log; what is None is not asked for."""

    type: str | None = None
    source: str | None = None
    channel: str | None = None
    since: int = 0  # ns, by the time in the id

    def takes(self, entry: Logged) -> bool:
        return (
            (self.type is None or entry.type == self.type)
            and (self.source is None or entry.source == self.source)
            and (self.channel is None or entry.channel == self.channel)
            and ms_of(entry.id) >= -(-self.since // 1_000_000)
        )


class LogPage(msgspec.Struct, frozen=True):
    entries: list[Logged]  # newest first
    cursor: str | None  # of the next, older page; None: there is none


class Desk(Protocol):
    """The cache for one program, in whose name it is logged."""

    async def do(self, *operations: Operation) -> None:
        """All or nothing, in this order, each with its entry in the log. That the log cannot be written fails nothing.

        Raises DeliveryError when the server refuses, and Unreachable (one of them) when it is away; what was asked then has
        not happened, unless the connection broke before the answer came.
        """
        ...

    async def read(self, *keys: str) -> list[bytes | None]:
        """The values at one moment; None where nothing is, or no more. Raises DeliveryError."""
        ...

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Message | Resumed]]:
        """What is published on these channels from now on; one with a `*` is a pattern. It goes on through reconnects.

        Whoever reads slowly loses the newest messages and is told so by a Resumed in their place.
        """
        ...


class Cache(Protocol):
    @property
    def state(self) -> CacheState: ...

    def of(self, source: Source) -> Desk: ...

    async def log(self, wanted: Wanted, limit: int, cursor: str | None = None) -> LogPage:
        """A page of the message log. Raises ValueError for a cursor that is none, DeliveryError."""
        ...

    def follow(self, after: str | None = None) -> AsyncIterator[Sequence[Logged] | Resumed]:
        """Entries as they come, oldest first, after this id or from now on; an empty batch now and then.

        A Resumed says that entries are gone which were not given. Raises ValueError for an id that is none, DeliveryError.
        """
        ...


def entries_of(operations: Sequence[Operation], source: str, ts: int) -> list[Entry]:
    """The log's entries of operations, one each in their order; of what is not logged, none."""
    entries = []
    for one in operations:
        match one:
            case Write(key, value, ttl_s):
                entries.append(of_write(key, len(value), ttl_s, source, ts))
            case Publish(channel, payload, signal, summary):
                entries.append(of_publish(channel, len(payload), source, ts, signal=signal, summary=summary))
            case Note(kind, channel, summary, size):
                entries.append(of_note(kind, channel, summary, size, source, ts))
    return [entry for entry in entries if is_logged(entry.channel)]


def entries_of_read(keys: Sequence[str], values: Sequence[bytes | None], source: str, ts: int) -> list[Entry]:
    """The same of a read, one entry a key."""
    pairs = zip(keys, values, strict=True)
    return [of_read(key, None if value is None else len(value), source, ts) for key, value in pairs if is_logged(key)]


def logged(id: str, entry: Entry) -> Logged:
    return Logged(entry.type, entry.channel, entry.source, entry.summary, entry.payload_size, entry.timestamp, id)


def ms_of(id: str) -> int:
    """The time in an entry's id."""
    return int(id.partition("-")[0])


def place_of(id: str) -> tuple[int, int]:
    """An id as something that can be compared. Raises ValueError for text that is none."""
    ms, dash, number = id.partition("-")
    if not (dash and all(word.isascii() and word.isdecimal() and len(word) <= 20 for word in (ms, number))):
        raise ValueError(f"{id!r} is no id of the log; expected one as 1700000000000-0")
    place = int(ms), int(number)
    if max(place) >= 2**64:
        raise ValueError(f"{id!r} is no id of the log: too large")
    return place


def is_pattern(channel: str) -> bool:
    return "*" in channel
