"""Two accounts of the same candles compared: what only one of them has, where their numbers differ, and where the ledger says
something else than the rows beside it."""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from marketd.history.resample import Bar
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch

Kind = Literal["only here", "only there", "values", "ledger"]
NUMBERS = ("open", "high", "low", "close", "volume")


class Difference(NamedTuple):
    start: int  # ns, open time
    stop: int
    kind: Kind  # `ledger`: it calls the interval had and no row is stored, or a closed row is stored and it says otherwise
    state: str  # what the ledger says of the interval; empty: nothing
    fields: tuple[str, ...]  # whose numbers differ
    here: Bar | None
    there: Bar | None
    repaired: bool = False


class Compared(NamedTuple):
    candles: int  # that were looked at, on either side
    differences: list[Difference]  # by time, at most one for each candle


def compare(
    here: Sequence[Bar],
    there: Sequence[Bar],
    span: Interval,
    ledger: Sequence[Stretch],
    *,
    said: Sequence[Interval] | None = None,
    closed_before: int = 0,
    empty_is_none: bool = False,
) -> Compared:
    """Compare what is stored with what another source has, both oldest first, by value and not by digits.

    `said`: where the other source gives a whole account (default everywhere). `closed_before` (ns): older candles have a
    successor; of the others, those that still form on either side are left out. `empty_is_none`: to the other source, a
    candle without volume is none.
    """
    stored = {row.open_time: row for row in here if span.start <= row.open_time < span.stop}
    other = {row.open_time: row for row in there if span.start <= row.open_time < span.stop}
    known = Intervals([span] if said is None else said)
    states = _States(ledger)
    count = 0
    found: dict[int, Difference] = {}
    for at in sorted(stored.keys() | other.keys()):
        mine, theirs = stored.get(at), other.get(at)
        if at not in known or not all(row is None or row.closed or at < closed_before for row in (mine, theirs)):
            continue
        count += 1
        if mine is None and theirs is not None:
            found[at] = Difference(at, theirs.close_time, "only there", states.at(at), (), None, theirs)
        elif mine is not None and theirs is None:
            if not (empty_is_none and not Decimal(mine.volume)):
                found[at] = Difference(at, mine.close_time, "only here", states.at(at), (), mine, None)
        elif mine is not None and theirs is not None and (fields := _differing(mine, theirs)):
            found[at] = Difference(at, mine.close_time, "values", states.at(at), fields, mine, theirs)
    for one in _against_ledger(stored, found, span, ledger, states):
        found[one.start] = one
    return Compared(count, [found[at] for at in sorted(found)])


def _differing(mine: Bar, theirs: Bar) -> tuple[str, ...]:
    return tuple(name for name in NUMBERS if Decimal(getattr(mine, name)) != Decimal(getattr(theirs, name)))


def _against_ledger(
    stored: dict[int, Bar], found: dict[int, Difference], span: Interval, ledger: Sequence[Stretch], states: "_States"
) -> list[Difference]:
    """Intervals called had that hold no row, and closed rows that are called something else."""
    rows = Intervals((row.open_time, row.close_time) for row in stored.values())
    for one in found.values():
        rows.add(one.start, one.stop)
    wrong = [
        Difference(*hole, "ledger", "have", (), None, None)
        for part in ledger
        if part.state == "have"
        for hole in rows.missing(max(part.start, span.start), min(part.stop, span.stop))
    ]
    wrong += [
        Difference(at, row.close_time, "ledger", states.at(at), (), row, None)
        for at, row in stored.items()
        if row.closed and at not in found and states.at(at) != "have"
    ]
    return wrong


class _States:
    """What the ledger says of a moment."""

    def __init__(self, ledger: Sequence[Stretch]) -> None:
        self._rows = sorted(ledger)
        self._starts = [row.start for row in self._rows]

    def at(self, time: int) -> str:
        number = bisect_right(self._starts, time) - 1
        return self._rows[number].state if number >= 0 and time < self._rows[number].stop else ""
