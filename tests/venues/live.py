"""A feed of a venue on its simulated self, and what it publishes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from marketd.clock import Clock, SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Gap, Status, Trade
from marketd.model.marks import Mark
from marketd.net.capture import Capture
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.sim import Sim
from marketd.venues import venue_named
from marketd.venues.feed import Feed, FeedConfig
from marketd.venues.rest import Rest
from marketd.venues.venue import Wanted
from tests.daemons import eventually


class Live:
    """A running feed."""

    def __init__(self, feed: Feed, metrics: Metrics, sim: Sim, events: list[Event]) -> None:
        self.feed, self.metrics, self.sim, self.events = feed, metrics, sim, events

    @property
    def sessions(self) -> list[object]:
        return list(self.sim.venue(self.feed.venue.name).sessions)

    def trades(self, symbol: str = "BTCUSDT") -> list[Trade]:
        return [one for one in self.events if isinstance(one, Trade) and one.symbol == symbol]

    def gaps(self, symbol: str = "BTCUSDT") -> list[Gap]:
        return [one for one in self.events if isinstance(one, Gap) and one.symbol == symbol]

    def statuses(self, state: str) -> list[Status]:
        return [one for one in self.events if isinstance(one, Status) and one.state == state]

    def states(self) -> dict[Wanted, str]:
        return {wanted: stream.state for wanted, stream in self.feed.intake.streams.items()}

    async def until_confirmed(self, within_s: float = 15.0) -> None:
        """Until the venue has confirmed every subscription."""
        await eventually(lambda: self._confirmed() >= set(self.feed.intake.streams) > set(), within_s)

    def _confirmed(self) -> set[Wanted]:
        return {one for connection in self.feed.connections.values() for one in connection.acked}

    async def step(self, count: int = 50) -> None:
        """Market events now, and then until every trade of them is published."""
        name = self.feed.venue.name
        self.sim.step(count, name)
        symbols = {one.symbol for one in self.feed.intake.streams if one.channel == "trade"}
        for symbol in symbols:
            last = self.sim.venue(name).trades(symbol)[-1].trade_id
            await eventually(lambda symbol=symbol, last=last: any(one.trade_id == last for one in self.trades(symbol)), 15.0)


@asynccontextmanager
async def live(
    sim: Sim,
    name: str,
    wanted: Sequence[Wanted],
    *,
    clock: Clock | None = None,
    config: FeedConfig | None = None,
    capture: Capture | None = None,
    stream: str | None = None,
    marks: Mapping[str, Mark] | None = None,
) -> AsyncIterator[Live]:
    clock, metrics, events = clock or SystemClock(), Metrics(), list[Event]()
    where = sim.env()
    async with Http() as http:
        venue = venue_named(name, {})
        governor = Governor(clock, venue.limits.rest)
        rest = Rest(venue, where[f"{name.upper()}_REST_URL"], http, governor, clock, metrics, capture)
        stream = stream or where[f"{name.upper()}_WS_URL"]
        feed = Feed(venue, config or FeedConfig(), rest, stream, events.extend, clock, metrics, capture=capture, marks=marks)
        feed.want(wanted)
        task = asyncio.ensure_future(feed.run())
        try:
            yield Live(feed, metrics, sim, events)
            assert not task.done() or task.result() is None, "the feed ended by itself"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
