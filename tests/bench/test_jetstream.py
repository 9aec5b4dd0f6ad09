"""What the bench of JetStream sends beside the sink is what the sink would have stored."""

import asyncio
import socket

from bench import jetstream
from bench.sinks import trades
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.net.nats import NatsConfig, open_link
from marketd.secrets import SecretUrl
from marketd.sinks.jetstream import JetStream
from tests.nats_servers import NatsServer, kept


async def test_the_floor_stores_what_the_sink_stores(nats_server: NatsServer) -> None:
    events = trades(1, 200)
    config = NatsConfig(url=SecretUrl(nats_server.url), jetstream=True)
    async with (
        open_link(config, "marketd-test", SystemClock()) as link,
        JetStream(config, link, SystemClock(), Metrics()) as sink,
    ):
        with socket.create_connection(("127.0.0.1", nats_server.port)) as raw:
            raw.recv(jetstream.CHUNK)
            raw.sendall(b'CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\nSUB _I.* 1\r\n')
            await asyncio.to_thread(jetstream._windows, raw, [jetstream._packed(event) for event in events])
        floor = await kept(nats_server.url)
        await sink.write([*events, *trades(201, 1)])
        both = await kept(nats_server.url)

    assert (200, 201) == (len(floor), len(both))
    assert set(floor[0].headers or {}) == set(both[-1].headers or {})
