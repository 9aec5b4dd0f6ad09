"""What the browser's tests share: the dashboard built once, and the figures that they measured, shown at the end."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parent.parent.parent / "web"
FIGURE = "# figure: "
FIGURES = pytest.StashKey[list[str]]()


def in_web(*command: str, within_s: float) -> str:
    """What a command said in the dashboard's directory; it has to end well."""
    environment = {**os.environ, "MARKETD_PYTHON": sys.executable}
    ran = subprocess.run(command, cwd=WEB, env=environment, capture_output=True, text=True, timeout=within_s, check=False)

    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout[-12_000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


@pytest.fixture(scope="session")
def built() -> None:
    """The dashboard in the package, and its tests compiled."""
    in_web("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", within_s=600)
    in_web("npm", "run", "--silent", "build", within_s=300)
    in_web("npm", "run", "--silent", "compile", within_s=300)


@pytest.fixture
def in_browser(built: None, request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Run one compiled file of web/test; its figures are shown when all tests are through."""

    def run(name: str, within_s: float) -> None:
        said = in_web("node", "--experimental-websocket", "--test", f"build/web/test/{name}.test.js", within_s=within_s)
        figures = request.config.stash.setdefault(FIGURES, [])
        figures += [line.removeprefix(FIGURE) for line in said.splitlines() if line.startswith(FIGURE)]

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured in the browser")
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        terminalreporter.write_line(f"{os.cpu_count()} cores, load over 1, 5 and 15 min at the end: {load}")
        for figure in figures:
            terminalreporter.write_line(figure)
