"""`marketd demo`: everything, on simulated venues."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from marketd.api.views import Views
from marketd.cli.live import is_wanted, show_live
from marketd.cli.options import LogLevel
from marketd.cli.stopping import run_until_stopped
from marketd.config import Config, Flags, load
from marketd.daemon import serve
from marketd.errors import ConfigError
from marketd.log import configure
from marketd.sim import SIM_VENUES
from marketd.sim.apart import Apart, open_apart
from marketd.venues import known_venues

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BTCUSD", "ETHUSD", "AAPL", "MSFT")
DATA_DIR = Path("marketd-data")
PORT = 8100
RATE = 20.0  # market events a second and venue
DAYS = 2  # of history that is fetched


def demo(
    port: Annotated[int, typer.Option(help="Port of the API; 0 takes a free one.")] = PORT,
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where databases and event files are.")] = DATA_DIR / "demo",
    rate: Annotated[float, typer.Option(min=0, max=1e6, help="Market events a second and venue.")] = RATE,
    seed: Annotated[int, typer.Option(help="Of the simulated market.")] = 1,
    faults: Annotated[str, typer.Option(help="Faults to inject, as `disconnect:every=30s`.")] = "",
    seconds: Annotated[float | None, typer.Option(min=0, max=1e9, help="Stop after so many seconds.")] = None,
    log_level: LogLevel = None,
) -> None:
    """Everything, on simulated venues: no network, no accounts, no servers. Ctrl-C stops it.

    Examples:

    - `marketd demo`

    - `marketd demo --faults "gap:venue=binance,every=20s"`
    """

    async def work(stop: asyncio.Event) -> None:
        opening = open_apart(_venues(), seed=seed, rate=rate, faults=faults, on_end=stop.set)
        async with opening as apart, asyncio.TaskGroup() as group:
            config = _config(apart, port, data_dir, log_level)
            configure(config.logging, config.data_dir)

            def ready(address: str, views: Views) -> None:
                print(f"marketd demo: {len(apart.listed)} simulated venues ({', '.join(apart.listed)})", flush=True)
                print(f"marketd demo: data in {config.data_dir}", flush=True)
                print(f"marketd demo: open {address} in a browser; Ctrl-C stops", flush=True)
                if is_wanted(config.logging.format):
                    group.create_task(show_live(views, address, stop), name="live")

            limit = None if seconds is None else asyncio.get_running_loop().call_later(seconds, stop.set)
            try:
                await serve(config, stop, on_ready=ready)
            finally:
                stop.set()
                if limit is not None:
                    limit.cancel()
        print("marketd demo: stopped", flush=True)

    try:
        run_until_stopped(work)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _venues() -> list[str]:
    """Those that can be simulated, of those there are."""
    known = known_venues()
    return [name for name in SIM_VENUES if name in known]


def _config(apart: Apart, port: int, data_dir: Path, log_level: str | None) -> Config:
    """Only what the simulation says and the log format of this machine: a demo never reaches a real venue."""
    environ = {name: os.environ[name] for name in ("MARKETD_LOG_FORMAT",) if name in os.environ}
    environ |= {**apart.env, "MARKETD__DAEMON__BACKFILL_DAYS": str(DAYS)}
    environ |= {"MARKETD__PAPER__TIMEFRAME": "5m", "MARKETD__PAPER__BOOK": "demo"}  # something to see within minutes
    for name, listed in apart.listed.items():
        section = f"MARKETD__EXCHANGES__{name.upper()}"
        environ |= {
            f"{section}__SYMBOLS": ",".join(symbol for symbol in SYMBOLS if symbol in listed),
            f"{section}__CHANNELS": "trade,quote,book,candle",
            f"{section}__TIMEFRAMES": "1m,5m,1h",
            f"{section}__KEY": "demo",  # for those that want keys
            f"{section}__SECRET": "demo",
            f"{section}__DRY_RUN": "false",
        }
    flags = Flags(
        profile="all-in-one",
        venues=",".join(apart.listed),
        data_dir=data_dir,
        host="127.0.0.1",
        port=port,
        log_level=log_level or ("warning" if sys.stderr.isatty() else "info"),
    )
    return load(flags, environ, cwd=Path(os.devnull))
