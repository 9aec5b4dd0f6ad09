"""One signal ends in order, a second one at once."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import asyncio
from marketd.cli.stopping import run_until_stopped

async def work(stop):
    print("ready", flush=True)
    await stop.wait()
    print("stopping", flush=True)
    if {hangs}:
        await asyncio.Event().wait()
    print("stopped", flush=True)

run_until_stopped(work)
"""


def begin(hangs: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("{hangs}", str(hangs))],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_in_order(number: signal.Signals) -> None:
    with begin(hangs=False) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "stopping\nstopped\n", "")


def test_the_second_signal_forces() -> None:
    with begin(hangs=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        while process.poll() is None:  # within the first moments a signal may be the same one, passed on twice
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 1
    assert err.startswith("marketd: stopped by force")


def test_one_ctrl_c_that_arrives_twice_is_one() -> None:
    with begin(hangs=False) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "stopping\nstopped\n", "")


def test_one_that_is_passed_on_while_the_loop_is_busy_is_one_too() -> None:
    busy = SCRIPT.replace("{hangs}", "False").replace(
        '    print("stopped"',
        '    import time\n    time.sleep(1)\n    await asyncio.sleep(0.1)\n    print("stopped"',
    )
    with subprocess.Popen(
        [sys.executable, "-c", busy], env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, stdout=PIPE, stderr=PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "stopped\n", "")
