"""The dashboard in a real browser, on real daemons with simulated venues; and what of it needs no browser, in Node."""

from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent.parent / "web" / "test"
NAMES = sorted(path.name.removesuffix(".test.ts") for path in TESTS.glob("*.test.ts"))


@pytest.mark.e2e
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", NAMES)
def test_the_dashboard_passes_its_tests(in_browser: Callable[[str, float], None], name: str) -> None:
    in_browser(name, 1200)
