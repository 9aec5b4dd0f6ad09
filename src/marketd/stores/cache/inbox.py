"""What waits for one listener: so many messages at most, and a word for those that found no room."""

import asyncio
from collections import deque
from collections.abc import Callable

from marketd.stores.cache.cache import Message, Resumed

CAPACITY = 4096
BYTES_MAX = 64 * 1024 * 1024  # of all that waits; a single message may be larger


class Inbox:
    """Filled by whoever hears, emptied by the listener. An async iterator that never ends by itself."""

    def __init__(self, on_loss: Callable[[int], None], capacity: int = CAPACITY, bytes_max: int = BYTES_MAX) -> None:
        self._waiting: deque[Message | Resumed] = deque()
        self._on_loss, self._capacity, self._bytes_max = on_loss, capacity, bytes_max
        self._bytes = 0
        self._missed = 0  # since the last thing that waits
        self._is_there = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Once something found no room, nothing else goes in until all was read: the listener sees one hole, not many."""
        size = len(message.payload)
        if self._missed or len(self._waiting) >= self._capacity or (self._bytes and self._bytes + size > self._bytes_max):
            self._missed += 1
            self._on_loss(1)
            return
        self._bytes += size
        self._waiting.append(message)
        self._is_there.set()

    def resume(self, reason: str) -> None:
        """Heard from here on. It finds room always: two of them in a row are one."""
        self._missed = 0
        if not (self._waiting and isinstance(self._waiting[-1], Resumed)):
            self._waiting.append(Resumed(reason))
        self._is_there.set()

    def __aiter__(self) -> "Inbox":
        return self

    async def __anext__(self) -> Message | Resumed:
        while not self._waiting:
            if self._missed:
                missed, self._missed = self._missed, 0
                return Resumed(f"read too slowly: {missed} messages found no room", missed)
            self._is_there.clear()
            await self._is_there.wait()
        found = self._waiting.popleft()
        if isinstance(found, Message):
            self._bytes -= len(found.payload)
        return found
