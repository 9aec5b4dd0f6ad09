"""What it costs to publish into a JetStream stream on disk: the sink, each event acknowledged, against plain publishing."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import nats
import uvloop

from bench.rounds import Row, faster, interleave
from bench.sinks import trades
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, open_link
from marketd.secrets import SecretUrl
from marketd.sinks.delivery import BATCH
from marketd.sinks.jetstream import JetStream, message_id
from marketd.sinks.nats import subject_of

COUNT = 20_000
ROUNDS = 7
WINDOW = 4096  # messages in flight
CHUNK = 64 * 1024
PREFIX = NatsConfig().subject_prefix


def run() -> list[Row]:
    from tests.nats_servers import NatsServer

    with NatsServer() as server:
        return uvloop.run(_jetstream(server.url, server.port))


async def _jetstream(url: str, port: int) -> list[Row]:
    """Each side publishes trades that are new to the stream, with message ids, and is done when all are acknowledged."""
    config = NatsConfig(url=SecretUrl(url), jetstream=True)
    fresh = _fresh()
    loop = asyncio.get_running_loop()
    async with (
        open_link(config, "marketd-bench", SystemClock()) as link,
        JetStream(config, link, SystemClock(), Metrics()) as sink,
        await nats.connect(url) as client,
    ):
        jetstream = client.jetstream(publish_async_max_pending=WINDOW)
        ahead = {name: [next(fresh) for _ in range(ROUNDS + 1)] for name in ("ours", "raw", "nats-py")}
        packed = [[_packed(event) for event in events] for events in ahead["raw"]]

        async def ours() -> None:
            events = ahead["ours"].pop()
            for at in range(0, COUNT, BATCH):
                await sink.write(events[at : at + BATCH])

        async def theirs() -> None:
            for event in ahead["nats-py"].pop():
                headers = {"Nats-Msg-Id": message_id(event)}
                await jetstream.publish_async(subject_of(PREFIX, event), encode(event), headers=headers)
            await jetstream.publish_async_completed()

        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.recv(CHUNK)
            raw.sendall(b'CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\nSUB _I.* 1\r\n')
            sides = {
                "ours": _on(loop, ours),
                "raw": lambda: _windows(raw, packed.pop()),
                "nats-py": _on(loop, theirs),
            }
            took = await asyncio.to_thread(interleave, sides, ROUNDS)  # the loop goes on meanwhile
    path, rate = "JetStream sink, file store, each event acknowledged", COUNT / min(took["ours"])
    beside_raw = faster(path, took["ours"], f"bytes packed before, {WINDOW} in flight", took["raw"], 0.6)
    return [
        replace(beside_raw, note=f"{rate:,.0f}/s; raw {COUNT / min(took['raw']):,.0f}/s"),
        faster(path, took["ours"], "nats-py publish_async", took["nats-py"], 4.0, f"{COUNT / min(took['nats-py']):,.0f}/s"),
    ]


def _fresh() -> Iterator[list[Event]]:
    first = 1
    while True:
        yield trades(first, COUNT)
        first += COUNT


def _packed(event: Event) -> bytes:
    header = f"NATS/1.0\r\nNats-Msg-Id: {message_id(event)}\r\n\r\n".encode()
    payload = encode(event)
    subject = subject_of(PREFIX, event).encode()
    return b"HPUB %s _I.a %d %d\r\n%s%s\r\n" % (subject, len(header), len(header) + len(payload), header, payload)


def _windows(raw: socket.socket, messages: list[bytes]) -> None:
    """What the server takes from a socket that is fed ready bytes and counts the acknowledgements."""
    sent = answered = lines = 0
    while answered < len(messages):
        until = min(len(messages), answered + WINDOW)
        if until > sent:
            raw.sendall(b"".join(messages[sent:until]))
            sent = until
        lines += raw.recv(CHUNK).count(b"\n")
        answered = lines // 2  # each has a line of its own and one with what is said


def _on(loop: asyncio.AbstractEventLoop, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return lambda: asyncio.run_coroutine_threadsafe(work(), loop).result()
