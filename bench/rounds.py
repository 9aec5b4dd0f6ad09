"""Rounds A B A B ..., the ratio of both sides, and the table that shows it against its target."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

Verdict = Literal["pass", "below", "not measured"]
STYLES: Mapping[Verdict, str] = {"pass": "green", "below": "red", "not measured": "yellow"}


@dataclass(frozen=True)
class Row:
    """One figure against its target."""

    path: str  # what is measured, in the words of the target
    against: str  # the other side: "floor", "cryptofeed 2.4.1", or "" for an absolute figure
    measured: str
    target: str
    verdict: Verdict
    check: str = ""  # the ratio of minima, or whatever backs the figure
    note: str = ""  # what limits it; why it was not measured


def interleave(sides: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, list[float]]:
    """Seconds that each side took in each round, the sides taking turns within a round.

    Machines change speed for seconds at a time; only sides that ran beside each other can be compared. One round before
    the first warms up and is not counted. The collector runs between measurements, not in them.
    """
    assert rounds >= 5, "fewer rounds say nothing"
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, work in sides.items():
            gc.collect()
            gc.disable()
            started = time.perf_counter()
            try:
                work()
            finally:
                passed = time.perf_counter() - started
                gc.enable()
            if turn:
                taken[name].append(passed)
    return taken


def at_most(path: str, ours: Sequence[float], against: str, theirs: Sequence[float], limit: float, note: str = "") -> Row:
    """We may cost `limit` times what they cost."""
    ratio = statistics.median(ours) / statistics.median(theirs)
    check = f"{min(ours) / min(theirs):.2f}x"
    return Row(path, against, f"{ratio:.2f}x", f"<= {limit:g}x", "pass" if ratio <= limit else "below", check, note)


def faster(path: str, ours: Sequence[float], against: str, theirs: Sequence[float], times: float, note: str = "") -> Row:
    """We must be `times` as fast as they are."""
    ratio = statistics.median(theirs) / statistics.median(ours)
    check = f"{min(theirs) / min(ours):.2f}x"
    return Row(path, against, f"{ratio:.2f}x", f">= {times:g}x", "pass" if ratio >= times else "below", check, note)


def absolute(path: str, measured: str, target: str, *, reached: bool, check: str = "", note: str = "") -> Row:
    """A figure that stands alone, such as events a second without loss."""
    return Row(path, "", measured, target, "pass" if reached else "below", check, note)


def not_measured(path: str, against: str, target: str, why: str) -> Row:
    return Row(path, against, "-", target, "not measured", "", why)


def show(rows: Sequence[Row], console: Console) -> None:
    table = Table(title="marketd against its targets", title_justify="left")
    for heading in ("path", "against", "measured", "minima", "target", "", "limited by"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        verdict = f"[{STYLES[row.verdict]}]{row.verdict}[/]"
        table.add_row(row.path, row.against, row.measured, row.check, row.target, verdict, row.note)
    console.print(table)


def as_data(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [asdict(row) for row in rows]
