"""The archive for commands that read it: it has to be there, and so has what is asked of it; nothing is made by looking."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marketd.clock import SystemClock
from marketd.config import Config
from marketd.config.complaints import did_you_mean
from marketd.errors import ConfigError, StartError
from marketd.model.instruments import neutral
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.stores import archive as archives
from marketd.stores.archive.address import address_of
from marketd.venues import known_venues

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

FILL = "marketd backfill --exchange NAME --symbol BTCUSDT --timeframe 1m --days 30"


@asynccontextmanager
async def open_stored(config: Config) -> AsyncIterator["Archive"]:
    """The configured archive. Raises StartError where there is none, cannot be reached, or has another schema."""
    _must_exist(config)
    async with archives.open_archive(config.database_url, SystemClock(), upgrade=False) as archive:
        yield archive


def _must_exist(config: Config) -> None:
    address = address_of(config.database_url)
    if address.kind == "sqlite" and not Path(address.url).is_file():
        how = "name its directory with --data-dir" if config.database.url is None else "give its path in DATABASE_URL"
        raise StartError(f"there is no archive yet at {address.url}; {how}, or fill it: {FILL}")


def chosen(
    stored: Iterable[CandleSeries], venues: Sequence[str], symbols: Sequence[str], frames: Sequence[str]
) -> list[CandleSeries]:
    """The stored series of these names; no name is any. Raises StartError that names what there is in place of a name that
    nothing is stored of, ConfigError for a venue that does not exist."""
    left, of = sorted(stored), ""
    for place, (flag, words) in enumerate({"--exchange": venues, "--symbol": symbols, "--timeframe": frames}.items()):
        there = list(dict.fromkeys(one[place] for one in left))
        for word in words:
            if word in there:
                continue
            known = sorted({*known_venues(), *there})
            if not place and word not in known:
                raise ConfigError(f"{flag} {word}: unknown venue{did_you_mean(word, known)}; allowed: {', '.join(known)}")
            listed = ", ".join(there[:20]) + (f" and {len(there) - 20:,} more" if len(there) > 20 else "")
            raise StartError(
                f"{flag} {word}: nothing of it is stored{of}{did_you_mean(word, there)}; stored: {listed or 'nothing yet'}"
            )
        if words:
            left = [one for one in left if one[place] in words]
            of += f"{' ' if of else ' for '}{', '.join(words)}"
    return left


def venues_of(text: str | None) -> list[str]:
    return [word.lower() for word in _words(text)]


def symbols_of(text: str | None) -> list[str]:
    """Raises ConfigError that says how a symbol is written."""
    return [_symbol(word) for word in _words(text)]


def timeframes_of(text: str | None) -> list[str]:
    """Raises ConfigError for what is none."""
    return [_timeframe(word) for word in _words(text)]


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _symbol(word: str) -> str:
    try:
        return neutral(word)
    except ValueError as error:
        raise ConfigError(f"--symbol: found {word!r}; {error}") from None


def _timeframe(word: str) -> str:
    try:
        return timeframe(word).name
    except ValueError as error:
        raise ConfigError(f"--timeframe: {error}") from None
