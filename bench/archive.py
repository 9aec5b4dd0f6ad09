"""What it costs to keep candles: a page into PostgreSQL and SQLite against the floor of each, and the scan for gaps."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import uvloop

from bench.rounds import Row, absolute, faster, interleave, not_measured
from marketd.clock import SystemClock
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import State, Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import Archive, Page, Written, open_archive, upgrade_archive
from marketd.stores.archive.columns import datetime_of, second_text

COUNT = 10_000  # candles in a page, the most that a venue gives at once
ROUNDS = 7
START = 1_600_000_020_000_000_000 // MINUTE * MINUTE
SERIES, MINUTES, PARTS = 200, 500_000, 2_000  # of the scan: a hundred million candles, and what the ledger says of each series

COLUMNS = "exchange, symbol, timeframe, open_time, close_time, open, high, low, close, volume"
NAMES = COLUMNS.split(", ")
KEY = NAMES[:4]
REPLACE = ", ".join(f"{name} = excluded.{name}" for name in NAMES[4:])
CONFLICT = f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {REPLACE}"
UPSERT = f"INSERT INTO candles ({COLUMNS}) VALUES ({{}}) {CONFLICT}"
SERVER_SIDE = f"INSERT INTO candles ({COLUMNS}) SELECT {COLUMNS} FROM waiting"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        return [*postgresql_rows(), *sqlite_rows(Path(directory)), *scan_rows(Path(directory))]


def candles(symbol: str) -> list[Candle]:
    """A page of numbers that all differ, with as many digits as venues send."""
    return [
        Candle(
            *("bitfinex", symbol, None, START, "1m", START + at * MINUTE, START + (at + 1) * MINUTE),
            *(f"37{at:05d}.1", f"37{at:05d}.55", f"36{at:05d}.25", f"37{at:05d}", f"{at % 97}.{at:08d}", True),
        )
        for at in range(COUNT)
    ]


def page(symbol: str) -> Page:
    span = Interval(START, START + COUNT * MINUTE)
    rows = candles(symbol)
    return Page(CandleSeries("bitfinex", symbol, "1m"), span, rows, [Stretch(*span, "have", "backfill", START)], "backfill")


def plain(symbol: str, number: Callable[[str], Any], moment: Callable[[int], Any]) -> list[tuple[Any, ...]]:
    """The same page as a program would bind it that has no archive."""
    return [
        (row.venue, row.symbol, row.timeframe, moment(row.open_time), moment(row.close_time),
         *map(number, (row.open, row.high, row.low, row.close, row.volume)))
        for row in candles(symbol)
    ]  # fmt: skip


def symbols() -> Iterator[str]:
    """One for each round and side, so that every page is new."""
    for number in range(10**6):
        yield f"S{number:06d}"


@contextmanager
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


def postgresql_rows() -> list[Row]:
    path = f"PostgreSQL, upsert of {COUNT:,} candles with their ledger"
    try:
        from tests.postgres import PostgresServer
    except ImportError as error:
        return [not_measured(path, "server-side INSERT..SELECT", ">= 0.65x", f"the server is a development package ({error})")]
    with PostgresServer("fsync=on", "autovacuum=off") as server, loop() as runner:
        for name in ("ours", *PEERS):
            server.sql(f"CREATE DATABASE {name}")
            runner.run(upgrade_archive(server.url(name), SystemClock()))
        return runner.run(_prepared(server.url))(runner, path)


# Each in a database of its own, which grows with each round as ours does. `upsert` and `insert` move rows that the server has
# already, `copy` and `many` bring them; only `upsert` and `many` could meet a row that is there.
PEERS = ("upsert", "insert", "copy", "many")
Measure = Callable[[asyncio.Runner, str], list[Row]]


async def _prepared(url: Callable[[str], str]) -> Measure:
    opened = AsyncExitStack()
    archive = await opened.enter_async_context(open_archive(url("ours"), SystemClock(), upgrade=False))
    theirs = {name: await asyncpg.connect(url(name)) for name in PEERS}
    fresh = symbols()
    pages = [page(next(fresh)) for _ in range(ROUNDS + 1)]
    rows = {name: [plain(next(fresh), Decimal, datetime_of) for _ in range(ROUNDS + 1)] for name in PEERS}
    statement = UPSERT.format(", ".join(f"${at}" for at in range(1, 11)))
    for name in ("upsert", "insert"):
        await theirs[name].execute("CREATE TEMPORARY TABLE waiting AS SELECT * FROM candles")
    assert Written(COUNT, 0, 0) == await archive.put(page(next(fresh)))

    async def ours() -> None:
        await archive.put(pages.pop())

    async def fill() -> None:
        for name in ("upsert", "insert"):
            await theirs[name].execute("TRUNCATE waiting")
            await theirs[name].copy_records_to_table("waiting", records=rows[name].pop(), columns=NAMES)

    async def upsert() -> None:
        await theirs["upsert"].execute(f"{SERVER_SIDE} {CONFLICT}")

    async def insert() -> None:
        await theirs["insert"].execute(SERVER_SIDE)

    async def copy() -> None:
        await theirs["copy"].copy_records_to_table("candles", records=rows["copy"].pop(), columns=NAMES)

    async def many() -> None:
        async with theirs["many"].transaction():
            await theirs["many"].executemany(statement, rows["many"].pop())

    def measure(runner: asyncio.Runner, path: str) -> list[Row]:
        def side(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
            return lambda: runner.run(work())

        took = interleave({work.__name__: side(work) for work in (fill, upsert, ours, insert, copy, many)}, ROUNDS)
        for connection in theirs.values():
            runner.run(connection.close())
        runner.run(opened.aclose())
        speed = f"{COUNT / median(took['ours']):,.0f} candles/s"
        return [
            faster(path, took["ours"], "server-side INSERT..SELECT..ON CONFLICT", took["upsert"], 0.65, speed),
            faster(path, took["ours"], "asyncpg executemany of the same upsert", took["many"], 1.2),
            for_comparison(path, took["ours"], "COPY straight into the table", took["copy"]),
            for_comparison(
                path, took["ours"], "server-side INSERT..SELECT, which fails on any row that is there", took["insert"]
            ),
        ]

    return measure


def for_comparison(path: str, ours: list[float], against: str, theirs: list[float], note: str = "") -> Row:
    return replace(faster(path, ours, against, theirs, 0, note), target="-")


def sqlite_rows(directory: Path) -> list[Row]:
    """Both sides to files in the same manner: WAL, one sync a checkpoint."""
    with loop() as runner:
        return runner.run(_sqlite_prepared(directory))(runner, f"SQLite, upsert of {COUNT:,} candles with their ledger")


async def _sqlite_prepared(directory: Path) -> Measure:
    opened = AsyncExitStack()
    archive = await opened.enter_async_context(open_archive(f"sqlite:///{directory / 'ours.db'}", SystemClock()))
    await upgrade_archive(f"sqlite:///{directory / 'theirs.db'}", SystemClock())
    theirs = sqlite3.connect(directory / "theirs.db")
    opened.callback(theirs.close)
    theirs.executescript("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536")
    fresh = symbols()
    pages = [page(next(fresh)) for _ in range(ROUNDS + 1)]
    rows = [plain(next(fresh), str, second_text) for _ in range(ROUNDS + 1)]
    statement = UPSERT.format(", ".join("?" * 10))

    async def put() -> None:
        await archive.put(pages.pop())

    def execute_many() -> None:
        with theirs:
            theirs.executemany(statement, rows.pop())

    def measure(runner: asyncio.Runner, path: str) -> list[Row]:
        took = interleave({"ours": lambda: runner.run(put()), "many": execute_many}, ROUNDS)
        runner.run(opened.aclose())
        speed = f"{COUNT / median(took['ours']):,.0f} candles/s"
        return [for_comparison(path, took["ours"], "stdlib executemany of the same upsert, rows ready made", took["many"], speed)]

    return measure


def scan_rows(directory: Path) -> list[Row]:
    """A scan reads the ledger only: what is missing, of every series, and the figures of /status."""
    rows = []
    with loop() as runner:
        rows.append(runner.run(_scan(f"sqlite:///{directory / 'scan.db'}", "SQLite")))
        try:
            from tests.postgres import PostgresServer
        except ImportError:
            return rows
        with PostgresServer() as server:
            rows.append(runner.run(_scan(server.url("postgres"), "PostgreSQL")))
    return rows


async def _scan(url: str, kind: str) -> Row:
    async with open_archive(url, SystemClock()) as archive:
        for number in range(SERIES):
            series = CandleSeries("bitfinex", f"S{number:03d}USD", "1m")
            await archive.settle(series, known())
        took, found = [], 0
        for _ in range(5):
            started = time.perf_counter()
            found = await missing(archive)
            took.append(time.perf_counter() - started)
        started = time.perf_counter()
        await archive.summary()
        told = time.perf_counter() - started
    wanted = SERIES * (PARTS // 40)
    typical = median(took)
    note = f"{SERIES * PARTS:,} stretches, {found:,} missing; the summary that /status shows: {told:.2f} s"
    return absolute(
        f"{kind}, gap scan of {SERIES * MINUTES:,} candles, {SERIES} series", f"{typical:.2f} s", "< 2 s, every gap found",
        reached=typical < 2 and found == wanted, check=f"{min(took):.2f} s", note=note,
    )  # fmt: skip


def known() -> list[Stretch]:
    """Stretches of a series with few trades: had, empty, had, ..., and of each forty one that is missing."""
    length = MINUTES // PARTS * MINUTE

    def stretch(at: int, state: State, cause: str) -> Stretch:
        return Stretch(START + at * length, START + (at + 1) * length, state, cause, START)

    return [
        stretch(at, "missing", "fetch failed") if at % 40 == 39
        else stretch(at, "known_empty", "no trades") if at % 2
        else stretch(at, "have", "backfill")
        for at in range(PARTS)
    ]  # fmt: skip


async def missing(archive: Archive) -> int:
    found = [await archive.ledger(series, states=("missing", "repairing")) for series in await archive.series()]
    return sum(map(len, found))
