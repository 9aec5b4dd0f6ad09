"""`marketd replay`: a capture through the same decoders to the configured sinks."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from marketd.cli.options import ConfigFile, DataDir, EnvFile, Profile, Provider, configured
from marketd.config import Config, Flags
from marketd.daemon import Replayed
from marketd.daemon import replay as replay_capture
from marketd.errors import ConfigError

MAX = "max"


def replay(
    capture: Annotated[Path, typer.Argument(help="A capture, as `marketd run --capture` makes it (.jsonl, .gz, .zst).")],
    provider: Provider = None,
    speed: Annotated[str, typer.Option(help="1 as recorded, 10 ten times as fast, max as fast as the sinks take it.")] = MAX,
    config: ConfigFile = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    env_file: EnvFile = None,
) -> None:
    """Replay a capture to the configured sinks, by default SQLite and JSONL in the data directory. No other input or output.

    Deterministic: the same capture gives the same events, byte for byte.

    Examples:

    - `marketd replay session.jsonl.zst`

    - `marketd replay frames.jsonl --provider kraken --data-dir replayed`
    """
    loaded = configured(Flags(profile=profile, file=config, env_file=env_file, data_dir=data_dir))
    factor = _speed(speed)
    if not capture.is_file():
        raise ConfigError(f"capture {capture}: there is no such file")
    done = _run(loaded, capture, provider, factor)
    events = ", ".join(f"{count:,} {kind}" for kind, count in sorted(done.events.items())) or "none"
    print(f"replayed {done.records:,} records into {loaded.data_dir}: {events}")
    if done.bad_frames:
        print(f"frames not understood: {done.bad_frames:,}")


def _run(config: Config, capture: Path, venue: str | None, speed: float | None) -> Replayed:
    console = Console(stderr=True)
    with console.status("replaying") as status, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        def progress(done: Replayed) -> None:
            if console.is_terminal:
                status.update(f"replaying: {done.records:,} records, {sum(done.events.values()):,} events")

        return runner.run(replay_capture(config, capture, venue=venue, speed=speed, on_progress=progress))


def _speed(text: str) -> float | None:
    if text == MAX:
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < 1e9:
        raise ConfigError(f"--speed: found {text!r}, expected a number above 0, or max")
    return factor
