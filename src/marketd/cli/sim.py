"""`marketd sim`: the simulated venues, for trying and testing without a network."""

import asyncio
import errno
from pathlib import Path
from typing import Annotated

import typer

from marketd.cli.stopping import run_until_stopped
from marketd.errors import ConfigError, StartError
from marketd.model.times import ns_of_iso
from marketd.sim import PORT, SIM_VENUES, open_sim, several

ALL = "all"


def _names(incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in (*SIM_VENUES, ALL) if name.startswith(last)]


def _time(text: str) -> int:
    try:
        return ns_of_iso(text if len(text) > 10 else f"{text}T00:00:00") if len(text) != 16 else ns_of_iso(f"{text}:00")
    except ValueError:
        raise ConfigError(f"sim --now: {text!r} is not a time such as 2016-09-01 or 2016-09-01T00:00:00Z") from None


def _symbols(text: str) -> list[str]:
    """By name with commas; a number is so many, BTC, ETH, SOL and invented ones against USDT."""
    return list(several(int(text))) if text.isdecimal() else [one.strip().upper() for one in text.split(",") if one.strip()]


def _shares(text: str) -> dict[str, float]:
    try:
        pairs = [one.split("=", 1) for one in text.split(",") if one.strip()]
        return {symbol.strip().upper(): float(share) for symbol, share in pairs}
    except ValueError:
        raise ConfigError(f"sim --thin: {text!r} should be symbols and shares such as SOLUSD=0.9,ETHUSD=0.5") from None


def sim(
    venue: Annotated[str, typer.Option(help="Venues by name with commas, or all.", autocompletion=_names)] = ALL,
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Play this recording, or serve these candles (files, directories), of one venue."),
    ] = None,
    faults: Annotated[str, typer.Option(help="Faults to inject, as `disconnect:every=30s;garble:p=0.01`.")] = "",
    seed: Annotated[int, typer.Option(help="Of the market: the same seed, the same market.")] = 1,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes a free one.")] = PORT,
    rate: Annotated[
        float, typer.Option(min=0, max=1e6, help="Market events a second and venue; five of eight are trades.")
    ] = 20.0,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Of a recording: 1 as recorded; default as fast as taken.")
    ] = None,
    symbols: Annotated[str, typer.Option(help="Symbols instead of each venue's own list, or how many.")] = "",
    now: Annotated[str, typer.Option(help="What the venues' clocks say at the start, as 2016-09-01T00:00.")] = "",
    thin: Annotated[str, typer.Option(help="Share of a symbol's minutes without a trade, as SOLUSD=0.9.")] = "",
) -> None:
    """Simulated venues that speak the real ones' protocols. Prints the variables that point marketd at them.

    Examples:

    - `marketd sim`

    - `marketd sim --venue binance --faults "gap:every=20s"`

    - `marketd sim --venue binance --symbols 250 --rate 32000`: 20,000 trades a second

    - `marketd sim --venue binance --from BTCUSDT-1h.csv.gz --now 2022-10-01`
    """
    wanted = [name.strip() for name in venue.split(",") if name.strip()]
    chosen = list(SIM_VENUES) if wanted == [ALL] else wanted

    async def work(stop: asyncio.Event) -> None:
        try:
            async with open_sim(
                chosen,
                host,
                port,
                seed=seed,
                rate=0.0 if source else rate,
                faults=faults,
                symbols=_symbols(symbols),
                recording=source,
                speed=speed,
                now=_time(now) if now else None,
                thin=_shares(thin),
            ) as running:
                print("\n".join(f"export {name}={text}" for name, text in running.env().items()), flush=True)  # all at once
                await stop.wait()
        except ValueError as error:
            raise ConfigError(str(error)) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartError(f"sim: {host}:{port} is in use; change the port with --port") from None
            if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
                raise StartError(f"sim: {error.filename}: {error.strerror}") from None
            raise

    run_until_stopped(work)
