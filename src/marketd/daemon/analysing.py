"""The roles scanner and ta: what of the shared cache they read, and how they are doing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from marketd.candles.schedule import pace
from marketd.clock import Clock
from marketd.config import Config
from marketd.metrics import Metrics
from marketd.rooms import room
from marketd.stores.cache import Cache

if TYPE_CHECKING:
    from marketd.analysis.listening import Word
    from marketd.analysis.scanning import Scanner
    from marketd.analysis.studying import Studies


class Analysing:
    """Those of the two that run in this process."""

    def __init__(self, config: Config, cache: Cache, clock: Clock, metrics: Metrics) -> None:
        self.scanner: Scanner | None = None
        self.studies: Studies | None = None
        its, venue = config.analysis, config.cache.venue
        # Imported here: what they calculate with takes memory and most of a second, which other roles need not pay.
        if "scanner" in config.roles:
            from marketd.analysis.scanning import Scanner

            every_s = pace(its.scanner_timeframe).every_s
            self.scanner = Scanner(cache.of("dashboard"), its, venue, every_s, its.symbols, clock, metrics)
        if "ta" in config.roles:
            from marketd.analysis.studying import Studies

            paces = {name: float(pace(name).every_s) for name in its.timeframes}
            self.studies = Studies(cache.of("ta-service"), its, venue, paces, its.symbols, clock, metrics)

    @property
    def states(self) -> dict[str, tuple[Word, str]]:
        """For /health, by role."""
        running = {"scanner": self.scanner, "ta": self.studies}
        return {role: one.state for role, one in running.items() if one is not None}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen to the cache until left; whoever fills it opens after this and closes before."""
        async with room("analysis") as here:
            if self.scanner is not None:
                here.start("scanner", self.scanner.run())
            if self.studies is not None:
                here.start("ta", self.studies.run())
            yield
