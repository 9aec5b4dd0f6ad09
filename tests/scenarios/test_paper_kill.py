"""A paper trader that is killed at random moments keeps the books of one that nobody disturbs."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from marketd.analysis.section import AnalysisConfig
from marketd.analysis.studying import Studies
from marketd.metrics import Metrics
from marketd.model.message_log import STREAM, line_of
from marketd.model.paper import EquityPoint
from marketd.net.redis import RedisConfig, RedisLink
from marketd.paper.telling import note_of
from marketd.rooms import room
from marketd.secrets import SecretUrl
from marketd.stores.cache import MessageLogConfig, open_redis
from marketd.stores.paper import PaperStore, open_paper
from marketd.stores.paper.store import Numbered
from tests.analysis.candles import walk
from tests.analysis.keeping import Keeper
from tests.daemons import PAUSE_S, WITHIN_S, eventually
from tests.paper.replay import replayed
from tests.redis_server import RedisServer
from tests.scenarios.paper_process import SharedClock, run_trader
from tests.scenarios.processes import Process

COINS = ("ADAUSDT", "BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
SECOND = 1_000_000_000
NARROW_S = 0.05  # after a step was kept, in which it is told
AGAIN_S = 0.4  # the cache is announced again until the books have taken a candle, as its poller does
START = Decimal(10_000)
said = logging.getLogger("soak")
# Much to do at each candle, and never a decision on half of the coins: what comes out does not depend on when it was killed.
TERMS = {
    "WAIT_S": "3600",
    "ALLOW_SHORT": "true",
    "COOLDOWN_CANDLES": "1",
    "POSITIONS_MAX": "4",
    "POSITION_PERCENT": "30",
    "STOP_PERCENT": "1.5",
    "TAKE_PROFIT_PERCENT": "2.5",
}


@dataclass
class Book:
    """Where a trader keeps its books, and the trader."""

    url: str
    directory: Path
    clock: Path
    environ: Mapping[str, str]
    store: PaperStore
    process: Process | None = None
    _life: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        self.process = await self._life.enter_async_context(run_trader(self.directory, self.clock, self.environ))

    async def kill(self) -> None:
        assert self.process is not None
        assert self.process.process.returncode is None, (self.directory / "trader.log").read_text()[-2000:]
        self.process.kill()
        await self.process.ended()
        await self._life.aclose()

    async def has(self, boundary: int) -> bool:
        """Whether the candles that closed there are booked, with all that followed from them."""
        return bool(await self.store.equity("main", boundary, boundary + 1, 1))

    async def told(self) -> bool:
        """Whether the message log knows of every order."""
        kept = await self.store.open("main", START, "1h", 0)
        return kept.told == kept.orders

    async def stop(self) -> int:
        """What is not told by now the next one would tell."""
        assert self.process is not None
        await eventually(self.told)
        code = await self.process.stop()
        await self._life.aclose()
        return code


@dataclass
class Content:
    orders: list[Numbered]
    fills: list[Numbered]
    points: list[EquityPoint]
    seen: Mapping[str, Any]


async def content(store: PaperStore) -> Content:
    orders = await store.orders("main", limit=10**6)
    return Content(
        orders, await store.fills("main", limit=10**6), await store.equity("main", 0, 2**62, 10**6), await store.seen("main")
    )


@asynccontextmanager
async def book(url: str, directory: Path, clock: SharedClock, file: Path, redis: str, **more: str) -> AsyncIterator[Book]:
    environ = {f"MARKETD__PAPER__{name}": value for name, value in TERMS.items()}
    environ |= {"REDIS_URL": redis, "DATABASE_URL": url, "MARKETD_DATA_DIR": str(directory), **more}
    directory.mkdir()
    async with open_paper(url, clock) as store:
        one = Book(url, directory, file, environ, store)
        await one.start()
        try:
            yield one
        finally:
            await one._life.aclose()


async def booked(keeper: Keeper, boundary: int, *books: Book) -> None:
    """Announce the cache until all have taken what closed at the boundary."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            for _ in range(int(AGAIN_S / PAUSE_S)):
                if all([await one.has(boundary) for one in books]):
                    return
                await asyncio.sleep(PAUSE_S)
            await keeper.announce(COINS)


async def kill_and_compare(redis: RedisServer, url: str, tmp_path: Path, seed: int, kills: int) -> None:
    chance = random.Random(seed)
    steps = 2 * kills + 24
    candles = {coin: walk(501 + steps, chance.randrange(2**31)) for coin in COINS}
    times = [one.open_time for one in candles["BTCUSDT"]]
    file = tmp_path / "time"
    clock, metrics = SharedClock.made(file, times[500] + SECOND), Metrics()
    link = RedisLink(RedisConfig(url=SecretUrl(redis.url)), "marketd-test", clock)
    log = {"MARKETD__MESSAGE_LOG__MAXLEN": "1000000"}
    left, moments = kills, list[str]()
    lasts_s = [0.5, 2.0]  # what a candle took last until it was booked; the same with the start of the process
    async with (
        open_redis(link, MessageLogConfig(enabled=False), clock, metrics) as cache,
        book(url, tmp_path / "killed", clock, file, redis.url, **log) as killed,
        book(
            f"sqlite:///{tmp_path / 'whole.db'}",
            tmp_path / "whole",
            clock,
            file,
            redis.url,
            MARKETD__MESSAGE_LOG__ENABLED="false",
        ) as whole,
        room("analysis") as here,
    ):
        studies = Studies(cache.of("ta-service"), AnalysisConfig(), "made", {"1h": 120.0}, (), clock, metrics)
        here.start("studies", studies.run())
        keeper = Keeper(cache)
        for end in range(500, 501 + steps):
            boundary = times[end]
            clock.set(boundary + 2 * SECOND)
            for coin, rows in candles.items():
                opens = rows[end]
                await keeper.put(
                    coin, [*rows[end - 500 : end], opens._replace(high=opens.open, low=opens.open, close=opens.open)]
                )
            await keeper.announce(COINS)
            began_s, is_fresh = clock.monotonic(), end == 500
            while left and chance.random() < 0.7:
                if chance.random() < 0.5:
                    await asyncio.sleep(chance.random() * lasts_s[is_fresh])
                else:
                    await booked(keeper, boundary, killed)
                    await asyncio.sleep(chance.random() * NARROW_S)
                await killed.kill()
                moments.append("after" if await killed.has(boundary) else "before")
                left -= 1
                await killed.start()
                began_s, is_fresh = clock.monotonic(), True
            await booked(keeper, boundary, killed, whole)
            lasts_s[is_fresh] = clock.monotonic() - began_s
        assert 0 == left, "more candles are needed"
        codes = await killed.stop(), await whole.stop()
        ours, theirs = await content(killed.store), await content(whole.store)
    marks = {
        times[end]: {coin: Decimal(rows[end - 1].close) for coin, rows in candles.items()} for end in range(500, 501 + steps)
    }
    with redis.client() as client:
        told = [entry["summary"] for _, entry in client.xrange(STREAM) if entry["type"] in ("trade", "error")]
    fills = {one.of.order: one.of for one in ours.fills}
    lines = [line_of(note_of(one.of, fills.get(one.of.id)).summary) for one in ours.orders]
    said.info(
        "seed %d: killed %d times, %d of them before the candle was booked; %d candles of %d coins, %d orders, %d fills, "
        "equity %s, %d lines told twice", seed, kills, moments.count("before"), steps, len(COINS), len(lines), len(fills),
        ours.points[-1].equity, len(told) - len(lines),
    )  # fmt: skip

    assert (0, 0) == codes
    assert len(fills) > kills
    assert [one.of for one in theirs.fills] == [one.of for one in ours.fills], f"seed {seed}"
    assert theirs == ours, f"seed {seed}"
    assert list(range(1, len(fills) + 1)) == [one.seq for one in ours.fills]
    assert replayed(START, [one.of for one in ours.fills], marks) == ours.points
    assert replayed(START, [one.of for one in theirs.fills], marks) == theirs.points
    rest = iter(told)

    assert [] == [line for line in lines if line not in rest], "told in the order of the book"
    assert len(told) <= len(lines) + kills * max(Counter(one.of.ts for one in ours.orders).values())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of the books of the killed one."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'killed.db'}"


@pytest.mark.timeout(180)
async def test_a_trader_killed_at_random_moments_has_the_books_of_an_undisturbed_one(
    redis_server: RedisServer, url: str, tmp_path: Path
) -> None:
    await kill_and_compare(redis_server, url, tmp_path, seed=5, kills=3)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_trader_killed_thirty_times_has_the_books_of_an_undisturbed_one(
    redis_server: RedisServer, url: str, tmp_path: Path
) -> None:
    await kill_and_compare(redis_server, url, tmp_path, seed=random.randrange(2**31), kills=30)
