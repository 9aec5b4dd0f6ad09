"""Who may connect to `/ws`, and the tasks behind it: events from the bus into the hub, and what is due by the clock."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import parse_qs

import structlog
from starlette.datastructures import Headers

from marketd.api.guard import Rules
from marketd.api.section import StreamConfig
from marketd.api.stream.client import Client
from marketd.api.stream.deflate import agreed
from marketd.api.stream.hub import TYPES, Hub
from marketd.api.stream.names import CollectedNames
from marketd.api.stream.reader import Wire
from marketd.api.stream.socket import take_over
from marketd.api.views import Views
from marketd.bus import Bus, Closed, Full
from marketd.rooms import room

VERSION = "13"  # of RFC 6455
KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
CAPACITY = 65_536
BATCH = 8192
REST = 2.0  # after a flush, so many times as long as it took; at most REST_S_MAX, and not at all while a whole batch waits
REST_S_MAX = 0.1
TEND_S, PACE_S = 0.25, 0.02  # between two looks at the clock; and where a client has a pace of its own
log = structlog.get_logger("api")


class Refusal(NamedTuple):
    """Why a handshake is refused."""

    status: int
    error: str
    parameter: str | None = None
    allowed: object = None


class Stream:
    """The door of `/ws`."""

    def __init__(self, config: StreamConfig, views: Views, rules: Rules) -> None:
        self.hub = Hub(config, views.clock, views.metrics)
        self._names, self._rules, self._config = CollectedNames(views), rules, config
        self.has_events = views.bus is not None and (views.feeds is not None or views.features is not None)
        self.is_stopping = False

    def open(
        self, transport: asyncio.Transport, headers: Sequence[tuple[bytes, bytes]], query: bytes, rest: bytes
    ) -> Refusal | None:
        """Take the connection over, or say why not."""
        found = Headers(raw=list(headers))
        if not self.has_events:
            return Refusal(404, "role ingest does not run here")
        forbidden = self._rules.forbids(found)
        if forbidden is not None:
            return Refusal(*forbidden)
        token, refused = self._token(found, query)
        if refused is not None:
            return refused
        key = found.get("sec-websocket-key", "")
        if found.get("sec-websocket-version") != VERSION:
            return Refusal(400, "this version of the protocol is not spoken here", "Sec-WebSocket-Version", VERSION)
        if not KEY.fullmatch(key):
            return Refusal(400, "this is no key of a handshake", "Sec-WebSocket-Key", "16 bytes in Base64")
        if self.is_stopping:
            return Refusal(503, "marketd is stopping")
        if len(self.hub.clients) >= self._config.clients:
            return Refusal(503, "too many clients at once", "connections", self._config.clients)
        offers = ",".join(found.getlist("sec-websocket-extensions"))
        extension = agreed(offers) if self._config.deflate else None
        take_over(transport, key.encode(), rest, lambda wire: self._admit(wire, token), extension)
        return None

    def _admit(self, wire: Wire, token: str | None) -> Client:
        return Client(self.hub, self._names, wire, token)

    def _token(self, headers: Headers, query: bytes) -> tuple[str | None, Refusal | None]:
        """What the client has yet to say, if anything."""
        rules = self._rules
        if not rules.reading:
            return None, None
        given = headers.get("authorization")
        if given is not None:
            if rules.is_authorised(given):
                return None, None
        else:
            tokens = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("token", [])
            if not tokens:
                return rules.token.decode(), None
            if hmac.compare_digest(tokens[0].encode(), rules.token):
                return None, None
        return None, Refusal(401, "this is not the token that is set here", "token", "MARKETD_API_TOKEN of the server")


@asynccontextmanager
async def run_stream(stream: Stream, bus: Bus | None) -> AsyncIterator[None]:
    """Hand out what is published until the block is left; then every client is told."""
    hub = stream.hub
    if bus is None or not stream.has_events:
        yield
        return
    async with room("stream") as here:
        here.start("publish", _publish(hub, bus))
        here.start("tend", _tend(hub))
        try:
            yield
        finally:
            stream.is_stopping = True
            hub.close(1001, "marketd is stopping", "stopping")
            await asyncio.sleep(0)  # the goodbyes go out at the end of the loop's turn


async def _publish(hub: Hub, bus: Bus) -> None:
    pace_s = hub.config.pace_ms / 1000
    while True:
        with bus.subscribe("stream", full=Full.CLOSE, capacity=CAPACITY, types=frozenset(TYPES)) as subscription:
            try:
                while True:
                    batch = await subscription.take(BATCH)
                    started_s = hub.clock.monotonic()
                    hub.publish(batch)
                    subscription.delivered()
                    rest_s = max(pace_s, min(REST_S_MAX, REST * (hub.clock.monotonic() - started_s)))
                    await hub.clock.sleep(rest_s if len(subscription) < BATCH else 0)
            except Closed as closed:
                log.error("api.stream_restarted", code="stream-restarted", reason=str(closed), clients=len(hub.clients))
                hub.start_anew(str(closed))
        await asyncio.sleep(0)


async def _tend(hub: Hub) -> None:
    while True:
        await hub.clock.sleep(PACE_S if hub.paced else TEND_S)
        hub.tend()
