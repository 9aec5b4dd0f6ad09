"""Redis Streams as a part of the daemon: the way to the server, the sink, and what is done about the streams beside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from marketd.api.state import Health as Word
from marketd.clock import Clock
from marketd.config import Config
from marketd.metrics import Metrics
from marketd.net.redis import RedisLink
from marketd.rooms import room
from marketd.sinks.redis_memory import StreamsCare
from marketd.sinks.redis_streams import RedisStreams
from marketd.sinks.sink import SinkState

REQUIRED_BY = frozenset({"trade-streams"})  # profiles that are for nothing else


@dataclass(frozen=True)
class Streaming:
    """What there is for Redis while it is enabled."""

    link: RedisLink
    sink: RedisStreams
    care: StreamsCare
    required: bool

    def health(self, state: SinkState | None) -> tuple[Word, bool, str]:
        """The server answers and takes what is written to it."""
        if not self.link.state.connected:
            return "unhealthy", self.required, self.link.state.reason
        if state is not None and not state.healthy and state.reason != "opening":
            return "unhealthy", self.required, state.reason
        if (waits := self.sink.waiting.reason) is not None:
            return "unhealthy" if self.sink.takes_nothing else "degraded", self.required, waits
        if self.sink.noticed.lost is not None:
            return "degraded", self.required, self.sink.noticed.lost
        if self.sink.noticed.others:
            stream, other = next(iter(self.sink.noticed.others.items()))
            return "degraded", self.required, f"{stream} is written by another marketd too: {other}"
        budget = self.care.budget
        if budget is not None and budget.exceeds:
            return "degraded", self.required, budget.text
        return "ok", self.required, self.link.state.reason if budget is None else f"{self.link.state.reason}; {budget.text}"


@asynccontextmanager
async def open_streaming(config: Config, clock: Clock, metrics: Metrics) -> AsyncIterator[Streaming | None]:
    """Where trades go to Redis: asks for the server until left. Its sink is opened by whoever delivers to it."""
    if not config.redis.enabled or "ingest" not in config.roles:
        yield None
        return
    link = RedisLink(config.redis, f"marketd-{config.profile}", clock)
    directory, limit = config.data_dir / "spill" / "redis-held", config.sinks.delivery.spill_bytes
    sink = RedisStreams(config.redis, link, clock, directory, metrics, waiting_bytes=limit)
    streaming = Streaming(link, sink, StreamsCare(config.redis, link, clock, metrics), config.profile in REQUIRED_BY)
    async with room("redis") as here:
        here.start("watch", link.run())
        here.start("tend", sink.tend())
        here.start("care", streaming.care.run(lambda: sink.symbols))
        yield streaming
