"""How the daemon runs: rooms open downward and close upward, so that whoever reads outlives whoever writes to it.

Leaving ends the feeds first (sockets close), then the API, then the sinks once they have written what they were given, and
last the store.
"""

import asyncio
import fcntl
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from marketd.api.latest import run_latest
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.bus import Bus
from marketd.clock import Clock, SystemClock
from marketd.config import Config
from marketd.daemon.analysing import Analysing
from marketd.daemon.archive import fed, open_archiving
from marketd.daemon.caching import open_caching
from marketd.daemon.features import Featuring
from marketd.daemon.health import Health
from marketd.daemon.losses import run_losses
from marketd.daemon.paper import open_papering
from marketd.daemon.polling import open_polling
from marketd.daemon.redis import open_streaming
from marketd.daemon.seen import SeenFeeds
from marketd.daemon.sinks import nats_sink, open_nats, open_store, sinks_of
from marketd.errors import StartError
from marketd.metrics import Metrics
from marketd.net.capture import Recorder
from marketd.net.nats import NatsLink
from marketd.net.quarantine import Quarantine
from marketd.rooms import room
from marketd.sinks.capture import open_capture
from marketd.sinks.delivery import Deliveries, run_sinks
from marketd.sinks.sink import Sink
from marketd.stores import archive as archives
from marketd.stores.looking import open_looker
from marketd.venues.discovery import discovering, open_discovery
from marketd.venues.feed import FeedConfig
from marketd.venues.feeds import Feeds
from marketd.venues.rest import Rest
from marketd.venues.rests import open_rests

LOOP_LAG_EVERY_S = 0.5
LISTED_WITHIN_S = 3.0  # for the venues' lists, before the start is said: symbols that nobody lists end it
LOCK = "marketd.lock"
LOCK_OF_FEATURES = "features.lock"  # their spill; an archive beside them in another process is no trouble
COLLECTING = {"ingest", "archive"}  # roles that listen to venues
ANALYSING = {"scanner", "ta"}  # roles that analyse what is in the shared cache
log = structlog.get_logger("daemon")


async def serve(
    config: Config,
    stop: asyncio.Event,
    *,
    clock: Clock | None = None,
    capture: Path | None = None,
    on_ready: Callable[[str, Views], None] | None = None,
) -> None:
    """Run what the config asks for until `stop` is set. `on_ready` is told the API's address and what there is to see.

    Raises StartError when something cannot start (a busy port, an unwritable directory), ConfigError when no venue lists
    any of the symbols.
    """
    clock = clock or SystemClock()
    started = clock.now_ns()
    metrics = Metrics()
    bus = Bus(metrics)
    make_directory(config.data_dir)
    async with AsyncExitStack() as rooms:
        if COLLECTING & set(config.roles):
            rooms.enter_context(alone_in(config.data_dir))
        recorder = (
            await rooms.enter_async_context(open_capture(capture, clock, _secrets(config))) if capture is not None else None
        )
        quarantine = Quarantine(config.data_dir / "quarantine.jsonl")
        feeds = _feeds(config, bus, clock, metrics, recorder, quarantine) if COLLECTING & set(config.roles) else None
        rests: dict[str, Rest] = {}
        if feeds is not None:
            rests = await rooms.enter_async_context(open_rests(feeds.venues, feeds.configs, clock, metrics, recorder))
        discovery = None
        if feeds is not None and config.discovery.enabled and "ingest" in config.roles:
            opening = open_discovery(config.discovery, feeds, config.data_dir, clock, metrics, recorder)
            discovery = await rooms.enter_async_context(opening)
        link = await rooms.enter_async_context(open_nats(config, clock, metrics))
        store = archiving = None
        if feeds is not None and "ingest" in config.roles:
            store = await rooms.enter_async_context(open_store(config, feeds.venues, clock))
        if feeds is not None and "archive" in config.roles:
            archives_of = open_archiving(config, feeds.venues, rests, quarantine, clock, metrics, link)
            archiving = await rooms.enter_async_context(archives_of)
        stores = [] if store is None else [store]
        publishing = link if feeds is not None else None  # what collects nothing has nothing of its own to publish
        featuring = Featuring(config, link, bus, clock, metrics) if "features" in config.roles else None
        own: list[Sink] = [] if archiving is None else [archiving.live]
        if featuring is not None:
            rooms.enter_context(alone_in(config.data_dir, LOCK_OF_FEATURES))
            await rooms.enter_async_context(featuring.publishing())
            own.append(featuring.service)
        streaming = await rooms.enter_async_context(open_streaming(config, clock, metrics))
        caching = await rooms.enter_async_context(open_caching(config, clock, metrics, streaming))
        shared = None if caching is None else caching.cache
        polling = await rooms.enter_async_context(open_polling(config, shared, rests, quarantine, clock, metrics))
        papering = await rooms.enter_async_context(open_papering(config, caching, clock, metrics))
        sinks = await rooms.enter_async_context(
            run_sinks(
                [*sinks_of(config, metrics, clock, publishing, streaming), *own],
                bus,
                clock,
                data_dir=config.data_dir,
                stores=stores,
                config=config.sinks.delivery,
            )
        )
        latest = await rooms.enter_async_context(run_latest(bus))
        await rooms.enter_async_context(run_losses(bus, clock))
        if featuring is not None:
            await rooms.enter_async_context(featuring.watching())
        analysing = None
        if caching is not None and ANALYSING & set(config.roles):
            analysing = Analysing(config, caching.cache, clock, metrics)
        of_venues = "ingest" in config.roles or (featuring is not None and featuring.source is None)  # else of what is stored
        health = Health(
            sinks, feeds, clock, archiving, discovery, link, featuring, streaming, caching, analysing, polling, papering,
            needs_venues=of_venues,
        )  # fmt: skip
        views = Views(
            profile=config.profile,
            roles=config.roles,
            started=started,
            clock=clock,
            metrics=metrics,
            health=health,
            bus=bus,
            sinks=sinks,
            store=store or await rooms.enter_async_context(open_looker(config.data_dir / config.sinks.sqlite.path)),
            archive=archiving,
            features=None if featuring is None else featuring.service,
            scanner=None if analysing is None else analysing.scanner,
            studies=None if analysing is None else analysing.studies,
            cache=shared,
            polling=polling,
            dashboard=config.dashboard.enabled,
            paper=None if papering is None else papering.trader,
            stored=archiving or await rooms.enter_async_context(archives.open_archive_looker(config.database_url, clock)),
        )
        if feeds is not None:
            views = replace(views, feeds=SeenFeeds(feeds, metrics, clock), latest=latest)
        address = await rooms.enter_async_context(run_api(config.api, views, config.data_dir))
        here = await rooms.enter_async_context(room("daemon"))
        here.start("loop_lag", _loop_lag(clock, metrics))
        here.start("health", health.watch(metrics))
        if papering is not None:
            await rooms.enter_async_context(papering.running())
        if publishing is not None and not any(state.name == "nats" for state in sinks.states):
            here.start("nats", _publish_when_there(config, publishing, sinks, metrics, clock))
        if feeds is not None:
            gaps = store.open_gaps() if store is not None else []
            if archiving is not None:
                await rooms.enter_async_context(archiving.running())
            await rooms.enter_async_context(feeds.running(rests, sinks.progress(), gaps))
            if discovery is not None:
                await rooms.enter_async_context(discovering(discovery))
            await feeds.checked(LISTED_WITHIN_S)
        if featuring is not None:
            await rooms.enter_async_context(featuring.listening())
        if analysing is not None:
            await rooms.enter_async_context(analysing.running())
        if polling is not None:  # last, since the roles before hear what it tells
            await rooms.enter_async_context(polling.running())
        log.info(
            "daemon.started", address=address, profile=config.profile, roles=list(config.roles), data_dir=str(config.data_dir)
        )
        if on_ready is not None:
            on_ready(address, views)
        await stop.wait()
        log.info("daemon.stopping")
    log.info("daemon.stopped")


def _feeds(config: Config, bus: Bus, clock: Clock, metrics: Metrics, recorder: Recorder | None, quarantine: Quarantine) -> Feeds:
    return Feeds(
        fed(config),
        config.venue_settings,
        feed_config(config),
        config.failover,
        bus.publish,
        clock,
        metrics,
        capture=recorder,
        share=(config.shard.index, config.shard.count),
        quarantine=quarantine,
    )


def feed_config(config: Config) -> FeedConfig:
    """The part of the config that every feed needs."""
    return FeedConfig(
        hold_s=config.repair.hold_s,
        hold_events=config.repair.hold_events,
        book_depth=config.book.depth,
        book_interval_ms=config.book.interval_ms,
        audit_s=config.repair.audit_s,
        heartbeat_s=config.bus.heartbeat_s,
        keep_raw=config.redis.enabled,
    )


def _secrets(config: Config) -> list[str]:
    """What a capture must not hold."""
    return [
        text for name in config.feeds for key, text in config.venue_settings(name).items() if key.endswith(("_KEY", "_SECRET"))
    ]


def make_directory(path: Path) -> None:
    """Raises StartError that names the setting."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path, error) from None


def _not_writable(path: Path, error: OSError) -> StartError:
    name = "" if error.filename is None or Path(error.filename) == path else f"{Path(error.filename).name}: "
    return StartError(f"data directory {path}: {name}{error.strerror}; change it with --data-dir or MARKETD_DATA_DIR")


@contextmanager
def alone_in(path: Path, lock: str = LOCK) -> Iterator[None]:
    """Two daemons that write the same files would repeat and tear each other's. Raises StartError if another one is there."""
    try:
        file = (path / lock).open("w")
    except OSError as error:
        raise _not_writable(path, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartError(f"{path}: another marketd writes here; give each its own --data-dir or MARKETD_DATA_DIR") from None
        yield


async def _publish_when_there(config: Config, link: NatsLink, sinks: Deliveries, metrics: Metrics, clock: Clock) -> None:
    """Where NATS is welcome and was not there at the start."""
    await link.opened()
    sinks.start(nats_sink(config, link, metrics, clock))


async def _loop_lag(clock: Clock, metrics: Metrics) -> None:
    """How late the loop is: everything that reads a socket is late by as much."""
    while True:
        asked_s = clock.monotonic()
        await clock.sleep(LOOP_LAG_EVERY_S)
        metrics.loop_lag_ms.set(max(0.0, clock.monotonic() - asked_s - LOOP_LAG_EVERY_S) * 1000)
