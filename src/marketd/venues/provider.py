"""Sources that are not WebSocket and JSON: a library's callback, a file, a message queue. Through the same bus and backoff."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from marketd.clock import Clock
from marketd.errors import Disconnected, MarketdError
from marketd.metrics import Metrics
from marketd.model.events import SYSTEM, Channel, Event, Status, Trade
from marketd.model.vet import impossible
from marketd.model.wire import encode
from marketd.net.backoff import Backoff
from marketd.venues.continuity import Continuity

log = structlog.get_logger("feed")


class MarketDataProvider(ABC):
    """Subclass this and name it in the entry-point group `marketd.venues`, or pass it to `run_provider`."""

    name: str

    @abstractmethod
    async def connect(self) -> None:
        """Called before each stream, again after every failure. Raise Disconnected to be called again later."""

    @abstractmethod
    async def subscribe(self, symbols: Sequence[str], channels: Sequence[Channel]) -> None: ...

    @abstractmethod
    def stream(self) -> AsyncIterator[Event]:
        """The events, `venue` being this provider's name. Its end or a Disconnected means: connect again."""

    @abstractmethod
    async def close(self) -> None: ...


async def run_provider(
    provider: MarketDataProvider,
    symbols: Sequence[str],
    channels: Sequence[Channel],
    publish: Callable[[Sequence[Event]], None],
    clock: Clock,
    metrics: Metrics,
) -> None:
    """Keep a provider streaming until cancelled: impossible values kept aside, repeats dropped, reconnects with backoff."""
    backoff = Backoff()
    trades = Continuity(
        provider.name, False, lambda repair: None, on_duplicate=lambda one: metrics.duplicates.labels(one.venue, "trade").inc()
    )
    while True:
        try:
            try:
                await provider.connect()
                await provider.subscribe(symbols, channels)
                publish((Status(provider.name, SYSTEM, None, clock.now_ns(), "connected", "streaming"),))
                async for event in provider.stream():
                    backoff.reset()
                    why = impossible(event)
                    if why is not None:
                        metrics.events_quarantined.labels(provider.name, why).inc()
                        log.warning("feed.quarantined", venue=provider.name, reason=why, frame=encode(event).decode())
                        continue
                    publish(trades.take(event) if isinstance(event, Trade) else (event,))
                raise Disconnected(f"{provider.name}: the stream ended")
            finally:
                await provider.close()
        except Exception as error:  # a library fails in its own ways; none of them may end the other venues
            reason = str(error) if isinstance(error, MarketdError) else f"{type(error).__name__}: {error}"
            delay_s = backoff.next_s()
            publish((Status(provider.name, SYSTEM, None, clock.now_ns(), "disconnected", reason),))
            log.warning(f"{provider.name}.reconnecting", reason=reason, retry_in_s=round(delay_s, 2))
            await clock.sleep(delay_s)
