"""Events to core NATS, each on the subject of its type and symbol; a batch is delivered when the server has read all of it.

Many messages go out in one write, and one PING asks for the server's word about all of them. When the connection is lost
before that word, the batch is offered again: subscribers may get the same event twice, and know it by its identity.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import structlog

from marketd.bus import Full
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.model.events import EVENT_TYPES, TYPE_NAMES, BookDelta, Event
from marketd.model.wire import encode
from marketd.net.nats import NatsConfig, NatsLink, token

PER_WRITE = 256  # messages
SUBJECTS_MAX = 65_536  # remembered; beyond it they are made anew
_SIZES = [b"%d\r\n" % size for size in range(4096)]  # of most payloads

log = structlog.get_logger("nats")


def subject_of(prefix: str, event: Event) -> str:
    """`{prefix}.{type}.{symbol}`, for every event alike; what NATS forbids in a symbol is `_`."""
    return f"{prefix}.{TYPE_NAMES[event.__class__]}.{token(event.symbol)}"


class Nats:
    """Publishes over the process's one connection. Trades and closed candles wait in the spill while there is none."""

    name = "nats"
    full = Full.SPILL
    gather_s = 0.0

    def __init__(self, config: NatsConfig, link: NatsLink, metrics: Metrics) -> None:
        self.capacity = config.capacity
        self.types: frozenset[type[Event]] | None = frozenset(EVENT_TYPES) - (frozenset() if config.deltas else {BookDelta})
        self._prefix, self._link, self._metrics = config.subject_prefix, link, metrics
        self._heads: dict[type[Event], dict[str, bytes]] = {}  # how a message begins, after the end of the one before
        self._remembered = 0

    async def __aenter__(self) -> Self:
        _ = self._link.session  # whether there is one: else the state of this sink would not say so before the first event
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        if not batch:
            return
        session = self._link.session
        refused = session.refusals(self._prefix)
        await session.deliver(self._packed(batch, session.max_payload))
        if session.refusals(self._prefix) > refused:
            raise DeliveryError(f"nats: {session.server} refuses: {session.refused}")

    async def __aexit__(self, *_: object) -> None:
        """The connection is the link's."""

    def _packed(self, batch: Sequence[Event], size_max: int) -> Iterator[bytes]:
        """The messages as the protocol has them, `PER_WRITE` at a time."""
        for at in range(0, len(batch), PER_WRITE):
            parts: list[bytes] = []
            for event in batch[at : at + PER_WRITE]:
                payload = encode(event)
                size = len(payload)
                if size > size_max:
                    self._is_too_large(event, size, size_max)
                    continue
                try:
                    head = self._heads[event.__class__][event.symbol]
                except KeyError:
                    head = self._head_of(event)
                parts += (head, _SIZES[size] if size < 4096 else b"%d\r\n" % size, payload, b"\r\n")
            yield b"".join(parts)

    def _head_of(self, event: Event) -> bytes:
        if self._remembered >= SUBJECTS_MAX:
            self._heads.clear()
            self._remembered = 0
        head = f"PUB {subject_of(self._prefix, event)} ".encode()
        self._heads.setdefault(event.__class__, {})[event.symbol] = head
        self._remembered += 1
        return head

    def _is_too_large(self, event: Event, size: int, size_max: int) -> None:
        """The server would end the connection over it, again and again."""
        kind = TYPE_NAMES[event.__class__]
        self._metrics.dropped.labels(self.name, "too_large", kind).inc()
        log.error("nats.too_large", symbol=event.symbol, type=kind, bytes=size, allowed=size_max)
