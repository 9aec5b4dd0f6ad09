"""Fan-out on `/ws`: our hub against a picows server that sends frames made beforehand, a send for each event and client.

The same trades to as many clients over real sockets, in batches as the bus hands them over. Counted is the processor of the
sending process until its system has taken all; who receives is another process, which only reads. Ours encodes, too. The floor is
that same server with each batch's frames joined beforehand, one write for each client. Packed is ours with permessage-deflate.
"""

import asyncio
import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

import uvloop
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

from bench.crowd import HEAD, PACKED, Member, symbol_of, trade
from bench.processes import Child
from bench.rounds import Row, absolute, faster
from marketd.api.section import StreamConfig
from marketd.api.stream.channel import Key
from marketd.api.stream.client import Client
from marketd.api.stream.deflate import agreed
from marketd.api.stream.frames import text_frame
from marketd.api.stream.hub import Hub
from marketd.api.stream.socket import take_over
from marketd.api.stream.wire import Asked
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.wire import encode

CLIENTS, SYMBOLS, BATCH, BATCHES, ROUNDS = 100, 10, 100, 20, 5
TIMES, SHARE_MIN, RATE_MIN = 10.0, 0.4, 2_000_000
PACKED_SHARE_MIN, SMALLER_MIN = 0.5, 4.0
_spawn = multiprocessing.get_context("spawn")
_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
EXTENSIONS = {"ours": None, "packed": agreed("permessage-deflate")}


def run() -> list[Row]:
    took: dict[str, list[float]] = {"ours": [], "packed": [], "bare": [], "floor": []}
    with sending() as sender, ExitStack() as readers:
        for name in ("ours", "packed", "bare"):
            readers.enter_context(reading(sender.ask("port", name), packs=name == "packed"))
        sender.ask("joined")
        for turn in range(ROUNDS + 1):
            for name, values in took.items():
                seconds: float = sender.ask("send", name)
                if turn:
                    values.append(seconds)
        smaller: float = sender.ask("smaller")
    count = CLIENTS * BATCH * BATCHES
    each = {name: statistics.median(values) / count * 1e6 for name, values in took.items()}
    path = f"a trade to one of {CLIENTS} clients of /ws"
    note = f"{each['ours']:.2f} us of processor a delivery, {each['bare']:.2f} there"
    rate = 1e6 / each["ours"]
    return [
        faster(path, took["ours"], "picows, a send each, made beforehand", took["bare"], TIMES, note),
        faster(path, took["ours"], "frames joined beforehand, a write each", took["floor"], SHARE_MIN),
        faster(
            f"{path}, packed", took["packed"], "the same as it is", took["ours"], PACKED_SHARE_MIN, f"{each['packed']:.2f} us"
        ),
        absolute(
            "trades on /ws, packed",
            f"{smaller:.1f}x smaller",
            f">= {SMALLER_MIN:g}x",
            reached=smaller >= SMALLER_MIN,
            note="ten of each symbol in a flush",
        ),
        absolute(
            "deliveries on /ws, one core", f"{rate:,.0f}/s", f">= {RATE_MIN:,}/s", reached=rate >= RATE_MIN, note="sending only"
        ),
    ]


@contextmanager
def sending() -> Iterator[Child]:
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_send, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Child(ours)
    finally:
        process.kill()
        process.join()


@contextmanager
def reading(port: int, *, packs: bool) -> Iterator[None]:
    """A process of its own with all clients, which reads whatever comes."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_read, args=(theirs, port, packs), daemon=True)
    process.start()
    assert ours.recv() == "joined"
    try:
        yield
    finally:
        process.kill()
        process.join()


def _read(pipe: Connection, port: int, packs: bool) -> None:
    found = selectors.DefaultSelector()
    asked = Member([symbol_of(number, SYMBOLS) for number in range(SYMBOLS)]).asked()
    for _ in range(CLIENTS):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall((PACKED if packs else HEAD) + asked)
        found.register(one, selectors.EVENT_READ)
    pipe.send("joined")
    room = bytearray(1 << 20)
    while True:
        for key, _ in found.select():
            assert isinstance(key.fileobj, socket.socket)
            if not key.fileobj.recv_into(room):
                return


class AnyNames:
    def key_of(self, asked: Asked, field: str) -> Key:
        assert asked.provider is not None
        assert asked.symbol is not None
        return Key(asked.type, asked.provider, asked.symbol)


class Door(asyncio.Protocol):
    """What the API does with a handshake, without the HTTP server."""

    def __init__(self, hub: Hub, transports: list[asyncio.Transport], extension: str | None) -> None:
        self._hub, self._transports, self._extension = hub, transports, extension

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        _, _, rest = data.partition(b"\r\n\r\n")
        take_over(self._transport, _KEY, rest, lambda wire: Client(self._hub, AnyNames(), wire, None), self._extension)


class Bare(WSListener):
    def __init__(self, transports: list[WSTransport]) -> None:
        self._transports = transports

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transports.append(transport)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


def _send(pipe: Connection) -> None:
    uvloop.run(_answer(pipe))


async def _answer(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    hubs = {name: Hub(StreamConfig(), SystemClock(), Metrics()) for name in EXTENSIONS}
    ours: dict[str, list[asyncio.Transport]] = {name: [] for name in EXTENSIONS}
    bare: list[WSTransport] = []

    def door(name: str) -> Callable[[], Door]:
        return lambda: Door(hubs[name], ours[name], EXTENSIONS[name])

    doors = {
        **{name: await loop.create_server(door(name), "127.0.0.1", 0) for name in EXTENSIONS},
        "bare": await ws_create_server(lambda _: Bare(bare), "127.0.0.1", 0),
    }
    number = 0
    while True:
        question = await asyncio.to_thread(pipe.recv)
        if question[0] == "port":
            pipe.send(doors[question[1]].sockets[0].getsockname()[1])
        elif question[0] == "joined":
            there = [[CLIENTS] * SYMBOLS] * len(hubs)
            while len(bare) < CLIENTS or [[one.readers for one in hub.channels.values()] for hub in hubs.values()] != there:
                await asyncio.sleep(0.01)
            pipe.send(None)
        elif question[0] == "smaller":
            size = hubs["packed"].metrics.stream_deflate.labels
            pipe.send(size("in")._value.get() / size("out")._value.get())
        else:
            batches = [[trade(number + at * BATCH + index, SYMBOLS) for index in range(BATCH)] for at in range(BATCHES)]
            number += BATCH * BATCHES
            frames = [[encode(one) for one in batch] for batch in batches]
            joins = [b"".join(map(text_frame, made)) for made in frames]
            cpu = time.process_time()
            for batch, made in zip(batches, frames, strict=True):
                if question[1] in hubs:
                    hubs[question[1]].publish(batch)
                elif question[1] == "bare":
                    _send_each(bare, made)
                else:
                    joined = joins.pop(0)
                    for one in bare:
                        one.underlying_transport.write(joined)
                await _taken(ours.get(question[1]) or [one.underlying_transport for one in bare])
            pipe.send(time.process_time() - cpu)


def _send_each(bare: Sequence[WSTransport], frames: Sequence[bytes]) -> None:
    for frame in frames:
        for one in bare:
            one.send(WSMsgType.TEXT, frame)


async def _taken(transports: Sequence[asyncio.Transport]) -> None:
    """Until the system has everything."""
    await asyncio.sleep(0)
    while any(one.get_write_buffer_size() for one in transports):
        await asyncio.sleep(0.001)
