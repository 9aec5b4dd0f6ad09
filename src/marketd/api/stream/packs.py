"""A channel's held events as packed messages, in the pieces in which they were packed first: once for all who want them."""

from bisect import bisect_right, insort
from typing import NamedTuple


class Pack(NamedTuple):
    """The messages after one position, up to and with `until`."""

    data: bytes
    until: int


class Packs:
    """By the position that they follow."""

    def __init__(self) -> None:
        self._packs: dict[int, Pack] = {}
        self._starts: list[int] = []  # in order

    def keep(self, start: int, pack: Pack) -> int:
        """Returns how many bytes more are held."""
        known = self._packs.get(start)
        if known is None:
            insort(self._starts, start)
        self._packs[start] = pack
        return len(pack.data) - (len(known.data) if known else 0)

    def after(self, start: int) -> Pack | None:
        return self._packs.get(start)

    def begins_after(self, pos: int) -> int | None:
        """The first position beyond `pos` that a piece follows: where who packs anew does best to end."""
        at = bisect_right(self._starts, pos)
        return self._starts[at] if at < len(self._starts) else None

    def forget(self, until: int) -> int:
        """Let go of all that begins before `until`; returns how many bytes that frees."""
        at = bisect_right(self._starts, until - 1)
        freed = sum(len(self._packs.pop(start).data) for start in self._starts[:at])
        del self._starts[:at]
        return freed
