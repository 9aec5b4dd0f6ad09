"""Asking until there is an answer: a venue or a database that is away is waited for, and whoever watches is told why."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from marketd.clock import Clock
from marketd.errors import BadFrame, ConfigError, DeliveryError, Disconnected, Refused, StartError
from marketd.history.job import Progress
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval
from marketd.model.timeframes import Timeframe
from marketd.net.backoff import Backoff
from marketd.venues.candles import CandleDesk

T = TypeVar("T")
UNREADABLE_TRIES = 3
STORE_S_MAX = 5.0  # between two questions to a database that is away: it is ours
log = structlog.get_logger("backfill")


class Asking:
    """Questions to one venue and to the archive."""

    def __init__(self, desk: CandleDesk, clock: Clock, tell: Callable[[Progress], None], tries: int | None) -> None:
        self.desk, self._clock, self._tell, self._tries = desk, clock, tell, tries

    async def stored(self, ask: Callable[[], Awaitable[T]], progress: Progress | None = None) -> T:
        """What the archive answers, once it does."""
        backoff = Backoff(max_s=STORE_S_MAX)
        while True:
            try:
                return await ask()
            except DeliveryError as error:
                await self._wait(error, backoff, progress)

    async def instrument(self, symbol: str) -> Instrument:
        """What the venue says of the symbol. Raises ConfigError if it does not list it."""
        backoff = Backoff()
        while True:
            try:
                instrument = await self.desk.instrument(symbol)
            except (Refused, Disconnected, BadFrame) as error:
                await self._wait(error, backoff)
                continue
            if instrument is None:
                raise ConfigError(f"{self.desk.venue.name} does not list {symbol!r}")
            return instrument

    async def candles(self, instrument: Instrument, frame: Timeframe, span: Interval, progress: Progress) -> list[Candle]:
        """A page. Raises Refused where asking again is pointless, BadFrame where the answer stays unreadable, StartError where
        the venue stays away for more tries than allowed."""
        backoff, unreadable = Backoff(), 0
        while True:
            try:
                progress.requests += 1
                return await self.desk.ask(instrument, frame, span)
            except Refused as error:
                if error.permanent:
                    raise
                await self._wait(error, backoff, progress)
            except BadFrame as error:
                unreadable += 1
                if unreadable == UNREADABLE_TRIES:
                    raise
                await self._wait(error, backoff, progress)
            except Disconnected as error:
                await self._wait(error, backoff, progress)

    async def _wait(self, error: Exception, backoff: Backoff, progress: Progress | None = None) -> None:
        if isinstance(error, Disconnected) and backoff.tries + 1 == self._tries:
            raise StartError(f"{error}; given up after {self._tries} tries")
        delay_s = backoff.next_s()
        log.warning("archive.waiting", venue=self.desk.venue.name, reason=str(error), retry_in_s=round(delay_s, 1))
        if progress is not None:
            progress.waiting = str(error)
            self._tell(progress)
        await self._clock.sleep(delay_s)
