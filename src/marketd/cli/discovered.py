"""What pair discovery would choose, for `marketd check`."""

import asyncio
from collections.abc import Iterator, Mapping

from marketd.cli.counting import counted
from marketd.clock import SystemClock
from marketd.config import Config
from marketd.errors import MarketdError
from marketd.metrics import Metrics
from marketd.model.instruments import Instruments
from marketd.venues.coingecko import Coin
from marketd.venues.discovery import open_asker, read_ranking
from marketd.venues.selection import choose

WITHIN_S = 20.0
NAMED_MAX = 12


def venues(config: Config) -> list[str]:
    """Those whose pairs are discovered."""
    if not config.discovery.enabled or "ingest" not in config.roles:
        return []
    return [name for name, its in config.feeds.items() if not its.symbols and its.backup_for is None]


def plan(config: Config) -> dict[str, str]:
    """Rows of what would start; none where nothing is discovered."""
    found, its = venues(config), config.discovery
    if not found:
        return {}
    key = "with a key" if its.api_key is not None else "without a key"
    return {
        "pairs": f"up to {its.limit:,} discovered for {', '.join(found)}, again every {its.refresh_s:g} s",
        "CoinGecko": f"{its.base} (plan {its.plan}, {key})",
    }


async def ask(config: Config) -> list[Coin] | str:
    """The ranking, as deep as it may be read, or why there is none."""
    if not venues(config):
        return []
    try:
        async with asyncio.timeout(WITHIN_S), open_asker(config.discovery, SystemClock(), Metrics()) as (asker, service):
            return await read_ranking(asker, service, config.discovery.coins, lambda coins: False)
    except TimeoutError:
        return "no answer in time"
    except MarketdError as error:
        return str(error)


def outcome(config: Config, ranking: list[Coin] | str, lists: Mapping[str, Instruments | None]) -> Iterator[str]:
    """A line for each venue whose pairs are discovered; `lists` is what each lists, None where it did not say."""
    its = config.discovery
    for name, listed in lists.items():
        fallback = ", ".join(its.fallback_pairs)
        if isinstance(ranking, str):
            yield f"{name} would begin with {fallback}, or the list of its last run: no ranking of coins: {ranking}"
        elif listed is None:
            yield f"{name} would begin with {fallback}, or the list of its last run, until it says what it lists"
        else:
            first = [symbol for symbol in its.fallback_pairs if symbol in listed]
            chosen = list(choose(its.found(ranking, list(listed)), {}, first, its.limit, its.margin))
            more = f" and {len(chosen) - NAMED_MAX:,} more" if len(chosen) > NAMED_MAX else ""
            few = "" if len(chosen) == its.limit else f" of {its.limit:,}: the ranking has no more that it lists"
            yield f"{name} would collect {counted(len(chosen), 'pair')}{few}: {', '.join(chosen[:NAMED_MAX])}{more}"
