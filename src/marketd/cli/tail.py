"""`marketd tail`: the end of an event file, a Redis stream or a NATS subject, and what is added to it."""

import asyncio
from typing import Annotated

import typer

from marketd.cli.list_nats import list_streams as nats_streams
from marketd.cli.list_redis import list_streams as redis_streams
from marketd.cli.options import ConfigFile, EnvFile
from marketd.cli.stopping import run_until_stopped, until
from marketd.cli.tail_file import tail_file
from marketd.cli.tail_nats import tail_nats
from marketd.cli.tail_redis import tail_redis
from marketd.config import Config, Flags, load
from marketd.errors import ConfigError

LAST = 10


def _sources(incomplete: str) -> list[str]:
    known = ("redis:list", "redis:trades:", "nats:list", "nats:md.events.>", "marketd-data/events.jsonl")
    return [one for one in known if one.startswith(incomplete)]


def tail(
    source: Annotated[
        str,
        typer.Argument(
            help="redis:KEY, redis:list, nats:SUBJECT, nats:list, or an event file, as events.jsonl.",
            autocompletion=_sources,
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option(min=0, help="The last so many; 0 follows what is added, until Ctrl-C. Default 10, of a NATS subject 0."),
    ] = None,
    group: Annotated[str | None, typer.Option(help="Take entries as a member of this group and acknowledge them.")] = None,
    consumer: Annotated[str | None, typer.Option(help="The member's name in the group; default tail.")] = None,
    config: ConfigFile = None,
    env_file: EnvFile = None,
) -> None:
    """The last entries of an event file or a Redis stream, what is said on a NATS subject; --count 0 follows, until Ctrl-C.

    With --count N, of a subject that a JetStream stream keeps the last N, of any other the next N.

    One JSON line an entry where the output is a pipe or a file, a line for people on a terminal. REDIS_URL and NATS_URL say
    where the servers are. Without --group nothing is changed on a server.

    Examples:

    - `marketd tail marketd-data/events.jsonl`

    - `marketd tail redis:list`

    - `marketd tail redis:trades:BTCUSDT --count 0`

    - `marketd tail redis:trades:BTCUSDT --group mine --consumer one`

    - `marketd tail "nats:md.events.trade.>"`

    - `marketd tail nats:list`
    """
    kind, _, name = source.partition(":")
    if consumer is not None and group is None:
        raise ConfigError("--consumer: is a member's name within a group; expected --group NAME beside it")
    if kind == "redis":
        _redis(name, LAST if count is None else count, group, consumer or "tail", load(Flags(file=config, env_file=env_file)))
        return
    if kind == "nats":
        if consumer is not None:
            raise ConfigError(f"--consumer {consumer}: members of a NATS group have no names; allowed with redis:KEY")
        _nats(name, count or 0, group, load(Flags(file=config, env_file=env_file)))
        return
    if group is not None:
        raise ConfigError(f"--group {group}: a file has no groups; allowed with redis:KEY and nats:SUBJECT")
    tail_file(source, LAST if count is None else count)


def _redis(name: str, count: int, group: str | None, consumer: str, config: Config) -> None:
    if not name:
        raise ConfigError("tail redis: names no stream; expected redis:KEY, as redis:trades:BTCUSDT, or redis:list")
    _no_group_of_a_list(name, group)

    async def work(stop: asyncio.Event) -> None:
        url = config.redis.url
        work = redis_streams(url) if name == "list" else tail_redis(url, name, count, group, consumer)
        await until(stop, work)

    run_until_stopped(work)


def _nats(name: str, count: int, group: str | None, config: Config) -> None:
    if not name:
        raise ConfigError("tail nats: names no subject; expected nats:SUBJECT, as nats:md.events.>, or nats:list")
    _no_group_of_a_list(name, group)

    async def work(stop: asyncio.Event) -> None:
        await until(stop, nats_streams(config.nats) if name == "list" else tail_nats(config.nats, name, count, group))

    run_until_stopped(work)


def _no_group_of_a_list(name: str, group: str | None) -> None:
    if name == "list" and group is not None:
        raise ConfigError(f"--group {group}: a list has no groups; allowed with redis:KEY and nats:SUBJECT")
