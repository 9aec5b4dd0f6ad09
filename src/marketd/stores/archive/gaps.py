"""What the table of gaps says after the ledger has changed: a gap that is repaired bit by bit is told bit by bit. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.stores.archive.rows import GapRow


def gaps_after(series: CandleSeries, rows: Sequence[GapRow], said: Sequence[Stretch], now: int) -> list[GapRow]:
    """The gap rows of a series around a span, when the ledger now says `said` of it (sorted, disjoint).

    `rows` are those that touch the span, and may reach beyond. Where the ledger says that something is missing there is an
    open gap, found when it was first found. Where it says the candles are there after all, or never were, the gap that was
    there ends: its cause stays, `repaired_at` is when it ended. Where it says nothing, rows stay as they are.
    """
    pieces: list[GapRow] = []
    for row in sorted(rows, key=_start):
        pieces += _left_over(row, said)
    for part in said:
        if part.is_gap:
            over = [row for row in rows if row.gap_start < part.stop and row.gap_end > part.start and row.repaired_at is None]
            found = min((row.detected_at for row in over if row.detected_at is not None), default=part.since)
            pieces.append(GapRow(*series, part.start, part.stop, found, None, part.state, part.cause))
        else:
            pieces += [_ended(row, part, now) for row in rows if row.gap_start < part.stop and row.gap_end > part.start]
    return _joined(pieces)


def _start(row: GapRow) -> int:
    return row.gap_start


def _left_over(row: GapRow, said: Iterable[Stretch]) -> list[GapRow]:
    """What of a row nothing is said of."""
    left, at = [], row.gap_start
    for part in said:
        if part.stop <= at or part.start >= row.gap_end:
            continue
        if at < part.start:
            left.append(msgspec.structs.replace(row, gap_start=at, gap_end=part.start))
        at = part.stop
    if at < row.gap_end:
        left.append(msgspec.structs.replace(row, gap_start=at))
    return left


def _ended(row: GapRow, part: Stretch, now: int) -> GapRow:
    start, end = max(row.gap_start, part.start), min(row.gap_end, part.stop)
    if row.repaired_at is not None:
        return msgspec.structs.replace(row, gap_start=start, gap_end=end)
    cause = row.cause if part.state == "have" else part.cause
    return msgspec.structs.replace(row, gap_start=start, gap_end=end, repaired_at=now, state=part.state, cause=cause)


def _joined(pieces: Iterable[GapRow]) -> list[GapRow]:
    """Neighbours that tell the same become one: found when the first was, repaired when the last was.

    Rows of old programs may overlap: the later one then begins where the earlier one ends.
    """
    joined: list[GapRow] = []
    for piece in sorted(pieces, key=_start):
        last = joined[-1] if joined else None
        if last is not None and piece.gap_start < last.gap_end:
            if piece.gap_end <= last.gap_end:
                continue
            piece = msgspec.structs.replace(piece, gap_start=last.gap_end)
        if last is None or last.gap_end != piece.gap_start or _tells(last) != _tells(piece):
            joined.append(piece)
            continue
        joined[-1] = msgspec.structs.replace(
            last,
            gap_end=piece.gap_end,
            detected_at=min(filter(None, (last.detected_at, piece.detected_at)), default=None),
            repaired_at=None if last.repaired_at is None else max(last.repaired_at, piece.repaired_at or 0),
        )
    return joined


def _tells(row: GapRow) -> tuple[object, ...]:
    return row.state, row.cause, row.repaired_at is None
