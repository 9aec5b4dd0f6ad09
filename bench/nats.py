"""What it costs to publish to core NATS: the sink against bytes that were packed before, and against nats-py's own publish."""

import asyncio
import socket
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import nats
import uvloop

from bench.rounds import Row, absolute, faster, interleave
from bench.sinks import RATES, Samples, paced, trades
from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, open_link
from marketd.secrets import SecretUrl
from marketd.sinks.delivery import BATCH, run_sinks
from marketd.sinks.nats import Nats, subject_of

COUNT = 40_000
ROUNDS = 9
CHUNK = 64 * 1024
PREFIX = NatsConfig().subject_prefix


def run() -> list[Row]:
    from tests.nats_servers import NatsServer

    with NatsServer(jetstream=False) as server:
        rows = uvloop.run(_core(server.url, server.port))
        for rate in RATES:
            rows.append(uvloop.run(_answered(server.url, server.monitor_url, rate)))
    return rows


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


async def _answered(url: str, monitor_url: str, rate: int) -> Row:
    """From received to answered by the server, of the oldest event in each batch; half trades, half quotes, one publish each."""
    clock, bus, samples = SystemClock(), Bus(Metrics()), list[float]()
    config = NatsConfig(url=SecretUrl(url))
    before = await _read_by_server(monitor_url)
    with tempfile.TemporaryDirectory() as directory:
        async with (
            open_link(config, "marketd-bench", clock) as link,
            run_sinks([Nats(config, link, bus.metrics)], bus, clock, data_dir=Path(directory)) as view,
        ):
            state = view.states[0]
            state.stored_ms = Samples(samples)
            published = await paced(bus, rate)
            while state.delivered < published:
                await asyncio.sleep(0.001)
    lost = published - (await _read_by_server(monitor_url) - before)
    samples.sort()
    p50, p99 = samples[len(samples) // 2], samples[int(len(samples) * 0.99)]
    return absolute(
        f"bus to NATS at {rate:,}/s", f"p99 {p99:.1f} ms", "<= 10 ms, nothing lost",
        reached=p99 <= 10 and not lost, check=f"p50 {p50:.1f} ms, {lost} lost", note="this process and the server take turns",
    )  # fmt: skip


async def _read_by_server(monitor_url: str) -> int:
    """Messages, since its start."""
    async with httpx.AsyncClient() as client:
        return int((await client.get(f"{monitor_url}/varz")).json()["in_msgs"])
