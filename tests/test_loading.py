"""Ctrl-C while code is loaded; `tests/cli/test_program.py` asks the whole program."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from marketd.loading import loading

SOURCE = Path(__file__).resolve().parents[1] / "src"


@pytest.mark.parametrize(("before", "code", "err"), [("default_int_handler", 1, ""), ("SIG_IGN", 0, "went on\n")])
def test_ctrl_c_ends_it_without_a_word_where_it_would_have_ended_it(before: str, code: int, err: str) -> None:
    program = (
        f"import os, signal, sys\nfrom marketd.loading import loading\nsignal.signal(2, signal.{before})\n"
        "with loading():\n    os.kill(os.getpid(), 2)\nprint('went on', file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (code, err)


def test_afterwards_ctrl_c_is_what_it_was_also_where_nothing_could_be_loaded() -> None:
    before = signal.getsignal(signal.SIGINT)
    with loading():
        pass
    after = signal.getsignal(signal.SIGINT)
    with suppress(ImportError), loading():
        raise ImportError

    assert after is before
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("number", "code"), [(1, 128 + signal.SIGTERM), (2, -signal.SIGTERM)])
def test_sigterm_ends_it_also_where_it_is_the_first_process_of_a_container(number: int, code: int) -> None:
    program = (
        f"import os, signal\nfrom marketd.loading import loading\nreal, os.getpid = os.getpid(), lambda: {number}\n"
        "with loading():\n    pass\n"
        "if signal.getsignal(15) is signal.SIG_DFL and os.getpid() == 1:\n    raise SystemExit('lost')\n"
        "os.kill(real, 15)"
    )
    ran = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=False)

    assert ran.returncode == code
