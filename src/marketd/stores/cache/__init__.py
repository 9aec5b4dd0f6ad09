"""The shared cache: values that expire, channels to publish on and to hear, and the log of all of it; in Redis or in memory."""

from marketd.stores.cache.cache import (
    Cache,
    CacheState,
    Desk,
    Logged,
    LogPage,
    Message,
    Note,
    Operation,
    Publish,
    Resumed,
    Wanted,
    Write,
)
from marketd.stores.cache.memory import MemoryCache, open_memory
from marketd.stores.cache.redis import RedisCache, open_redis
from marketd.stores.cache.section import MessageLogConfig

__all__ = [
    "Cache",
    "CacheState",
    "Desk",
    "LogPage",
    "Logged",
    "MemoryCache",
    "Message",
    "MessageLogConfig",
    "Note",
    "Operation",
    "Publish",
    "RedisCache",
    "Resumed",
    "Wanted",
    "Write",
    "open_memory",
    "open_redis",
]
