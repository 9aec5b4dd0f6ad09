"""What to ask a venue for next: the ledger's open intervals, cut into pages that one request can answer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from marketd.history.settling import ASKED_ONCE
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.timeframes import Timeframe

SETTLED = frozenset({"have", "known_empty", "unrecoverable"})


class Piece(NamedTuple):
    """One request."""

    span: Interval  # open times, ns
    again: bool  # it was asked for before and came back empty


def open_spans(rows: Sequence[Stretch], span: Interval) -> list[Interval]:
    """What the ledger does not account for yet within `span`."""
    settled = Intervals((row.start, row.stop) for row in rows if row.state in SETTLED)
    return settled.missing(*span)


def pieces(
    rows: Sequence[Stretch], span: Interval, timeframe: Timeframe, page: int, *, newest_first: bool = False
) -> Iterator[Piece]:
    """The requests that would settle `span`, each at most `page` candles long. Neighbouring doubts share a request: holes
    cost one question for all that fit on a page. What is asked again is asked with a candle that is had on each side, where
    there is one: an answer that lacks it was cut."""
    doubtful = Intervals((row.start, row.stop) for row in rows if row.state == "missing" and row.cause == ASKED_ONCE)
    fresh: list[Interval] = []
    again: list[Interval] = []
    for part in open_spans(rows, span):
        untried = doubtful.missing(*part)
        fresh += untried
        again += Intervals(_others(part, untried))
    found = [Piece(one, False) for part in fresh for one in paged(part, timeframe, page)]
    untouched = Intervals(fresh)
    have = Intervals((row.start, row.stop) for row in rows if row.state == "have")
    less = max(1, page - 2)
    for part in _joined(again, untouched, timeframe, less):
        found += [
            Piece(_with_neighbours(one, have, timeframe) if page > 2 else one, True) for one in paged(part, timeframe, less)
        ]
    found.sort(key=lambda piece: piece.span.start, reverse=newest_first)
    yield from found


def _others(part: Interval, without: Sequence[Interval]) -> Iterator[tuple[int, int]]:
    yield from Intervals(without).missing(*part)


def _with_neighbours(span: Interval, have: Intervals, timeframe: Timeframe) -> Interval:
    before = timeframe.open_of(span.start - 1) if span.start > 0 else 0
    after = timeframe.close_of(span.stop)
    return Interval(before if before in have else span.start, after if span.stop in have else span.stop)


def _joined(parts: Sequence[Interval], untouched: Intervals, timeframe: Timeframe, page: int) -> Iterator[Interval]:
    """Intervals that lie within one page of each other, as one: asking for what is there in between costs nothing more, as
    long as nothing of it is asked for the first time."""
    joined: Interval | None = None
    for part in parts:
        fits = joined is not None and part.stop <= _after(joined.start, timeframe, page)
        if joined is not None and fits and untouched.missing(joined.stop, part.start) == [(joined.stop, part.start)]:
            joined = Interval(joined.start, part.stop)
            continue
        if joined is not None:
            yield joined
        joined = part
    if joined is not None:
        yield joined


def paged(span: Interval, timeframe: Timeframe, page: int) -> Iterator[Interval]:
    """`span` in parts of at most `page` candles."""
    at = span.start
    while at < span.stop:
        stop = min(span.stop, _after(at, timeframe, page))
        yield Interval(at, stop)
        at = stop


def _after(at: int, timeframe: Timeframe, count: int) -> int:
    """The open time `count` candles later."""
    if timeframe.step:
        return at + count * timeframe.step
    for _ in range(count):
        at = timeframe.close_of(at)
    return at
