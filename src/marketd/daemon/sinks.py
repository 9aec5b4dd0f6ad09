"""Which sinks and stores a config asks for."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from marketd.clock import Clock
from marketd.config import Config
from marketd.metrics import Metrics
from marketd.sinks.console import Console
from marketd.sinks.jsonl import JsonLines
from marketd.sinks.prometheus import Prometheus
from marketd.sinks.sink import Sink
from marketd.stores.events import EventStore
from marketd.venues.venue import Venue


@asynccontextmanager
async def open_store(config: Config, venues: Mapping[str, Venue], clock: Clock) -> AsyncIterator[EventStore | None]:
    """The event store, if it is enabled."""
    if not config.sinks.sqlite.enabled:
        yield None
        return
    proofs: dict[tuple[str, str], str] = {
        (name, channel): proof.detects for name, venue in venues.items() for channel, proof in venue.proofs.items()
    }
    async with EventStore(config.sinks.sqlite, config.data_dir, clock, proofs) as store:
        yield store


def sinks_of(config: Config, metrics: Metrics, clock: Clock) -> list[Sink]:
    """The sinks that are enabled, in the order in which they are shown."""
    sinks: list[Sink] = []
    if config.sinks.jsonl.enabled:
        sinks.append(JsonLines(config.sinks.jsonl, config.data_dir, clock, metrics))
    if config.sinks.console.enabled:
        sinks.append(Console(config.sinks.console))
    if config.sinks.prometheus.enabled:
        sinks.append(Prometheus(config.sinks.prometheus, metrics, clock))
    return sinks
