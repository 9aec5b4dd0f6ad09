"""Clients of `/ws` for tests: one on a real socket, and one whose connection the test holds in its hands."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from marketd.api.section import ApiConfig, StreamConfig
from marketd.api.server import run_api
from marketd.api.stream.client import Client
from marketd.api.stream.deflate import TAIL, WINDOW_BITS
from marketd.api.stream.hub import Hub
from marketd.api.stream.names import CollectedNames
from marketd.api.views import Views
from marketd.bus import Bus
from marketd.clock import ManualClock, SystemClock
from marketd.metrics import Metrics
from marketd.net.websocket import Socket, connect

WITHIN_S = 20.0
Message = dict[str, Any]
TRADES = {"type": "trade", "provider": "binance", "symbol": "BTCUSDT"}


class Listener:
    """A client on a real socket."""

    def __init__(self, socket: Socket, heard: asyncio.Queue[Message]) -> None:
        self.socket, self.heard = socket, heard

    async def next(self) -> Message:
        async with asyncio.timeout(WITHIN_S):
            return await self.heard.get()

    async def ask(self, message: object) -> Message:
        """The next answer to it; events that come before are lost to the test."""
        self.socket.send(message if isinstance(message, bytes) else msgspec.json.encode(message))
        while "op" not in (found := await self.next()):
            pass
        return found

    async def subscribe(self, *channels: Message) -> Message:
        return await self.ask({"op": "subscribe", "id": 1, "channels": channels})

    async def take(self, count: int) -> list[Message]:
        return [await self.next() for _ in range(count)]

    async def ended(self) -> tuple[int | None, str]:
        """Close code and words."""
        async with asyncio.timeout(WITHIN_S):
            why = await self.socket.closed()
        return self.socket.close_code, why


@asynccontextmanager
async def listening(url: str, query: str = "", **headers: str) -> AsyncIterator[Listener]:
    """Connected; `hello` is the first thing heard."""
    heard: asyncio.Queue[Message] = asyncio.Queue()
    where = f"{url.replace('http', 'ws', 1)}/ws{query}"
    socket = await connect(where, lambda data: heard.put_nowait(msgspec.json.decode(data)), headers=headers)
    try:
        yield Listener(socket, heard)
    finally:
        socket.close()


@dataclass
class Served:
    url: str
    views: Views
    bus: Bus

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url)


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(views: Views, tmp_path: Path) -> Serve:
    """The API on the clock of this machine, as configured."""

    @asynccontextmanager
    async def start(
        views: Views = views, *, token: str | None = None, host: str = "127.0.0.1", origins: Sequence[str] = (),
        clock: SystemClock | None = None, **stream: Any,
    ) -> AsyncIterator[Served]:  # fmt: skip
        given = {"port": 0, "host": host, "token": token, "cors_origins": origins}
        config = ApiConfig.model_validate({**given, "stream": StreamConfig(**stream)})
        there = replace(views, clock=clock or SystemClock())
        assert there.bus is not None
        async with run_api(config, there, tmp_path) as url:
            yield Served(url.replace("0.0.0.0", "127.0.0.1"), there, there.bus)

    return start


@dataclass
class Held:
    """A Wire in the test's hands: while it is `full`, it takes what is written and says so."""

    frames: list[bytes] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    full: bool = False
    packs: bool = False
    client: Client | None = None
    peer: str = "127.0.0.1"
    unpacker: "Unpacker" = field(default_factory=lambda: Unpacker())

    def write(self, data: bytes) -> None:
        self.frames.append(data)
        if self.full and self.client is not None:
            self.client.pause()

    def close(self, code: int, words: str) -> None:
        self.closed = (code, words)

    def messages(self) -> list[Message]:
        """All there is; taken."""
        data = b"".join(self.frames)
        found = [msgspec.json.decode(one) for one in (self.unpacker.payloads(data) if self.packs else payloads(data))]
        self.frames.clear()
        return found

    def events(self) -> list[Message]:
        return [one for one in self.messages() if "type" in one]


class Unpacker:
    """What a client with permessage-deflate does with what it gets, one connection long, in the window that is promised."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(-WINDOW_BITS)
        self.packed = 0  # messages that were

    def payloads(self, data: bytes) -> list[bytes]:
        return [self._payload(first, payload) for first, payload in text_frames(data)]

    def _payload(self, first: int, payload: bytes) -> bytes:
        if first == 0x81:
            return payload
        self.packed += 1
        return self._unpacker.decompress(payload + TAIL)


def payloads(data: bytes) -> list[bytes]:
    """Of text frames, whole, unmasked and as they are."""
    found = text_frames(data)

    assert {first for first, _ in found} <= {0x81}
    return [payload for _, payload in found]


def text_frames(data: bytes) -> list[tuple[int, bytes]]:
    """First byte and payload; control frames are left out."""
    found, at = [], 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if not data[at] & 8:
            found.append((data[at], data[start : start + size]))
        at = start + size
    return found


@pytest.fixture
def hub(clock: ManualClock) -> Hub:
    return Hub(StreamConfig(), clock, Metrics())


@pytest.fixture
def join(views: Views) -> Callable[..., tuple[Client, Held]]:
    """A client of a hub, with its wire; its `hello` is taken."""

    def start(hub: Hub, token: str | None = None, names: Views | None = None, packs: bool = False) -> tuple[Client, Held]:
        wire = Held(packs=packs)
        client = wire.client = Client(hub, CollectedNames(names or replace(views, feeds=None)), wire, token)
        wire.messages()
        return client, wire

    return start
