"""`GET /candles` of 1,000 rows: from the database and hot, against the same bytes ready made and against FastAPI + pydantic.

All four answer in one process of their own, under the HTTP server that marketd runs under; the asking side reads whole answers
over one kept connection. The floor is the smallest ASGI application there is: it sends the bytes that ours would encode.
"""

import asyncio
import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import create_async_engine

from bench.rounds import Row, faster, interleave
from marketd.api.protocol import BoundedProtocol
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.state import Component
from marketd.api.views import Views
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE, SECOND
from marketd.stores.archive import Archive, Page, open_archive
from marketd.stores.archive.tables import candles

SERIES = CandleSeries("binance", "BTCUSDT", "1m")
START = 1_700_000_040 * SECOND
STORED, ROWS, ASKED = 50_000, 1000, 40  # candles stored, in one answer; answers in one round

_spawn = get_context("spawn")


class Stored:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def opened(self) -> Archive:
        return self._archive


class Healthy:
    def components(self) -> dict[str, Component]:
        return {}


class Shown(BaseModel):
    """A candle as a plain FastAPI application declares it."""

    exchange: str
    symbol: str
    timeframe: str
    open_time: datetime
    close_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def path(start: int) -> str:
    first, last = (START + minute * MINUTE for minute in (start, start + ROWS))
    return f"/candles?exchange=binance&symbol=BTCUSDT&timeframe=1m&start={first}&end={last}"


def run() -> list[Row]:
    with _servers() as (ours, plain, floor):
        asking = {name: _Asking(address) for name, address in (("ours", ours), ("plain", plain), ("floor", floor))}
        body = asking["ours"].get(path(0))
        assert len(json.loads(body)) == ROWS
        assert body == asking["floor"].get("/"), "the floor sends other bytes"
        assert len(json.loads(asking["plain"].get(path(0)))) == ROWS
        cold = (path(number) for number in count(ROWS))  # each range once: an answer is kept for a second
        sides: dict[str, Callable[[], object]] = {
            "database": lambda: [asking["ours"].get(next(cold)) for _ in range(ASKED)],
            "hot": lambda: [asking["ours"].get(path(0)) for _ in range(ASKED)],
            "plain": lambda: [asking["plain"].get(next(cold)) for _ in range(ASKED)],
            "floor": lambda: [asking["floor"].get("/") for _ in range(ASKED)],
        }
        took = interleave(sides)
        note = f"{len(body) // 1000} kB an answer, one connection; {ASKED / min(took['floor']):,.0f} answers/s ready made"
        name = f"GET /candles, {ROWS} rows"
        return [
            faster(f"{name}, from SQLite", took["database"], "the same bytes ready made", took["floor"], 0.10, note),
            faster(f"{name}, from SQLite", took["database"], "FastAPI + pydantic", took["plain"], 3),
            faster(f"{name}, asked again", took["hot"], "the same bytes ready made", took["floor"], 0.50),
            faster(f"{name}, asked again", took["hot"], "FastAPI + pydantic", took["plain"], 30),
        ]


class _Asking:
    """One kept connection; the least that reads an answer of known length."""

    def __init__(self, address: str) -> None:
        host, port = address.removeprefix("http://").split(":")
        self._host = address.removeprefix("http://")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, url: str) -> bytes:
        self._socket.sendall(f"GET {url} HTTP/1.1\r\nHost: {self._host}\r\nAccept: */*\r\n\r\n".encode())
        found = bytearray()
        while b"\r\n\r\n" not in found:
            found += self._socket.recv(1 << 18)
        head, _, body = bytes(found).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        parts, missing = [body], length - len(body)
        while missing:
            part = self._socket.recv(1 << 20)
            assert part, "the server closed"
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


@contextmanager
def _servers() -> Iterator[list[str]]:
    ours, theirs = _spawn.Pipe()
    with tempfile.TemporaryDirectory() as directory:
        process = _spawn.Process(target=_serve, args=(theirs, Path(directory)), daemon=True)
        process.start()
        theirs.close()  # a child that dies is seen at once
        try:
            yield ours.recv()
            ours.send("stop")
            process.join(10)
        finally:
            if process.is_alive():
                process.kill()


def _serve(pipe: Connection, directory: Path) -> None:
    uvloop.run(_work(pipe, directory))


async def _work(pipe: Connection, directory: Path) -> None:
    clock, metrics = SystemClock(), Metrics()
    async with AsyncExitStack() as rooms:
        archive = await rooms.enter_async_context(open_archive(f"sqlite:///{directory / 'archive.db'}", clock))
        await _fill(archive)
        views = Views("api", (), clock.now_ns(), clock, metrics, Healthy(), stored=Stored(archive))
        ours = await rooms.enter_async_context(run_api(ApiConfig(port=0), views, directory))
        body = await _body(ours)
        group = await rooms.enter_async_context(asyncio.TaskGroup())
        others = [_listen(group, app, metrics) for app in (_plain(directory / "archive.db"), _ready_made(body))]
        pipe.send([ours, *(address for address, _ in others)])
        await asyncio.to_thread(pipe.recv)
        for _, server in others:
            server.should_exit = True


async def _fill(archive: Archive) -> None:
    for first in range(0, STORED, 10_000):
        page = [
            Candle(
                *SERIES[:2], None, START + (minute + 1) * MINUTE, "1m", START + minute * MINUTE, START + (minute + 1) * MINUTE,
                f"{37000 + minute % 997}.10000000", f"{37100 + minute % 997}.00000000", f"{36900 + minute % 997}.50000000",
                f"{37000 + minute % 991}.40000000", f"{minute % 89}.{minute:08d}", True,
            )
            for minute in range(first, first + 10_000)
        ]  # fmt: skip
        await archive.put(Page(SERIES, Interval(page[0].open_time, page[-1].close_time), page, [], "backfill"))


async def _body(address: str) -> bytes:
    """What the floor sends: our own answer."""
    return await asyncio.to_thread(lambda: _Asking(address).get(path(0)))


def _plain(database: Path) -> FastAPI:
    """As such applications are written: SQLAlchemy, a model for each row, `response_model`."""
    app = FastAPI()
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
    columns = [candles.c[name] for name in Shown.model_fields]

    @app.get("/candles", response_model=list[Shown])
    async def some(exchange: str, symbol: str, timeframe: str, start: int, end: int) -> Any:
        its = candles.c
        series = (its.exchange == exchange, its.symbol == symbol, its.timeframe == timeframe)
        query = sa.select(*columns).where(*series, its.open_time >= start, its.open_time < end).order_by(its.open_time)
        async with engine.connect() as connection:
            return [Shown(**_with_times(row)) for row in (await connection.execute(query)).mappings()]

    return app


def _with_times(row: Any) -> dict[str, Any]:
    return {**row, **{name: datetime.fromtimestamp(row[name] // SECOND, UTC) for name in ("open_time", "close_time")}}


def _ready_made(body: bytes) -> Any:
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return app


def _listen(group: asyncio.TaskGroup, app: Any, metrics: Metrics) -> tuple[str, uvicorn.Server]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    http: Any = partial(BoundedProtocol, metrics=metrics)
    config = uvicorn.Config(app, http=http, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    group.create_task(server.serve([listening]))
    return f"http://127.0.0.1:{listening.getsockname()[1]}", server
