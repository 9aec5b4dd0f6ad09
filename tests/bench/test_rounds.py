"""The arithmetic of the benchmarks."""

import gc
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.rounds import Row, absolute, as_data, at_most, faster, interleave, not_measured, show


@pytest.fixture
def few_objects() -> Iterator[None]:
    """The collector has little to go through, whatever else was loaded before."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_sides_take_turns_and_the_first_round_is_not_counted(few_objects: None) -> None:
    order: list[str] = []

    took = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=5)

    assert ["a", "b"] * 6 == order
    assert {"a": 5, "b": 5} == {name: len(times) for name, times in took.items()}


def test_ratio_is_of_medians_with_that_of_minima_beside_it() -> None:
    row = at_most("decode", [2.0, 3.0, 40.0], "floor", [1.0, 2.0, 2.0], 1.9)

    assert Row("decode", "floor", "1.50x", "<= 1.9x", "pass", "2.00x", "") == row


def test_slower_than_the_target_is_below() -> None:
    assert at_most("decode", [2.0], "floor", [1.0], 1.9).verdict == "below"
    assert faster("decode", [1.0], "peer", [2.9], 3).verdict == "below"
    assert faster("decode", [1.0], "peer", [3.0], 3).verdict == "pass"
    assert absolute("start", "1.2 s", "< 1 s", reached=False).verdict == "below"


def test_table_shows_each_row_with_its_verdict() -> None:
    written = io.StringIO()
    rows = [absolute("start", "0.4 s", "< 1 s", reached=True), not_measured("decode", "peer", ">= 3x", "needs a compiler")]

    show(rows, Console(file=written, width=160))

    assert all(word in written.getvalue() for word in ("start", "0.4 s", "pass", "not measured", "needs a compiler"))
    assert ["start", "decode"] == [row["path"] for row in as_data(rows)]


def test_the_module_on_the_page_makes_its_rows(few_objects: None) -> None:
    page = (Path(__file__).parents[2] / "bench" / "README.md").read_text()
    (text,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module: dict[str, Any] = dict.fromkeys(("ours", "floor", "peer"), lambda: None)
    exec(text, module)

    assert [1.9, 3] == [float(re.findall(r"[\d.]+", row.target)[0]) for row in module["run"]()]
