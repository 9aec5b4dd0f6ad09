"""What is known of a series, stretch by stretch: had, missing, known to be empty, and why and since when."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from marketd.model.intervals import Interval

State = Literal["have", "missing", "known_empty", "repairing", "unrecoverable"]
STATES: tuple[State, ...] = get_args(State)
NOT_FETCHED = "not fetched yet"  # wanted, and its turn has not come: missing, but no gap that was found
OUTAGE = "venue outage"  # how the cause of an emptiness begins that the venue itself is to blame for


class Stretch(NamedTuple):
    """[start, stop) in one state. Of candles: their open times in ns, on the grid of the timeframe."""

    start: int
    stop: int  # exclusive
    state: State
    cause: str
    since: int  # ns; when it came to be so

    @property
    def is_gap(self) -> bool:
        """Whether something that should be there is not. A venue that had no trades leaves no gap; one that was down does."""
        if self.state == "known_empty":
            return self.cause.startswith(OUTAGE)
        return self.state != "have" and self.cause != NOT_FETCHED

    def within(self, span: Interval) -> "Stretch":
        """The part of it in `span`, which it must touch."""
        return self._replace(start=max(self.start, span.start), stop=min(self.stop, span.stop))


def replaced(rows: Sequence[Stretch], span: Interval, parts: Iterable[Stretch]) -> list[Stretch]:
    """The rows of a series (sorted, disjoint) with `parts` in place of whatever they said of `span`.

    Where the parts leave some of the span out, nothing is known of it afterwards. What was so before keeps its `since`;
    neighbours that say the same (state and cause) become one with the older `since`.
    """
    said: list[Stretch] = [row._replace(stop=min(row.stop, span.start)) for row in rows if row.start < span.start]
    stops = [row.stop for row in rows]
    at = span.start
    for part in sorted(parts):
        assert at <= part.start <= part.stop <= span.stop, f"{part} overlaps another or leaves {span}"
        at = part.stop
        if part.start < part.stop:
            said.append(part._replace(since=_since(rows, stops, part)))
    said += [row._replace(start=max(row.start, span.stop)) for row in rows if row.stop > span.stop]
    return _merged(said)


def _since(rows: Sequence[Stretch], stops: Sequence[int], part: Stretch) -> int:
    """The part's own, or that of the oldest row which said the same of some of it."""
    since = part.since
    for at in range(bisect_right(stops, part.start), len(rows)):
        row = rows[at]
        if row.start >= part.stop:
            break
        if (row.state, row.cause) == (part.state, part.cause):
            since = min(since, row.since)
    return since


def _merged(rows: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last is not None and last.stop == row.start and (last.state, last.cause) == (row.state, row.cause):
            merged[-1] = last._replace(stop=row.stop, since=min(last.since, row.since))
        else:
            merged.append(row)
    return merged
