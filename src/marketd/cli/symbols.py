"""`marketd symbols`: what a venue lists."""

import asyncio

from rich.console import Console
from rich.table import Table

from marketd.cli.counting import counted
from marketd.cli.options import ConfigFile, EnvFile, Exchange
from marketd.config import Flags, load
from marketd.config.complaints import did_you_mean
from marketd.errors import ConfigError
from marketd.model.instruments import Instruments
from marketd.venues import known_venues
from marketd.venues.library import open_venue


def symbols(exchange: Exchange, config: ConfigFile = None, env_file: EnvFile = None) -> None:
    """What a venue lists, asked of the venue now.

    Example: `marketd symbols --exchange binance`
    """
    if exchange.lower() not in (known := sorted(known_venues())):
        what = "expected one venue" if "," in exchange else f"unknown venue{did_you_mean(exchange, known)}"
        raise ConfigError(f"--exchange {exchange}: {what}; allowed: {', '.join(known)}")
    found = load(Flags(file=config, env_file=env_file, venues=exchange))
    name = next(iter(found.feeds))
    listed = asyncio.run(_listed(name, found.venue_settings(name), found.feeds[name].rest_url))
    table = Table(box=None, pad_edge=False)
    for column in ("symbol", "venue's spelling", "base", "quote", "tick", "lot", "status"):
        table.add_column(column, no_wrap=True)
    for one in sorted(listed, key=lambda one: one.symbol):
        table.add_row(one.symbol, one.venue_symbol, one.base, one.quote, one.tick or "", one.lot or "", one.status)
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)
    print(counted(len(listed), "symbol"))


async def _listed(name: str, settings: dict[str, str], rest_url: str | None) -> Instruments:
    async with open_venue(name, settings=settings, rest_url=rest_url) as venue:
        return await venue.instruments()
