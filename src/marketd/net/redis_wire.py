"""One connection to a Redis server for packed commands: a thousand answers cost one wake-up, where redis-py wakes up for each."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, cast

import hiredis

from marketd.errors import Disconnected, words_of

CONNECT_S = 3.0  # for the connection, and again for the server's answer to the greeting
LATE_S = 0.5  # a timeout that comes so much too late: this process stood still meanwhile
ANSWERS_BYTES = 256 * 1024 * 1024  # to one question, at most: a server that sends more is given up
NOTHING_YET = object()

Word = str | int | bytes
ReplyError = hiredis.HiredisError  # an answer that is an error: it comes as a value and is never raised here


def pack(*words: Word) -> bytes:
    """One command as it goes over the wire."""
    return bytes(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub knows tuples of one word only


@dataclass(frozen=True)
class Address:
    """Where a server is, and how it lets us in."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None  # a Unix socket instead
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    def greeting(self, name: str) -> list[tuple[Word, ...]]:
        words: list[tuple[Word, ...]] = []
        if self.password is not None:
            words.append(("AUTH", *([self.username] if self.username else []), self.password))
        if self.db:
            words.append(("SELECT", self.db))
        return [*words, ("PING",), ("CLIENT", "ID"), ("CLIENT", "SETNAME", name)]


class RedisWire(asyncio.Protocol):
    """Commands go out as they are packed, answers come back in that order. Made by `open_wire`."""

    def __init__(self) -> None:
        self.client_id: int | None = None  # the server's number for this connection, where it tells
        self.why: str | None = None  # it ended
        self._reader = hiredis.Reader(notEnoughData=NOTHING_YET)
        self._transport: asyncio.Transport | None = None
        self._answers: list[Any] = []
        self._count = 0
        self._size = 0  # bytes received since the question
        self._asked: asyncio.Future[list[Any]] | None = None
        self._take: Callable[[Any], None] | None = None  # it listens
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close("closed")

    @property
    def is_open(self) -> bool:
        return self._transport is not None and self.why is None

    def send(self, commands: bytes, count: int) -> asyncio.Future[list[Any]]:
        """Write `count` packed commands; their answers come whole, or Disconnected. One question at a time."""
        assert self._asked is None or self._asked.done(), "the last question is not answered yet"
        self._asked = asyncio.get_running_loop().create_future()
        self._count, self._size = count, 0
        if self._transport is None or self.why is not None:
            self._asked.set_exception(Disconnected(self.why or "not connected"))
        else:
            self._transport.write(commands)
        return self._asked

    async def ask(self, *commands: Sequence[Word], within_s: float) -> list[Any]:
        """The answers. Raises Disconnected; whoever waits in vain gives the connection up, since answers could no longer be
        told from each other."""
        if not commands:
            return []
        answers = self.send(b"".join(pack(*words) for words in commands), len(commands))
        try:
            async with asyncio.timeout(within_s):
                return await answers
        except TimeoutError:
            self.abort(f"no answer within {within_s:g} s")
            raise Disconnected(f"no answer within {within_s:g} s") from None
        except asyncio.CancelledError:
            self.abort("given up")
            raise

    def listen(self, commands: bytes, take: Callable[[Any], None]) -> None:
        """Write packed commands; from now on all that the server says goes to `take` as it comes, and nothing is asked."""
        self._take = take
        if self._transport is not None and self.why is None:
            self._transport.write(commands)

    async def ended(self) -> str:
        """Why, once it has."""
        await self._gone.wait()
        return self.why or "closed"

    @property
    def answered_bytes(self) -> int:
        """To the last question."""
        return self._size

    def abort(self, why: str) -> None:
        """Let go at once; what was asked fails."""
        self._end(why)
        if self._transport is not None:
            self._transport.abort()

    async def close(self, why: str) -> None:
        """Let go, and wait until the socket is gone."""
        self.abort(why)
        if self._transport is not None:
            await self._gone.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance

    def data_received(self, data: bytes) -> None:
        if self.why is not None:
            return  # it is being let go
        if self._take is not None:
            self._hear(data, self._take)
            return
        if self._asked is None or self._asked.done():
            self._unasked(data)
            return
        self._size += len(data)
        if self._size > ANSWERS_BYTES:
            self.abort(f"the server answers more than {ANSWERS_BYTES // 1024 // 1024} MiB to one question")
            return
        self._reader.feed(data)
        answers, gets = self._answers, self._reader.gets
        try:
            while (answer := gets()) is not NOTHING_YET:
                answers.append(answer)
                if len(answers) > self._count:
                    self.abort("the server answers what nobody asked")
                    return
        except hiredis.HiredisError as error:
            self.abort(f"no Redis server answers there: {error}")
            return
        if len(answers) == self._count:
            self._answers = []
            self._asked.set_result(answers)

    def _hear(self, data: bytes, take: Callable[[Any], None]) -> None:
        try:
            self._reader.feed(data)
            while (said := self._reader.gets()) is not NOTHING_YET and self.why is None:
                take(said)
        except hiredis.HiredisError as error:
            self.abort(f"no Redis server answers there: {error}")

    def _unasked(self, data: bytes) -> None:
        """Who is turned away at the door is told so before anything was asked."""
        answer: object = NOTHING_YET
        with suppress(hiredis.HiredisError):
            self._reader.feed(data)
            answer = self._reader.gets()
        self.abort(refusal(answer) if isinstance(answer, ReplyError) else "the server answers what nobody asked")

    def connection_lost(self, error: Exception | None) -> None:
        self._gone.set()
        self._end(words_of(error) if error is not None else "the server closed the connection")

    def _end(self, why: str) -> None:
        self.why = self.why or why
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(Disconnected(self.why))
            self._asked.exception()  # whoever still waits gets it; nobody else need be told


async def _connected(address: Address) -> RedisWire:
    """Raises Disconnected. Time that went by while nothing here ran says nothing about the server: it is asked once more."""
    loop = asyncio.get_running_loop()
    for is_again in (False, True):
        begun = loop.time()
        try:
            async with asyncio.timeout(CONNECT_S):
                if address.path is not None:
                    return (await loop.create_unix_connection(RedisWire, address.path))[1]
                return (await loop.create_connection(RedisWire, address.host, address.port, ssl=address.tls))[1]
        except TimeoutError:
            if is_again or loop.time() - begun < CONNECT_S + LATE_S:
                break
        except (OSError, ssl.SSLError) as error:
            raise Disconnected(words_of(error)) from error
    raise Disconnected(f"no connection within {CONNECT_S:g} s")


async def open_wire(address: Address, name: str) -> RedisWire:
    """A connection that is let in and answers. Raises Disconnected in words for a person."""
    wire = await _connected(address)
    greeting = address.greeting(name)
    try:
        *entry, client_id, _ = await wire.ask(*greeting, within_s=CONNECT_S)
        for answer in entry:
            if isinstance(answer, ReplyError):
                raise Disconnected(refusal(answer))
    except BaseException:
        await wire.close("not let in")
        raise
    with suppress(TypeError, ValueError):
        wire.client_id = int(client_id)
    return wire


REFUSALS = {
    "OOM": "out of memory: maxmemory is reached and its policy removes nothing",
    "READONLY": "it is a replica, which takes no writes; name the primary",
    "LOADING": "it is loading its data",
    "NOAUTH": "it asks for a password; set it in REDIS_URL",
    "WRONGPASS": "the user or the password is wrong",
    "NOPERM": "the user may not do this",
    "WRONGTYPE": "the key holds something that is no stream; rename or delete it",
    "MISCONF": "it cannot write its own data to disk",
    "MASTERDOWN": "it is a replica without its primary; name the primary",
    "MOVED": "it is one of a cluster, where one connection cannot write all streams; name a single server",
    "CROSSSLOT": "it is a cluster, where one transaction cannot write several streams; name a single server",
    "BUSY": "it is busy with a script",
}


def refusal(answer: Exception) -> str:
    """What an error answer means, with the server's own words."""
    words = str(answer)
    meaning = REFUSALS.get(words.partition(" ")[0])
    return f"{meaning} ({words})" if meaning else words
