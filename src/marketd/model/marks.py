"""How far a durable sink has got: from where the feed repairs after a restart."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Series = tuple[str, str]  # venue, symbol
DIGITS_MAX = 38  # of an id that is a number: more than any venue's, and what a number of 128 bits holds


class Mark(NamedTuple):
    """The newest trade a sink holds such that nothing before it is missing, apart from what the ledger knows."""

    trade_id: str | None
    ts_event: int | None

    def is_before(self, other: "Mark") -> bool:
        """By id where both are numbers, else by time; False where they cannot be compared."""
        mine, theirs = self.trade_id, other.trade_id
        if mine is not None and theirs is not None and is_number(mine) and is_number(theirs):
            return int(mine) < int(theirs)
        return self.ts_event is not None and other.ts_event is not None and self.ts_event < other.ts_event


def is_number(trade_id: str) -> bool:
    """Whether ids of this form can be counted: plain digits, not more than any counter has. All others are text."""
    return len(trade_id) <= DIGITS_MAX and trade_id.isascii() and trade_id.isdecimal()


def lowest(progress: Iterable[Mapping[Series, Mark]]) -> dict[Series, Mark]:
    """Of each series the mark of the sink that has got least far; a sink that never saw the series has no say."""
    marks: dict[Series, Mark] = {}
    for of_sink in progress:
        for series, mark in of_sink.items():
            known = marks.get(series)
            if known is None or mark.is_before(known):
                marks[series] = mark
    return marks
