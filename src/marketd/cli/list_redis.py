"""Which streams a Redis server holds: `marketd tail redis:list`."""

import sys
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis

from marketd.cli.columns import Column, no_room, print_columns, second
from marketd.cli.counting import counted
from marketd.cli.entries import Output, time_of_id
from marketd.cli.tail_redis import in_time, open_server
from marketd.secrets import SecretUrl, masked


async def list_streams(url: SecretUrl) -> None:
    """Every stream with its length, the times of its first and last entry, its memory and consumer groups. Raises StartError."""
    out = Output()
    async with open_server(url) as client:
        names = sorted([name async for name in client.scan_iter(_type="STREAM", count=1000)])
        found = [await in_time(_described(client, name)) for name in names]
    where = masked(url.get_secret_value())
    if not found:
        print(f"no streams at {where}", file=sys.stderr)
        return
    if out.is_read_by_people:
        _print_table(found, where)
        return
    for one in found:
        out.json(one)
    out.flush()


async def _described(client: Redis, name: str) -> dict[str, Any]:
    about: Any = await client.xinfo_stream(name)
    groups: Any = await client.xinfo_groups(name)
    return {
        "stream": name,
        "length": about["length"],
        "first": _time(about["first-entry"]),
        "last": _time(about["last-entry"]),
        "bytes": await client.memory_usage(name),
        "groups": [{key: one.get(key) for key in ("name", "consumers", "pending", "lag")} for one in groups],
    }


def _time(entry: Any) -> str | None:
    """When the server took it."""
    time = None if entry is None else time_of_id(entry[0])
    return None if time is None else time.isoformat(timespec="milliseconds")


def _print_table(found: list[dict[str, Any]], where: str) -> None:
    def column(name: str, weight: int, cell: Callable[[dict[str, Any]], str], is_number: bool = False) -> Column:
        return Column(name, weight, [cell(one) for one in found], is_number)

    left_out = print_columns(
        [
            column("stream", 0, lambda one: str(one["stream"])),
            column("entries", 1, lambda one: f"{one['length']:,}", True),
            column("first (UTC)", 5, lambda one: second(one["first"])),
            column("last (UTC)", 2, lambda one: second(one["last"])),
            column("KiB", 4, lambda one: f"{(one['bytes'] or 0) / 1024:,.0f}", True),
            column("groups (members, pending, behind)", 3, lambda one: ", ".join(map(_group, one["groups"])) or "-"),
        ]
    )
    print(f"{counted(len(found), 'stream')} at {where}{no_room(left_out)}")


def _group(its: dict[str, Any]) -> str:
    behind = "?" if its["lag"] is None else f"{its['lag']:,}"
    return f"{its['name']} ({its['consumers']}, {its['pending']:,}, {behind})"
