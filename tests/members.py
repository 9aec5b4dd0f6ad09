"""A group of members on a real server, in one process: what each publishes is kept, and what each holds can be asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model import wire
from marketd.model.events import Event, Trade
from marketd.model.identity import identity
from marketd.net.nats import NatsConfig, NatsLink, open_link
from marketd.net.nats_api import ask
from marketd.sources.partitioned import STREAM as PARTITIONED
from marketd.sources.partitions import Partitions
from tests.daemons import eventually

STREAM = "EVENTS"
PREFIX = "md.events"
TS = 1_700_000_000_000_000_000


def trade(symbol: str, number: int, *, ts: int | None = None) -> Trade:
    ts = TS + number * 1_000_000 if ts is None else ts
    return Trade("binance", symbol, ts, ts, "100.0", "0.5", "buy", str(number))


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[NatsLink]:
    async with open_link(NatsConfig.model_validate({"url": url, "enabled": True}), "marketd-test", SystemClock()) as link:
        yield link


async def make_events_stream(link: NatsLink, **more: Any) -> None:
    await link.client.jetstream().add_stream(name=STREAM, subjects=[f"{PREFIX}.>"], allow_direct=True, **more)


async def store(link: NatsLink, events: Sequence[Event], *, once: bool = False) -> None:
    """Into the events' stream, confirmed; `once`: told again, a trade is not stored again."""
    stream = link.client.jetstream()
    for event in events:
        headers = {"Nats-Msg-Id": identity(event)} if once else None
        kind = msgspec.json.decode(wire.encode(event))["type"]
        await stream.publish(f"{PREFIX}.{kind}.{event.symbol}", wire.encode(event), headers=headers)


async def arrived(link: NatsLink, count: int) -> None:
    """Until the partitioned stream has so many messages: the server fills it a moment later."""
    await eventually(
        lambda: ask(link.session, f"STREAM.INFO.{PARTITIONED}", {}), holds=lambda info: info["state"]["messages"] >= count
    )


@dataclass
class Member:
    """What one member published to its bus, in order; it processes at once, unless `stuck`."""

    link: NatsLink
    count: int = 4
    lease_s: int = 1
    under_way: int = 32_768
    published: list[Event] = field(default_factory=list)
    stuck: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.stuck.set()
        self.metrics = Metrics()
        self.partitions = Partitions(
            self.link,
            prefix=PREFIX,
            count=self.count,
            lease_s=self.lease_s,
            window_s=60.0,
            read=lambda data, subject: wire.decode(data),
            publish=self.published.extend,
            settled=self._settled,
            clock=SystemClock(),
            metrics=self.metrics,
            under_way=self.under_way,
        )

    async def _settled(self) -> None:
        await self.stuck.wait()

    @property
    def owned(self) -> set[int]:
        return {one["partition"] for one in self.partitions.listed()["owned"] if one["state"] == "live"}

    def trades(self, symbol: str) -> list[int]:
        """The numbers of a symbol's trades, in the order they were published."""
        return [int(one.trade_id) for one in self.published if isinstance(one, Trade) and one.symbol == symbol]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Member"]:
        task = asyncio.create_task(self.partitions.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
