"""Which sinks and stores a config asks for."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from marketd.clock import Clock
from marketd.config import Config
from marketd.daemon.redis import Streaming
from marketd.metrics import Metrics
from marketd.net.nats import NatsLink, open_link
from marketd.sinks.console import Console
from marketd.sinks.jetstream import JetStream
from marketd.sinks.jsonl import JsonLines
from marketd.sinks.nats import Nats
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


@asynccontextmanager
async def open_nats(
    config: Config, clock: Clock, metrics: Metrics | None = None, *, only_if_asked: bool = False
) -> AsyncIterator[NatsLink | None]:
    """The process's one connection to NATS, which whoever needs it shares; None where NATS is off, or only welcome where it
    is to be asked for.
    """
    if config.nats.enabled is False or (only_if_asked and config.nats.enabled is None):
        yield None
        return
    async with open_link(config.nats, f"marketd-{config.profile}", clock, metrics) as link:
        yield link


def nats_sink(config: Config, link: NatsLink, metrics: Metrics, clock: Clock) -> Sink:
    """What publishes events to NATS."""
    return JetStream(config.nats, link, clock, metrics) if config.nats.jetstream else Nats(config.nats, link, metrics)


def sinks_of(
    config: Config, metrics: Metrics, clock: Clock, link: NatsLink | None = None, streaming: Streaming | None = None
) -> list[Sink]:
    """The sinks that are enabled, in the order in which they are shown. NATS is one of them where it was asked for, or where
    it is welcome and there: else its sink may be started later. Redis's is the one of `streaming`.
    """
    sinks: list[Sink] = []
    if config.sinks.jsonl.enabled:
        sinks.append(JsonLines(config.sinks.jsonl, config.data_dir, clock, metrics))
    if streaming is not None:
        sinks.append(streaming.sink)
    if config.sinks.console.enabled:
        sinks.append(Console(config.sinks.console))
    if config.sinks.prometheus.enabled:
        sinks.append(Prometheus(config.sinks.prometheus, metrics, clock))
    if link is not None and (config.nats.enabled or link.state.was_connected):
        sinks.append(nats_sink(config, link, metrics, clock))
    return sinks
