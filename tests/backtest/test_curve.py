"""The picture of the equity: whole, small enough, and without anything from elsewhere."""

from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketd.backtest.curve import COLUMNS_MAX, curve, thinned, ticks
from marketd.model.paper import EquityPoint

HOUR = 3_600_000_000_000


def points(values: list[float]) -> list[EquityPoint]:
    return [EquityPoint(at * HOUR, Decimal(str(value)), *[Decimal(0)] * 4, 0) for at, value in enumerate(values)]


@pytest.mark.parametrize("values", [[100.0, 101.0], [100.0, 100.0, 100.0], [1e-3, 2e-3], [100.0 + at % 50 for at in range(5000)]])
def test_the_picture_is_well_formed(values: list[float]) -> None:
    root = ElementTree.fromstring(curve(points(values)))
    line = next(one for one in root if one.get("class") == "equity")

    assert root.tag == "svg"
    assert 2 <= len(str(line.get("points")).split()) <= COLUMNS_MAX + 2
    assert "nan" not in ElementTree.tostring(root, "unicode")


def test_one_point_is_no_curve() -> None:
    assert curve(points([100.0])).startswith("<p>")


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=400), st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(values: list[int], most: int) -> None:
    kept = thinned(values, most)
    drawn = [values[at] for at in kept]

    assert (kept[0], kept[-1]) == (0, len(values) - 1)
    assert (min(drawn), max(drawn)) == (min(values), max(values))
    assert len(kept) <= max(most + 2, 2)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_levels_are_round_and_inside(low: float, span: float) -> None:
    high = low + span
    if high - low < 1e-9 * max(abs(low), 1):
        return
    found = ticks(low, high)

    assert 1 <= len(found) <= 7
    assert all(low - 1e-6 * span <= one <= high + 1e-6 * span for one in found)
