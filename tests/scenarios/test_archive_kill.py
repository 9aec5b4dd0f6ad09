"""A backfill that is killed at random moments ends with what an undisturbed one would have stored."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from msgspec.structs import replace

from marketd.clock import SystemClock
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY
from marketd.model.times import ns_of_iso
from marketd.sim import Sim, open_sim
from marketd.stores.archive import Row, open_archive
from tests.daemons import eventually
from tests.scenarios.processes import ROOT

SERIES = CandleSeries("binance", "BTCUSDT", "1m")
FIRST = ns_of_iso("2023-03-01T00:00:00Z")
SLOW_S = 0.02  # a page: so that a kill finds something under way
Content = tuple[list[Row], list[Stretch]]


def command(data_dir: Path, days: int) -> list[str]:
    start, end = "2023-03-01", FIRST + days * DAY
    return [
        *(sys.executable, "-m", "marketd", "backfill", "--exchange", SERIES.venue, "--symbol", SERIES.symbol),
        *("--timeframe", SERIES.timeframe, "--start", start, "--end", str(end), "--data-dir", str(data_dir)),
    ]


@asynccontextmanager
async def backfill(data_dir: Path, days: int, environ: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`marketd backfill` as a process of its own; killed on leaving if it still runs."""
    data_dir.mkdir(exist_ok=True)
    with (data_dir / "backfill.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command(data_dir, days),
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data_dir,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Pages:
    """How often each page of the span was asked for, as the venue counts."""

    def __init__(self, sim: Sim, days: int) -> None:
        self._requests = sim.venue(SERIES.venue).requests
        self._span_ms = FIRST // 1_000_000, (FIRST + days * DAY) // 1_000_000
        self.asked: Counter[int] = Counter()

    def count(self) -> int:
        """Take in what was asked for since the last call; how many pages that makes in all."""
        for target in self._requests:
            query = parse_qs(urlsplit(target).query)
            start = int(query.get("startTime", ["0"])[0])
            if query.get("interval") == [SERIES.timeframe] and self._span_ms[0] <= start < self._span_ms[1]:
                self.asked[start] += 1
        self._requests.clear()
        return sum(self.asked.values())


async def content(url: str) -> Content:
    async with open_archive(url, SystemClock()) as archive:
        rows = await archive.candles(SERIES, 0, 2**62)
        return [replace(row, ts_recv=0) for row in rows], [part._replace(since=0) for part in await archive.ledger(SERIES)]


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Of the store of the killed one and of the undisturbed one."""
    undisturbed = f"sqlite:///{tmp_path / 'undisturbed' / 'archive.db'}"
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url")), undisturbed
    return f"sqlite:///{tmp_path / 'killed' / 'archive.db'}", undisturbed


async def kill_and_compare(tmp_path: Path, urls: tuple[str, str], seed: int, kills: int, days: int) -> None:
    draw = random.Random(seed)
    async with open_sim([SERIES.venue], seed=seed, faults=f"slow:path=klines,by={SLOW_S}s") as sim:
        environ = {**sim.env(), "DATABASE_URL": urls[0]}
        pages = Pages(sim, days)
        for _ in range(kills):
            async with backfill(tmp_path / "killed", days, environ) as process:
                at = pages.count() + draw.randint(2, 4)
                await eventually(
                    lambda at=at, process=process: pages.count() >= at or process.returncode is not None, every_s=0.002
                )
                await asyncio.sleep(draw.random() * 2 * SLOW_S)  # somewhere in the life of a page

                assert process.returncode is None, "it was done before it was killed: more days are needed"
                process.send_signal(signal.SIGKILL)
                await process.wait()
        async with backfill(tmp_path / "killed", days, environ) as process:
            assert 0 == await asyncio.wait_for(process.wait(), 300)
        pages.count()
        asked = dict(pages.asked)
        async with backfill(tmp_path / "undisturbed", days, {**sim.env(), "DATABASE_URL": urls[1]}) as process:
            assert 0 == await asyncio.wait_for(process.wait(), 300)
        refused = sim.venue(SERIES.venue).refused
    async with open_archive(urls[0], SystemClock()) as archive:
        jobs = await archive.jobs()

    assert await content(urls[1]) == await content(urls[0])
    assert days * 1440 == sum(job.candles_fetched for job in jobs) == len((await content(urls[0]))[0])
    assert [("completed", None, Interval(FIRST, FIRST + days * DAY))] == [(job.status, job.last_error, job.span) for job in jobs]
    assert 2 >= max(asked.values()), f"seed {seed}: {asked}"
    assert kills >= sum(asked.values()) - len(asked)
    assert 0 == refused


async def test_a_backfill_killed_at_random_moments_ends_with_the_same_content(tmp_path: Path, urls: tuple[str, str]) -> None:
    await kill_and_compare(tmp_path, urls, seed=7, kills=2, days=12)


@pytest.mark.soak
async def test_a_backfill_killed_thirty_times_ends_with_the_same_content(tmp_path: Path, urls: tuple[str, str]) -> None:
    await kill_and_compare(tmp_path, urls, seed=random.randrange(2**31), kills=30, days=100)
