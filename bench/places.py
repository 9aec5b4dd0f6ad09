"""Where the chain may end: files, a Redis stream, NATS, JetStream; each with a server of its own and its own count."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

OFF = {"MARKETD__SINKS__SQLITE__ENABLED": "false", "MARKETD__SINKS__JSONL__ENABLED": "false"}
KEPT = 50_000_000  # entries: nothing is trimmed while it is counted


class Place(Protocol):
    """What the events reach in the end."""

    name: str
    sinks: tuple[str, ...]  # whose time counts
    channels: tuple[str, ...]
    environ: Mapping[str, str]

    def count(self, data_dir: Path) -> tuple[int, int]:
        """Trades and quotes that are there; of several sinks, those of the one that has fewer."""
        ...


@dataclass
class Files:
    name: str = "SQLite + JSONL"
    sinks: tuple[str, ...] = ("sqlite", "jsonl")
    channels: tuple[str, ...] = ("trade", "quote", "book")
    environ: Mapping[str, str] = field(default_factory=dict)

    def count(self, data_dir: Path) -> tuple[int, int]:
        with closing(sqlite3.connect(data_dir / "market_data.db")) as db:
            rows = db.execute("SELECT (SELECT count(*) FROM trades), (SELECT count(*) FROM quotes)").fetchone()
        whole = b"".join(path.read_bytes() for path in data_dir.glob("events*.jsonl"))
        lines = whole.count(b'{"type":"trade"'), whole.count(b'{"type":"quote"')
        return min(rows[0], lines[0]), min(rows[1], lines[1])


@contextmanager
def files() -> Iterator[Place]:
    yield Files()


@dataclass
class Server:
    """A server of its own, that holds trades only."""

    name: str
    sinks: tuple[str, ...]
    environ: Mapping[str, str]
    counted: "Counted"
    channels: tuple[str, ...] = ("trade",)

    def count(self, _: Path) -> tuple[int, int]:
        return self.counted(), 0


class Counted(Protocol):
    def __call__(self) -> int: ...


@contextmanager
def redis() -> Iterator[Place]:
    from tests.redis_server import RedisServer

    with RedisServer(appendonly="no") as server:  # in memory: else the disk is measured

        def count() -> int:
            with server.client() as client:
                return sum(client.xlen(key) for key in client.scan_iter("trades:*"))

        environ = {**OFF, "MARKETD__REDIS__ENABLED": "true", "REDIS_URL": server.url, "STREAM_MAXLEN": str(KEPT)}
        yield Server("Redis Streams", ("redis",), environ, count)


@contextmanager
def nats() -> Iterator[Place]:
    """Core NATS: the server's own count of messages that came in; with trades only, hardly anything else does."""
    from tests.nats_servers import NatsServer

    with NatsServer(jetstream=False) as server:

        def count() -> int:
            with urllib.request.urlopen(f"{server.monitor_url}/varz", timeout=10) as page:
                return int(json.load(page)["in_msgs"])

        yield Server("NATS", ("nats",), {**OFF, "NATS_ENABLED": "true", "NATS_URL": server.url}, count)


@contextmanager
def jetstream() -> Iterator[Place]:
    from tests.nats_servers import NatsServer

    with NatsServer() as server:

        def count() -> int:
            with urllib.request.urlopen(f"{server.monitor_url}/jsz?streams=true", timeout=10) as page:
                accounts = json.load(page).get("account_details", [])
            return sum(stream["state"]["messages"] for one in accounts for stream in one.get("stream_detail", []))

        environ = {**OFF, "NATS_ENABLED": "true", "USE_JETSTREAM": "true", "NATS_URL": server.url}
        yield Server("JetStream", ("jetstream",), environ, count)


PLACES = {"files": files, "redis": redis, "nats": nats, "jetstream": jetstream}
