"""Another program on NATS, as its users write them: nats-py's client, and what it gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from marketd.model.events import Event
from marketd.model.wire import decode
from tests.nats_servers import NatsServer


class Listener:
    """What came, in order."""

    def __init__(self) -> None:
        self.got: list[Msg] = []
        self.client: Client
        self._reconnects: asyncio.Queue[None] = asyncio.Queue()

    async def take(self, message: Msg) -> None:
        self.got.append(message)

    async def reconnected(self) -> None:
        self._reconnects.put_nowait(None)

    async def ignore(self, _: Exception) -> None:
        pass

    async def back(self) -> None:
        """After a restart of the server: it knows us again."""
        await self._reconnects.get()
        await self.client.flush()

    @property
    def events(self) -> list[Event]:
        return [decode(one.data) for one in self.got]


@asynccontextmanager
async def listening(server: NatsServer, subject: str = "md.>") -> AsyncIterator[Listener]:
    listener = Listener()
    connecting = nats.connect(
        server.url,
        reconnect_time_wait=0,
        max_reconnect_attempts=-1,
        reconnected_cb=listener.reconnected,
        error_cb=listener.ignore,
    )
    async with await connecting as client:
        listener.client = client
        await client.subscribe(subject, cb=listener.take)
        await client.flush()
        yield listener
