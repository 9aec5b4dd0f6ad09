"""`marketd run`: the daemon."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from marketd.api.views import Views
from marketd.cli.live import is_wanted, show_live
from marketd.cli.options import (
    Channels,
    ConfigFile,
    DataDir,
    EnvFile,
    Host,
    LogLevel,
    Port,
    Profile,
    Provider,
    Roles,
    Shard,
    Symbols,
    configured,
)  # fmt: skip
from marketd.cli.stopping import run_until_stopped
from marketd.config import Config, Flags
from marketd.daemon import serve
from marketd.daemon.systemd import Supervisor
from marketd.errors import ConfigError


def run(
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
    log_level: LogLevel = None,
    capture: Annotated[Path | None, typer.Option(help="Record every frame to this file, for `marketd replay`.")] = None,
) -> None:
    """Collect, check, repair and record, until Ctrl-C.

    With nothing: everything this version has, on port 8100. With --provider or --symbols: profile live-ingest, on port 8891.

    Examples:

    - `marketd run --provider binance --symbols BTCUSDT,ETHUSDT`

    - `marketd run --profile live-ingest`

    - `marketd run -c config.yaml`

    Exit codes: 0 stopped in order; 1 it could not start or go on; 2 the configuration is wrong.
    """
    flags = Flags(profile, config, env_file, data_dir, roles, provider, symbols, channels, shard, host, port, log_level)
    run_daemon(runnable(configured(flags)), capture)


def runnable(config: Config) -> Config:
    """The config, if there is something to collect where it collects. Raises ConfigError otherwise."""
    is_found = config.discovery.enabled and bool(config.feeds)
    if "ingest" in config.roles and not is_found and not any(venue.symbols for venue in config.feeds.values()):
        raise ConfigError("config exchanges: nothing to collect; name venues and symbols, as --provider NAME --symbols BTCUSDT")
    return config


def run_daemon(config: Config, capture: Path | None = None) -> None:
    """Serve until a signal, with a status line where a person is watching, and word to systemd where it waits for some."""
    supervisor = Supervisor.of(os.environ)

    async def work(stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            if supervisor is not None:
                group.create_task(supervisor.tell(stop), name="systemd")

            def ready(address: str, views: Views) -> None:
                if supervisor is not None:
                    supervisor.sees(address, views)
                if is_wanted(config.logging.format):
                    group.create_task(show_live(views, address, stop), name="live")

            await serve(config, stop, capture=capture, on_ready=ready)
            stop.set()

    run_until_stopped(work)
