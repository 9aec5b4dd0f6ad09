"""A capture to the configured sinks: the same decoders, no other I/O, ends when the capture ends."""

from collections.abc import Callable, Sequence
from pathlib import Path

from marketd.bus import Bus
from marketd.clock import Clock, SystemClock
from marketd.config import Config
from marketd.daemon.redis import open_streaming
from marketd.daemon.serving import feed_config, make_directory
from marketd.daemon.sinks import open_nats, open_store, sinks_of
from marketd.errors import ConfigError
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.sinks.delivery import run_sinks
from marketd.sources.capture import Record, read_capture
from marketd.venues import venue_named
from marketd.venues.replay import Replay
from marketd.venues.venue import Answer, Venue

FILL_MAX = 0.5  # a replay waits for its sinks rather than make them spill
YIELD_EVERY = 256  # records


class Replayed:
    """What a replay did, for the command line."""

    def __init__(self) -> None:
        self.records = 0
        self.unnamed = 0  # records that name no venue, and none was given
        self.events: dict[str, int] = {}
        self.bad_frames = 0
        self.unused_answers = 0


async def replay(
    config: Config,
    path: Path,
    *,
    venue: str | None = None,
    speed: float | None = None,
    clock: Clock | None = None,
    on_progress: Callable[[Replayed], None] | None = None,
) -> Replayed:
    """Replay `path`. `venue` where the capture does not name it; `speed` 1.0 is as recorded, None as fast as the sinks take it.

    Deterministic: the same capture gives the same events. Raises ConfigError for what is no capture or an unknown venue.
    """
    clock = clock or SystemClock()
    metrics = Metrics()
    bus = Bus(metrics)
    make_directory(config.data_dir)
    venues: dict[str, Venue] = {}
    replays: dict[str, Replay] = {}
    done = Replayed()

    def publish(events: Sequence[Event]) -> None:
        for event in events:
            name = type(event).__struct_config__.tag
            done.events[str(name)] = done.events.get(str(name), 0) + 1
        bus.publish(events)

    def of(record: Record) -> Replay | None:
        name = venue or record.venue
        if name is None:
            return None
        if name not in replays:
            venues[name] = venue_named(name, config.venue_settings(name))
            replays[name] = Replay(venues[name], feed_config(config), publish, metrics)
        return replays[name]

    if venue is not None:
        venue_named(venue, {})
    names = [venue] if venue is not None else []
    async with (
        open_store(config, {name: venue_named(name, config.venue_settings(name)) for name in names}, clock) as store,
        open_nats(config, clock, only_if_asked=True) as link,
        open_streaming(config, clock, metrics) as streaming,
        run_sinks(
            sinks_of(config, metrics, clock, link, streaming),
            bus,
            clock,
            data_dir=config.data_dir,
            stores=[] if store is None else [store],
        ),
    ):
        first_ts, started_s = None, clock.monotonic()
        for record in read_capture(path):
            one = of(record)
            if one is None:
                raise ConfigError(f"capture {path}: it does not name its venue; name it with --provider")
            if speed is not None:
                first_ts = record.ts if first_ts is None else first_ts
                ahead_s = (record.ts - first_ts) / 1e9 / speed - (clock.monotonic() - started_s)
                if ahead_s > 0:
                    await clock.sleep(ahead_s)
            _take(one, record)
            done.records += 1
            if done.records % YIELD_EVERY == 0:
                if on_progress is not None:
                    on_progress(done)
                await clock.sleep(0)
                while any(one.fill > FILL_MAX for one in bus.subscriptions):
                    await clock.sleep(0.002)
        for one in replays.values():
            one.end()
            done.bad_frames += one.intake.frames_bad
            done.unused_answers += one.unused
    return done


def _take(replay: Replay, record: Record) -> None:
    match record.kind:
        case "in":
            replay.frame(record.connection, record.ts, record.data)
        case "open":
            replay.opened(record.connection, record.ts)
        case "close":
            replay.closed(record.connection, record.ts, record.data.decode("utf-8", "replace"))
        case "rest":
            replay.answer(record.ts, record.url, Answer(record.status, record.headers, record.data))
