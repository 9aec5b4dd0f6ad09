"""Which streams a NATS server keeps, and of what: `marketd tail nats:list`."""

from typing import Any

from rich.console import Console
from rich.table import Table

from marketd.cli.entries import Output
from marketd.cli.nats_stored import held, streams
from marketd.cli.tail_nats import open_server
from marketd.net.nats import NatsConfig

NS = 1_000_000_000
RIGHT = ("messages", "MiB", "held", "consumers", "copies")


async def list_streams(config: NatsConfig) -> None:
    """Every stream with its subjects, what it holds and its limits. Raises StartError, also where there is no JetStream."""
    out = Output()
    async with open_server(config) as link:
        found = [_described(one, await held(link.client, one["config"]["name"])) for one in await streams(link.client)]
        where = link.state.url
    if out.is_read_by_people:
        _print_table(found, where)
        return
    for one in found:
        out.json(one)
    out.flush()


def _described(stream: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    config, state = stream["config"], stream["state"]
    is_empty = not state["messages"]
    return {
        "stream": config["name"],
        "subjects": config.get("subjects") or [],
        "messages": state["messages"],
        "bytes": state["bytes"],
        "first": None if is_empty else state["first_ts"],
        "last": None if is_empty else state["last_ts"],
        "consumers": state["consumer_count"],
        "copies": config.get("num_replicas", 1),
        "age_s_max": config.get("max_age", 0) / NS or None,
        "bytes_max": config["max_bytes"] if config.get("max_bytes", -1) > 0 else None,
        "duplicate_window_s": config.get("duplicate_window", 0) / NS,
        "held": counts,
    }


def _print_table(found: list[dict[str, Any]], where: str) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "takes", "messages", "MiB", "held", "first", "last", "consumers", "copies", "keeps"):
        table.add_column(name, justify="right" if name in RIGHT else "left", no_wrap=True)
    for one in found:
        table.add_row(
            one["stream"],
            ", ".join(one["subjects"]) or "-",
            f"{one['messages']:,}",
            f"{one['bytes'] / 2**20:,.1f}",
            f"{len(one['held']):,}",
            _second(one["first"]),
            _second(one["last"]),
            str(one["consumers"]),
            str(one["copies"]),
            _limits(one),
        )
    Console().print(table)
    print(f"{len(found):,} {'stream' if len(found) == 1 else 'streams'} at {where}; held: subjects with a message in the stream")


def _second(time: str | None) -> str:
    return "-" if time is None else f"{time[:19]}Z"


def _limits(its: dict[str, Any]) -> str:
    limits = [f"{its['age_s_max']:,.0f} s"] if its["age_s_max"] else []
    if its["bytes_max"]:
        limits.append(f"{its['bytes_max'] / 2**20:,.0f} MiB")
    return ", ".join(limits) or "all"
