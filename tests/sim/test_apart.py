"""Simulated venues in a process of their own: there while they are wanted, and never after."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from marketd.sim import apart
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
STOPS = """
import asyncio, signal
from marketd.sim.apart import open_apart

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    async with open_apart(["binance"], seed=1, rate=0.0, faults=""):
        await stop.wait()

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


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
async def test_a_rate_that_is_none_is_told(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        async with open_apart(["binance"], seed=1, rate=rate, faults=""):
            pass


async def child_of(program: int) -> int:
    """The process of the venues; the one that runs the tests may have other children."""
    path = Path(f"/proc/{program}/task/{program}/children")

    def theirs() -> list[int]:
        return [int(one) for one in path.read_text().split() if b"marketd.sim.apart" in Path(f"/proc/{one}/cmdline").read_bytes()]

    return int((await eventually(theirs, WITHIN_S))[0])


async def test_that_they_ended_by_themselves_is_told_at_once_and_when_they_are_left() -> None:
    ended = asyncio.Event()

    async def kill() -> None:
        async with open_apart(["binance"], seed=1, rate=0.0, faults="", on_end=ended.set), asyncio.timeout(WITHIN_S):
            os.kill(await child_of(os.getpid()), signal.SIGKILL)
            await ended.wait()

    with pytest.raises(OSError, match="SIGKILL"):
        await kill()

    assert ended.is_set()


async def test_one_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "END_S", 0.1)
    async with asyncio.timeout(WITHIN_S):
        async with open_apart(["binance"], seed=1, rate=0.0, faults="") as found:
            os.kill(await child_of(os.getpid()), signal.SIGSTOP)

    assert await gone(found.env["BINANCE_REST_URL"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_one_that_is_interrupted_while_they_start_leaves_no_words_of_theirs(number: int) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STOPS),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    await child_of(program.pid)
    if number == signal.SIGINT:
        os.killpg(program.pid, number)  # as a terminal does
    else:
        program.send_signal(number)
    async with asyncio.timeout(WITHIN_S):
        _, said = await program.communicate()  # both have ended

    assert said == b""
