"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from marketd.config import Config, Flags, load
from marketd.config.model import ROLES
from marketd.config.sources import profile_names
from marketd.log import configure, hide
from marketd.venues import known_venues


def _profiles(incomplete: str) -> list[str]:
    return [name for name in profile_names() if name.startswith(incomplete)]


def _last_of(names: list[str], incomplete: str) -> list[str]:
    """Completions of the last word of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


def _venues(incomplete: str) -> list[str]:
    return _last_of([*known_venues(), "all"], incomplete)


def _roles(incomplete: str) -> list[str]:
    return _last_of(list(ROLES), incomplete)


def _channels(incomplete: str) -> list[str]:
    return _last_of(["trade", "quote", "book", "candle"], incomplete)


ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="Config file; default ./config.yaml if there is one.")]
EnvFile = Annotated[Path | None, typer.Option("--env-file", help="File with variables; default ./.env if there is one.")]
Profile = Annotated[str | None, typer.Option(help="Shipped config to start from.", autocompletion=_profiles)]
Roles = Annotated[str | None, typer.Option(help="What this process does, as ingest,features.", autocompletion=_roles)]
Provider = Annotated[str | None, typer.Option(help="Venues, by name with commas, or all.", autocompletion=_venues)]
Exchange = Annotated[str, typer.Option(help="Venue.", autocompletion=_venues)]
Symbols = Annotated[str | None, typer.Option(help="Symbols, as BTCUSDT,ETHUSDT.")]
Channels = Annotated[str | None, typer.Option(help="trade, quote, book, candle.", autocompletion=_channels)]
Shard = Annotated[str | None, typer.Option(help="This process's share of the symbols: I/N, I from 1.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where databases and event files are.")]
Host = Annotated[str | None, typer.Option(help="Address of the API.")]
Port = Annotated[int | None, typer.Option(help="Port of the API; 0 takes a free one.")]
LogLevel = Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")]


def configured(flags: Flags) -> Config:
    """The checked configuration, with logging set up as it says. Raises ConfigError."""
    config = load(flags)
    for secret in _secrets(config):
        hide(secret)
    config_file = config.logging.file
    if config_file is not None:
        config.data_dir.mkdir(parents=True, exist_ok=True)
    configure(config.logging, config.data_dir)
    return config


def _secrets(config: Config) -> list[str]:
    found = [config.api.token, config.discovery.api_key]
    found += [one for venue in config.venues.values() for one in (venue.key, venue.secret)]
    return [one.get_secret_value() for one in found if one is not None]
