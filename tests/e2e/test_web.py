"""The dashboard in a real browser, on real daemons with simulated venues."""

from collections.abc import Callable

import pytest


@pytest.mark.e2e
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", ["candles", "activity", "returning", "pages"])
def test_the_dashboard_passes_its_tests_in_a_browser(in_browser: Callable[[str, float], None], name: str) -> None:
    in_browser(name, 1200)
