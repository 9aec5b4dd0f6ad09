"""The role archive: the store of candles, who keeps it complete, and the sink that feeds it live."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from marketd.analysis.payloads import Alert
from marketd.analysis.publishing import Publisher
from marketd.candles.compare import Comparison
from marketd.candles.live import LiveCandles
from marketd.candles.recheck import Recheck
from marketd.clock import Clock
from marketd.config import Config
from marketd.history.keeping import Horizon, Keeper, run_history
from marketd.metrics import Metrics
from marketd.model.series import CandleSeries
from marketd.net.nats import NatsLink
from marketd.net.quarantine import Quarantine
from marketd.rooms import room
from marketd.stores import archive as archives
from marketd.venues.candles import CandleDesk
from marketd.venues.feeds import TIMEFRAMES_BY_DEFAULT, is_ours
from marketd.venues.rest import Rest
from marketd.venues.section import VenueConfig
from marketd.venues.venue import Venue

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

log = structlog.get_logger("archive")


@dataclass(frozen=True)
class Archiving:
    """What the role archive consists of."""

    archive: "Archive"
    keeper: Keeper
    live: LiveCandles
    recheck: Recheck

    async def opened(self) -> "Archive":
        """As whoever only looks would open it."""
        return self.archive

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Backfill, repair and recheck until left."""
        async with run_history(self.keeper, self.archive), room("candles") as here:
            here.start("recheck", self.recheck.run())
            yield


def fed(config: Config) -> dict[str, VenueConfig]:
    """The venues to listen to: the archive wants their candles, beside what is collected anyway."""
    if "archive" not in config.roles:
        return config.feeds
    is_more = "ingest" in config.roles
    wanted = {name: tuple(dict.fromkeys((*(venue.wanted if is_more else ()), "candle"))) for name, venue in config.feeds.items()}
    return {name: venue.model_copy(update={"channels": wanted[name]}) for name, venue in config.feeds.items()}


def series_of(config: Config, venues: Mapping[str, Venue]) -> list[CandleSeries]:
    """The series that the config asks for; a backup's are its own, and a dry venue has none."""
    share = config.shard.index, config.shard.count
    return [
        CandleSeries(name, symbol, frame)
        for name, venue in config.feeds.items()
        if name in venues and not venues[name].dry and venue.backup_for is None
        for symbol in venue.symbols
        if is_ours(symbol, share)
        for frame in venue.timeframes or TIMEFRAMES_BY_DEFAULT
        if frame in venues[name].timeframes
    ]


def lacking(config: Config, venues: Mapping[str, Venue]) -> dict[str, list[str]]:
    """Timeframes that the config asks a venue for and that it does not have."""
    found = {
        name: [frame for frame in venue.timeframes if frame not in venues[name].timeframes]
        for name, venue in config.feeds.items()
        if name in venues and venue.backup_for is None
    }
    return {name: frames for name, frames in found.items() if frames}


@asynccontextmanager
async def open_archiving(
    config: Config,
    venues: Mapping[str, Venue],
    rests: Mapping[str, Rest],
    quarantine: Quarantine,
    clock: Clock,
    metrics: Metrics,
    link: NatsLink | None = None,
) -> AsyncIterator[Archiving]:
    """The store, its keeper and its sink; nothing is asked of a venue before `running`. A database that is away is
    waited for; one that does not let us in, or is not ours, raises StartError. A repair that failed is an alert on `link`."""
    async with (
        archives.open_archive(config.database_url, clock, wait=True) as archive,
        _alerts(link, clock, metrics) as alert,
    ):
        series = series_of(config, venues)
        for name, frames in lacking(config, venues).items():
            log.warning("archive.timeframe_unknown", venue=name, timeframes=frames, allowed=list(venues[name].timeframes))
        desks = {
            name: CandleDesk(rests[name], clock, metrics, quarantine, config.feeds[name].bulk_url)
            for name in {one.venue for one in series}
        }
        daemon = config.archive
        horizon = Horizon(daemon.backfill_days, daemon.gap_repair_interval_minutes * 60, daemon.backfill_on_startup)
        keeper = Keeper(desks, series, archive, horizon, clock, metrics, alert)
        streamed = [one for one in series if "candle" in venues[one.venue].channels]
        comparison = Comparison(streamed, metrics) if daemon.compare_with_trades else None
        has_candles = {one.venue for one in streamed}.__contains__
        live = LiveCandles(archive, series, has_candles, clock, keeper.repair_soon, comparison)
        yield Archiving(archive, keeper, live, Recheck(desks, series, archive, daemon.recheck_interval_seconds, clock, metrics))


@asynccontextmanager
async def _alerts(
    link: NatsLink | None, clock: Clock, metrics: Metrics
) -> AsyncIterator[Callable[[str, CandleSeries, str], None]]:
    """What the keeper cannot repair, to whoever listens on `senpai.alerts`; the log has it anyway."""
    publisher = Publisher(link, clock, metrics)

    def alert(code: str, series: CandleSeries, reason: str) -> None:
        if link is not None:
            detail = f"{series.venue} {series.timeframe} candles: {reason} ({code})"
            publisher.alert(Alert("gap", series.symbol, clock.now_ns(), detail))

    async with room("alerts") as here:
        here.start("publisher", publisher.run())
        yield alert
