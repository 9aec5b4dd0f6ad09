"""The TypeScript client's own tests, in Node, against a real daemon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).resolve().parent.parent.parent / "clients" / "typescript"


@pytest.mark.e2e
@pytest.mark.timeout(600)
def test_the_client_passes_its_tests_in_node() -> None:
    environment = {**os.environ, "MARKETD_PYTHON": sys.executable}
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "test"]):
        ran = subprocess.run(command, cwd=CLIENT, env=environment, capture_output=True, text=True, timeout=500, check=False)

        assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-8000:]}\n{ran.stderr[-2000:]}"
