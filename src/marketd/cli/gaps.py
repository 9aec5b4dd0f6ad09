"""`marketd gaps`: what the archive knows to be missing, and why; `--repair` fetches what can be fetched."""

import asyncio
import sys
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from marketd.cli.archived import chosen, open_stored, symbols_of, timeframes_of, venues_of
from marketd.cli.backfill import asking, fill_series
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.config import Config, Flags, load
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.model.times import iso_of_ns
from marketd.stores.archive import GapRow

FIXABLE = frozenset({"missing", "repairing"})
COLUMNS = ("exchange", "symbol", "timeframe", "from", "to", "candles", "state", "cause", "found")


def gaps(
    exchange: Annotated[str | None, typer.Option(help="Of these venues only, with commas.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Of these symbols only, with commas.")] = None,
    frame: Annotated[str | None, typer.Option("--timeframe", "--tf", help="Of these timeframes only, with commas.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Repaired ones too.")] = False,
    repair: Annotated[bool, typer.Option(help="Ask the venues for what is missing.")] = False,
    form: Annotated[Literal["table", "json"], typer.Option("--format", help="How they are written.")] = "table",
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Gaps of the archive: intervals without candles, each with its state and cause.

    Exit code 1 if something is missing that could be fetched, so that scripts can ask.

    Examples:

    - `marketd gaps --exchange bitfinex --symbol BTCUSD`

    - `marketd gaps --repair`
    """
    flags = Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir)
    found = load(flags)
    wanted = venues_of(exchange), symbols_of(symbol), timeframes_of(frame)
    rows = asyncio.run(_read(found, *wanted, open_only=not every))
    if repair:
        for venue in sorted({row.exchange for row in rows if row.state in FIXABLE}):
            mine = [row for row in rows if row.exchange == venue and row.state in FIXABLE]
            spans = [(CandleSeries(venue, row.symbol, row.timeframe), Interval(row.gap_start, row.gap_end)) for row in mine]
            fill_series(load(asking(venue, flags)), spans)
        rows = asyncio.run(_read(found, *wanted, open_only=not every))
    if form == "json":
        sys.stdout.write(msgspec.json.encode([_shown(row) for row in rows]).decode() + "\n")
    else:
        _print(rows)
    if any(row.state in FIXABLE for row in rows):
        raise typer.Exit(1)


async def _read(config: Config, venues: list[str], symbols: list[str], frames: list[str], *, open_only: bool) -> list[GapRow]:
    async with open_stored(config) as archive:
        series = set(chosen(await archive.series(), venues, symbols, frames))
        rows = await archive.gaps(open_only=open_only)
    if not (venues or symbols or frames):
        return rows
    return [row for row in rows if CandleSeries(row.exchange, row.symbol, row.timeframe) in series]


def _shown(row: GapRow) -> dict[str, str | None]:
    times = {
        key: None if at is None else iso_of_ns(at)
        for key, at in (
            ("gap_start", row.gap_start),
            ("gap_end", row.gap_end),
            ("detected_at", row.detected_at),
            ("repaired_at", row.repaired_at),
        )
    }
    names = {"exchange": row.exchange, "symbol": row.symbol, "timeframe": row.timeframe}
    return {**names, **times, "state": row.state, "cause": row.cause}


def _print(rows: list[GapRow]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=True, justify="right" if column == "candles" else "left")
    for row in rows:
        table.add_row(
            row.exchange, row.symbol, row.timeframe, iso_of_ns(row.gap_start), iso_of_ns(row.gap_end),
            f"{_count(row):,}", row.state, row.cause or "", "" if row.detected_at is None else iso_of_ns(row.detected_at)[:19],
        )  # fmt: skip
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 240
    if rows:
        console.print(table)
    print(f"{len(rows):,} gaps" if rows else "no gaps")


def _count(row: GapRow) -> int:
    """How many candles a gap is long."""
    its = timeframe(row.timeframe)
    if its.step:
        return (row.gap_end - row.gap_start) // its.step
    at, count = row.gap_start, 0
    while at < row.gap_end:
        at, count = its.close_of(at), count + 1
    return count
