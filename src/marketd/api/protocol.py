"""HTTP connections with bounds: so many at once, and so long for a request to arrive. One for `/ws` is handed over."""

import asyncio
import logging
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from marketd.api.answers import error_answer
from marketd.api.hardened import ENCODED
from marketd.api.sending import Cut
from marketd.api.stream.serving import Stream
from marketd.metrics import Metrics

CONNECTIONS_MAX = 512
REQUEST_WITHIN_S = 10.0  # from its first byte, or from the connection, to its last
PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    503: "Service Unavailable",
}
RETRY_S = 2
STREAM = "/ws"
UNREADABLE = "HTTP/1.1, with a head of at most 64 KiB"
# What is wrong with a request is answered, counted and said here; the server's own word for it has no code.
QUIET = logging.getLogger("uvicorn.error.requests")
QUIET.setLevel(logging.ERROR)


def _is_news(line: logging.LogRecord) -> bool:
    """An answer that was cut, or given up at the end since its client does not read, is no mistake of ours."""
    return not (line.exc_info and isinstance(line.exc_info[1], Cut | asyncio.CancelledError))


QUIET.addFilter(_is_news)
log = structlog.get_logger("api")


class BoundedProtocol(H11Protocol):
    """One connection. Whoever opens too many or sends too slowly is told so and let go; the others are served."""

    def __init__(self, *args: Any, metrics: Metrics, stream: Stream, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._stream = stream
        self._is_handed_over = False
        self.logger = QUIET
        self._metrics = metrics
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse(503, "too many connections at once", "connections", CONNECTIONS_MAX, "connections")
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _should_upgrade(self) -> bool:
        """Elsewhere a request to upgrade is a request like any other, as HTTP allows."""
        return self.scope["path"] == STREAM and self.scope["method"] == "GET" and self._get_upgrade() == b"websocket"

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        rest, _ = self.conn.trailing_data
        self._rest()
        refusal = self._stream.open(self.transport, self.headers, self.scope["query_string"], rest)
        if refusal is not None:
            self._refuse(refusal.status, refusal.error, refusal.parameter, refusal.allowed, "handshake")
            return
        self._is_handed_over = True
        self.connections.discard(self)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no HTTP request that can be read", "request", UNREADABLE, "unreadable")

    def _watch(self) -> None:
        """A request that began must end in time; between requests the keep-alive timeout counts."""
        if self._is_handed_over or self.transport.is_closing() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_WITHIN_S, self._too_slow)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            words = f"the request did not arrive within {REQUEST_WITHIN_S:g} s"
            self._refuse(408, words, "request", f"head and body within {REQUEST_WITHIN_S:g} s", "too slow")

    def _refuse(self, status: int, error: str, parameter: str | None, allowed: object, reason: str) -> None:
        self._metrics.api_refused.labels(reason).inc()
        log.warning("api.refused", client=self.client[0] if self.client else None, reason=error)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else an answer is under way already
            answer = error_answer(status, error, parameter, allowed)
            headers = [*answer.raw_headers, *ENCODED, (b"connection", b"close")]
            if status == 503:
                headers.append((b"retry-after", b"%d" % RETRY_S))
            lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
            first = f"HTTP/1.1 {status} {PHRASES[status]}\r\n".encode()
            self.transport.write(b"%s%s\r\n%s" % (first, lines, bytes(answer.body)))
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()
