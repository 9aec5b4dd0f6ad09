"""What a venue's answer settles: which candles are closed, which intervals are there, empty for good, or still in doubt.

A candle is closed when the venue has one of a later time (`Known.edge`), never because our clock says so. A hole in the
answer is believed at once only where the venue leaves out intervals without trades and the hole is short and lies between
two rows, and while the market is shut; any other hole is asked for once more, since half an answer looks the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec.structs import replace

from marketd.model.events import Candle
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.timeframes import DAY, HOUR, Timeframe
from marketd.venues.hours import Hours

Empty = Literal["no row", "zero volume", "either"]
When = Literal["", "quiet", "shut"]  # in the regular session, outside of it, when nobody can trade

ASKED_ONCE = "the venue answered without it; it is asked for once more"
NO_TRADES = "no trades"
OUTAGE = "venue outage"
NOT_LISTED_YET = "before listing"
DELISTED = "delisted"
CLOSED = "market closed"

BELIEVED = 20  # candles: a hole shorter than this between two rows is believed at venues that have no row without trades
OUTAGE_AFTER = HOUR  # a busy market that is silent for so long was shut
AROUND = 100  # candles on each side of a hole that say whether the market is busy


class Known(NamedTuple):
    """What is known of a series at its venue."""

    edge: int  # open time of the newest candle the venue has: whatever is older is closed
    first: int | None = None  # no candle is older than this; 0: listed before anything that is asked for; None: unknown
    horizon: int = 0  # where asking begins: what is empty from here on to the first candle was before the listing
    is_listed: bool = True


class Settled(NamedTuple):
    candles: list[Candle]  # oldest first, each open time once
    parts: list[Stretch]  # what the ledger says of the span that was asked for, up to the edge
    doubts: list[Interval]  # to be asked for once more


def settle(
    asked: Interval,
    rows: Sequence[Candle],
    timeframe: Timeframe,
    empty: Empty,
    known: Known,
    now: int,
    *,
    ledger: Sequence[Stretch] = (),
    again: bool = False,
    hours: Hours | None = None,
) -> Settled:
    """Judge an answer to `asked` (open times, ns). `ledger` is what is known of the series so far; `again`: the span had been
    asked for before, so what is not there this time either is a hole, unless this answer is seen to be cut, too: it lacks what is
    known to be there, or brings something of what was in doubt. What is had stays so, whatever an answer lacks.
    `hours`: of a market that closes."""
    stop = max(asked.start, min(asked.stop, known.edge))
    found = {row.open_time: row for row in rows if asked.start <= row.open_time < asked.stop}
    candles = [replace(found[at], closed=found[at].closed or at < known.edge) for at in sorted(found)]
    runs = list(_runs([one for one in candles if one.open_time < stop], timeframe))
    holes = Intervals(runs).missing(asked.start, stop)
    closed = _Closed(Interval(asked.start, stop), timeframe, hours)
    accounted = [
        *(row for row in ledger if row.cause != CLOSED),
        *(Stretch(*run, "have", "", now) for run in runs),
        *(Stretch(*part, "known_empty", "", now) for hole in holes for part, when in closed.cut(hole) if not when),
    ]
    answer = _Answer(Interval(asked.start, stop), Intervals(runs), ledger, again)
    parts: list[Stretch] = []
    doubts: list[Interval] = []
    at = asked.start
    for run in [*runs, Interval(stop, stop)]:
        if at < run.start:
            hole = Interval(at, run.start)
            is_inner = hole.start > asked.start and run.start < stop
            step = timeframe.close_of(hole.start) - hole.start
            for part in _cut(hole, known):
                pieces = list(_pieces(part, is_inner, known, empty, accounted, step, closed))
                doubtful = sum(piece.length for piece, when, _ in pieces if when != "shut")
                is_short = is_inner and empty != "zero volume" and doubtful < BELIEVED * step
                for piece, when, cause in pieces:
                    is_known = when == "shut" or (cause == NOT_LISTED_YET and known.first is not None)
                    for open_part in answer.judged(piece):
                        if is_short or is_known or answer.is_sure(open_part):
                            parts.append(Stretch(*open_part, "known_empty", cause, now))
                        else:
                            parts.append(Stretch(*open_part, "missing", ASKED_ONCE, now))
                            doubts.append(open_part)
        if run.length:
            parts.append(Stretch(*run, "have", "", now))
        at = max(at, run.stop)
    return Settled(candles, parts, doubts)


class _Answer:
    """What an answer says by what it lacks."""

    def __init__(self, span: Interval, runs: Intervals, ledger: Sequence[Stretch], again: bool) -> None:
        self._span, self._runs, self._again = span, runs, again
        self._have = Intervals((row.start, row.stop) for row in ledger if row.state == "have")
        self._doubted = Intervals((row.start, row.stop) for row in ledger if row.state == "missing" and row.cause == ASKED_ONCE)
        held = Intervals(self._have.missing(*span)).missing(*span)
        self._is_cut = any(runs.missing(*part) for part in held)

    def judged(self, hole: Interval) -> list[Interval]:
        """The parts of a hole that it may speak of: never what is had, and asked for again only what was in doubt."""
        if not (self._again and len(self._doubted)):
            return self._have.missing(*hole)
        return [_shared(part, hole) for part in self._doubted if part.start < hole.stop and hole.start < part.stop]

    def is_sure(self, part: Interval) -> bool:
        """Whether nothing is there: asked for twice, nothing of it came, and the answer reached it from both sides, or lacks
        nothing that is known."""
        if not self._again:
            return False
        doubt = next((one for one in self._doubted if one.start <= part.start < one.stop), part)
        if self._runs.missing(*doubt) != [doubt]:
            return False
        is_between = any(run.start < doubt.start for run in self._runs) and any(run.stop > doubt.stop for run in self._runs)
        return is_between or not self._is_cut


def _shared(one: Interval, other: Interval) -> Interval:
    return Interval(max(one.start, other.start), min(one.stop, other.stop))


def _runs(candles: Sequence[Candle], timeframe: Timeframe) -> Iterator[Interval]:
    """Candles one after the other, as intervals of open times."""
    start = stop = None
    for one in candles:
        if start is None or stop is None or one.open_time != stop:
            if start is not None and stop is not None:
                yield Interval(start, stop)
            start = one.open_time
        stop = timeframe.close_of(one.open_time)
    if start is not None and stop is not None:
        yield Interval(start, stop)


def _cut(hole: Interval, known: Known) -> list[Interval]:
    """A hole across the listing is two: nothing could be there before it."""
    if known.first and hole.start < known.first < hole.stop - DAY:
        return [Interval(hole.start, known.first), Interval(known.first, hole.stop)]
    return [hole]


class _Closed:
    """When the market is closed, in whole candles: one that has a minute of the session is in it."""

    def __init__(self, span: Interval, timeframe: Timeframe, hours: Hours | None) -> None:
        self._shut = Intervals() if hours is None else _rounded(hours.shut(span), timeframe)
        self._quiet = Intervals() if hours is None else _rounded(hours.quiet(span), timeframe)
        self._edges = sorted({edge for part in (*self._shut, *self._quiet) for edge in part})

    def cut(self, hole: Interval) -> Iterator[tuple[Interval, When]]:
        """The hole in pieces, where the market opens and closes."""
        inner = self._edges[bisect_right(self._edges, hole.start) : bisect_left(self._edges, hole.stop)]
        for start, stop in pairwise([hole.start, *inner, hole.stop]):
            yield Interval(start, stop), "shut" if start in self._shut else "quiet" if start in self._quiet else ""


def _rounded(parts: Sequence[Interval], timeframe: Timeframe) -> Intervals:
    found = Intervals()
    for part in parts:
        opened = timeframe.open_of(part.start)
        found.add(opened if opened == part.start else timeframe.close_of(opened), timeframe.open_of(part.stop))
    return found


def _pieces(
    hole: Interval,
    is_inner: bool,
    known: Known,
    empty: Empty,
    accounted: Sequence[Stretch],
    step: int,
    closed: _Closed,
) -> Iterator[tuple[Interval, When, str]]:
    """A hole cut by the market's hours, with the cause of each piece. Of a listing only what has a session in it can tell."""
    cut = list(closed.cut(hole))
    if not all(when for _, when in cut) and _is_early(hole, is_inner, known, accounted):
        yield hole, "", NOT_LISTED_YET
        return
    for piece, when in cut:
        yield piece, when, CLOSED if when else _cause(piece, is_inner, empty, accounted, step)


def _is_early(hole: Interval, is_inner: bool, known: Known, accounted: Sequence[Stretch]) -> bool:
    """Whether it lies before the listing. Thousands of holes are on a page of a thin market: what looks at all that is
    accounted for is not for each."""
    if known.first is not None:
        return hole.start <= known.first and hole.stop <= known.first + DAY  # the listing is known to the day
    if is_inner:
        return False
    is_first = hole.start <= known.horizon or any(row.stop == hole.start and row.cause == NOT_LISTED_YET for row in accounted)
    return is_first and not any(row.state == "have" and row.start < hole.start for row in accounted)


def _cause(hole: Interval, is_inner: bool, empty: Empty, accounted: Sequence[Stretch], step: int) -> str:
    """Why a venue that was open has nothing there."""
    whole = hole if is_inner else _whole(hole, accounted)
    is_long = whole.length >= OUTAGE_AFTER and whole.length >= BELIEVED * step
    if empty == "zero volume" or (is_long and _is_busy(whole, accounted, step)):
        return OUTAGE
    return NO_TRADES


def _whole(hole: Interval, accounted: Sequence[Stretch]) -> Interval:
    """The silence that the hole is a part of: pages cut a long one in pieces, and the last may be short."""
    silent = Intervals(
        (row.start, row.stop)
        for row in accounted
        if (row.state == "known_empty" and row.cause in ("", NO_TRADES, OUTAGE))
        or (row.state == "missing" and row.cause == ASKED_ONCE)
    )
    silent.add(*hole)
    return next(part for part in silent if part.start <= hole.start < part.stop)


def _is_busy(hole: Interval, accounted: Sequence[Stretch], step: int) -> bool:
    """Whether the market traded in most intervals on both sides of the hole, as far as they are known."""
    there = known = 0
    for side in (Interval(hole.start - AROUND * step, hole.start), Interval(hole.stop, hole.stop + AROUND * step)):
        have = Intervals((row.start, row.stop) for row in accounted if row.state == "have")
        empty = Intervals((row.start, row.stop) for row in accounted if row.state == "known_empty")
        held = side.length - sum(part.length for part in have.missing(*side))
        there += held
        known += held + side.length - sum(part.length for part in empty.missing(*side))
    return known > 0 and there * 2 >= known
