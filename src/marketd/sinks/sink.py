"""What a sink is: something that opens, writes batches and closes; and how it is doing, as data."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, runtime_checkable

from marketd.bus import Full, Subscription
from marketd.model.events import Event
from marketd.model.marks import Mark, Series


class Sink(Protocol):
    """Where events go. `async with sink` opens and closes it; both may raise DeliveryError and are then tried again."""

    name: str
    types: frozenset[type[Event]] | None  # wanted; None is all
    full: Full  # what a full queue means; SPILL makes the sink durable
    capacity: int  # events that may wait for it in memory
    gather_s: float  # pause after a write in which events gather, since one big batch is less work than many small ones

    async def __aenter__(self) -> Self: ...

    async def write(self, batch: Sequence[Event]) -> None:
        """Returns when the batch is as safe as this sink makes it. Raises DeliveryError to be offered the same batch again."""
        ...

    async def __aexit__(self, *_: object) -> None: ...


@runtime_checkable
class DurableSink(Protocol):
    """A sink that remembers what it holds, so that a restart can repair from there."""

    def progress(self) -> Mapping[Series, Mark]:
        """The high-water marks of what is safe."""
        ...


class Latencies:
    """The last few samples in milliseconds, for a quick look; the histogram keeps the long story."""

    def __init__(self, size: int = 512) -> None:
        self._samples: deque[float] = deque(maxlen=size)

    def add(self, ms: float) -> None:
        self._samples.append(ms)

    def percentile(self, share: float) -> float | None:
        """Of the recent samples, e.g. 0.99; None before the first."""
        if not self._samples:
            return None
        ordered = sorted(self._samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(slots=True)
class SinkState:
    """How a sink is doing, for /health and /status."""

    name: str
    durable: bool
    since: int  # ns, when `healthy` or its reason last changed
    subscription: Subscription
    healthy: bool = False
    reason: str = "opening"
    delivered: int = 0
    retries: int = 0
    given_up: int = 0  # events dropped because the sink would not take them
    stored_ms: Latencies = field(default_factory=Latencies)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "durable": self.durable,
            "healthy": self.healthy,
            "reason": self.reason,
            "since": self.since,
            "delivered": self.delivered,
            "retries": self.retries,
            "given_up": self.given_up,
            "waiting": len(self.subscription),
            "spilled": 0 if self.subscription.spill is None else len(self.subscription.spill),
            "stored_ms_p50": self.stored_ms.percentile(0.5),
            "stored_ms_p99": self.stored_ms.percentile(0.99),
        }
