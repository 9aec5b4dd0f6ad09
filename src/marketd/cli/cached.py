"""What `marketd check` says of the shared cache: where it is, whether it answers, who reads and writes what there."""

from collections.abc import Iterator, Sequence

from marketd.candles.schedule import pace
from marketd.cli.servers import WITHIN_S, Asked, version_of
from marketd.clock import SystemClock
from marketd.config import Config
from marketd.daemon.caching import ROLES, is_in_memory
from marketd.errors import Unreachable
from marketd.log import LoggingConfig, configure
from marketd.net.redis import RedisLink, asked


def is_in_redis(config: Config) -> bool:
    """Where some role uses it and it is not in memory."""
    return bool(ROLES & set(config.roles)) and not is_in_memory(config)


def plan(config: Config) -> list[str]:
    """What the roles that use it would do."""
    return list(_lines(config))


def _lines(config: Config) -> Iterator[str]:
    its, venue = config.analysis, config.cache.venue
    if "scanner" in config.roles:
        yield (
            f"scanner reads the cached candles of {venue}: {_paces([its.scanner_timeframe])}; publishes and keeps market:scanner"
        )
    if "ta" in config.roles:
        yield (
            f"ta reads the cached candles of {venue}: {_paces(its.timeframes)}; publishes market:signal:SYMBOL, "
            "keeps market:analysis:SYMBOL:TIMEFRAME"
        )
    if "trader" in config.roles:
        paper = config.paper
        yield (
            f"trader trades ON PAPER ONLY, book {paper.book}: signals of {paper.timeframe}, "
            f"at most {paper.positions_max} positions; no order goes to a venue"
        )
        if "ta" in config.roles and paper.timeframe not in its.timeframes:
            yield f"trader: {paper.timeframe} is not in analysis.timeframes: nothing will come of it"
    if "cache" in config.roles:  # where it does not run here, its own config says what it keeps
        wanted = {"scanner": (its.scanner_timeframe,), "ta": its.timeframes, "trader": (config.paper.timeframe,)}
        for role, timeframes in wanted.items():
            lacking = [name for name in timeframes if name not in config.cache.timeframes]
            if role in config.roles and lacking:
                yield f"{role}: {', '.join(lacking)} is not in cache.timeframes: nothing will come of it"


async def ask(config: Config) -> Asked | None:
    """None where no role uses it."""
    roles = [role for role in config.roles if role in ROLES]
    if not roles:
        return None
    if is_in_memory(config):
        return Asked(["shared cache: in this process's memory, and gone with it; REDIS_URL leads to one that stays"], True, False)
    where = f"shared cache in Redis {config.redis.shown_url}"
    configure(LoggingConfig(level="error", format="text"))
    link = RedisLink(config.redis, "marketd-check", SystemClock())
    try:
        wire = await link.open("check")
        try:
            (info,) = await asked(link, wire, ("INFO", "server"), within_s=WITHIN_S)
        finally:
            await wire.close("closed")
    except Unreachable:
        needed = f"required by {', '.join(roles)}: the daemon would start and wait for it"
        return Asked([f"{where}: no: {link.state.reason}; {needed}"], False, True)
    return Asked([f"{where}: ok, {version_of(info)}"], True, True)


def _paces(timeframes: Sequence[str]) -> str:
    return ", ".join(f"{name} every {pace(name).every_s} s" for name in timeframes)
