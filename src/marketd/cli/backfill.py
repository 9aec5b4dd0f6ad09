"""`marketd backfill`: fill series of the archive now, with a progress bar; what is known already is not asked for again."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from marketd.api.parameters import TIMES, ns_of_text
from marketd.cli.archived import symbols_of, timeframes_of
from marketd.cli.counting import counted
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Exchange, Profile
from marketd.cli.stopping import run_until_stopped
from marketd.clock import SystemClock
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError, StartError
from marketd.history.backfill import Backfill
from marketd.history.job import Progress
from marketd.metrics import Metrics
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY
from marketd.model.times import iso_of_ns
from marketd.rooms import room
from marketd.stores import archive as archives
from marketd.venues import venue_named
from marketd.venues.candles import CandleDesk
from marketd.venues.rests import open_rests

Tell = Callable[[Progress], None]
DEFAULT_PROFILE = "all-in-one"
TRIES = 6  # half a minute
TOLD_EVERY_S = 10.0  # where nobody watches a bar


def backfill(
    exchange: Exchange,
    symbol: Annotated[str, typer.Option(help="As BTCUSD; several with commas.")],
    frames: Annotated[str, typer.Option("--timeframe", "--tf", help="As 1m; several with commas.")],
    start: Annotated[str | None, typer.Option(help="From here on, inclusive: an ISO time or an epoch.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here, exclusive; default now.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="So many days up to the end, in place of --start.")] = None,
    order: Annotated[Literal["oldest", "newest"], typer.Option(help="Which end comes first.")] = "oldest",
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Fetch candles into the archive. Stopped or killed, the same command goes on where it was; what is known is not asked for.

    Examples:

    - `marketd backfill --exchange bitfinex --symbol BTCUSD --timeframe 1m --days 30`

    - `marketd backfill --exchange binance --symbol BTCUSDT,ETHUSDT --timeframe 1h,1d --start 2024-01-01 --end 2024-07-01`
    """
    found = load(asking(exchange, Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir)))
    name = next(iter(found.feeds))
    span = _span(start, end, days, SystemClock().now_ns())
    series = [CandleSeries(name, one, frame) for one in symbols_of(symbol) for frame in timeframes_of(frames)]
    if not series:
        raise ConfigError("--symbol and --timeframe: expected at least one of each")
    fill_series(found, [(one, span) for one in series], newest_first=order == "newest")


def asking(venue: str, flags: Flags) -> Flags:
    """The same flags, asking one venue. Naming a venue is no quick run of the live daemon here: the archive stays where it is."""
    return replace(flags, venues=venue, profile=flags.profile or DEFAULT_PROFILE)


def fill_series(config: Config, wanted: Sequence[tuple[CandleSeries, Interval]], *, newest_first: bool = False) -> None:
    """Fill these series of one venue, each over its span, until done or stopped. Raises StartError with what failed."""
    failed: list[str] = []
    run_until_stopped(lambda stop: _fill(config, wanted, newest_first, stop, failed))
    if failed:
        raise StartError("; ".join(dict.fromkeys(failed)))


def _span(start: str | None, end: str | None, days: int | None, now: int) -> Interval:
    """Raises ConfigError for times that are none, or both --start and --days, or neither."""
    stop = time_of("--end", end, now)
    if (start is None) == (days is None):
        raise ConfigError("--start or --days: expected one of the two")
    begin = begin_of(start, stop, days, 0)
    if begin >= stop:
        raise not_after(start, end, stop)
    return Interval(begin, min(stop, now))


def begin_of(start: str | None, stop: int, days: int | None, unsaid: int) -> int:
    """Where a span begins that --start or --days say. Raises ConfigError for a time before there is any."""
    if days is not None and stop < days * DAY:
        raise ConfigError(f"--days: found {days:,}, expected at most {stop // DAY:,}: times begin in 1970")
    return time_of("--start", start, unsaid) if days is None else stop - days * DAY


def not_after(start: str | None, end: str | None, stop: int) -> ConfigError:
    """The flag that was given is the one to change."""
    if end is None:
        return ConfigError(f"--start: found {start!r}, expected a time before {iso_of_ns(stop)}")
    return ConfigError(f"--end: found {end!r}, expected a time after {'1970' if start is None else start}")


def time_of(name: str, text: str | None, unsaid: int) -> int:
    """The time that a flag says, in ns. Raises ConfigError that names the flag."""
    try:
        return unsaid if text is None else ns_of_text(text)
    except ValueError:
        raise ConfigError(f"{name}: found {text!r}, expected {TIMES}") from None


async def _fill(
    config: Config, wanted: Sequence[tuple[CandleSeries, Interval]], newest_first: bool, stop: asyncio.Event, failed: list[str]
) -> None:
    clock, metrics = SystemClock(), Metrics()
    name = wanted[0][0].venue
    venue = venue_named(name, config.venue_settings(name))
    async with (
        open_rests({name: venue}, config.feeds, clock, metrics) as rests,
        archives.open_archive(config.database_url, clock) as archive,
    ):
        with _shown([series for series, _ in wanted]) as tell:
            desk = CandleDesk(rests[name], clock, metrics, bulk_url=config.feeds[name].bulk_url)
            filler = Backfill(desk, archive, clock, tell, TRIES)
            async with room("backfill") as here:
                here.start("stop", _end_with(stop))
                done = [await filler.fill(series, span, newest_first=newest_first) for series, span in wanted]
        for progress in done:
            failed += progress.failed
            print(_summary(progress))


async def _end_with(stop: asyncio.Event) -> None:
    await stop.wait()
    raise StartError("stopped before the end; the same command goes on from here")


def _summary(progress: Progress) -> str:
    name = " ".join(progress.series)
    if not progress.total:
        return f"{name}: everything was there"
    return f"{name}: {counted(progress.candles, 'candle')} in {counted(progress.requests, 'request')}"


def _so_far(progress: Progress) -> str:
    share = progress.done / progress.total if progress.total else 1.0
    waiting = f"; waiting: {progress.waiting}" if progress.waiting else ""
    return f"{' '.join(progress.series)}: {share:.1%}, {progress.candles:,} candles{waiting}"


class Rate(ProgressColumn):
    """Candles a second."""

    def render(self, task: Task) -> Text:
        candles, elapsed = task.fields["candles"], task.elapsed or 0.0
        return Text(f"{candles / elapsed:,.0f} candles/s" if elapsed else "")


@contextmanager
def _shown(series: list[CandleSeries]) -> Iterator[Tell]:
    """A bar for each series on a terminal; elsewhere a line now and then, beside what is the answer."""
    console = Console()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f} %"), Rate(), TimeRemainingColumn(),
        TextColumn("{task.fields[waiting]}"),
    )  # fmt: skip
    bars = Bars(*columns, console=console, transient=False)
    with bars if console.is_terminal else nullcontext():
        tasks = {one: bars.add_task(" ".join(one), total=None, candles=0, waiting="") for one in series}

        clock = SystemClock()
        told_s = clock.monotonic()

        def tell(progress: Progress) -> None:
            nonlocal told_s
            if not console.is_terminal and clock.monotonic() - told_s >= TOLD_EVERY_S:
                told_s = clock.monotonic()
                print(_so_far(progress), file=sys.stderr)
            bars.update(
                tasks[progress.series],
                total=progress.total,
                completed=progress.done,
                candles=progress.candles,
                waiting=progress.waiting[:60],
            )

        yield tell
