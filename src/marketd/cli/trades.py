"""`marketd trades`: what the store holds."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, TextIO

import msgspec
import typer

from marketd.api.parameters import NS_MAX, TIMES, ns_of_text
from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.config import Config, Flags, load
from marketd.config.complaints import did_you_mean
from marketd.errors import ConfigError, StartError
from marketd.model.events import Trade
from marketd.model.instruments import neutral
from marketd.model.times import iso_of_ns
from marketd.stores.reading import Reader
from marketd.venues import known_venues

PAGE = 10_000
COLUMNS = ("time", "provider", "symbol", "price", "size", "side", "trade_id", "repaired")


def trades(
    symbol: Annotated[str, typer.Option(help="As BTCUSDT.")],
    exchange: Annotated[str | None, typer.Option(help="Of this venue only.")] = None,
    start: Annotated[str | None, typer.Option(help="From here on, inclusive: an ISO time or an epoch.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to here, exclusive.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; default all.")] = None,
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How they are written.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Stored trades, oldest first, with the venue's digits.

    Nothing stored of the symbol is exit code 1 and what there is; no trade in that time is an empty answer.

    Examples:

    - `marketd trades --symbol BTCUSDT --start 2024-11-14 --limit 20`

    - `marketd trades --symbol BTCUSDT --exchange binance --format csv -o trades.csv`
    """
    found = load(Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir))
    wanted, venue = _symbol(symbol), None if exchange is None else exchange.lower()
    span = _time("--start", start, 0), _time("--end", end, NS_MAX)
    if span[0] >= span[1]:
        raise ConfigError(f"--end: found {end!r}, expected a time after --start")
    reader = Reader(_database(found))
    try:
        rows = _rows(reader, wanted, venue, span, limit)
        first = next(rows, None)
        if first is None:
            _explain_nothing(reader, wanted, venue)
        else:
            rows = chain((first,), rows)
        with _opened(output) as out:
            {"table": write_table, "csv": write_csv, "json": write_json}[form](rows, out)
    finally:
        reader.close()


def _database(config: Config) -> Path:
    path = config.path(config.sinks.sqlite.path)
    if not path.exists():
        here = config.sinks.sqlite.path
        found = "; there is one here: add --data-dir ." if here.exists() else ""
        raise StartError(f"{path}: there is no store yet; name its directory with --data-dir or MARKETD_DATA_DIR{found}")
    return path


def _symbol(text: str) -> str:
    try:
        return neutral(text)
    except ValueError as error:
        raise ConfigError(f"--symbol: found {text!r}; {error}") from None


def _time(name: str, text: str | None, default: int) -> int:
    try:
        return default if text is None else ns_of_text(text)
    except ValueError:
        raise ConfigError(f"{name}: found {text!r}, expected {TIMES}") from None


def _explain_nothing(reader: Reader, symbol: str, venue: str | None) -> None:
    """Why there is no row: a venue that does not exist, a symbol that is not stored, or just none in that time."""
    stored = {(row.venue, row.symbol) for row in reader.ledger(channel="trade")}
    venues = sorted({one for one, _ in stored})
    known = sorted({*known_venues(), *venues})
    if venue is not None and venue not in known:
        raise ConfigError(f"--exchange {venue}: unknown venue{did_you_mean(venue, known)}; allowed: {', '.join(known)}")
    if (venue, symbol) in stored or (venue is None and symbol in {one for _, one in stored}):
        print(f"marketd: no trade of {symbol} in that time", file=sys.stderr)
        return
    of = "" if venue is None else f" from {venue}"
    there = ", ".join(f"{one} from {its}" for its, one in sorted(stored)) or "nothing yet"
    raise StartError(
        f"trades: nothing is stored of {symbol}{of}{did_you_mean(symbol, {one for _, one in stored})}; stored: {there}"
    )


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
