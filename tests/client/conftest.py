"""A real server with a filled archive for clients to ask, and one that fails by a script."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.clock import ManualClock
from marketd.stores.archive import Archive
from tests.api.conftest import Parts, seen


@dataclass
class Served:
    url: str
    archive: Archive


@pytest.fixture
async def served(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Served]:
    """25 candles of bitfinex BTCUSD 1m from 2024-11-14T17:30 on."""
    async with seen(Parts(), tmp_path, clock) as views, run_api(ApiConfig(port=0), views, tmp_path) as url:
        assert views.stored is not None
        archive = await views.stored.opened()
        assert archive is not None
        yield Served(url, archive)


@dataclass
class Scripted:
    """Each connection gets the next of these and is closed; the last one again and again."""

    answers: list[bytes]
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        writer.write(self.answers[min(len(self.asked), len(self.answers)) - 1])
        writer.close()


Script = Callable[..., AbstractAsyncContextManager[Scripted]]


@pytest.fixture
def scripted() -> Script:
    @asynccontextmanager
    async def start(*answers: bytes) -> AsyncIterator[Scripted]:
        script = Scripted(list(answers))
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
        script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield script

    return start


def answer(status: int, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Some", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return ("\r\n".join([*lines, "connection: close", "", ""]) + body).encode()
