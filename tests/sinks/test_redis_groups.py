"""The documented consumer group, as it stands on its page."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

from marketd.clock import SystemClock
from marketd.net.redis import RedisConfig, RedisLink
from marketd.secrets import SecretUrl
from marketd.sinks.redis_streams import RedisStreams
from tests.redis_server import RedisServer
from tests.samples import trades

PAGE = Path(__file__).resolve().parents[2] / "docs" / "redis-streams.md"


def example() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(block)


async def run(server: RedisServer) -> list[str]:
    """What it prints, by line."""
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", example()],
        env={**os.environ, "REDIS_URL": server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (ran.returncode, ran.stderr)
    return ran.stdout.splitlines()


async def test_it_reads_each_trade_once_and_what_a_dead_member_left(redis_server: RedisServer, tmp_path: Path) -> None:
    config = RedisConfig(url=SecretUrl(redis_server.url), enabled=True)
    async with RedisStreams(config, RedisLink(config, "marketd-test", SystemClock()), SystemClock(), tmp_path) as sink:
        await sink.write([*trades(1, 250), *trades(1, 30, symbol="ETHUSDT", side="sell")])
        first = await run(redis_server)
        await sink.write(trades(251, 260))
        with redis_server.client() as client:
            taken = client.xreadgroup("mine", "dead", {"trades:BTCUSDT": ">"}, count=5)
            client.xclaim("trades:BTCUSDT", "mine", "dead", 0, [one for one, _ in taken[0][1]], idle=120_000)
        second = await run(redis_server)
        third = await run(redis_server)

    assert 280 == len(first)
    assert sorted(first)[0].endswith("BTCUSDT buy 0.00150000 @ 37123.45000000")
    assert 10 == len(second)
    assert [] == third
