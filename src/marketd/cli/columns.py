"""A table for a terminal that may be narrow: whole columns go, the least important first, and what is shown is never cut."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console

from marketd.cli.entries import printable

BETWEEN = "  "


class Column(NamedTuple):
    """`weight` 0 is always shown, as a name that is typed next; of the others the lowest goes last."""

    name: str
    weight: int
    cells: Sequence[str]
    is_number: bool = False

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.name, *self.cells)))


def print_columns(columns: Sequence[Column]) -> list[str]:
    """In the order given; returns the names of those that the terminal had no room for."""
    columns = [one._replace(cells=[printable(cell) for cell in one.cells]) for one in columns]
    left = Console().width + len(BETWEEN)
    shown: set[str] = set()
    for one in sorted(columns, key=lambda column: column.weight):
        needed = one.width + len(BETWEEN)
        if one.weight and needed > left:
            continue
        shown.add(one.name)
        left -= needed
    padded = [_padded(one) for one in columns if one.name in shown]
    for row in zip(*padded, strict=True):
        print(BETWEEN.join(row).rstrip())
    return [one.name for one in columns if one.name not in shown]


def _padded(column: Column) -> list[str]:
    """Its name and its cells, all of one width."""
    lines = (column.name, *column.cells)
    spaces = [" " * (column.width - cell_len(line)) for line in lines]
    return [space + line if column.is_number else line + space for line, space in zip(lines, spaces, strict=True)]


def no_room(left_out: Sequence[str]) -> str:
    """The end of a sentence below such a table."""
    return f"; a wider terminal also shows: {', '.join(left_out)}" if left_out else ""


def second(iso: str | None) -> str:
    """An ISO time of UTC as short as it may be."""
    return "-" if iso is None else iso[:19].replace("T", " ")
