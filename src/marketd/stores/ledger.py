"""What is known to be there, missing, being repaired or gone for good, per venue, symbol and channel.

Pure: it is told what was stored and what was said about gaps, and says which rows changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from marketd.model.events import BookL2, Candle, Channel, Event, Gap, GapState, Quote, Trade
from marketd.model.marks import Mark, Series, is_number

State = Literal["have", "missing", "known_empty", "repairing", "unrecoverable"]
Key = tuple[str, str, Channel]  # venue, symbol, channel
Proofs = Mapping[tuple[str, str], str]  # (venue, channel) -> ids, sequence, checksum, overlap, none

AFTER_GAP: dict[GapState, State] = {"found": "missing", "filled": "have", "unrecoverable": "unrecoverable"}
CHANNELS: dict[type[Event], Channel] = {Trade: "trade", Quote: "quote", BookL2: "book", Candle: "candle"}
NOT_RUNNING = "marketd was not running"


class Point(NamedTuple):
    """Where something lies: its id, where the venue gives one, and its time (ns)."""

    id: str | None
    ts: int | None


@dataclass(slots=True)
class Row:
    """An interval, both ends included."""

    id: int
    venue: str
    symbol: str
    channel: Channel
    state: State
    proof: str
    from_id: str | None
    to_id: str | None
    from_ts: int | None
    to_ts: int | None
    cause: str | None
    since_ts: int
    updated_ts: int

    @property
    def end(self) -> Point:
        return Point(self.to_id, self.to_ts)


class Ledger:
    """The rows of every series, in order. Those of one series do not overlap and leave no hole unsaid."""

    def __init__(self, proofs: Proofs, rows: Iterable[Row] = ()) -> None:
        self._proofs = proofs
        self._rows: dict[Key, list[Row]] = {}
        self._next_id = 1
        self._going_on: set[Key] = set()  # series whose last row is being extended by this process
        self._changed: dict[int, Row] = {}
        self._removed: set[int] = set()
        for row in rows:
            self._rows.setdefault((row.venue, row.symbol, row.channel), []).append(row)
            self._next_id = max(self._next_id, row.id + 1)
        for of_series in self._rows.values():
            by_id = all(_int_ids(row) for row in of_series)
            of_series.sort(
                key=lambda row: _int_ids(row) or (0, 0) if by_id else (row.from_ts or row.to_ts or row.since_ts, row.id)
            )

    def extend(self, key: Key, first: Point, last: Point, ts_recv: int) -> None:
        """Everything from `first` to `last` was stored, in this order, with nothing known to be missing between."""
        rows = self._rows.setdefault(key, [])
        if rows and not _is_after(last, rows[-1].end):
            return
        if rows and rows[-1].state == "have" and (key in self._going_on or _follows(rows[-1].end, first)):
            rows[-1].to_id, rows[-1].to_ts, rows[-1].updated_ts = last.id, last.ts, ts_recv
            self._changed[rows[-1].id] = rows[-1]
        else:
            if rows and not _is_after(first, rows[-1].end):
                first = _just_after(rows[-1].end, first)
            elif rows and rows[-1].state == "have":
                state: State = "missing" if key[2] == "trade" else "unrecoverable"
                start, stop = _just_after(rows[-1].end, first), _just_before(first)
                rows.append(self._new(key, state, start, stop, NOT_RUNNING, ts_recv))
            rows.append(self._new(key, "have", first, last, None, ts_recv))
        self._going_on.add(key)

    def note(self, gap: Gap) -> None:
        """What was said about a gap becomes what is known: saying it twice changes nothing."""
        key: Key = (gap.venue, gap.symbol, gap.channel)
        first, last = Point(gap.from_id, gap.from_ts), Point(gap.to_id, gap.to_ts)
        if gap.is_repairing:
            self._begin(key, first, last, gap.ts_recv)
        else:
            self.mark(key, "known_empty" if gap.is_empty else AFTER_GAP[gap.state], first, last, gap.cause, gap.ts_recv)

    def _begin(self, key: Key, first: Point, last: Point, ts: int) -> None:
        """The repair of what is missing there begins: its bounds and its cause stay as they are."""
        asked = Row(0, *key, "repairing", "", first.id, last.id, first.ts, last.ts, None, ts, ts)
        for row in self._rows.get(key, ()):
            if row.state == "missing" and _relation(row, asked) in ("covered", "overlaps"):
                row.state, row.updated_ts = "repairing", ts
                self._changed[row.id] = row

    def mark(self, key: Key, state: State, first: Point, last: Point, cause: str, ts: int) -> None:
        """From `first` to `last` the state is this, whatever it was: rows that reach into it are cut."""
        rows = self._rows.setdefault(key, [])
        painted = self._new(key, state, first, last, None if state == "have" else cause, ts)
        before: list[Row] = []
        after: list[Row] = []
        inside: list[Row] = []
        for row in rows:
            relation = _relation(row, painted)
            if relation == "covered":
                inside.append(row)
            elif relation == "before" or (relation == "apart" and not inside and not after):
                before.append(row)
            elif relation == "after" or relation == "apart":
                after.append(row)
            else:
                left, right = self._cut(row, painted)
                before.extend(left)
                after.extend(right)
        if rows and not inside and state != "missing" and all(_relation(row, painted) == "apart" for row in rows):
            self._changed.pop(painted.id)  # nothing to compare with: an answer to a question nobody asked
            return
        if inside:
            painted.since_ts = min(row.since_ts for row in inside)
        for row in inside:
            self._drop(row)
        self._rows[key] = self._merged([*before, painted, *after])
        if not after:  # a gap filled up to now was filled by this process, which goes on from there
            (self._going_on.add if state == "have" else self._going_on.discard)(key)

    def open_gaps(self) -> list[Gap]:
        """What is missing or was being repaired: to be repaired after a restart."""
        return [
            Gap(
                venue=row.venue, symbol=row.symbol, ts_event=None, ts_recv=row.updated_ts, channel=row.channel, state="found",
                from_id=row.from_id, to_id=row.to_id, from_ts=row.from_ts, to_ts=row.to_ts, cause=row.cause or "",
            )
            for row in self.rows()
            if row.state in ("missing", "repairing")
        ]  # fmt: skip

    def marks(self, keys: Iterable[Key] | None = None) -> dict[Series, Mark]:
        """The end of what is held of each trade series, or of those among `keys`."""
        marks: dict[Series, Mark] = {}
        for key in self._rows if keys is None else keys:
            last = next((row for row in reversed(self._rows[key]) if row.state == "have"), None)
            if key[2] == "trade" and last is not None:
                marks[key[:2]] = Mark(last.to_id, last.to_ts)
        return marks

    def rows(self) -> list[Row]:
        return [row for rows in self._rows.values() for row in rows]

    def changes(self) -> tuple[list[Row], list[int]]:
        """Rows to write and ids to delete since `saved` was last called."""
        return list(self._changed.values()), list(self._removed)

    def saved(self) -> None:
        self._changed.clear()
        self._removed.clear()

    def _new(self, key: Key, state: State, first: Point, last: Point, cause: str | None, ts: int) -> Row:
        proof = self._proofs.get((key[0], key[2]), "none")
        row = Row(self._next_id, *key, state, proof, first.id, last.id, first.ts, last.ts, cause, ts, ts)
        self._next_id += 1
        self._changed[row.id] = row
        return row

    def _drop(self, row: Row) -> None:
        self._changed.pop(row.id, None)
        self._removed.add(row.id)

    def _cut(self, row: Row, hole: Row) -> tuple[list[Row], list[Row]]:
        """What of `row` lies before and after `hole`."""
        mine, theirs = _spans(row, hole) or ((0, 0), (0, 0))
        left: list[Row] = []
        right: list[Row] = []
        if mine[0] < theirs[0]:
            end = _just_before(Point(hole.from_id, hole.from_ts))
            left.append(replace(row, to_id=end.id, to_ts=end.ts))
        if mine[1] > theirs[1]:
            start = _just_after(hole.end, Point(None, None))
            right.append(replace(row, from_id=start.id, from_ts=start.ts))
        if left and right:
            left[0].id = self._next_id  # the later part keeps the id, as it may be the one going on
            self._next_id += 1
        for part in (*left, *right):
            self._changed[part.id] = part
        return left, right

    def _merged(self, rows: list[Row]) -> list[Row]:
        """Neighbours that are both there become one."""
        merged: list[Row] = []
        for row in rows:
            earlier = merged[-1] if merged else None
            if earlier is not None and earlier.state == row.state == "have":
                row.from_id, row.from_ts, row.since_ts = earlier.from_id, earlier.from_ts, min(earlier.since_ts, row.since_ts)
                row.updated_ts = max(earlier.updated_ts, row.updated_ts)
                self._drop(earlier)
                self._changed[row.id] = row
                merged[-1] = row
            else:
                merged.append(row)
        return merged


def _int_ids(row: Row) -> tuple[int, int] | None:
    if row.from_id is None or row.to_id is None or not is_number(row.from_id) or not is_number(row.to_id):
        return None
    return int(row.from_id), int(row.to_id)


def _spans(a: Row, b: Row) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Both as numbers that can be compared: ids if both have them, else times; None if neither."""
    a_ids, b_ids = _int_ids(a), _int_ids(b)
    if a_ids is not None and b_ids is not None:
        return a_ids, b_ids
    if a.from_ts is None or a.to_ts is None or b.from_ts is None or b.to_ts is None:
        return None
    return (a.from_ts, a.to_ts), (b.from_ts, b.to_ts)


def _relation(row: Row, other: Row) -> Literal["before", "after", "covered", "overlaps", "apart"]:
    """How `row` lies to `other`; apart when they have nothing in common to be compared by."""
    spans = _spans(row, other)
    if spans is None:
        same = (row.from_id, row.to_id, row.from_ts, row.to_ts) == (other.from_id, other.to_id, other.from_ts, other.to_ts)
        return "covered" if same else "apart"
    mine, theirs = spans
    if mine[1] < theirs[0]:
        return "before"
    if mine[0] > theirs[1]:
        return "after"
    return "covered" if theirs[0] <= mine[0] and mine[1] <= theirs[1] else "overlaps"


def _is_after(point: Point, end: Point) -> bool:
    """Whether `point` lies beyond `end`; True where they cannot be compared."""
    if point.id is not None and end.id is not None and is_number(point.id) and is_number(end.id):
        return int(point.id) > int(end.id)
    if point.ts is not None and end.ts is not None:
        return point.ts > end.ts if point.id is None or point.id == end.id else point.ts >= end.ts
    return True


def _follows(end: Point, first: Point) -> bool:
    """Whether `first` is the very next id."""
    return (
        end.id is not None and first.id is not None
        and is_number(end.id) and is_number(first.id)
        and int(first.id) == int(end.id) + 1
    )  # fmt: skip


def _just_after(end: Point, like: Point) -> Point:
    return Point(_step(end.id, 1), end.ts + 1 if end.ts is not None else like.ts)


def _just_before(point: Point) -> Point:
    return Point(_step(point.id, -1), point.ts - 1 if point.ts is not None else None)


def _step(trade_id: str | None, by: int) -> str | None:
    """The neighbouring id, where ids can be counted."""
    return str(int(trade_id) + by) if trade_id is not None and is_number(trade_id) and int(trade_id) + by >= 0 else None
