"""What it costs to publish to core NATS: the sink against bytes that were packed before, and against nats-py's own publish."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import nats
import uvloop

from bench.rounds import Row, faster, interleave
from bench.sinks import trades
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, open_link
from marketd.secrets import SecretUrl
from marketd.sinks.delivery import BATCH
from marketd.sinks.nats import Nats, subject_of

COUNT = 40_000
ROUNDS = 9
CHUNK = 64 * 1024
PREFIX = NatsConfig().subject_prefix


def run() -> list[Row]:
    from tests.nats_servers import NatsServer

    with NatsServer(jetstream=False) as server:
        return uvloop.run(_core(server.url, server.port))


async def _core(url: str, port: int) -> list[Row]:
    """Each side publishes the same trades, and is done when the server has answered for the last of them. Nobody listens."""
    events = trades(1, COUNT)
    config = NatsConfig(url=SecretUrl(url))
    async with (
        open_link(config, "marketd-bench", SystemClock()) as link,
        Nats(config, link, Metrics()) as sink,
        await nats.connect(url) as client,
    ):

        async def ours() -> None:
            for at in range(0, COUNT, BATCH):
                await sink.write(events[at : at + BATCH])

        async def theirs() -> None:
            for event in events:
                await client.publish(subject_of(PREFIX, event), encode(event))
            await client.flush()

        with socket.create_connection(("127.0.0.1", port)) as raw:
            floor = _floor(raw, b"".join(sink._packed(events, link.session.max_payload)))
            loop = asyncio.get_running_loop()
            sides = {"ours": _on(loop, ours), "raw": floor, "nats-py": _on(loop, theirs)}
            took = await asyncio.to_thread(interleave, sides, ROUNDS)  # the loop goes on meanwhile
    path, rate = "NATS core sink, encoding included", COUNT / min(took["ours"])
    beside_raw = faster(path, took["ours"], "bytes packed before, to a socket", took["raw"], 0.5, "the server")
    return [
        replace(beside_raw, note=f"{rate:,.0f}/s; raw {COUNT / min(took['raw']):,.0f}/s: the server"),
        faster(path, took["ours"], "nats-py publish, one by one", took["nats-py"], 3.5, f"{COUNT / min(took['nats-py']):,.0f}/s"),
    ]


def _on(loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return lambda: asyncio.run_coroutine_threadsafe(work(), loop).result()


def _floor(raw: socket.socket, packed: bytes) -> Callable[[], None]:
    """What the server takes from a socket that is fed ready bytes."""
    raw.recv(CHUNK)
    raw.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')
    parts = [packed[at : at + CHUNK] for at in range(0, len(packed), CHUNK)]

    def send() -> None:
        for part in parts:
            raw.sendall(part)
        raw.sendall(b"PING\r\n")
        seen = b""
        while b"PONG\r\n" not in seen:
            seen += raw.recv(CHUNK)

    return send
