"""Fan-out on `/ws`: our hub against a picows server that sends frames made beforehand, a send for each event and client.

The same trades to as many clients over real sockets, in batches as the bus hands them over. Counted is the processor of the
sending process until its system has taken all; who receives is another process, which only reads. Ours encodes, too. The floor is
that same server with each batch's frames joined beforehand, one write for each client.
"""

import asyncio
import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

import uvloop
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

from bench.crowd import HEAD, Member, symbol_of, trade
from bench.processes import Child
from bench.rounds import Row, absolute, faster
from marketd.api.section import StreamConfig
from marketd.api.stream.channel import Key
from marketd.api.stream.client import Client
from marketd.api.stream.frames import text_frame
from marketd.api.stream.hub import Hub
from marketd.api.stream.socket import take_over
from marketd.api.stream.wire import Asked
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.wire import encode

CLIENTS, SYMBOLS, BATCH, BATCHES, ROUNDS = 100, 10, 100, 20, 5
TIMES, SHARE_MIN, RATE_MIN = 10.0, 0.4, 2_000_000
_spawn = multiprocessing.get_context("spawn")
_KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def run() -> list[Row]:
    took: dict[str, list[float]] = {"ours": [], "bare": [], "floor": []}
    with sending() as sender, ExitStack() as readers:
        for name in ("ours", "bare"):
            readers.enter_context(reading(sender.ask("port", name)))
        sender.ask("joined")
        for turn in range(ROUNDS + 1):
            for name, values in took.items():
                seconds: float = sender.ask("send", name)
                if turn:
                    values.append(seconds)
    count = CLIENTS * BATCH * BATCHES
    each = {name: statistics.median(values) / count * 1e6 for name, values in took.items()}
    path = f"a trade to one of {CLIENTS} clients of /ws"
    note = f"{each['ours']:.2f} us of processor a delivery, {each['bare']:.2f} there"
    rate = 1e6 / each["ours"]
    return [
        faster(path, took["ours"], "picows, a send each, made beforehand", took["bare"], TIMES, note),
        faster(path, took["ours"], "frames joined beforehand, a write each", took["floor"], SHARE_MIN),
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
def reading(port: int) -> Iterator[None]:
    """A process of its own with all clients, which reads whatever comes."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_read, args=(theirs, port), daemon=True)
    process.start()
    assert ours.recv() == "joined"
    try:
        yield
    finally:
        process.kill()
        process.join()


def _read(pipe: Connection, port: int) -> None:
    found = selectors.DefaultSelector()
    asked = Member([symbol_of(number, SYMBOLS) for number in range(SYMBOLS)]).asked()
    for _ in range(CLIENTS):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(HEAD + asked)
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

    def __init__(self, hub: Hub, transports: list[asyncio.Transport]) -> None:
        self._hub, self._transports = hub, transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        _, _, rest = data.partition(b"\r\n\r\n")
        take_over(self._transport, _KEY, rest, lambda wire: Client(self._hub, AnyNames(), wire, None))


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
    hub = Hub(StreamConfig(), SystemClock(), Metrics())
    ours: list[asyncio.Transport] = []
    bare: list[WSTransport] = []
    doors = {
        "ours": await asyncio.get_running_loop().create_server(lambda: Door(hub, ours), "127.0.0.1", 0),
        "bare": await ws_create_server(lambda _: Bare(bare), "127.0.0.1", 0),
    }
    number = 0
    while True:
        question = await asyncio.to_thread(pipe.recv)
        if question[0] == "port":
            pipe.send(doors[question[1]].sockets[0].getsockname()[1])
        elif question[0] == "joined":
            while not (len(bare) == CLIENTS and [one.readers for one in hub.channels.values()] == [CLIENTS] * SYMBOLS):
                await asyncio.sleep(0.01)
            pipe.send(None)
        else:
            batches = [[trade(number + at * BATCH + index, SYMBOLS) for index in range(BATCH)] for at in range(BATCHES)]
            number += BATCH * BATCHES
            frames = [[encode(one) for one in batch] for batch in batches]
            joins = [b"".join(map(text_frame, made)) for made in frames]
            cpu = time.process_time()
            for batch, made in zip(batches, frames, strict=True):
                if question[1] == "ours":
                    hub.publish(batch)
                elif question[1] == "bare":
                    _send_each(bare, made)
                else:
                    joined = joins.pop(0)
                    for one in bare:
                        one.underlying_transport.write(joined)
                await _taken(ours if question[1] == "ours" else [one.underlying_transport for one in bare])
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
