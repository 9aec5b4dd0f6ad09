"""What `marketd check` says of NATS and Redis: whether they answer, what would be written there, and what would be made."""

from typing import NamedTuple

from marketd.cli.nats_stored import NoJetStream, account
from marketd.cli.tail_nats import open_server
from marketd.config import Config
from marketd.daemon.serving import COLLECTING
from marketd.errors import StartError
from marketd.net.nats import NatsLink

TYPES = {"trade": "trade", "quote": "quote", "book": "book_l2", "candle": "candle"}
SYMBOLS_SHOWN = 5


class Asked(NamedTuple):
    """Lines for a person, and whether the daemon could do what it is for."""

    lines: list[str]
    is_well: bool
    is_required: bool  # without it the daemon is of no use


async def ask_servers(config: Config) -> list[Asked]:
    """Those that the config has a use for."""
    return [asked for asked in (await ask_nats(config),) if asked is not None]


async def ask_nats(config: Config) -> Asked | None:
    """None where the config has no use for it."""
    is_source = "features" in config.roles and not COLLECTING & set(config.roles)
    if config.nats.enabled is False and not is_source:
        return None
    where = f"NATS {config.nats.shown_url}"
    try:
        async with open_server(config.nats) as link:
            told = await _server(link, config)
    except StartError as error:
        reason = str(error).partition("does not answer: ")[2].partition("; NATS_URL")[0] or str(error)
        return Asked([f"{where}: no: {reason}; {_without(config, is_source)}", *_plan(config)], False, is_source)
    return Asked([f"{where}: ok, {told}", *_plan(config)], True, is_source)


async def _server(link: NatsLink, config: Config) -> str:
    number = link.client.connected_server_version
    version = f"version {number.major}.{number.minor}.{number.patch}"
    try:
        its = await account(link.client)
    except NoJetStream:
        missing = "; USE_JETSTREAM=true needs one started with --js" if config.nats.jetstream else ""
        return f"{version}, without JetStream{missing}"
    return f"{version}, with JetStream: {its['streams']:,} streams, {(its['storage'] + its['memory']) / 2**20:,.1f} MiB stored"


def _without(config: Config, is_source: bool) -> str:
    if is_source:
        return "required: the features have no other source; the daemon would start and wait for it"
    if config.nats.enabled is None:
        return "optional: nothing is published until it is there"
    return "optional: the rest runs, trades and closed candles wait in the spill until it is there"


def _plan(config: Config) -> list[str]:
    lines = []
    prefix = config.nats.subject_prefix
    if config.nats.enabled is not False and COLLECTING & set(config.roles):
        channels = dict.fromkeys(channel for its in config.feeds.values() for channel in its.wanted)
        types = [*(TYPES[channel] for channel in channels if channel in TYPES), "gap", "status", "heartbeat"]
        symbols = list(dict.fromkeys(symbol for its in config.feeds.values() for symbol in its.symbols))
        more = f" and {len(symbols) - SYMBOLS_SHOWN:,} more" if len(symbols) > SYMBOLS_SHOWN else ""
        lines.append(f"publishes {prefix}.TYPE.SYMBOL: {', '.join(types)}; {', '.join(symbols[:SYMBOLS_SHOWN])}{more}")
    if "features" in config.roles:
        if not COLLECTING & set(config.roles):
            lines.append(f"reads {prefix}.> as a member of the group senpai-md")
        lines.append("publishes senpai.features.SYMBOL, senpai.signals.SYMBOL, senpai.alerts")
    return lines
