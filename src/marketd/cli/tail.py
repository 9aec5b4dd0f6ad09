"""`marketd tail`: the end of an event file, a Redis stream or a NATS subject, and what is added to it."""

import asyncio
from typing import Annotated

import typer

from marketd.cli.list_redis import list_streams
from marketd.cli.options import ConfigFile, EnvFile
from marketd.cli.stopping import run_until_stopped, until
from marketd.cli.tail_file import tail_file
from marketd.cli.tail_redis import tail_redis
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError

LAST = 10


def _sources(incomplete: str) -> list[str]:
    known = ("redis:list", "redis:trades:", "nats:md.events.>", "marketd-data/events.jsonl")
    return [one for one in known if one.startswith(incomplete)]


def tail(
    source: Annotated[
        str,
        typer.Argument(
            help="redis:KEY, redis:list, or an event file, as events.jsonl.",
            autocompletion=_sources,
        ),
    ],
    count: Annotated[int, typer.Option(min=0, help="The last so many; 0 follows what is added, until Ctrl-C.")] = LAST,
    group: Annotated[str | None, typer.Option(help="Take entries as a member of this group and acknowledge them.")] = None,
    consumer: Annotated[str | None, typer.Option(help="The member's name in the group; default tail.")] = None,
    config: ConfigFile = None,
    env_file: EnvFile = None,
) -> None:
    """The last entries of an event file or a Redis stream; --count 0 follows, until Ctrl-C.

    One JSON line an entry where the output is a pipe or a file, a line for people on a terminal. REDIS_URL and NATS_URL say
    where the servers are. Without --group nothing is changed on a server.

    Examples:

    - `marketd tail marketd-data/events.jsonl`

    - `marketd tail redis:list`

    - `marketd tail redis:trades:BTCUSDT --count 0`

    - `marketd tail redis:trades:BTCUSDT --group mine --consumer one`
    """
    kind, _, name = source.partition(":")
    if consumer is not None and group is None:
        raise ConfigError("--consumer: is a member's name within a group; expected --group NAME beside it")
    if kind == "redis":
        _redis(name, count, group, consumer or "tail", load(Flags(file=config, env_file=env_file)))
        return
    if kind == "nats":
        raise ConfigError(f"tail {source}: nats is not in this version; allowed: redis:KEY, redis:list or a .jsonl file")
    if group is not None:
        raise ConfigError(f"--group {group}: a file has no consumer groups; allowed with redis:KEY")
    tail_file(source, count)


def _redis(name: str, count: int, group: str | None, consumer: str, config: Config) -> None:
    if not name:
        raise ConfigError("tail redis: names no stream; expected redis:KEY, as redis:trades:BTCUSDT, or redis:list")
    if name == "list" and group is not None:
        raise ConfigError(f"--group {group}: the list has no consumer groups; allowed with redis:KEY")

    async def work(stop: asyncio.Event) -> None:
        url = config.redis.url
        work = list_streams(url) if name == "list" else tail_redis(url, name, count, group, consumer)
        await until(stop, work)

    run_until_stopped(work)
