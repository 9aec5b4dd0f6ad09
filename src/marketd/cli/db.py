"""`marketd db upgrade`: the database of the candle archive brought to the current schema."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile
from marketd.clock import SystemClock
from marketd.config import Flags, load
from marketd.stores import archive as archives
from marketd.stores.archive.address import address_of

app = typer.Typer(help="The database of the candle archive.", no_args_is_help=True, add_completion=False)


@app.callback()
def database() -> None:
    """The database of the candle archive."""


@app.command()
def upgrade(
    url: Annotated[
        str | None,
        typer.Option(help="postgresql://user:password@host:port/database or sqlite:///path; default: as configured."),
    ] = None,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Bring a database to the current schema: an empty one, an older one, or one with the tables of the old ingestion daemon.

    Every row stays. Either all of it is done or nothing, and asking again does no harm. Take a backup all the same.

    Examples:

    - `marketd db upgrade`

    - `marketd db upgrade --url postgresql://user@localhost:5432/marketdata`

    - `marketd db upgrade --url sqlite:////var/lib/marketd/archive.db`
    """
    found = load(Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir))
    where = found.database_url if url is None else url
    address = address_of(where)
    upgraded = asyncio.run(archives.upgrade_archive(where, SystemClock()))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("database", address.shown)
    if upgraded.before == upgraded.after:
        table.add_row("schema", f"{upgraded.after}, as before; nothing to do")
    else:
        table.add_row("schema", f"{upgraded.after}, was {upgraded.before or 'none'}")
    for at, line in enumerate(upgraded.done):
        table.add_row("" if at else "done", line)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)
