"""The dashboard in a real browser, on a real daemon with simulated venues."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parent.parent.parent / "web"


@pytest.mark.e2e
@pytest.mark.timeout(1500)
def test_the_dashboard_passes_its_tests_in_a_browser() -> None:
    environment = {**os.environ, "MARKETD_PYTHON": sys.executable}
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npm", "run", "build"], ["npm", "test"]):
        ran = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True, timeout=1200, check=False)

        assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-12_000:]}\n{ran.stderr[-2000:]}"
