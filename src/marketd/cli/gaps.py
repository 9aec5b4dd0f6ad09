"""`marketd gaps`: what the archive knows to be missing, and why; `--repair` fetches what can be fetched."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from marketd.cli.archived import chosen, open_stored, symbols_of, timeframes_of, venues_of
from marketd.cli.backfill import asking, fill_series
from marketd.cli.counting import counted
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.model.times import iso_of_ns
from marketd.stores.archive import GapRow

Form = Literal["table", "json"]
FIXABLE = frozenset({"missing", "repairing"})
COLUMNS = ("exchange", "symbol", "timeframe", "from", "to", "candles", "state", "cause", "found")


def gaps(
    exchange: Annotated[str | None, typer.Option(help="Of these venues only, with commas.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Of these symbols only, with commas.")] = None,
    frame: Annotated[str | None, typer.Option("--timeframe", "--tf", help="Of these timeframes only, with commas.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Repaired ones and outages too.")] = False,
    whole: Annotated[
        bool, typer.Option("--ledger", help="Every stretch of the ledger instead, what is there and what is empty too.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Ask the venues for what is missing.")] = False,
    form: Annotated[Form, typer.Option("--format", help="How they are written.")] = "table",
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Gaps of the archive: what is missing or cannot be had any more, each with its state and cause; with `--all` also what was
    and is repaired, and outages of the venue.

    An interval that the venue itself has no candle in, because nobody traded or the market was closed, is no gap; `--ledger`
    tells those too. What the ledger says nothing of was never asked for.

    Exit code 1 if something is missing that could be fetched, so that scripts can ask.

    Examples:

    - `marketd gaps --exchange bitfinex --symbol BTCUSD`

    - `marketd gaps --ledger --exchange bitfinex --symbol BTCUSD --timeframe 1m`

    - `marketd gaps --repair`
    """
    flags = Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir)
    found = load(flags)
    if whole and (repair or every):
        raise ConfigError("--ledger: expected neither --repair nor --all beside it")
    wanted = venues_of(exchange), symbols_of(symbol), timeframes_of(frame)
    if whole:
        _write_ledger(asyncio.run(_ledger(found, *wanted)), form)
        return
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


async def _ledger(config: Config, venues: list[str], symbols: list[str], frames: list[str]) -> dict[CandleSeries, list[Stretch]]:
    async with open_stored(config) as archive:
        return {one: await archive.ledger(one) for one in chosen(await archive.series(), venues, symbols, frames)}


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
    _print_table(COLUMNS, [_cells(row) for row in rows])
    print(counted(len(rows), "gap") if rows else "no gaps")


def _print_table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column == "candles" else "left")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 240
    console.print(table)


def _write_ledger(stretches: dict[CandleSeries, list[Stretch]], form: Form) -> None:
    told = [(series, one) for series, rows in stretches.items() for one in rows]
    if form == "json":
        rows = [
            dict(zip(("exchange", "symbol", "timeframe"), series, strict=True))
            | {"from": iso_of_ns(one.start), "to": iso_of_ns(one.stop), "state": one.state, "cause": one.cause or None}
            | {"since": iso_of_ns(one.since)}
            for series, one in told
        ]
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
        return
    _print_table((*COLUMNS[:-1], "since"), [_told(series, one) for series, one in told])
    print(counted(len(told), "stretch", "stretches"))


def _cells(row: GapRow) -> tuple[str, ...]:
    count, found = _count(row.timeframe, row.gap_start, row.gap_end), row.detected_at
    return (
        row.exchange, row.symbol, row.timeframe, iso_of_ns(row.gap_start), iso_of_ns(row.gap_end), f"{count:,}",
        row.state, row.cause or "", "" if found is None else iso_of_ns(found)[:19],
    )  # fmt: skip


def _told(series: CandleSeries, one: Stretch) -> tuple[str, ...]:
    count, since = _count(series.timeframe, one.start, one.stop), iso_of_ns(one.since)[:19]
    return *series, iso_of_ns(one.start), iso_of_ns(one.stop), f"{count:,}", one.state, one.cause, since


def _count(frame: str, start: int, stop: int) -> int:
    """How many candles that is."""
    its = timeframe(frame)
    if its.step:
        return (stop - start) // its.step
    at, count = start, 0
    while at < stop:
        at, count = its.close_of(at), count + 1
    return count
