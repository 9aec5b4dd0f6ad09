"""Commands are loaded when they are asked for, and listed by what they say of themselves."""

import os
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import pytest

from marketd.cli import commands

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", commands.SUMMARIES)
def test_a_summary_is_the_first_paragraph_of_the_command_itself(name: str) -> None:
    first = (commands.command(name).help or "").split("\n\n")[0]

    assert " ".join(first.split()) == commands.SUMMARIES[name]


def test_every_command_has_its_file() -> None:
    assert [name for name in commands.SUMMARIES if not (ROOT / "src" / "marketd" / "cli" / f"{name}.py").is_file()] == []


@pytest.mark.parametrize("asked", ["--help", "complete"])
def test_help_and_completion_load_no_room(asked: str) -> None:
    asking = {"_MARKETD_COMPLETE": "complete_bash", "COMP_WORDS": "marketd b", "COMP_CWORD": "1"}
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(sorted(m for m in sys.modules if m.startswith('marketd')), file=sys.stderr))\n"
        f"from marketd.cli import main\nsys.exit(main({['--help'] if asked == '--help' else []}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **(asking if asked == "complete" else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    rooms = {"marketd", "marketd.cli", "marketd.cli.commands", "marketd.cli.program", "marketd.errors"}
    rooms |= {"marketd.secrets", "marketd.loading"}

    assert ran.returncode == 0, ran.stderr
    assert set(literal_eval(ran.stderr.splitlines()[-1])) <= rooms
    assert [name for name in ("backfill", "backtest") if name not in ran.stdout] == []
