"""Long ranges go through in bounded memory, on both sides, whole and in every form the same."""

import asyncio
import csv
import io
import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from marketd.clock import SystemClock
from marketd.stores.archive import open_archive
from tests.daemons import eventually
from tests.scenarios.processes import ROOT, run_process

MIB = 1 << 20
# Growth while all of it is sent and taken; a million candles are 240 MB of text, and several times that as objects.
SERVER_MAX = 128 * MIB  # SQLite keeps up to 64 MiB of the file, and answers that may be asked for again up to 32
CLIENT_MAX = 32 * MIB
URL = "/candles?exchange=binance&symbol=BTCUSDT&timeframe=1m"
FILL = """
WITH RECURSIVE minute(at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM minute WHERE at + 1 < ?)
INSERT INTO candles (exchange, symbol, timeframe, open_time, close_time, open, high, low, close, volume)
SELECT 'binance', 'BTCUSDT', '1m', datetime(1600000020 + 60 * at, 'unixepoch'), datetime(1600000080 + 60 * at, 'unixepoch'),
       (37000 + at % 997) || '.10', '37999', '36000.5', (37000 + at % 991) || '.40000000', (at % 89) || '.' || (10000000 + at)
FROM minute
"""
CLIENT = """
import asyncio, resource, sys
from marketd.client import MarketDataClient

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def main():
    count, last = 0, None
    async with MarketDataClient(sys.argv[1]) as client:
        series = ("binance", "BTCUSDT", "1m")
        await client.get_candles(*series, 1600000020, 1600300020)
        before = peak()
        async for candle in client.iter_candles(*series, 1600000000, 2000000000):
            assert last is None or candle.open_time > last
            count, last = count + 1, candle.open_time
        print(count, (peak() - before) * 1024)

asyncio.run(main())
"""


async def filled(data_dir: Path, count: int) -> None:
    """An archive with so many minutes, as an older program would have written them."""
    data_dir.mkdir()
    async with open_archive(f"sqlite:///{data_dir / 'archive.db'}", SystemClock()):
        pass
    with closing(sqlite3.connect(data_dir / "archive.db")) as db, db:
        db.execute(FILL, (count,))


def memory_of(pid: int, word: str) -> int:
    found = re.search(rf"{word}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize("count", [200_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
async def test_all_candles_reach_the_client_in_bounded_memory(tmp_path: Path, count: int) -> None:
    data_dir = tmp_path / "data"
    await filled(data_dir, count)
    async with run_process({}, data_dir, "--profile", "api") as daemon:
        log = tmp_path / "daemon.log"
        await eventually(lambda: "daemon.started" in log.read_text())
        url = re.findall(r"http://127\.0\.0\.1:\d+", log.read_text())[0]
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            await client.get(f"{URL}&limit=10000")
            before = memory_of(daemon.process.pid, "VmRSS")
            lines = 0
            async with client.stream("GET", f"{URL}&format=csv") as response:
                async for chunk in response.aiter_bytes():
                    lines += chunk.count(b"\n")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT, url, env={"PYTHONPATH": str(ROOT / "src")}, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        server_grew = memory_of(daemon.process.pid, "VmHWM") - before
        got, client_grew = map(int, said.split())

        assert (count + 1, count) == (lines, got)
        assert server_grew < SERVER_MAX
        assert client_grew < CLIENT_MAX
        assert 0 == await daemon.stop()


async def test_every_form_of_a_long_range_says_the_same(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    await filled(data_dir, 30_000)
    async with run_process({}, data_dir, "--profile", "api"):
        log = tmp_path / "daemon.log"
        await eventually(lambda: "daemon.started" in log.read_text())
        url = re.findall(r"http://127\.0\.0\.1:\d+", log.read_text())[0]
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            bodies = {form: (await client.get(f"{URL}&format={form}")).content for form in ("json", "csv", "arrow")}
    as_json = json.loads(bodies["json"], parse_float=str, parse_int=str)
    as_csv = list(csv.DictReader(io.StringIO(bodies["csv"].decode())))
    table = pa.ipc.open_stream(bodies["arrow"]).read_all()
    numbers = ["open", "high", "low", "close", "volume"]

    assert 30_000 == len(as_json)
    assert as_json == as_csv
    assert all([one[name] for one in as_json] == table[name].to_pylist() for name in numbers)
