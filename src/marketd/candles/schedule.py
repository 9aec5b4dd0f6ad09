"""When the cache asks for what: each timeframe on a pace of its own, spread over the cycle. Pure: seconds since the start."""

from collections.abc import Iterable
from typing import NamedTuple

from marketd.model.timeframes import HOUR, timeframe

LAST = 0.95  # of a cycle: what failed until then has failed
ROOM_S_MIN = 5.0  # the shortest time over which a whole cycle is asked for
PRICES_EVERY_S, PRICES_TTL_S = 30, 60


class Pace(NamedTuple):
    timeframe: str
    every_s: int
    ttl_s: int  # of the keys: longer than the cycle, so that one that fails does not take them away


def pace(name: str) -> Pace:
    """How often a timeframe is refreshed. Raises ValueError for one that is none."""
    step = timeframe(name).step or 31 * 24 * HOUR
    if step < HOUR:
        return Pace(name, 30, 120)
    return Pace(name, 120, 300) if step < 4 * HOUR else Pace(name, 300, 600)


def slots(count: int, every_s: float, spread: float) -> list[float]:
    """When each of `count` is asked for, from the start of the cycle: evenly over its first part."""
    return [every_s * spread * place / count for place in range(count)]


def after_silence(offset_s: float, every_s: float, spread: float, room_s: float) -> float:
    """How long one waits that the venue kept from its moment, once it may ask, with `room_s` left of the cycle: in the order
    of the moments, as far apart as those are or as they fit."""
    return offset_s * min(1.0, max(room_s, ROOM_S_MIN) / (every_s * spread))


def due(paces: Iterable[Pace], at_s: int) -> frozenset[str]:
    """The timeframes whose cycle begins at this second."""
    return frozenset(one.timeframe for one in paces if at_s % one.every_s == 0)


def next_start(now_s: float, every_s: int) -> int:
    """The second at which the next cycle begins, after one that overran or a machine that slept."""
    return int(-(-now_s // every_s)) * every_s


class Round:
    """Which timeframes began in the same second, and which of them are done: the whole round is done with the last."""

    def __init__(self, paces: Iterable[Pace]) -> None:
        self._paces = list(paces)
        self._done: dict[int, dict[str, tuple[list[str], list[str]]]] = {}  # refreshed and failed, by second and timeframe

    def finish(self, name: str, at_s: int, refreshed: list[str], failed: list[str]) -> "Finished | None":
        """The round that is done now, if one is."""
        done = self._done.setdefault(at_s, {})
        done[name] = (refreshed, failed)
        if due(self._paces, at_s) - set(done):
            self._forget(at_s)
            return None
        del self._done[at_s]
        failed_once = list(dict.fromkeys(symbol for _, some in done.values() for symbol in some))
        every = dict.fromkeys(symbol for some, _ in done.values() for symbol in some)
        names = [one.timeframe for one in self._paces if one.timeframe in done]
        return Finished(names, [symbol for symbol in every if symbol not in failed_once], failed_once)

    def _forget(self, at_s: int) -> None:
        """Rounds of which a timeframe was left out, since its cycle before overran, never get done."""
        longest_s = max(one.every_s for one in self._paces)
        for old in [old for old in self._done if old < at_s - longest_s]:
            del self._done[old]


class Finished(NamedTuple):
    timeframes: list[str]
    refreshed: list[str]  # symbols, in all of them
    failed: list[str]  # in one of them at least
