"""Why the window of a symbol is not wholly to be believed: gaps, a line that was down, and until when that matters."""

from marketd.analysis.payloads import Line, short
from marketd.model.events import Gap
from marketd.model.intervals import Intervals
from marketd.model.marks import is_number

DOUBTS_MAX = 64  # kept for a symbol; beyond, the oldest two become one
CAUSES_MAX = 4  # said


class Doubt:
    """Something is missing up to event time `until`."""

    __slots__ = ("cause", "ids", "since", "until")

    def __init__(self, until: int, cause: str, ids: Intervals | None = None, since: int | None = None) -> None:
        self.until, self.cause, self.ids, self.since = until, short(cause), ids, since


class Doubts:
    """Of one symbol at one venue. A doubt lasts until it is settled or the window has passed it."""

    __slots__ = ("_all", "_down_because", "is_down", "line")

    def __init__(self) -> None:
        self.line: Line = "connected"
        self._down_because: str | None = None  # trades may be missing from the last one on, since the line went down
        self._all: list[Doubt] = []
        self.is_down = False

    def gap(self, gap: Gap, now: int) -> bool:
        """A gap in the trades was said. Whether it is news: something is missing that was not known to be, or for good."""
        ids = _ids(gap)
        if gap.state == "filled":
            self._settle(gap, ids)
            return False
        known = any(_is_about(doubt, gap, ids) for doubt in self._all)
        if not known:
            until = max(now, gap.ts_recv) if gap.to_ts is None else gap.to_ts
            self.add(until, gap.cause, ids, gap.from_ts)
        return gap.state == "unrecoverable" or not known

    def add(self, until: int, cause: str, ids: Intervals | None = None, since: int | None = None) -> None:
        if len(self._all) >= DOUBTS_MAX:
            first = self._all.pop(0)
            self._all[0].until = max(first.until, self._all[0].until)
            self._all[0].ids = self._all[0].since = None  # of both: only time settles it
        self._all.append(Doubt(until, cause, ids, since))

    def down(self, line: Line, cause: str) -> None:
        """The line went down or silent: trades may be missing from here on."""
        self.line, self._down_because, self.is_down = line, short(f"{line}: {cause}"), True

    def up(self, now: int) -> None:
        """The line is said to be up, or a trade proves it."""
        if self._down_because is not None:
            self.add(now, self._down_because)
            self._down_because, self.is_down = None, False
        self.line = "connected"

    def causes(self, start: int) -> tuple[str, ...]:
        """Of what a window that begins after `start` is touched by; the newest few. Forgets what it has passed."""
        if not self._all and self._down_because is None:
            return ()
        self._all = [doubt for doubt in self._all if doubt.until > start]
        said = [doubt.cause for doubt in self._all]
        if self._down_because is not None:
            said.append(self._down_because)
        return tuple(said[-CAUSES_MAX:])

    def _settle(self, gap: Gap, ids: Intervals | None) -> None:
        left = []
        for doubt in self._all:
            if doubt.ids is not None and ids is not None:
                for start, stop in ids:
                    doubt.ids.remove(start, stop)
                if not doubt.ids:
                    continue
            elif ids is None and doubt.ids is None and doubt.since is not None and doubt.since == gap.from_ts:
                continue
            left.append(doubt)
        self._all = left


def _ids(gap: Gap) -> Intervals | None:
    """The ids that are missing, where they are numbers."""
    if gap.from_id is None or gap.to_id is None or not is_number(gap.from_id) or not is_number(gap.to_id):
        return None
    start, last = int(gap.from_id), int(gap.to_id)
    if last < start:
        return None
    ids = Intervals()
    ids.add(start, last + 1)
    return ids


def _is_about(doubt: Doubt, gap: Gap, ids: Intervals | None) -> bool:
    if doubt.ids is not None and ids is not None:
        return all(any(a <= start and stop <= b for a, b in doubt.ids) for start, stop in ids)
    return ids is None and doubt.ids is None and doubt.since is not None and doubt.since == gap.from_ts
