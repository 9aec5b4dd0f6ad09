"""`marketd trades`: what the store holds."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TextIO

import msgspec
import typer

from marketd.api.parameters import NS_MAX, TIMES, ns_of_text
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError, StartError
from marketd.model.events import Trade
from marketd.model.times import iso_of_ns
from marketd.stores.reading import Reader

PAGE = 10_000
COLUMNS = ("time", "provider", "symbol", "price", "size", "side", "trade_id", "repaired")


def trades(
    symbol: Annotated[str, typer.Option(help="As BTCUSDT.")],
    exchange: Annotated[str | None, typer.Option(help="Of this venue only.")] = None,
    start: Annotated[str, typer.Option(help="From here on, inclusive: an ISO time or an epoch.")] = "0",
    end: Annotated[str, typer.Option(help="Up to here, exclusive.")] = str(NS_MAX),
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; default all.")] = None,
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How they are written.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Stored trades, oldest first, with the venue's digits.

    Examples:

    - `marketd trades --symbol BTCUSDT --start 2024-11-14 --limit 20`

    - `marketd trades --symbol BTCUSDT --exchange binance --format csv -o trades.csv`
    """
    found = load(Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir))
    span = _time("--start", start), _time("--end", end)
    reader = Reader(_database(found))
    try:
        with _opened(output) as out:
            rows = _rows(reader, symbol.upper(), exchange, span, limit)
            {"table": write_table, "csv": write_csv, "json": write_json}[form](rows, out)
    finally:
        reader.close()


def _database(config: Config) -> Path:
    path = config.path(config.sinks.sqlite.path)
    if not path.exists():
        raise StartError(f"{path}: there is no store yet; name its directory with --data-dir or MARKETD_DATA_DIR")
    return path


def _time(name: str, text: str) -> int:
    try:
        return ns_of_text(text)
    except ValueError:
        raise ConfigError(f"{name}: found {text!r}, expected {TIMES}") from None


def _rows(reader: Reader, symbol: str, venue: str | None, span: tuple[int, int], limit: int | None) -> Iterator[Trade]:
    cursor, left = None, limit
    while True:
        size = PAGE if left is None else min(PAGE, left)
        page = reader.trades(symbol, start=span[0], end=span[1], limit=size, cursor=cursor, venue=venue)
        yield from page.trades
        cursor = page.cursor
        left = None if left is None else left - len(page.trades)
        if cursor is None or left == 0:
            return


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        yield file


def _cells(one: Trade) -> tuple[str, ...]:
    time = iso_of_ns(one.ts_event if one.ts_event is not None else one.ts_recv)
    return time, one.venue, one.symbol, one.price, one.size, one.side or "", one.trade_id, str(one.repaired).lower()


def write_table(rows: Iterator[Trade], out: TextIO) -> None:
    """In columns as wide as the first thousand rows need."""
    widths = [len(name) for name in COLUMNS]
    waiting: list[tuple[str, ...]] | None = [COLUMNS]

    def write(cells: tuple[str, ...]) -> None:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() + "\n")

    for one in rows:
        cells = _cells(one)
        if waiting is None:
            write(cells)
            continue
        waiting.append(cells)
        widths[:] = [max(width, len(cell)) for width, cell in zip(widths, cells, strict=True)]
        if len(waiting) > 1000:
            for row in waiting:
                write(row)
            waiting = None
    for row in waiting or ():
        write(row)


def write_csv(rows: Iterator[Trade], out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_cells, rows))


def write_json(rows: Iterator[Trade], out: TextIO) -> None:
    """A JSON array of events, one on each line."""
    out.write("[")
    between = "\n"
    for one in rows:
        out.write(between + msgspec.json.encode(one).decode())
        between = ",\n"
    out.write("\n]\n")
