"""Which streams a Redis server holds: `marketd tail redis:list`."""

from typing import Any

from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from marketd.cli.entries import Output, time_of_id
from marketd.cli.tail_redis import in_time, open_server
from marketd.secrets import SecretUrl, masked

RIGHT = ("entries", "KiB")


async def list_streams(url: SecretUrl) -> None:
    """Every stream with its length, the times of its first and last entry, its memory and consumer groups. Raises StartError."""
    out = Output()
    async with open_server(url) as client:
        names = sorted([name async for name in client.scan_iter(_type="STREAM", count=1000)])
        found = [await in_time(_described(client, name)) for name in names]
    if out.is_read_by_people:
        _print_table(found, masked(url.get_secret_value()))
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
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "entries", "first", "last", "KiB", "groups (members, pending, behind)"):
        table.add_column(name, justify="right" if name in RIGHT else "left", no_wrap=True)
    for one in found:
        size = f"{(one['bytes'] or 0) / 1024:,.0f}"
        groups = ", ".join(_group(group) for group in one["groups"])
        table.add_row(one["stream"], f"{one['length']:,}", one["first"] or "-", one["last"] or "-", size, groups)
    Console().print(table)
    print(f"{len(found):,} {'stream' if len(found) == 1 else 'streams'} at {where}")


def _group(its: dict[str, Any]) -> str:
    behind = "?" if its["lag"] is None else f"{its['lag']:,}"
    return f"{its['name']} ({its['consumers']}, {its['pending']:,}, {behind})"
