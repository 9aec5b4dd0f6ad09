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
        self._heads: dict[type[Event], dict[str, bytes]] = {}  # by type and symbol

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
        """The messages as the protocol has them, `PER_WRITE` at a time. Three columns, put together once: a third less than
        message by message.
        """
        for at in range(0, len(batch), PER_WRITE):
            events = batch[at : at + PER_WRITE]
            payloads = list(map(encode, events))
            sizes = list(map(len, payloads))
            largest = max(sizes)
            if largest > size_max:
                events, payloads = self._fitting(events, payloads, size_max)
                if not events:
                    continue
                sizes = list(map(len, payloads))
            parts = [b""] * (3 * len(events))
            parts[0::3] = self._heads_of(events)
            parts[1::3] = [_SIZES[size] for size in sizes] if largest < len(_SIZES) else [b"%d\r\n" % size for size in sizes]
            parts[2::3] = payloads
            parts[0] = parts[0][2:]  # nothing ends before the first
            parts.append(b"\r\n")
            yield b"".join(parts)

    def _heads_of(self, events: Sequence[Event]) -> list[bytes]:
        """How each message begins, after the end of the one before."""
        try:
            return [self._heads[event.__class__][event.symbol] for event in events]
        except KeyError:
            if sum(map(len, self._heads.values())) >= SUBJECTS_MAX:
                self._heads.clear()
            for event in events:
                head = f"\r\nPUB {subject_of(self._prefix, event)} ".encode()
                self._heads.setdefault(event.__class__, {})[event.symbol] = head
            return [self._heads[event.__class__][event.symbol] for event in events]

    def _fitting(self, events: Sequence[Event], payloads: Sequence[bytes], size_max: int) -> tuple[list[Event], list[bytes]]:
        """Without those over which the server would end the connection, again and again."""
        fitting: tuple[list[Event], list[bytes]] = [], []
        for event, payload in zip(events, payloads, strict=True):
            if len(payload) <= size_max:
                fitting[0].append(event)
                fitting[1].append(payload)
                continue
            kind = TYPE_NAMES[event.__class__]
            self._metrics.dropped.labels(self.name, "too_large", kind).inc()
            log.error("nats.too_large", symbol=event.symbol, type=kind, bytes=len(payload), allowed=size_max)
        return fitting
