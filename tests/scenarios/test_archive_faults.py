"""A daemon that keeps candles while its database dies, fills up, runs out of connections or is cut off: it says so, loses nothing
that it had accepted, and goes on by itself."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from marketd.errors import DeliveryError, StartError
from marketd.history.planning import open_spans
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import SECOND
from marketd.sim import Sim, open_sim
from marketd.stores.archive.database import READERS, WRITERS, Database
from tests.daemons import Running, eventually
from tests.postgres import PostgresServer
from tests.wire import Wire

SERIES = CandleSeries("binance", "BTCUSDT", "1s")  # so that many candles close while the trouble lasts
SECOND_MS = 1000
SLOW = "slow:path=klines,by=0.05s"  # a page: so that the trouble comes amid the backfill
CONFIG = """
roles: [archive]
exchanges: {binance: {symbols: [BTCUSDT], timeframes: [1s]}}
daemon: {backfill_days: 1, gap_repair_interval_minutes: 0.05}
"""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with PostgresServer() as started:
        yield started


@asynccontextmanager
async def keeping(run_daemon: Any, tmp_path: Path, url: str) -> AsyncIterator[tuple[Running, Sim]]:
    (tmp_path / "config.yaml").write_text(CONFIG)
    async with (
        open_sim(["binance"], rate=50, faults=SLOW) as sim,
        run_daemon(sim, profile=None, environ={"DATABASE_URL": url}) as running,
    ):
        yield running, sim


async def until_told(running: Running, status: str, words: str) -> None:
    """/health comes to say this of the archive."""
    told: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while told.get("status") != status or words not in told["reason"]:
            await asyncio.sleep(0.05)
            told = (await running.get("/health")).json()["components"]["archive"]


async def until_pages(sim: Sim, count: int) -> None:
    """The backfill has asked for so many more pages."""
    venue = sim.venue("binance")
    before = len(venue.requests)
    await eventually(lambda: len(venue.requests) >= before + count)


async def lasts(sim: Sim, seconds: float = 3.0) -> None:
    """The trouble, while candles close."""
    venue = sim.venue("binance")
    until_ms = venue.now_ms() + int(seconds * 1000)
    await eventually(lambda: venue.now_ms() >= until_ms)


async def assert_complete(running: Running, sim: Sim, since_ns: int) -> None:
    """In the end everything is accounted for, live candles since then too, and what is stored is what the venue says."""
    archiving, venue = running.views.archive, sim.venue("binance")
    assert archiving is not None
    span = Interval((since_ns // SECOND - 86_000) * SECOND, running.views.clock.now_ns() // SECOND * SECOND)
    left: list[Interval] = [span]
    async with asyncio.timeout(90):
        while left:
            await asyncio.sleep(0.1)
            with suppress(DeliveryError):
                left = open_spans(await archiving.archive.ledger(SERIES), span)
    rows = {row.open_time: row async for batch in archiving.archive.stream(SERIES, *span) for row in batch}
    listing = venue.listings["BTCUSDT"]
    truth = {
        open_ms * 1_000_000: (venue.candle_price(listing, bar.close), venue.candle_size(listing, bar.lots))
        for open_ms, bar in venue.candles("BTCUSDT", span.start // 1_000_000, span.stop // 1_000_000, SECOND_MS)
    }
    [sink] = [one for one in running.views.sinks.states if one.name == "archive"]

    assert truth == {at: (rows[at].close, rows[at].volume) for at in truth}
    assert (span.length // SECOND, {True}, {0}) == (
        len(rows),
        {row.closed for row in rows.values()},
        {row.revision for row in rows.values()},
    )
    assert (0, True) == (sink.given_up, sink.healthy)
    assert 0 == venue.refused
    await until_told(running, "ok", "")
    assert len([job for job in await archiving.archive.jobs() if job.status != "completed"]) <= 1


async def test_postgresql_is_killed_amid_backfill_and_live_and_comes_back(
    run_daemon: Any, tmp_path: Path, server: PostgresServer
) -> None:
    async with keeping(run_daemon, tmp_path, server.url("postgres")) as (running, sim):
        began = running.views.clock.now_ns()
        await until_pages(sim, 5)
        server.kill()
        await until_told(running, "unhealthy", "no connection")
        await lasts(sim)

        assert 503 == (await running.get("/health")).status_code
        server.start()
        await assert_complete(running, sim, began)


async def test_postgresql_is_not_there_at_the_start_and_comes_later(
    run_daemon: Any, tmp_path: Path, server: PostgresServer
) -> None:
    server.kill()
    async with keeping(run_daemon, tmp_path, server.url("postgres")) as (running, sim):
        began = running.views.clock.now_ns()
        await until_told(running, "unhealthy", "no connection")
        await lasts(sim)

        for path in ("/status", "/candles?exchange=binance&symbol=BTCUSDT&timeframe=1s", "/livez"):
            answer = await running.get(path)
            assert answer.status_code in (200, 503), (path, answer.text)
        server.start()
        await assert_complete(running, sim, began)


async def test_a_password_that_is_wrong_ends_the_start_at_once(run_daemon: Any, tmp_path: Path, server: PostgresServer) -> None:
    with pytest.raises(BaseExceptionGroup) as failed:
        async with keeping(run_daemon, tmp_path, server.url("nowhere")):
            pass

    assert failed.group_contains(StartError, match='database "nowhere" does not exist')


@pytest.mark.soak
async def test_every_connection_is_taken_for_a_while(run_daemon: Any, tmp_path: Path, server: PostgresServer) -> None:
    async with keeping(run_daemon, tmp_path, server.url("postgres")) as (running, sim):
        began = running.views.clock.now_ns()
        await until_pages(sim, 5)
        database = running.views.archive.archive._database  # type: ignore[union-attr]
        async with AsyncExitStack() as held:
            for engine, count in ((database.writers, WRITERS), (database.readers, READERS)):
                for _ in range(count):
                    await held.enter_async_context(engine.connect())
            await until_told(running, "unhealthy", "every connection is busy")
        await assert_complete(running, sim, began)


@pytest.mark.soak
async def test_the_network_to_postgresql_is_cut_and_mended(
    run_daemon: Any, tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "command_s", 3.0)  # nobody should wait a minute here
    async with Wire(server.port) as wire:
        url = server.url("postgres").replace(f":{server.port}/", f":{wire.port}/")
        async with keeping(run_daemon, tmp_path, url) as (running, sim):
            began = running.views.clock.now_ns()
            await until_pages(sim, 5)
            wire.is_cut = True
            await until_told(running, "unhealthy", "no answer in time")
            await lasts(sim)
            wire.is_cut = False
            await assert_complete(running, sim, began)


async def test_the_disk_is_full_for_a_while(run_daemon: Any, tmp_path: Path) -> None:
    """To SQLite a file that may not grow is a disk that is full."""
    async with keeping(run_daemon, tmp_path, f"sqlite:///{tmp_path / 'archive.db'}") as (running, sim):
        began = running.views.clock.now_ns()
        await until_pages(sim, 5)
        database = running.views.archive.archive._database  # type: ignore[union-attr]
        async with database.writing() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        await until_told(running, "unhealthy", "full")
        await lasts(sim)
        async with database.writing() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")
        await assert_complete(running, sim, began)
