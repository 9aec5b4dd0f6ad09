"""Which streams a NATS server keeps, and of what: `marketd tail nats:list`."""

import sys
from collections.abc import Callable
from typing import Any

from marketd.cli.columns import Column, no_room, print_columns, second
from marketd.cli.counting import counted
from marketd.cli.entries import Output
from marketd.cli.nats_stored import held, streams
from marketd.cli.tail_nats import open_server
from marketd.net.nats import NatsConfig

NS = 1_000_000_000
SUBJECTS_SHOWN = 2


async def list_streams(config: NatsConfig) -> None:
    """Every stream with its subjects, what it holds and its limits. Raises StartError, also where there is no JetStream."""
    out = Output()
    async with open_server(config) as link:
        found = [_described(one, await held(link.session, one["config"]["name"])) for one in await streams(link.session)]
        where = link.state.url
    if not found:
        print(f"no streams at {where}", file=sys.stderr)
        return
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
    def column(name: str, weight: int, cell: Callable[[dict[str, Any]], str], is_number: bool = False) -> Column:
        return Column(name, weight, [cell(one) for one in found], is_number)

    left_out = print_columns(
        [
            column("stream", 0, lambda one: str(one["stream"])),
            column("takes", 0, lambda one: _subjects(one["subjects"])),
            column("messages", 1, lambda one: f"{one['messages']:,}", True),
            column("MiB", 4, lambda one: f"{one['bytes'] / 2**20:,.1f}", True),
            column("held", 5, lambda one: f"{len(one['held']):,}", True),
            column("first (UTC)", 7, lambda one: second(one["first"])),
            column("last (UTC)", 2, lambda one: second(one["last"])),
            column("consumers", 6, lambda one: str(one["consumers"]), True),
            column("copies", 8, lambda one: str(one["copies"]), True),
            column("keeps", 3, _limits),
        ]
    )
    held = "" if "held" in left_out else "; held: subjects with a message in the stream"
    print(f"{counted(len(found), 'stream')} at {where}{held}{no_room(left_out)}")


def _subjects(its: list[str]) -> str:
    """The first few whole: one of them is what one types next."""
    more = f" and {len(its) - SUBJECTS_SHOWN:,} more" if len(its) > SUBJECTS_SHOWN else ""
    return f"{', '.join(its[:SUBJECTS_SHOWN])}{more}" or "-"


def _limits(its: dict[str, Any]) -> str:
    limits = [f"{its['age_s_max']:,.0f} s"] if its["age_s_max"] else []
    if its["bytes_max"]:
        limits.append(f"{its['bytes_max'] / 2**20:,.0f} MiB")
    return ", ".join(limits) or "all"
