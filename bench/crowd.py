"""A crowd on `/ws`: the API in a process of its own with events made up there, and clients that count what they get."""

import asyncio
import multiprocessing
import resource
import socket
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import msgspec
import uvloop

from bench.processes import Child
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.state import Component
from marketd.api.stream.frames import event_frame
from marketd.api.views import FeaturesView, Views
from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Trade

VENUE = "binance"
START = 1_700_000_000_000_000_000
TICK_S = 0.005
FEW_BYTES = 32 * 1024  # what the system keeps for a member that does not read
HEAD = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PACKED = HEAD[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
_spawn = multiprocessing.get_context("spawn")


def symbol_of(number: int, symbols: int) -> str:
    return f"S{number % symbols}USDT"


def trade(number: int, symbols: int) -> Trade:
    """As long as a venue's own."""
    at = START + number * 1_000_000
    price, size = f"{37_000 + number % 1000}.{number % 100:02d}000000", f"0.{number % 100_000:05d}000"
    return Trade(VENUE, symbol_of(number, symbols), at, at + 500_000, price, size, "buy", str(3_000_000_000 + number))


@dataclass
class Told:
    """The server at one moment."""

    published: int
    cpu_s: float
    took_s: float  # since publishing began
    rss: int  # bytes, the most so far
    messages: float  # to all clients
    clients: float
    slow: float  # closed for it
    done: bool
    late_s: float  # how late a tick of the publisher was at most


class Healthy:
    def components(self) -> dict[str, Component]:
        return {}


class Server(Child):
    """The API in its own process."""

    url: str = ""

    def publish(self, rate: int, seconds: float, symbols: int) -> None:
        """From now on, so many trades a second, of the symbols in turn."""
        self.ask("publish", rate, seconds, symbols)

    def told(self) -> Told:
        return cast("Told", self.ask("told"))


@contextmanager
def serving(**stream: Any) -> Iterator[Server]:
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_serve, args=(theirs, stream), daemon=True)
    process.start()
    server = Server(ours)
    server.url = server.ask("url")
    try:
        yield server
    finally:
        server.ask("stop")
        process.join(30)
        process.terminate()


def _serve(pipe: Connection, stream: dict[str, Any]) -> None:
    uvloop.run(_answer(pipe, stream))


async def _answer(pipe: Connection, stream: dict[str, Any]) -> None:
    clock, metrics = SystemClock(), Metrics()
    bus = Bus(metrics)
    views = Views("bench", ("features",), clock.now_ns(), clock, metrics, Healthy(), bus, features=cast("FeaturesView", object()))
    config = ApiConfig.model_validate({"port": 0, "stream": stream})
    told = Told(0, time.process_time(), 0.0, 0, 0, 0, 0, False, 0.0)
    with TemporaryDirectory() as home:
        async with run_api(config, views, Path(home)) as url, asyncio.TaskGroup() as group:
            while True:
                question = await asyncio.to_thread(pipe.recv)
                if question[0] == "stop":
                    pipe.send(None)
                    return
                if question[0] == "url":
                    pipe.send(url)
                elif question[0] == "publish":
                    group.create_task(_publish(bus, told, *question[1:]))
                    pipe.send(None)
                else:
                    told.messages = metrics.stream_messages._value.get()
                    told.clients = metrics.stream_clients._value.get()
                    told.slow = metrics.stream_closed.labels("slow")._value.get()
                    told.rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                    pipe.send(told)


async def _publish(bus: Bus, told: Told, rate: int, seconds: float, symbols: int) -> None:
    started, cpu, last = time.perf_counter(), time.process_time(), time.perf_counter()
    total = int(rate * seconds)
    while told.published < total:
        now = time.perf_counter()
        told.late_s, last = max(told.late_s, now - last - TICK_S), now
        due = min(total, int((now - started) * rate))
        events: list[Event] = [trade(number, symbols) for number in range(told.published, due)]
        bus.publish(events)
        told.published = due
        told.cpu_s, told.took_s = time.process_time() - cpu, now - started
        await asyncio.sleep(TICK_S)
    told.done = True


@dataclass(eq=False)
class Member(asyncio.Protocol):
    """One client: it counts the bytes of events; who `keeps` has them too."""

    channels: Sequence[str]
    keeps: bool = False
    packs: bool = False
    size: int = 0
    data: list[bytes] = field(default_factory=list)
    tail: bytes = b""
    is_joined: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    joined: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write((PACKED if self.packs else HEAD) + self.asked())

    def asked(self) -> bytes:
        """Its subscription, as a frame."""
        channels = [{"type": "trade", "provider": VENUE, "symbol": symbol} for symbol in self.channels]
        asked = msgspec.json.encode({"op": "subscribe", "channels": channels})
        size = len(asked)
        if size < 126:
            head = bytes((0x81, 0x80 | size))
        elif size < 65_536:
            head = bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x81, 0xFF)) + size.to_bytes(8, "big")
        return head + b"\0\0\0\0" + asked

    def data_received(self, data: bytes) -> None:
        if self.is_joined:
            self.take(data)
            self.tail = (self.tail + data)[-200:] if len(data) < 200 else data[-200:]
        else:
            self.tail += data
            at = self.tail.find(b'"op":"subscribed"')
            end = self.tail.find(b'"id":null}', at) if at >= 0 else -1
            if end >= 0:
                rest, self.tail, self.is_joined = self.tail[end + 10 :], b"", True
                self.joined.set()
                if rest:
                    self.data_received(rest)

    def take(self, data: bytes) -> None:
        """What follows the answer to its subscription."""
        self.size += len(data)
        if self.keeps:
            self.data.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def reason(self) -> tuple[int, str]:
        """Code and words of the close frame that came last."""
        at = self.tail.rfind(b"\x88")
        return int.from_bytes(self.tail[at + 2 : at + 4], "big"), self.tail[at + 4 :].decode("utf-8", "replace")

    def events(self) -> list[dict[str, Any]]:
        """All it kept."""
        return [msgspec.json.decode(one) for one in payloads(b"".join(self.data))]


@dataclass
class Book:
    """What all followers got so far, by who is ahead."""

    data: bytearray = field(default_factory=bytearray)


@dataclass(eq=False)
class Follower(Member):
    """Compares each byte with what the others got; once it gets something else, it keeps it, to be read for itself.

    So the bytes that hundreds got alike are unpacked and read once, and still everyone's are known.
    """

    book: Book = field(default_factory=Book)
    alike: int = 0  # bytes, from the start on
    own: bytearray | None = None  # what follows them

    def take(self, data: bytes) -> None:
        self.size += len(data)
        known = self.book.data
        if self.own is None:
            there = known[self.alike : self.alike + len(data)]
            if there == data[: len(there)]:
                known += data[len(there) :]
                self.alike += len(data)
                return
            self.own = bytearray()
        self.own += data

    def whole(self) -> bytes:
        """All it got."""
        return bytes(self.book.data[: self.alike]) + bytes(self.own or b"")


def payloads(data: bytes) -> Iterator[bytes]:
    """Of the text messages from the start of a connection on, unpacked."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    at = 0
    while at + 2 <= len(data):
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        if start + size > len(data):
            return
        if data[at] == 0x81:
            yield data[start : start + size]
        elif data[at] == 0xC1:
            yield unpacker.decompress(data[start : start + size] + b"\x00\x00\xff\xff")
        at = start + size


async def join(url: str, member: Member, *, few: bool = False) -> Member:
    """Connected and subscribed; with `few`, its system keeps little for it."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if few:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW_BYTES)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", int(url.rpartition(":")[2])))
    await loop.create_connection(lambda: member, sock=sock)
    async with asyncio.timeout(60):
        await member.joined.wait()
    return member


def sizes(published: int, symbols: int) -> dict[str, int]:
    """What a member gets of each symbol, in bytes, if it came before the first event."""
    found: dict[str, int] = {}
    for number in range(published):
        symbol = symbol_of(number, symbols)
        found[symbol] = found.get(symbol, 0) + len(event_frame(trade(number, symbols), number // symbols + 1))
    return found


@asynccontextmanager
async def crowd(server: Server, members: Sequence[Member], stalled: Sequence[Member]) -> AsyncIterator[None]:
    """All joined; the stalled read nothing from here on."""
    for at in range(0, len(members), 50):
        await asyncio.gather(*(join(server.url, member) for member in members[at : at + 50]))
    for member in stalled:
        await join(server.url, member, few=True)
        member.transport.pause_reading()
    try:
        yield
    finally:
        for member in (*members, *stalled):
            member.transport.abort()
