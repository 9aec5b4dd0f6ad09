"""What the bench of NATS sends is the same on every side."""

from bench import nats
from bench.sinks import trades
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, open_link
from marketd.secrets import SecretUrl
from marketd.sinks.nats import Nats, subject_of
from tests.nats_servers import NatsServer


async def test_the_bytes_of_the_floor_are_what_the_sink_sends(nats_server: NatsServer) -> None:
    events = trades(1, 1000)
    config = NatsConfig(url=SecretUrl(nats_server.url))
    async with open_link(config, "marketd-test", SystemClock()) as link, Nats(config, link, Metrics()) as sink:
        packed = b"".join(sink._packed(events, 2**20))
    plain = [
        b"PUB %s %d\r\n%s\r\n" % (subject_of(nats.PREFIX, event).encode(), len(encode(event)), encode(event)) for event in events
    ]

    assert b"".join(plain) == packed
