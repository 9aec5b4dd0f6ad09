"""A plain WebSocket client for the simulated venues, and the venues on a clock that the test moves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

DEADLINE_S = 5.0


class Client(WSListener):
    """Keeps every frame in order."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.pings = 0
        self.gone = asyncio.Event()
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.PING:
            self.pings += 1
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self.frames.put_nowait(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()

    def send(self, message: object) -> None:
        self.transport.send(WSMsgType.TEXT, json.dumps(message).encode())

    async def raw(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            return await self.frames.get()

    async def next(self) -> Any:
        return json.loads(await self.raw())

    async def ask(self, message: object) -> Any:
        self.send(message)
        return await self.next()

    async def all(self) -> list[Any]:
        """Every frame that was sent before this call: a ping goes round after them."""
        await self.transport.measure_roundtrip_time(1)
        return [json.loads(self.frames.get_nowait()) for _ in range(self.frames.qsize())]

    async def is_gone(self) -> bool:
        async with asyncio.timeout(DEADLINE_S):
            return await self.gone.wait()


@asynccontextmanager
async def open_client(url: str, **settings: Any) -> AsyncIterator[Client]:
    transport, client = await ws_connect(Client, url, enable_auto_pong=False, **settings)
    assert isinstance(client, Client)
    try:
        yield client
    finally:
        transport.disconnect()
        await client.is_gone()


@pytest.fixture
def connect() -> Callable[..., AbstractAsyncContextManager[Client]]:
    return open_client
