"""`marketd check`: what would start, and whether everything it needs answers."""

import asyncio
import re
from collections.abc import Awaitable, Iterator, Sequence
from typing import NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from marketd.cli import cached, discovered, kept, polled
from marketd.cli.counting import counted
from marketd.cli.here import ask_here
from marketd.cli.options import (
    Channels,
    ConfigFile,
    DataDir,
    EnvFile,
    Host,
    Port,
    Profile,
    Provider,
    Roles,
    Shard,
    Symbols,
    configured,
)  # fmt: skip
from marketd.cli.servers import ask_servers
from marketd.clock import SystemClock
from marketd.config import Config, Flags
from marketd.daemon.archive import fed
from marketd.daemon.serving import COLLECTING
from marketd.errors import MarketdError
from marketd.metrics import Metrics
from marketd.model.instruments import Instruments
from marketd.net.governor import Governor, Priority
from marketd.net.http import Http
from marketd.net.websocket import connect
from marketd.stores.archive.address import address_of
from marketd.venues import source_named
from marketd.venues.feeds import channels_of, not_asked, nothing_listed
from marketd.venues.provider import MarketDataProvider
from marketd.venues.rest import Rest
from marketd.venues.section import VenueConfig
from marketd.venues.venue import Venue, Wanted

WITHIN_S = 5.0


def check(
    config: ConfigFile = None,
    profile: Profile = None,
    roles: Roles = None,
    provider: Provider = None,
    symbols: Symbols = None,
    channels: Channels = None,
    shard: Shard = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
    host: Host = None,
    port: Port = None,
) -> None:
    """Validate the configuration, show what would start, and ask every venue, the database, NATS and Redis. Secrets are masked.

    Examples:

    - `marketd check`

    - `marketd check -c config.yaml --profile live-ingest`

    Exit codes: 0 all is well; 1 something required does not answer; 2 the configuration is wrong.
    """
    checked = configured(Flags(profile, config, env_file, data_dir, roles, provider, symbols, channels, shard, host, port))
    console = Console(width=None if Console().is_terminal else 160)
    console.print(_plan(checked))
    here = ask_here(checked)
    for line in here.lines:
        console.print(line, markup=False, soft_wrap=True)
    if "archive" in checked.roles:
        for line in kept.plan(checked):
            console.print(line, markup=False, soft_wrap=True)
    is_needed, is_well = _is_archive_needed(checked), True
    if _is_archive_used(checked):
        answer, is_well = asyncio.run(kept.ask(checked, WITHIN_S))
        console.print(answer, markup=False, soft_wrap=True)
    for line in cached.plan(checked):
        console.print(line, markup=False, soft_wrap=True)
    for_cache = [asyncio.run(cached.ask(checked)), asyncio.run(polled.ask(checked))]
    servers = [*asyncio.run(ask_servers(checked)), *(one for one in for_cache if one is not None)]
    for line in (line for server in servers for line in server.lines):
        console.print(line, markup=False, soft_wrap=True)
    is_served = all(server.is_well for server in servers if server.is_required)
    failures = asyncio.run(_probe(checked, console)) if COLLECTING & set(checked.roles) else 0
    if (failures and failures == len(checked.feeds)) or (is_needed and not is_well) or not is_served or not here.is_well:
        raise typer.Exit(1)


def _plan(config: Config) -> Table:
    """What a daemon of this config runs, and nothing that it does not."""
    table = _table("what", "value")
    sinks, is_collecting = config.sinks, bool(COLLECTING & set(config.roles))
    rows = {
        "profile": config.profile,
        "roles": ", ".join(config.roles) or "none: serves what is stored",
        "data directory": str(config.data_dir),
        "API": f"http://{config.api.host}:{config.api.port}",
        "API token": "set" if config.api.token else "not set: reading is open, changing needs the one in api-token",
    }
    if sinks.sqlite.enabled and ("ingest" in config.roles or not config.roles):
        rows["sink sqlite" if config.roles else "stored events"] = str(config.path(sinks.sqlite.path))
    if sinks.jsonl.enabled:
        rows["sink jsonl"] = str(config.path(sinks.jsonl.path))
    if sinks.console.enabled:
        rows["sink console"] = f"1 in {sinks.console.every}"
    if sinks.prometheus.enabled:
        rows["sink prometheus"] = "/metrics"
    if _is_archive_used(config):
        rows["candle archive"] = address_of(config.database_url).shown
    if config.nats.enabled is not False:
        rows["NATS"] = config.nats.shown_url + ("" if config.nats.enabled else ", if it is there")
    if (config.redis.enabled and "ingest" in config.roles) or cached.is_in_redis(config):
        rows["Redis"] = config.redis.shown_url
    rows |= discovered.plan(config)
    if is_collecting:
        rows["shard"] = f"{config.shard.index}/{config.shard.count}"
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _is_archive_needed(config: Config) -> bool:
    """What collects nothing serves what is stored."""
    return bool({"archive", "trader"} & set(config.roles)) or not config.roles


def _is_archive_used(config: Config) -> bool:
    """One that is named is also served by what does not fill it."""
    return _is_archive_needed(config) or config.database.url is not None


class Probed(NamedTuple):
    """What asking one venue brought."""

    cells: list[str]
    is_well: bool = True
    is_dry: bool = False
    symbols: tuple[str, ...] = ()  # asked for
    listed: Instruments | None = None  # None: it did not say


async def _probe(config: Config, console: Console) -> int:
    """Ask every venue; the number of those that a daemon could not use. Raises ConfigError if no symbol is left to collect."""
    table = _table("venue", "asked", "where", "answer")
    table.columns[2].no_wrap = True  # an address is to be copied whole
    found_for = discovered.venues(config)
    asked = {
        name: its.model_copy(update={"symbols": config.discovery.fallback_pairs}) if name in found_for else its
        for name, its in fed(config).items()
    }
    results, ranking = await asyncio.gather(
        asyncio.gather(*(_venue(config, name, venue, name in found_for) for name, venue in asked.items())), discovered.ask(config)
    )
    for result in results:
        name, does, rest, rest_answer, stream, stream_answer = result.cells
        table.add_row(name, "REST", rest, _without(rest, rest_answer))
        table.add_row("", "WebSocket", stream, _without(stream, stream_answer))
        console.print(f"{name} {does}", markup=False, soft_wrap=True)
    console.print(table)
    lists = {result.cells[0]: result.listed for result in results if result.cells[0] in found_for}
    for line in discovered.outcome(config, ranking, lists):
        console.print(line, markup=False, soft_wrap=True)
    for line in (*_over_committed(config), *_unlisted(results)):
        console.print(line, markup=False, soft_wrap=True)
    return sum(1 for result in results if not result.is_well)


def _over_committed(config: Config) -> Iterator[str]:
    """Entries that draw on one limit, the other processes of a shard included, and together on more than all of it."""
    by_address: dict[str, list[str]] = {}
    for name, its in config.feeds.items():
        source = source_named(name, config.venue_settings(name))
        if not isinstance(source, MarketDataProvider) and not source.dry:
            by_address.setdefault(its.rest_url or source.rest_url, []).append(name)
    count = config.shard.count
    for names in by_address.values():
        shares = [config.feeds[name].rest_share for name in names]
        total = sum(shares) * count
        if total > 1 + 1e-9:
            keys = ", ".join(f"exchanges.{name}.rest_share" for name in names)
            each = " + ".join(f"{share:g}" for share in shares) + (f" in each of {count} processes" if count > 1 else "")
            fair = 1 / (len(names) * count)
            yield (
                f"{keys}: {each} adds up to {total:g} of the venue's limit, expected at most 1; "
                f"set {fair:.2g} where all use the same address of the internet"
            )


def _unlisted(results: Sequence[Probed]) -> Iterator[str]:
    """Symbols that none of the venues that said what they list has."""
    told = [(result.cells[0], result.listed) for result in results if result.listed is not None]
    asked = dict.fromkeys(symbol for result in results if result.listed is not None for symbol in result.symbols)
    unlisted = [symbol for symbol in asked if not any(symbol in listed for _, listed in told)]
    dry = [result.cells[0] for result in results if result.is_dry]
    if asked and len(unlisted) == len(asked) and all(result.is_dry or result.listed is not None for result in results):
        raise nothing_listed(unlisted, dry)
    for symbol in unlisted:
        yield f"{symbol}: none of {', '.join(name for name, _ in told)} lists it; it is left out{not_asked(dry)}"


def _without(address: str, answer: str) -> str:
    """The answer without the address beside which it stands."""
    return " ".join(re.sub(re.escape(address) + r"\S*:?", "", answer).split())


async def _venue(config: Config, name: str, its: VenueConfig, is_found: bool) -> Probed:
    source = source_named(name, config.venue_settings(name))
    does = _does(source, its, is_found)
    if isinstance(source, MarketDataProvider):
        return Probed([name, does, "its own", "not asked", "its own", "not asked"])
    rest, stream = its.rest_url or source.rest_url, its.ws_url or source.stream_url
    if source.dry:
        return Probed([name, does, rest, "dry run", stream, "dry run"], is_dry=True)
    listed = Instruments()
    rest_answer, stream_answer = await asyncio.gather(
        _said(_ask_rest(source, rest, its.symbols, listed)), _said(_ask_stream(source, stream, its))
    )
    is_well = not rest_answer.startswith("no:") and not stream_answer.startswith("no:")
    cells = [name, does, rest, rest_answer, stream, stream_answer]
    return Probed(cells, is_well, False, its.symbols, listed if len(listed) else None)


def _does(source: Venue | MarketDataProvider, its: VenueConfig, is_found: bool) -> str:
    """What a daemon gets from a venue, and what of the config it does not have there."""
    channels = channels_of(source, its.wanted)
    symbols = ", ".join(its.symbols) or "nothing"
    does = f"collects {symbols}{' and what is discovered' if is_found else ''}: {', '.join(channels) or 'nothing'}"
    if lacking := [one for one in its.wanted if one not in channels]:
        does += f"; no {', '.join(lacking)} there{', the archive builds them from trades' if 'candle' in lacking else ''}"
    if its.backup_for:
        does = f"stands by for {its.backup_for}; {does}"
    if its.bulk_url is not None:
        does += f"; files of candles from {its.bulk_url}"
    is_dry = not isinstance(source, MarketDataProvider) and source.dry
    return f"runs dry, heartbeats only; live it {does}" if is_dry else does


async def _said(asking: Awaitable[str]) -> str:
    try:
        async with asyncio.timeout(2 * WITHIN_S):
            return await asking
    except TimeoutError:
        return "no: no answer in time"
    except MarketdError as error:
        return f"no: {error}"


async def _ask_rest(venue: Venue, base: str, symbols: Sequence[str], listed: Instruments) -> str:
    clock = SystemClock()
    async with Http(within_s=WITHIN_S) as http:
        rest = Rest(venue, base, http, Governor(clock, venue.limits.rest, 1.0), clock, Metrics())
        listed.update(venue.read_instruments(await rest.ask(venue.instruments_request(), Priority.LIVE)))
    missing = [symbol for symbol in symbols if symbol not in listed]
    return f"ok, lists {counted(len(listed), 'symbol')}" + (f", not {', '.join(missing)}" if missing else "")


async def _ask_stream(venue: Venue, base: str, its: VenueConfig) -> str:
    wanted = [Wanted("trade", symbol) for symbol in its.symbols[:1]]
    socket = await connect(
        venue.connect_url(base, wanted), lambda frame: None, headers=venue.connect_headers(), within_s=WITHIN_S
    )
    socket.close()
    return "ok, connects"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
