"""What `marketd check` says of the candle archive: the series, how far back they are kept, and whether its database answers."""

from collections.abc import Iterator

from marketd.config import Config
from marketd.daemon.archive import lacking, series_of
from marketd.errors import StartError
from marketd.stores import archive as archives
from marketd.stores.archive.address import address_of
from marketd.venues import source_named
from marketd.venues.provider import MarketDataProvider
from marketd.venues.venue import Venue


def plan(config: Config) -> Iterator[str]:
    """A line for each venue, and one for each that lacks something of what is asked of it."""
    venues = _venues(config)
    series = series_of(config, venues)
    days = config.archive.backfill_days
    back = f"{days:,} days back" if config.archive.backfill_on_startup else "no history at the start"
    for name in dict.fromkeys(one.venue for one in series):
        symbols = dict.fromkeys(one.symbol for one in series if one.venue == name)
        frames = dict.fromkeys(one.timeframe for one in series if one.venue == name)
        unsaid = "" if config.feeds[name].timeframes else f" (exchanges.{name}.timeframes is not set)"
        yield f"{name} archives {', '.join(symbols)}: {', '.join(frames)}{unsaid}, {back}"
    for name, frames_lacking in lacking(config, venues).items():
        allowed = ", ".join(venues[name].timeframes)
        yield f"exchanges.{name}.timeframes: {name} has no {', '.join(frames_lacking)}, left out; allowed: {allowed}"
    if not series:
        yield "the archive keeps nothing: no venue that answers for symbols and timeframes is configured"


def _venues(config: Config) -> dict[str, Venue]:
    found = {name: source_named(name, config.venue_settings(name)) for name in config.feeds}
    return {name: source for name, source in found.items() if not isinstance(source, MarketDataProvider)}


async def ask(config: Config, within_s: float) -> tuple[str, bool]:
    """A line about the database, and whether it may be started upon. Raises ConfigError for an address that is none."""
    shown = address_of(config.database_url).shown
    try:
        answer = await archives.ask_database(config.database_url, within_s=within_s)
    except StartError as error:
        return f"database: no: {error}", False
    return f"database {shown}: ok, {answer}", True
