"""Candles of a simulated venue drive everything that lives off the cache, and a back-test of the same span does the same.

Four daemons by their profiles, each with ports of its own, and the venue run in this process on one clock that leaps from
close to close; the Redis between them is a server. Afterwards the same venue fills an archive by `marketd backfill`.
"""

import asyncio
import csv
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from marketd.backtest.running import Run, run
from marketd.backtest.stored import Stored, read_stored
from marketd.clock import SystemClock
from marketd.config import Config, Flags, load
from marketd.daemon.polling import AGENT
from marketd.model.exact import plain
from marketd.model.intervals import Interval
from marketd.model.message_log import STREAM
from marketd.model.paper import EquityPoint, Fill, Order
from marketd.model.series import CandleSeries
from marketd.model.signals import decode_signal, encode_signal
from marketd.model.times import iso_of_ns
from marketd.sim import Sim, open_sim
from marketd.stores import archive as archives
from tests.analysis.candles import HOUR, Made, walk
from tests.jumping import JumpingClock
from tests.redis_server import RedisServer
from tests.scenarios.processes import ROOT

COINS = ("BTCUSDT", "ADAUSDT", "XRPUSDT", "BNBUSDT")
LOOK_S = 2  # nobody is woken more often than that
WITHIN_S = 3000  # of a close, by this clock, which runs on while another process takes its time
FIRST = 500  # candles before the first close that is traded
HOUR_S = 3600
SETTINGS = {
    "MARKETD__CACHE__TIMEFRAMES": "1h",
    "MARKETD__ANALYSIS__TIMEFRAMES": "1h",
    "MARKETD__PAPER__ALLOW_SHORT": "true",
    "MARKETD__PAPER__WAIT_S": "1800",
    "MARKETD__MESSAGE_LOG__MAXLEN": "1000000",
    "HTTP_PORT": "0",
}
LOGGED = {
    ("cache_write", "market-data"), ("publish", "market-data"), ("cache_read", "ta-service"), ("signal", "ta-service"),
    ("cache_read", "dashboard"), ("publish", "dashboard"), ("cache_read", "trader-bot"), ("trade", "trader-bot"),
}  # fmt: skip
Candles = Mapping[str, Sequence[Made]]
pytestmark = pytest.mark.jumping


class HourlyClock(JumpingClock):
    """In the hours between two closes nobody has anything new to do, so they are left out, as by a machine that is suspended."""

    async def sleep(self, delay_s: float) -> None:
        await super().sleep(ceil((self.monotonic() + delay_s) / LOOK_S) * LOOK_S - self.monotonic() if delay_s > 0 else delay_s)


@dataclass
class Told:
    """What came of the live chain."""

    fills: list[Fill] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    points: list[EquityPoint] = field(default_factory=list)
    paper: dict[str, Any] = field(default_factory=dict)  # GET /paper
    signals: list[bytes] = field(default_factory=list)
    log: list[dict[str, str]] = field(default_factory=list)
    visitors: set[str] = field(default_factory=set)  # of the venue
    refused: int = 0  # by the venue


async def live(
    run_daemon, sim: Sim, clock: HourlyClock, redis: RedisServer, coins: Sequence[str], closes: int, home: Path
) -> Told:  # type: ignore[no-untyped-def]
    """From the first close on: each is waited for until the trader has done what it does about it."""
    environ = {**SETTINGS, "REDIS_URL": redis.url, "MARKETD__CACHE__SYMBOLS": ",".join(coins)}
    first, told = clock.now_ns() // HOUR * HOUR, Told()
    with redis.client() as client:
        client.connection_pool.connection_kwargs["decode_responses"] = False
        hearing = client.pubsub(ignore_subscribe_messages=True)
        hearing.psubscribe("market:signal:*")
        hearing.get_message(timeout=5)  # that it listens now
        async with AsyncExitStack() as running:
            trader, *_ = [
                await running.enter_async_context(
                    run_daemon(sim, profile=profile, environ=environ, data_dir=home / profile, clock=clock)
                )
                for profile in ("trader-bot", "ta-service", "scanner", "candle-cache")
            ]
            paper, started_s = trader.views.paper, clock.monotonic()
            assert paper is not None
            for number in range(closes):
                clock.stand_still(started_s + number * HOUR_S - LOOK_S)
                close = first + number * HOUR
                await clock.when(lambda close=close: paper.books is not None and paper.books.boundary == close, WITHIN_S)
            assert paper.kept is not None
            book = paper.kept.book
            told.fills, told.points = await paper.store.all_fills(book), await paper.store.equity(book, 0, 2**62, closes)
            told.orders = [one.of for one in await paper.store.orders(book, after=0, limit=100_000)]
            told.paper = (await trader.get("/paper")).json()
        while (message := hearing.get_message(timeout=0.1)) is not None:
            told.signals.append(message["data"])
        hearing.close()
    with redis.client() as client:
        told.log = [fields for _, fields in client.xrange(STREAM)]
    told.visitors, told.refused = sim.visits.agents, sim.venue("binance_us").refused
    return told


async def program(environ: Mapping[str, str], home: Path, *words: str) -> str:
    """What `marketd` says to these words, as its user runs it."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "marketd", *words,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(ROOT / "src"), **environ}, cwd=home,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await started.communicate()
    assert started.returncode == 0, err.decode()
    return out.decode()


async def backtested(config: Config, coins: Sequence[str], span: Interval) -> Run:
    stored = []
    async with archives.open_archive(config.database_url, SystemClock()) as archive:
        for coin in coins:
            found = await read_stored(archive, CandleSeries("binance_us", coin, "1h"), span)
            assert isinstance(found, Stored), found
            stored.append(found)
    return run(stored, config.analysis, config.paper)


def by_identity(payloads: Iterable[bytes]) -> list[bytes]:
    """Two coins may be judged in any order."""
    return sorted(payloads, key=lambda payload: ((one := decode_signal(payload)).close_time, one.id))


async def check(run_daemon, candles: Candles, closes: int, redis: RedisServer, home: Path) -> None:  # type: ignore[no-untyped-def]
    coins, source = list(candles), home / "candles"
    source.mkdir()
    for coin, rows in candles.items():
        lines = [f"{one.open_time // 1_000_000},{','.join(one[1:6])}" for one in rows]
        (source / f"{coin}-1h.csv").write_text("\n".join(lines))
    first = candles[coins[0]][FIRST].open_time
    span = Interval(first - HOUR, first + (closes - 1) * HOUR)
    clock = HourlyClock(first // 10**9 + 2)
    async with open_sim(["binance_us"], recording=source, clock=clock) as sim:
        it = await live(run_daemon, sim, clock, redis, coins, closes, home)
        clock.stand_still((closes + 2) * HOUR_S)
        environ = {**sim.env(), **SETTINGS, "MARKETD_DATA_DIR": str(home / "stored")}
        series = ("--exchange", "binance_us", "--symbol", ",".join(coins), "--timeframe", "1h")
        begin, end = iso_of_ns(span.start - FIRST * HOUR), iso_of_ns(span.stop + HOUR)
        with clock.held():
            await program(environ, home, "backfill", *series, "--start", begin, "--end", end)
    words = ("--start", iso_of_ns(span.start), "--end", iso_of_ns(span.stop), "--format", "json")
    one, other = [await program(environ, home, "backtest", *series, *words) for _ in range(2)]
    again, report = await backtested(load(Flags(), environ=environ, cwd=home), coins, span), json.loads(one)
    counted = Counter((entry["type"], entry["source"]) for entry in it.log)
    trades = [entry["summary"] for entry in it.log if entry["type"] == "trade" and ", fee " in entry["summary"]]

    assert len(it.fills) > 10
    assert again.fills == it.fills
    assert again.orders == it.orders
    assert again.points == it.points
    assert by_identity(map(encode_signal, again.signals)) == by_identity(it.signals)
    assert (report["equity"], report["profit"], report["fees"]) == (it.paper["equity"], it.paper["profit"], it.paper["fees"])
    assert one == other
    assert ({AGENT}, 0) == (it.visitors, it.refused)
    assert counted.keys() >= LOGGED
    assert not [entry for entry in it.log if entry["type"] == "error"]
    assert len(it.signals) == counted["signal", "ta-service"]
    assert len(it.fills) == len(trades)
    for fill, line in zip(it.fills, trades, strict=True):
        assert f"{plain(fill.size)} {fill.symbol} at {plain(fill.price)}, fee {plain(fill.fee)}" in line


@pytest.mark.timeout(300)
async def test_candles_of_a_venue_go_through_the_whole_chain_as_a_backtest_of_them_says(
    run_daemon, redis_server: RedisServer, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    candles = {coin: walk(FIRST + 40 + 3, seed) for seed, coin in enumerate(COINS)}

    await check(run_daemon, candles, 40, redis_server, tmp_path)


@pytest.mark.timeout(1200)
@pytest.mark.recorded
@pytest.mark.parametrize("closes", [40, pytest.param(600, marks=pytest.mark.soak)])
async def test_so_do_recorded_candles_of_real_coins(
    closes: int, run_daemon, redis_server: RedisServer, shared_data: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    candles: dict[str, list[Made]] = {}
    for coin in COINS:
        with gzip.open(shared_data / f"binance/candles/freqtrade_dl/{coin}-1h.csv.gz", "rt") as file:
            rows = list(csv.reader(file))[1:]
        candles[coin] = [Made(int(row[0]) * 1_000_000, *row[1:6]) for row in rows][-FIRST - closes - 3 :]

    await check(run_daemon, candles, closes, redis_server, tmp_path)
