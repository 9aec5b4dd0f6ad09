"""The role cache: the one part that talks to a venue for the candle cache, and how it is doing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from marketd.api.state import CacheRow
from marketd.api.state import Health as Word
from marketd.candles.poller import Poller
from marketd.candles.polling import PRICES, Kept
from marketd.clock import Clock
from marketd.config import Config
from marketd.errors import ConfigError, words_of
from marketd.metrics import Metrics
from marketd.model.cached import ohlcv_key, price_key
from marketd.model.times import iso_of_ns
from marketd.net.quarantine import Quarantine
from marketd.rooms import room
from marketd.stores.cache import Cache
from marketd.venues import VENUES, venue_named
from marketd.venues.polled import questions_of
from marketd.venues.rest import Rest
from marketd.venues.rests import open_rests
from marketd.venues.section import VenueConfig
from marketd.venues.venue import Venue

AGENT = "marketd (candle cache)"  # how the venue sees it, where nothing else of this process asks there
QUARANTINE_S = 1.0
log = structlog.get_logger("cache")


class Polling:
    """What the role cache consists of."""

    def __init__(self, poller: Poller, clock: Clock, quarantine: Quarantine | None, *, required: bool) -> None:
        self.poller, self.required = poller, required
        self._clock, self._quarantine = clock, quarantine

    @property
    def name(self) -> str:
        """Of its component in /health."""
        return f"cache.{self.poller.polling.venue}"

    @property
    def state(self) -> tuple[Word, str]:
        """Whether the venue feeds the cache."""
        return self.poller.state

    def rows(self) -> list[CacheRow]:
        """Every key that is kept, for /status."""
        return [self._row(one) for one in self.poller.polling.kept.values()]

    def _row(self, one: Kept) -> CacheRow:
        age_s = self.poller.polling.age_s(one)
        is_price = one.timeframe == PRICES
        return CacheRow(
            key=price_key(one.symbol) if is_price else ohlcv_key(one.symbol, one.timeframe),
            exchange=self.poller.polling.venue,
            symbol=one.symbol,
            timeframe=None if is_price else one.timeframe,
            refreshed_at=None if one.refreshed is None else iso_of_ns(one.refreshed),
            age_s=None if age_s is None else round(age_s, 3),
            ttl_s=one.ttl_s,
            fresh=age_s is not None and age_s <= one.ttl_s,
            candles=None if one.held is None else min(one.held.candles, 500),
            failures=one.failures,
            failing=one.failing,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll until left."""
        async with room("cache") as here:
            if self._quarantine is not None:
                here.start("quarantine", self._put_aside(self._quarantine))
            here.start("poller", self.poller.run())
            yield

    async def _put_aside(self, quarantine: Quarantine) -> None:
        """Where no feed does it."""
        while True:
            await self._clock.sleep(QUARANTINE_S)
            if not quarantine.is_waiting:
                continue
            try:
                await asyncio.to_thread(quarantine.write)
            except OSError as error:
                log.warning("feed.quarantine_failed", path=str(quarantine.path), reason=words_of(error))


def polled_venue(config: Config) -> Venue:
    """The venue that the cache polls. Raises ConfigError for one that cannot be."""
    name = config.cache.venue
    venue = venue_named(name, config.venue_settings(name))
    lacking = [frame for frame in config.cache.timeframes if frame not in venue.timeframes]
    if questions_of(venue) is None:
        able = [one for one in VENUES if questions_of(venue_named(one, {})) is not None]
        raise ConfigError(f"cache.venue: {name} cannot be polled; allowed: {', '.join(able)}")
    if lacking:
        raise ConfigError(
            f"cache.timeframes: {name} has no candles of {', '.join(lacking)}; allowed: {', '.join(venue.timeframes)}"
        )
    return venue


def its_config(config: Config) -> VenueConfig:
    """Where the venue is and how much of its limit may be used."""
    return config.venues.get(config.cache.venue, VenueConfig(rest_url=config.cache.rest_url))


@asynccontextmanager
async def open_polling(
    config: Config, cache: Cache | None, rests: Mapping[str, Rest], quarantine: Quarantine, clock: Clock, metrics: Metrics
) -> AsyncIterator[Polling | None]:
    """The poller, where the role cache runs. It shares the way to its venue with whatever else asks there.

    Raises ConfigError for a venue that cannot be polled."""
    if "cache" not in config.roles or not config.cache.enabled or cache is None:
        yield None
        return
    venue = polled_venue(config)
    questions = questions_of(venue)
    assert questions is not None
    async with AsyncExitStack() as stack:
        rest = rests.get(venue.name)
        is_alone = rest is None
        if rest is None:
            opening = open_rests({venue.name: venue}, {venue.name: its_config(config)}, clock, metrics, agent=AGENT)
            rest = (await stack.enter_async_context(opening))[venue.name]
        poller = Poller(config.cache, rest, questions, cache.of("market-data"), clock, metrics, quarantine)
        yield Polling(poller, clock, quarantine if is_alone else None, required="ingest" not in config.roles)
