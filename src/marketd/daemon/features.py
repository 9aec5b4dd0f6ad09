"""The role features: where its events come from, and in which order its parts open and close."""

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, Protocol

from marketd.analysis.features import Engine
from marketd.analysis.publishing import Publisher
from marketd.analysis.service import FeatureService
from marketd.bus import Bus, Full, Subscription
from marketd.clock import Clock
from marketd.config import Config
from marketd.metrics import Metrics
from marketd.net.nats import NatsLink
from marketd.rooms import room
from marketd.sources.durable import DurableSource
from marketd.sources.nats import Intake, NatsSource
from marketd.sources.partitions import Partitions
from marketd.sources.tolerant import TolerantReader

Word = Literal["ok", "degraded", "unhealthy"]


class Source(Protocol):
    """Where events come from when no venue is listened to here."""

    @property
    def state(self) -> tuple[Word, str]: ...

    async def run(self) -> None: ...


class Shared:
    """`Partitions` as a source."""

    def __init__(self, partitions: Partitions) -> None:
        self.partitions = partitions

    @property
    def state(self) -> tuple[Word, str]:
        return self.partitions.health

    async def run(self) -> None:
        await self.partitions.run()


class Featuring:
    """The features of this process. Opened in this order: `publishing`, then the sinks, of which `service` is one, then
    `watching`, the API, and last `listening`; so what was read before the end is still published.
    """

    def __init__(self, config: Config, link: NatsLink | None, bus: Bus, clock: Clock, metrics: Metrics) -> None:
        self._config, self._bus, self._clock, self._metrics = config, bus, clock, metrics
        self.source = None if "ingest" in config.roles or link is None else self._source(link)
        self.publisher = Publisher(link, clock, metrics, may_publish=self._may_publish)
        engine = Engine(config.features, list(config.feeds))
        self.service = FeatureService(engine, self.publisher, clock, metrics, capacity=config.bus.capacity)
        if isinstance(self.source, Shared):
            self.service.share = self.source.partitions.listed
            # Nothing of it may wait on disk for a later start: others have the symbols then, and the stream keeps the events.
            self.service.full = Full.SHED
        metrics.features_connected.set_function(lambda: float(link is not None and link.state.connected))

    @property
    def state(self) -> tuple[Word, str]:
        """Whether events come in, for /health."""
        if self.source is None:
            word: Word = "ok"
            reason = "takes the events of this process"
        else:
            word, reason = self.source.state
        if word == "ok" and self.service.fault:
            return "degraded", self.service.fault
        return word, reason

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Send what there is to send; on leaving, what is left."""
        async with room("publishing") as here:
            here.start("publisher", self.publisher.run())
            yield
            await self.publisher.flush()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Publish what becomes due while nothing comes."""
        self.service.watch(self._subscription)
        async with room("features") as here:
            here.start("due", self.service.run())
            yield

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Let events in, where they do not come from this process."""
        async with room("listening") as here:
            if self.source is not None:
                here.start("source", self.source.run())
            yield

    def _may_publish(self) -> bool:
        return not isinstance(self.source, Shared) or self.source.partitions.may_publish

    @property
    def _subscription(self) -> Subscription:
        return next(one for one in self._bus.subscriptions if one.name == self.service.name)

    def _settled(self) -> Coroutine[Any, Any, None]:
        return self._subscription.settled()

    def _source(self, link: NatsLink) -> Source:
        reader = TolerantReader(self._clock, self._metrics)
        intake = Intake(reader, self._bus.publish, self._clock)
        config, nats = self._config.features, self._config.nats
        if config.partitions > 1:
            return Shared(
                Partitions(
                    link,
                    prefix=nats.subject_prefix,
                    count=config.partitions,
                    lease_s=config.lease_s,
                    window_s=config.window_s,
                    read=reader.read,
                    publish=self._bus.publish,
                    settled=self._settled,
                    clock=self._clock,
                    metrics=self._metrics,
                    under_way=self._config.bus.capacity // 2,
                )
            )
        if nats.jetstream:
            return DurableSource(link, nats.subject_prefix, intake, self._settled, self._clock)
        return NatsSource(link, nats.subject_prefix, intake, self._clock)
