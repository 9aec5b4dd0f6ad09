"""The shared cache as a part of the daemon: in Redis, or within the one process that has everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from marketd.api.state import Health as Word
from marketd.clock import Clock
from marketd.config import Config
from marketd.daemon.redis import Streaming
from marketd.metrics import Metrics
from marketd.net.redis import RedisLink
from marketd.rooms import room
from marketd.stores.cache import Cache, open_memory, open_redis

ROLES = frozenset({"cache", "scanner", "ta", "trader"})
MEANWHILE = "the shared cache is neither written, read nor heard"


@dataclass(frozen=True)
class Caching:
    """The cache that all roles of this process share."""

    cache: Cache
    link: RedisLink | None  # None: in memory

    @property
    def health(self) -> tuple[Word, str]:
        """Without its server the cache is of no use."""
        state = self.cache.state
        return ("ok" if state.connected else "unhealthy"), state.reason


def is_in_memory(config: Config) -> bool:
    """Where whoever fills the cache and whoever reads it are one process, and nobody said where a Redis is."""
    return config.profile == "all-in-one" and "cache" in config.roles and "url" not in config.redis.model_fields_set


@asynccontextmanager
async def open_caching(
    config: Config, clock: Clock, metrics: Metrics, streaming: Streaming | None
) -> AsyncIterator[Caching | None]:
    """The cache, if a role here uses one. It shares the way to Redis with the streams of trades, if there are some."""
    rules = config.message_log
    if not ROLES & set(config.roles):
        yield None
    elif is_in_memory(config):
        async with open_memory(clock, metrics, maxlen=rules.maxlen, enabled=rules.enabled) as memory:
            yield Caching(memory, None)
    else:
        async with room("redis") as here:
            link = streaming.link if streaming is not None else None
            if link is None:
                link = RedisLink(config.redis, f"marketd-{config.profile}", clock, MEANWHILE)
                here.start("watch", link.run())
            async with open_redis(link, rules, clock, metrics) as cache:
                yield Caching(cache, link)
