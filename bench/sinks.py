"""What it costs to store: SQLite and JSON lines against what one would first think of, and the time from receiving to stored."""

import asyncio
import json
import sqlite3
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import uvloop

from bench.rounds import Row, absolute, faster, interleave
from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Event, Quote, Trade
from marketd.sinks.delivery import run_sinks
from marketd.sinks.jsonl import JsonLines, JsonLinesConfig
from marketd.sinks.sink import Latencies
from marketd.stores.events import EventStore, EventStoreConfig
from marketd.stores.housekeeping import Retention
from marketd.stores.schema import TABLES
from marketd.stores.writing import Writer

COUNT = 20_000
PER_WRITE = 1000
RATES = (5_000, 20_000, 50_000)
SECONDS = 5.0


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        return [*sqlite_rows(Path(directory)), *jsonl_rows(Path(directory)), *latency_rows()]


def trades(first: int, count: int) -> list[Event]:
    start = 1_700_000_000_000_000_000
    return [
        Trade(
            "binance", "BTCUSDT", start + at * 1000, start + at * 1000 + 500, "37123.45000000", "0.00150000", "buy", str(at)
        )
        for at in range(first, first + count)
    ]  # fmt: skip


def sqlite_rows(directory: Path) -> list[Row]:
    """Each side writes trades that are new to it; ours keeps its ledger as well."""
    store = Writer(directory / "ours.db", {}, Retention(None, None))
    store.open()
    peers = {name: _stdlib(path) for name, path in (("file", str(directory / "theirs.db")), ("memory", ":memory:"))}
    firsts = dict.fromkeys(("ours", *peers), 1)

    def batches(name: str) -> list[list[Event]]:
        made = trades(firsts[name], COUNT)
        firsts[name] += COUNT
        return [made[at : at + PER_WRITE] for at in range(0, COUNT, PER_WRITE)]

    prepared: dict[str, list[list[list[Event]]]] = {name: [batches(name) for _ in range(8)] for name in firsts}

    def ours() -> None:
        for batch in prepared["ours"].pop():
            store.write(batch, 0)

    def theirs(name: str) -> None:
        for batch in prepared[name].pop():
            with peers[name] as db:
                rows = map(msgspec.structs.astuple, batch)
                db.executemany("INSERT OR IGNORE INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    took = interleave({"ours": ours, "file": lambda: theirs("file"), "memory": lambda: theirs("memory")}, rounds=7)
    counted = [next(iter(db.execute("SELECT count(*) FROM trades")))[0] for db in peers.values()]
    assert counted == [8 * COUNT] * 2
    store.close()
    for db in peers.values():
        db.close()
    path = "SQLite sink, ledger included"
    memory = faster(path, took["ours"], "stdlib executemany of 1000, in memory", took["memory"], 0.6)
    file = faster(path, took["ours"], "stdlib executemany of 1000", took["file"], 1.5, "either target will do")
    return [replace(file, verdict="pass") if memory.verdict == "pass" else file, memory]


def _stdlib(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.executescript(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536"
    )
    db.executescript(TABLES)
    return db


def jsonl_rows(directory: Path) -> list[Row]:
    events = trades(1, COUNT)
    sink = JsonLines(JsonLinesConfig(rotate_bytes=2**40), directory, SystemClock())
    sink._open()

    def ours() -> None:
        for at in range(0, COUNT, 1024):
            sink._write(events[at : at + 1024])

    def per_event() -> None:
        encode = msgspec.json.Encoder().encode
        with (directory / "per_event").open("wb") as file:
            for event in events:
                file.write(encode(event) + b"\n")
                file.flush()

    def standard() -> None:
        with (directory / "standard").open("w") as file:
            for event in events:
                file.write(json.dumps({"type": "trade", **msgspec.structs.asdict(event)}) + "\n")

    took = interleave({"ours": ours, "per event": per_event, "stdlib": standard}, rounds=7)
    sink._close()
    return [
        faster("JSONL sink", took["ours"], "per-event msgspec and flush", took["per event"], 2),
        faster("JSONL sink", took["ours"], "stdlib json", took["stdlib"], 15),
    ]


def latency_rows() -> list[Row]:
    rows = []
    for rate in RATES:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(uvloop.run(_stored(Path(directory), rate)))
    return rows


async def _stored(directory: Path, rate: int) -> Row:
    """From received to committed, of the oldest event in each batch; half trades, half quotes, one publish for each event."""
    clock, bus, samples = SystemClock(), Bus(Metrics()), list[float]()
    async with (
        EventStore(EventStoreConfig(), directory, clock) as store,
        run_sinks([JsonLines(JsonLinesConfig(), directory, clock)], bus, clock, data_dir=directory, stores=[store]) as view,
    ):
        state = view.states[0]
        state.stored_ms = Samples(samples)
        published = await paced(bus, rate)
        while state.delivered < published:
            await asyncio.sleep(0.001)
        stored = sum((await store.ask(lambda reader: reader.counts())).values())
    samples.sort()
    p50, p99 = samples[len(samples) // 2], samples[int(len(samples) * 0.99)]
    return absolute(
        f"bus to SQLite + JSONL at {rate:,}/s", f"p99 {p99:.1f} ms", "<= 10 ms, nothing lost",
        reached=p99 <= 10 and stored == published, check=f"p50 {p50:.1f} ms, {published - stored} lost",
        note="the writer waits for its turn at the interpreter",
    )  # fmt: skip


async def paced(bus: Bus, rate: int) -> int:
    """Publish so many events a second, one at a time, for `SECONDS`; how many it were."""
    started, published = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < SECONDS:
        due = int(passed * rate)
        for number in range(published, due):
            bus.publish([_event(number)])
        published = max(published, due)
        await asyncio.sleep(0.001)
    return published


class Samples(Latencies):
    """Keeps them all."""

    def __init__(self, samples: list[float]) -> None:
        super().__init__()
        self._all = samples

    def add(self, ms: float) -> None:
        self._all.append(ms)


def _event(number: int) -> Event:
    now = time.time_ns()
    if number % 2:
        return Trade("binance", "BTCUSDT", now, now, "37123.45000000", "0.00150000", "buy", str(number))
    return Quote("binance", "ETHUSDT", None, now, "2123.45", "1.20", "2123.46", "0.70", number)
