"""Who fills a series."""

import subprocess
import sys

from marketd.clock import ManualClock
from marketd.model.intervals import Interval
from marketd.stores.archive import Archive, open_archive
from tests.stores.archive.conftest import SERIES, at

SPAN = Interval(at(0), at(9))
ANOTHER_PROGRAM = """
import asyncio, sys
from marketd.clock import SystemClock
from marketd.model.series import CandleSeries
from marketd.stores.archive import open_archive

async def main():
    async with open_archive(sys.argv[1], SystemClock()) as archive:
        async with archive.claim(CandleSeries(*sys.argv[2:5])) as is_free:
            print(is_free, flush=True)
            sys.stdin.readline()

asyncio.run(main())
"""


def another_program(url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", ANOTHER_PROGRAM, url, *SERIES]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "src"})


def said(program: "subprocess.Popen[str]") -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


async def test_a_series_is_claimed_once_and_free_afterwards(archive: Archive) -> None:
    async with (
        archive.claim(SERIES) as first,
        archive.claim(SERIES) as second,
        archive.claim(SERIES._replace(symbol="X")) as other,
    ):
        assert (True, False, True) == (first, second, other)
    async with archive.claim(SERIES) as again:
        assert again


async def test_another_program_is_told_and_a_killed_one_holds_nothing(archive: Archive, url: str, clock: ManualClock) -> None:
    async with archive.claim(SERIES):
        with another_program(url) as program:
            assert "False" == said(program)
            program.communicate("\n")
    with another_program(url) as program:
        assert "True" == said(program)
        job = await archive.job_started(SERIES, SPAN, False)

        assert 0 == await archive.jobs_interrupted([SERIES])  # somebody runs it

        program.kill()
        program.wait()
    async with open_archive(url, clock) as later:
        assert 1 == await later.jobs_interrupted([SERIES])
        assert [(job, "pending")] == [(one.id, one.status) for one in await later.jobs()]
