"""Simulated venues in a process of their own: there while they are wanted, and never after."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from marketd.sim.apart import open_apart
from tests.daemons import eventually

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 30
OPENS = """
import asyncio, sys
from marketd.sim.apart import open_apart

async def main():
    async with open_apart(["binance"], seed=1, rate=0.0, faults="") as apart:
        print(apart.env["BINANCE_REST_URL"], flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{url}/api/v3/ping")).status_code == 200
    except httpx.ConnectError:
        return False


async def gone(url: str) -> bool:
    return not await answers(url)


async def test_they_answer_until_the_block_is_left() -> None:
    async with open_apart(["binance", "kraken"], seed=1, rate=0.0, faults="gap:every=20s") as apart:
        url = apart.env["BINANCE_REST_URL"]

        assert await answers(url)
        assert list(apart.listed) == ["binance", "kraken"]
        assert "BTCUSDT" in apart.listed["binance"]
    assert not await answers(url)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_they_end_with_the_program_that_wanted_them_however_it_ends(number: int) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OPENS),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            url = (await program.stdout.readline()).decode().strip()
        assert await answers(url)
    finally:
        program.send_signal(number)
        await program.wait()

    await eventually(lambda: gone(url))


@pytest.mark.parametrize(("venue", "faults", "words"), [("nowhere", "", "nowhere"), ("binance", "gap:every=often", "every")])
async def test_what_cannot_be_simulated_is_told(venue: str, faults: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        async with open_apart([venue], seed=1, rate=0.0, faults=faults):
            pass
