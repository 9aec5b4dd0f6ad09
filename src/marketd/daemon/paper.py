"""The role trader: its books, and the loop that keeps them. On paper only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from marketd.candles.schedule import pace
from marketd.clock import Clock
from marketd.config import Config
from marketd.daemon.caching import Caching
from marketd.metrics import Metrics
from marketd.paper.service import Trader, Word
from marketd.rooms import room
from marketd.stores.paper import open_paper


@dataclass(frozen=True)
class Papering:
    """The paper trader of this process."""

    trader: Trader

    @property
    def state(self) -> tuple[Word, str]:
        """For /health."""
        return self.trader.state

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear signals until left; whoever makes them opens after this and closes before."""
        async with room("trader") as here:
            here.start("trader", self.trader.run())
            yield


@asynccontextmanager
async def open_papering(
    config: Config, caching: Caching | None, clock: Clock, metrics: Metrics
) -> AsyncIterator[Papering | None]:
    """Where the role trader runs. A database that is away is waited for; one that does not let us in raises StartError."""
    if "trader" not in config.roles:
        yield None
        return
    assert caching is not None, "the role trader has a cache"
    async with open_paper(config.database_url, clock) as store:
        desk, every_s = caching.cache.of("trader-bot"), float(pace(config.paper.timeframe).every_s)
        yield Papering(Trader(config.paper, desk, store, clock, metrics, every_s))
