"""What `marketd check` says of the venue that fills the candle cache: where it is, which coins it has, what asking them costs."""

from marketd.candles.coins import COINS, Chosen, choose
from marketd.candles.newest import ASKED
from marketd.candles.schedule import PRICES_EVERY_S, pace
from marketd.cli.counting import counted
from marketd.cli.servers import WITHIN_S, Asked
from marketd.clock import SystemClock
from marketd.config import Config
from marketd.daemon.polling import its_config, polled_venue
from marketd.errors import MarketdError
from marketd.metrics import Metrics
from marketd.model.instruments import Instruments
from marketd.model.timeframes import timeframe
from marketd.net.governor import Allowance, Governor, Priority
from marketd.net.http import Http
from marketd.venues.polled import questions_of
from marketd.venues.rest import Rest
from marketd.venues.venue import Venue

TOO_LITTLE = "; too little, keys will expire: raise rest_share, or keep fewer coins or timeframes"


async def ask(config: Config) -> Asked | None:
    """None where nothing is polled. Raises ConfigError for a venue that cannot be."""
    if "cache" not in config.roles or not config.cache.enabled:
        return None
    venue, clock, is_required = polled_venue(config), SystemClock(), "ingest" not in config.roles
    base = its_config(config).rest_url or venue.rest_url
    where = f"cache polls {venue.name} at {base}"
    async with Http(within_s=WITHIN_S) as http:
        rest = Rest(venue, base, http, Governor(clock, venue.limits.rest), clock, Metrics())
        try:
            listed = venue.read_instruments(await rest.ask(venue.instruments_request(), Priority.LIVE))
        except MarketdError as error:
            return Asked([f"{where}: no: {error}; the daemon would start and ask again"], False, is_required)
    chosen = choose(config.cache.symbols or COINS, Instruments(listed))
    if not chosen.instruments:
        return Asked([f"{where}: no: it trades none of {', '.join(chosen.unlisted)}"], False, is_required)
    symbols, count = ", ".join(one.symbol for one in chosen.instruments), counted(len(chosen.instruments), "coin")
    lacking = f"; it does not trade {', '.join(chosen.unlisted)}" if chosen.unlisted else ""
    lines = [f"{where}: ok, {count}: {symbols}{lacking}", _costs(config, venue, chosen)]
    return Asked(lines, True, is_required)


def _costs(config: Config, venue: Venue, chosen: Chosen) -> str:
    """How often what is asked for, and how much of the allowance that takes."""
    questions, paces = questions_of(venue), [pace(name) for name in config.cache.timeframes]
    assert questions is not None
    per_s = questions.prices_request(chosen.instruments).weight / PRICES_EVERY_S
    for its in paces:
        frame = timeframe(its.timeframe)
        weights = [questions.newest_candles_request(one, frame, ASKED).weight for one in chosen.instruments]
        per_s += sum(weights) / its.every_s
    limit, window_s = next(iter(venue.limits.rest.values()))
    allowed = Allowance(limit, window_s, its_config(config).rest_share).weight
    often = ", ".join(f"{its.timeframe} every {its.every_s} s" for its in paces)
    return (
        f"cache keeps {often}, prices every {PRICES_EVERY_S} s: weight {per_s * window_s:.0f} of the {allowed:.0f} "
        f"in {window_s:.0f} s that it may use{TOO_LITTLE if per_s * window_s > allowed else ''}"
    )
