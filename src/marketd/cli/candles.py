"""`marketd candles`: what the archive holds of a series."""

import asyncio
import csv
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from marketd.cli.archived import chosen, open_stored, symbols_of, timeframes_of
from marketd.cli.backfill import time_of
from marketd.cli.chart import chart
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Exchange, Profile
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError, StartError
from marketd.model.series import CandleSeries
from marketd.model.times import iso_of_ns
from marketd.stores.archive import Row

NS_MAX = 2**63 - 1
COLUMNS = ("open_time", "close_time", "open", "high", "low", "close", "volume", "closed", "revision", "source")
Form = Literal["table", "csv", "json", "parquet", "chart"]


def candles(
    exchange: Exchange,
    symbol: Annotated[str, typer.Option(help="As BTCUSD.")],
    frame: Annotated[str, typer.Option("--timeframe", "--tf", help="As 1m.")],
    start: Annotated[str | None, typer.Option(help="From here on, inclusive: an ISO time or an epoch.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here, exclusive.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The newest so many of them; default all.")] = None,
    form: Annotated[Form, typer.Option("--format", help="How they are written; parquet needs -o.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Stored candles, oldest first, with the venue's digits; `closed` says whether one can still change.

    Examples:

    - `marketd candles --exchange bitfinex --symbol BTCUSD --timeframe 1h --limit 48 --format chart`

    - `marketd candles --exchange bitfinex --symbol BTCUSD --timeframe 1m --start 2024-01-01 --format csv -o btc.csv`
    """
    found = load(Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir))
    if form == "parquet" and output is None:
        raise ConfigError("--output: found nothing, expected a file for parquet")
    names = one_of("--exchange", [exchange.lower()]), one_of("--symbol", symbols_of(symbol))
    series = CandleSeries(*names, one_of("--timeframe", timeframes_of(frame)))
    span = time_of("--start", start, 0), time_of("--end", end, NS_MAX)
    rows = asyncio.run(_read(found, series, span, limit))
    if form == "parquet":
        assert output is not None
        write_parquet(rows, output)
        return
    text = {"table": table_text, "csv": csv_text, "json": json_text, "chart": chart_text}[form](rows)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")


async def _read(config: Config, series: CandleSeries, span: tuple[int, int], limit: int | None) -> list[Row]:
    """Raises StartError that names what there is when there is nothing of the series at all."""
    async with open_stored(config) as archive:
        rows = await archive.candles(series, *span, limit=limit, newest=limit is not None)
        if not rows:
            chosen(await archive.series(), *([name] for name in series))
        return rows


def one_of(flag: str, words: list[str]) -> str:
    if len(words) != 1:
        raise ConfigError(f"{flag}: expected one")
    return words[0]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        iso_of_ns(row.open_time), iso_of_ns(row.close_time), row.open, row.high, row.low, row.close, row.volume,
        str(row.closed).lower(), str(row.revision), row.source or "",
    )  # fmt: skip


def table_text(rows: Iterable[Row]) -> str:
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, no_wrap=True, justify="right" if column in COLUMNS[2:7] else "left")
    for row in rows:
        table.add_row(*_cells(row))
    console = Console(highlight=False, width=240)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def csv_text(rows: Iterable[Row]) -> str:
    lines: list[str] = []

    class Lines:
        write = lines.append

    writer = csv.writer(Lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, rows))
    return "".join(lines)


def json_text(rows: Iterable[Row]) -> str:
    """A JSON array, a candle on each line; numbers are text with the venue's digits."""
    told = [dict(zip(COLUMNS, _cells(row), strict=True)) | {"closed": row.closed, "revision": row.revision} for row in rows]
    return "[" + ",".join("\n" + msgspec.json.encode(one).decode() for one in told) + "\n]\n"


def chart_text(rows: list[Row]) -> str:
    width, height = shutil.get_terminal_size((100, 30))
    return chart(rows, max(20, width - 14), max(8, min(24, height - 6)))


def write_parquet(rows: list[Row], path: Path) -> None:
    """Prices and volume as text, so that no digit is lost; times as UTC timestamps. Raises StartError without pyarrow."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped,import-not-found,unused-ignore]
        from pyarrow import parquet  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise StartError("parquet needs the extra `frames`: pip install 'marketd[frames]'") from None
    time = pa.timestamp("ns", tz="UTC")
    columns: dict[str, Any] = {
        name: pa.array([getattr(row, name) for row in rows], time if name.endswith("_time") else None) for name in COLUMNS
    }
    parquet.write_table(pa.table(columns), path)
