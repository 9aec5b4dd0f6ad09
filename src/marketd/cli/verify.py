"""`marketd verify`: the archive against the venue, stored trades, smaller candles or another store; `--repair` mends it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from marketd.candles.build import built
from marketd.cli.archived import chosen, open_stored, symbols_of, timeframes_of, venues_of
from marketd.cli.backfill import asking, begin_of, not_after, time_of
from marketd.cli.counting import counted
from marketd.cli.differences import Form, reported, summary
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.cli.stopping import run_until_stopped
from marketd.clock import SystemClock
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError, MarketdError, StartError
from marketd.history.proving import Prover, Report
from marketd.history.witnesses import ApiWitness, RestWitness, SmallerWitness, StoreWitness, TradesWitness, Witness
from marketd.metrics import Metrics
from marketd.model.events import Trade
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.net.http import Http
from marketd.rooms import room
from marketd.stores import archive as archives
from marketd.stores.archive import Archive
from marketd.stores.reading import Reader
from marketd.venues import known_venues, venue_named
from marketd.venues.candles import CandleDesk
from marketd.venues.rests import open_rests

AGAINST = "rest, trades, smaller, or the address of another archive (sqlite:///FILE, postgresql://..., http://...)"
WITNESSES = ("rest", "trades", "smaller")


def verify(
    exchange: Annotated[str | None, typer.Option(help="Of this venue only.")] = None,
    symbol: Annotated[str | None, typer.Option(help="As BTCUSD; several with commas.")] = None,
    frames: Annotated[str | None, typer.Option("--timeframe", "--tf", help="As 1m; several with commas.")] = None,
    start: Annotated[str | None, typer.Option(help="From here on, inclusive; default the first candle.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here, exclusive; default the newest candle.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="So many days up to the end, in place of --start.")] = None,
    against: Annotated[str, typer.Option(help=f"What with: {AGAINST}.")] = "rest",
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many pages of each series, drawn by chance.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Take over what the other source knows better.")] = False,
    form: Annotated[Form, typer.Option("--format", help="How differences are written.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write them to this file.")] = None,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Compare stored candles with another account of them, by value, and the ledger with what is stored.

    Exit code 0 if nothing differs (any more), 1 if something does or nothing could be looked at, so that scripts can ask.
    Intervals that were never asked for are no difference: they are counted, and `--repair` fetches them.

    Examples:

    - `marketd verify --exchange binance --symbol BTCUSDT --timeframe 1m --days 7`

    - `marketd verify --sample 20 --format json -o report.json`

    - `marketd verify --against smaller --repair`
    """
    flags = Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir)
    found = load(flags)
    if against not in WITNESSES and "://" not in against:
        raise ConfigError(f"--against: found {against!r}, expected {AGAINST}")
    span = _span(start, end, days)
    series = asyncio.run(_wanted(found, venues_of(exchange), symbols_of(symbol), timeframes_of(frames)))
    if against == "rest":
        named = sorted({one.venue for one in series if one.venue in known_venues()})
        found = load(asking(",".join(named), flags)) if named else found
    reports: list[Report] = []
    run_until_stopped(lambda stop: _verify(found, series, span, against, sample, repair, reports, stop))
    text = reported(reports, form)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    for report in reports:
        typer.echo(summary(report), err=form != "table" and output is None)
    is_proved = any(report.compared for report in reports)
    if not is_proved:
        typer.echo("nothing could be compared, so nothing is proved", err=True)
    if not is_proved or not all(report.is_equal for report in reports):
        raise typer.Exit(1)


def _span(start: str | None, end: str | None, days: int | None) -> Interval | None:
    """None: each series as far as it goes. Raises ConfigError."""
    if start is not None and days is not None:
        raise ConfigError("--start or --days: expected one of the two")
    if start is None and end is None and days is None:
        return None
    now = SystemClock().now_ns()
    stop = min(now, time_of("--end", end, now))
    begin = begin_of(start, stop, days, 0)
    if begin >= stop:
        raise not_after(start, end, stop)
    return Interval(begin, stop)


async def _wanted(config: Config, venues: list[str], symbols: list[str], frames: list[str]) -> list[CandleSeries]:
    """The stored series that are meant. Raises StartError that names what there is when there is none."""
    async with open_stored(config) as archive:
        meant = chosen(await archive.series(), venues, symbols, frames)
    if not meant:
        raise StartError("verify: nothing is stored yet")
    return meant


async def _verify(
    config: Config,
    wanted: Sequence[CandleSeries],
    span: Interval | None,
    against: str,
    sample: int | None,
    repair: bool,
    reports: list[Report],
    stop: asyncio.Event,
) -> None:
    clock = SystemClock()
    async with (
        archives.open_archive(config.database_url, clock) as archive,
        _witnesses(config, against, archive, wanted) as witnesses,
    ):
        with _shown(wanted) as bars:
            async with room("verify") as here:
                here.start("stop", _end_with(stop))
                for series in wanted:
                    reports.append(await _prove(archive, witnesses.get(series.venue), series, span, sample, repair, bars))


async def _prove(
    archive: Archive,
    witness: Witness | None,
    series: CandleSeries,
    span: Interval | None,
    sample: int | None,
    repair: bool,
    bars: "Bars",
) -> Report:
    """The report of one series; what hinders it is said there, and the next one has its turn."""
    last = Report(series, Interval(0, 0), "")

    def tell(report: Report) -> None:
        nonlocal last
        last = report
        bars.tell(report)

    if witness is None:
        last.failed = f"{series.venue} is no venue that can be asked; known are {', '.join(sorted(known_venues()))}"
        return last
    try:
        return await Prover(archive, witness, SystemClock(), tell).prove(series, span, sample=sample, repair=repair)
    except MarketdError as error:
        last.failed = str(error)
        return last


@asynccontextmanager
async def _witnesses(
    config: Config, against: str, archive: Archive, wanted: Sequence[CandleSeries]
) -> AsyncIterator[dict[str, Witness]]:
    """By venue; a venue that cannot be asked has none."""
    clock, venues = SystemClock(), {one.venue for one in wanted}
    async with AsyncExitStack() as stack:
        if against == "rest":
            metrics = Metrics()
            asked = {name: venue_named(name, config.venue_settings(name)) for name in venues if name in config.feeds}
            rests = await stack.enter_async_context(open_rests(asked, config.feeds, clock, metrics))
            yield {name: RestWitness(CandleDesk(rest, clock, metrics), clock) for name, rest in rests.items()}
            return
        witness: Witness
        if against == "smaller":
            witness = SmallerWitness(archive, await archive.series(), clock)
        elif against == "trades":
            reader = Reader(config.path(config.sinks.sqlite.path))
            stack.callback(reader.close)
            witness = TradesWitness(
                built,
                lambda series, span: _trades(reader, series, span),
                lambda series: reader.ledger(series.symbol, series.venue, "trade"),
            )
        elif against.startswith(("http://", "https://")):
            witness = ApiWitness(await stack.enter_async_context(Http(within_s=60.0)), against)
        else:
            witness = StoreWitness(await stack.enter_async_context(archives.open_archive(against, clock, upgrade=False)))
        yield dict.fromkeys(venues, witness)


def _trades(reader: Reader, series: CandleSeries, span: Interval) -> Iterator[Trade]:
    cursor = None
    while True:
        page = reader.trades(series.symbol, start=span.start, end=span.stop, limit=10_000, cursor=cursor, venue=series.venue)
        yield from page.trades
        cursor = page.cursor
        if cursor is None:
            return


async def _end_with(stop: asyncio.Event) -> None:
    await stop.wait()
    raise StartError("stopped before the end; what was repaired is repaired")


class Bars:
    """A bar for each series."""

    def __init__(self, progress: Progress, series: Sequence[CandleSeries]) -> None:
        self._progress = progress
        self._tasks = {one: progress.add_task(str(one), total=None, found="") for one in series}

    def tell(self, report: Report) -> None:
        found = counted(len(report.differences), "difference") if report.differences else ""
        self._progress.update(self._tasks[report.series], total=report.pages, completed=report.asked, found=found)


@contextmanager
def _shown(series: Sequence[CandleSeries]) -> Iterator[Bars]:
    """On a terminal; elsewhere nothing until the end."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[found]}"),
    )  # fmt: skip
    progress = Progress(*columns, console=console)
    with progress if console.is_terminal else nullcontext():
        yield Bars(progress, series)
