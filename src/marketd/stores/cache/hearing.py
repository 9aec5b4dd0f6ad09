"""Listening to channels of Redis: a connection of its own, which is opened again for as long as somebody listens."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from marketd.clock import Clock
from marketd.errors import Unreachable
from marketd.net.redis import RedisLink
from marketd.net.redis_wire import ReplyError, pack, refusal
from marketd.stores.cache.cache import Message, is_pattern
from marketd.stores.cache.inbox import Inbox

SILENT_S = 5.0  # after so long the server is asked for a sign of life, and after as long again given up
AGAIN_S = 0.5
REFUSED_S = 5.0
log = structlog.get_logger("cache")


async def hear(link: RedisLink, channels: Sequence[str], inbox: Inbox, clock: Clock) -> None:
    """Fill the inbox. Until cancelled."""
    is_said = False
    while True:
        hearing = Hearing(channels, inbox, link.state.url)
        try:
            why = await hearing.run(link)
        except Unreachable:  # which has been said
            await clock.sleep(AGAIN_S)
            continue
        if hearing.refused:
            if not is_said:
                log.warning(
                    "cache.not_heard", channels=list(channels), reason=hearing.refused, text="asked for again until heard"
                )
            is_said = True
            await clock.sleep(REFUSED_S)
        else:
            is_said = False
            link.lost(why)
            await clock.sleep(AGAIN_S)


class Hearing:
    """One connection's worth of it."""

    def __init__(self, channels: Sequence[str], inbox: Inbox, url: str) -> None:
        self.refused = ""
        self._channels, self._inbox, self._url = channels, inbox, url
        self._agreed = 0
        self._is_alive = True

    async def run(self, link: RedisLink) -> str:
        """Why it ended. Raises Unreachable if it did not begin."""
        async with await link.open("listen") as wire:

            def take(said: Any) -> None:
                self._take(said)
                if self.refused:
                    wire.abort(self.refused)

            plain = [name for name in self._channels if not is_pattern(name)]
            patterns = [name for name in self._channels if is_pattern(name)]
            words = [("SUBSCRIBE", *plain)] * bool(plain) + [("PSUBSCRIBE", *patterns)] * bool(patterns)
            wire.listen(b"".join(pack(*each) for each in words), take)
            while True:
                try:
                    async with asyncio.timeout(SILENT_S):
                        return await wire.ended()
                except TimeoutError:
                    if not self._is_alive:
                        wire.abort(f"silent for {2 * SILENT_S:g} s")
                        continue
                    self._is_alive = False
                    wire.listen(pack("PING"), take)

    def _take(self, said: Any) -> None:
        self._is_alive = True
        if isinstance(said, ReplyError):
            self.refused = refusal(said)
            return
        if not isinstance(said, list) or not said:
            return
        if said[0] == b"message":
            self._inbox.put(Message(said[1].decode("utf-8", "replace"), said[2]))
        elif said[0] == b"pmessage":
            self._inbox.put(Message(said[2].decode("utf-8", "replace"), said[3]))
        elif said[0] in (b"subscribe", b"psubscribe"):
            self._agreed += 1
            if self._agreed == len(self._channels):
                self._inbox.resume(f"listening at {self._url}")
