"""What `marketd check` says of NATS and Redis: whether they answer, what would be written there, and what would be made."""

from dataclasses import replace
from typing import NamedTuple

from marketd.cli.counting import counted
from marketd.cli.nats_stored import account
from marketd.cli.tail_nats import open_server
from marketd.clock import SystemClock
from marketd.config import Config
from marketd.daemon.archive import fed
from marketd.daemon.redis import REQUIRED_BY
from marketd.daemon.serving import COLLECTING
from marketd.errors import DeliveryError, StartError, Unreachable
from marketd.log import LoggingConfig, configure
from marketd.net.nats import NatsLink
from marketd.net.nats_api import NoJetStream
from marketd.net.nats_stream import Stream, differences, find_stream, streams_of, wanted_stream
from marketd.net.redis import RedisLink, asked
from marketd.sinks.redis_memory import weigh
from marketd.venues import source_named
from marketd.venues.feeds import channels_of

TYPES = {"trade": "trade", "quote": "quote", "book": "book_l2", "candle": "candle"}
SYMBOLS_SHOWN = 5
WITHIN_S = 5.0
MIB = 2**20
TOO_SMALL = "; too little: raise maxmemory, or lower STREAM_MAXLEN or PAIRS_LIMIT"


class Asked(NamedTuple):
    """Lines for a person, and whether the daemon could do what it is for."""

    lines: list[str]
    is_well: bool
    is_required: bool  # without it the daemon is of no use


async def ask_servers(config: Config) -> list[Asked]:
    """Those that the config has a use for."""
    return [asked for asked in (await ask_nats(config), await ask_redis(config)) if asked is not None]


async def ask_nats(config: Config) -> Asked | None:
    """None where the config has no use for it."""
    is_source = "features" in config.roles and not COLLECTING & set(config.roles)
    if config.nats.enabled is False and not is_source:
        return None
    where = f"NATS {config.nats.shown_url}"
    try:
        async with open_server(config.nats) as link:
            told = await _server(link, config, is_source)
            made = [] if told.is_without else await _made(link, config, is_source)
    except StartError as error:
        reason = str(error).partition("does not answer: ")[2].partition("; NATS_URL")[0] or str(error)
        return Asked([f"{where}: no: {reason}; {_without(config, is_source)}", *_plan(config)], False, is_source)
    if told.lacks:
        return Asked([f"{where}: no: {told.text}; {told.lacks}; {_without(config, is_source)}", *_plan(config)], False, is_source)
    return Asked([f"{where}: ok, {told.text}", *_plan(config), *made], True, is_source)


class Told(NamedTuple):
    text: str
    is_without: bool = False  # JetStream
    lacks: str = ""  # what is configured and cannot be had there


async def _server(link: NatsLink, config: Config, is_source: bool) -> Told:
    number = link.client.connected_server_version
    version = f"version {number.major}.{number.minor}.{number.patch}"
    try:
        its = await account(link.session)
    except NoJetStream:
        lacks = "USE_JETSTREAM=true needs a server started with --js" if config.nats.jetstream else ""
        return Told(f"{version}, without JetStream", True, lacks)
    stored = (its["storage"] + its["memory"]) / MIB
    return Told(f"{version}, with JetStream: {counted(its['streams'], 'stream')}, {stored:,.1f} MiB stored")


async def _made(link: NatsLink, config: Config, is_source: bool) -> list[str]:
    """The streams, where they are used: whether they are there and as configured, or how they would be made."""
    try:
        if is_source:
            return await _read(link, config)
        if config.nats.jetstream and COLLECTING & set(config.roles):
            return await _written(link, config)
    except DeliveryError as error:
        return [f"stream {config.nats.stream.name}: {error}"]
    return []


async def _read(link: NatsLink, config: Config) -> list[str]:
    """Of the stream that the features are made from, where they are made from one."""
    prefix, count = config.nats.subject_prefix, config.features.partitions
    if not config.nats.jetstream:
        return []
    found = await streams_of(link.session, f"{prefix}.trade.>")
    lines = [f"reads by JetStream from stream {', '.join(found)}"]
    if not found:
        lines = [
            f"reads by JetStream, and no stream holds {prefix}.> yet: waits until a collector with USE_JETSTREAM=true made one"
        ]
    if count > 1:
        lines.append(f"shares {count} partitions with its group: a stream with a copy of the events, and a bucket")
    return lines


async def _written(link: NatsLink, config: Config) -> list[str]:
    nats, name, prefix = config.nats, config.nats.stream.name, config.nats.subject_prefix
    found = await find_stream(link.session, name)
    if found is not None:
        return [
            f"stream {name} is there: {found.said}",
            *(f"stream {name}: {one}; it stays as it is" for one in differences(found, nats.stream, prefix)),
        ]
    if others := await streams_of(link.session, f"{prefix}.>"):
        return [f"stream {name} cannot be made: {', '.join(others)} takes {prefix}.> already; see nats.stream.name"]
    return [f"stream {name} would be made: {Stream(name, wanted_stream(nats.stream, prefix)).said}"]


async def ask_redis(config: Config) -> Asked | None:
    """None where the config has no use for it."""
    if not config.redis.enabled or "ingest" not in config.roles:
        return None
    is_required = config.profile in REQUIRED_BY
    where = f"Redis {config.redis.shown_url}"
    configure(LoggingConfig(level="error", format="text"))
    link = RedisLink(config.redis, "marketd-check", SystemClock())
    symbols, count = _streams(config)
    streams = f"up to {counted(count, 'stream')} of about {config.redis.stream_maxlen:,} entries"
    plan = f"writes trades:SYMBOL, {streams}; {_some(symbols)}"
    try:
        wire = await link.open("check")
        try:
            (info,) = await asked(link, wire, ("INFO", "server"), within_s=WITHIN_S)
            budget = replace(await weigh(link, wire, symbols, config.redis.stream_maxlen), streams=count)
        finally:
            await wire.close("closed")
    except Unreachable:
        without = f"{'required' if is_required else 'optional: the rest runs'}: trades wait in the spill until it is there"
        return Asked([f"{where}: no: {link.state.reason}; {without}", plan], False, is_required)
    memory = f"memory: {budget.text}" + (TOO_SMALL if budget.exceeds else "")
    return Asked([f"{where}: ok, {version_of(info)}, {budget.used / MIB:,.1f} MiB used", plan, memory], True, is_required)


def _streams(config: Config) -> tuple[list[str], int]:
    """Symbols that are known already, and how many there may be."""
    feeds = [its for its in config.feeds.values() if its.backup_for is None]
    symbols = list(dict.fromkeys(symbol for its in feeds for symbol in its.symbols))
    if config.discovery.enabled and any(not its.symbols for its in feeds):
        symbols = list(dict.fromkeys([*symbols, *config.discovery.fallback_pairs]))
        return symbols, max(len(symbols), config.discovery.limit)
    return symbols, len(symbols)


def version_of(info: object) -> str:
    """Of the answer to INFO."""
    lines = info.decode(errors="replace").splitlines() if isinstance(info, bytes) else []
    said = dict(line.split(":", 1) for line in lines if ":" in line)
    if "valkey_version" in said:
        return f"Valkey {said['valkey_version']}"
    return f"version {said.get('redis_version', 'unknown')}"


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
        channels = dict.fromkeys(
            channel
            for name, its in fed(config).items()
            for channel in channels_of(source_named(name, config.venue_settings(name)), its.wanted)
        )
        types = [*(TYPES[channel] for channel in channels if channel in TYPES), "gap", "status", "heartbeat"]
        symbols = list(dict.fromkeys(symbol for its in config.feeds.values() for symbol in its.symbols))
        lines.append(f"publishes {prefix}.TYPE.SYMBOL: {', '.join(types)}; {_some(symbols)}")
    if "features" in config.roles:
        if not COLLECTING & set(config.roles) and config.features.partitions <= 1:
            lines.append(f"reads {prefix}.> as a member of the group senpai-md")
        lines.append("publishes senpai.features.SYMBOL, senpai.signals.SYMBOL, senpai.alerts")
    return lines


def _some(symbols: list[str]) -> str:
    more = f" and {len(symbols) - SYMBOLS_SHOWN:,} more" if len(symbols) > SYMBOLS_SHOWN else ""
    return f"{', '.join(symbols[:SYMBOLS_SHOWN])}{more}"
