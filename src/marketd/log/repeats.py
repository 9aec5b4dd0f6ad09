"""Repeated lines: the first ones are written, the rest is counted and told in one line an interval."""

from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

KEYS_MAX = 1024  # different lines remembered; beyond it the oldest is forgotten


class Repeats:
    """A processor. Lines are the same when event, level, venue and symbol are."""

    def __init__(self, first: int, interval_s: float, monotonic: Callable[[], float]) -> None:
        self._first, self._interval_s, self._monotonic = first, interval_s, monotonic
        self._seen: dict[tuple[object, ...], list[float]] = {}  # [start of the interval, lines in it]

    def __call__(self, _: object, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if method not in ("warning", "error"):
            return line
        key = (line.get("event"), method, line.get("venue"), line.get("symbol"), line.get("consumer"))
        now = self._monotonic()
        seen = self._seen.get(key)
        if seen is None or now - seen[0] >= self._interval_s:
            left_out = int(seen[1]) - self._first if seen is not None else 0
            if left_out > 0:
                line["left_out"] = left_out  # equal lines not written since the last one
            self._seen.pop(key, None)
            if len(self._seen) >= KEYS_MAX:
                self._seen.pop(next(iter(self._seen)))
            self._seen[key] = [now, 1]
            return line
        seen[1] += 1
        line["is_repeated"] = True  # its code was explained in the first one
        if seen[1] <= self._first:
            if seen[1] == self._first:
                line["more"] = f"equal lines are counted for {self._interval_s:g} s"
            return line
        raise structlog.DropEvent
