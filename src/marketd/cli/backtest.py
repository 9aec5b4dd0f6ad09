"""`marketd backtest`: the live scanner, technical analysis and paper trader over stored candles."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from marketd.cli.archived import chosen, open_stored, symbols_of, timeframes_of, venues_of
from marketd.cli.backfill import begin_of, not_after, time_of
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError, StartError
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.model.times import iso_of_ns

if TYPE_CHECKING:  # the arrays take a moment to load, and most commands need none
    from marketd.backtest.running import Tell
    from marketd.backtest.stored import Stored

Form = Literal["table", "json", "csv", "html"]
ENDINGS: dict[str, Form] = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html", ".txt": "table"}
NS_MAX = 2**63 - 1
CANDLES = 500  # that come before the first word; as in analysis/closed.py, which is not loaded for a mistyped option


def backtest(
    exchange: Annotated[
        str | None, typer.Option(help="The venue whose candles are used; needed where several are stored.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="As BTCUSDT; several with commas. Default: all that are stored.")] = None,
    frame: Annotated[str | None, typer.Option("--timeframe", "--tf", help="As 1h. Default: paper.timeframe.")] = None,
    start: Annotated[str | None, typer.Option(help="From here on, inclusive: an ISO time or an epoch.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here, exclusive. Default: as far as candles are stored.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="So many days up to the end, in place of --start.")] = None,
    form: Annotated[Form | None, typer.Option("--format", help="Default: by the ending of -o, else a table.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file; the table is shown beside it.")
    ] = None,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Trade stored candles on paper, by the same code as the live services and the sections `analysis` and `paper`.

    The 500 candles before the span are read as well, to begin with; where they are not stored, the first 500 of the span give
    no signals. The same candles and settings give the same output, byte for byte. Nothing is written but the report.

    Examples:

    - `marketd backtest --exchange binance --symbol BTCUSDT,ETHUSDT --timeframe 1h --days 90`

    - `marketd backtest --exchange binance --start 2024-01-01 --end 2025-01-01 -o report.html`

    - `marketd backtest --exchange binance --symbol BTCUSDT --format csv -o trades.csv`

    - `MARKETD__PAPER__STOP_PERCENT=2 marketd backtest --exchange binance --format json`
    """
    found = load(Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir))
    if start is not None and days is not None:
        raise ConfigError("--start or --days: expected one of the two")
    if len(venues_of(exchange)) > 1:
        raise ConfigError(f"--exchange: found {exchange!r}, expected one")
    if len(timeframes_of(frame)) > 1:
        raise ConfigError(f"--timeframe: found {frame!r}, expected one")
    name = (timeframes_of(frame) or [found.paper.timeframe])[0]
    if timeframe(name).step == 0:
        raise ConfigError(f"--timeframe: found {name}, expected one of fixed length, as 1h")
    found = found.model_copy(update={"paper": found.paper.model_copy(update={"timeframe": name})})
    if output is not None:
        _check(output)
    form = form or ("table" if output is None else _form_of(output))
    with _bar("reading") as tell:
        coins, left_out = asyncio.run(_read(found, venues_of(exchange), symbols_of(symbol), name, (start, end, days), tell))
    text, shown = _tested(found, coins, left_out, form)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        sys.stdout.write(shown)
        print(f"written to {output}", file=sys.stderr)


def _form_of(output: Path) -> Form:
    """Raises ConfigError."""
    form = ENDINGS.get(output.suffix.lower())
    if form is None:
        raise ConfigError(f"--output: found {output}, expected a name that ends in {', '.join(ENDINGS)}, or --format beside it")
    return form


def _check(output: Path) -> None:
    """Said before the work, not after it. Raises StartError."""
    if output.is_dir():
        raise StartError(f"--output: found {output}, a directory, expected a file")
    if not output.parent.is_dir():
        raise StartError(f"--output: found {output}, expected a file in a directory that is there; {output.parent} is none")
    if not os.access(output if output.exists() else output.parent, os.W_OK):
        raise StartError(f"--output: {output} may not be written")


async def _read(
    config: Config,
    venues: list[str],
    symbols: list[str],
    frame: str,
    asked: tuple[str | None, str | None, int | None],
    tell: "Tell",
) -> tuple[list["Stored"], dict[str, str]]:
    """The coins that take part, and of the others why not. Raises StartError when none is left."""
    from marketd.backtest.stored import read_stored

    async with open_stored(config) as archive:
        series = chosen(await archive.series(), venues, symbols, [frame])
        if not series:
            raise StartError("backtest: nothing is stored yet")
        if len(names := sorted({one.venue for one in series})) > 1:
            raise ConfigError(f"--exchange: {frame} candles of {', '.join(names)} are stored, expected one of them")
        last = [row.close_time for one in series for row in await archive.candles(one, 0, NS_MAX, limit=1, newest=True)]
        span = _span(*asked, max(last, default=0))
        coins: list[Stored] = []
        left_out: dict[str, str] = {}
        for count, one in enumerate(series, 1):
            read = await read_stored(archive, one, span)
            if isinstance(read, str):
                left_out[one.symbol] = read
            else:
                coins.append(read)
            tell(count, len(series))
    if not coins:
        raise StartError(_nothing(series, left_out, span, asked))
    return coins, left_out


def _span(start: str | None, end: str | None, days: int | None, last: int) -> Interval:
    """Raises ConfigError."""
    stop = time_of("--end", end, last)
    begin = begin_of(start, stop, days, 0)
    if begin >= stop:
        raise not_after(start, end, stop)
    return Interval(begin, stop)


def _nothing(
    series: list[CandleSeries], left_out: dict[str, str], span: Interval, asked: tuple[str | None, str | None, int | None]
) -> str:
    first, (start, end, days) = series[0], asked
    more = f" (and {len(left_out) - 1} more coins likewise)" if len(left_out) > 1 else ""
    begin = "--days 90"
    if start is not None or days is not None:
        begin = f"--start {iso_of_ns(max(0, span.start - CANDLES * timeframe(first.timeframe).step))}"
    words = f"--exchange {first.venue} --symbol {first.symbol} --timeframe {first.timeframe} {begin}"
    fill = f"marketd backfill {words}{'' if end is None else f' --end {end}'}"
    return f"backtest: {first}: {left_out[first.symbol]}{more}; more candles: {fill}"


def _tested(config: Config, coins: list["Stored"], left_out: dict[str, str], form: Form) -> tuple[str, str]:
    """The report in that form, and as a table."""
    from marketd.backtest import forms, page, running, tables
    from marketd.backtest.result import result_of

    with _bar("candles") as tell:
        done = running.run(coins, config.analysis, config.paper, tell)
    result = result_of(done, coins, config.analysis, config.paper, left_out)
    shown = tables.tables_text(result)
    return {"json": forms.json_text, "csv": forms.csv_text, "html": page.page_text}.get(form, lambda _: shown)(result), shown


@contextmanager
def _bar(what: str) -> Iterator["Tell"]:
    """On a terminal a bar, beside what is the answer; elsewhere nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(what, total=None)

        def tell(done: int, of: int) -> None:
            if of < 1000 or done % 20 == 0 or done == of:
                bars.update(task, total=of, completed=done)

        yield tell
