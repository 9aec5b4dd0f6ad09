"""The events of one channel, numbered; those that may not be lost are held, for who is behind and for who comes back."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from marketd.api.stream.deflate import deflated
from marketd.api.stream.frames import event_frame
from marketd.api.stream.packs import Pack, Packs
from marketd.model.events import BookL2, Candle, Event, Gap, Quote, Trade, droppable

if TYPE_CHECKING:
    from marketd.api.stream.reader import Reader

WORTH_BYTES = 1024  # packing less than this for one client alone is not worth it


class Key(NamedTuple):
    """Names a channel. A state without a symbol is of the whole venue; a timeframe is a candle's."""

    type: str
    venue: str
    symbol: str = ""
    timeframe: str = ""


class Held:
    """What all channels of a hub hold together."""

    def __init__(self) -> None:
        self.bytes = 0


class Channel:
    """`pos` is the newest position given; without anyone who asks for it a channel only counts and keeps its newest event.

    Firm events (trades, closed candles, gaps, states) are held; of the others only the newest, since it replaces those before.
    """

    def __init__(self, key: Key, held: Held | None = None) -> None:
        self.key = key
        self._held = held or Held()
        self.pos = 0
        self.newest: Event | None = None  # what a snapshot shows
        self.newest_at = 0  # its position
        self.in_step: tuple[set[Reader], set[Reader]] = (set(), set())  # who has everything up to `pos`: as it is, packed
        self.readers = 0
        self.is_open = False  # frames are made
        self.empty_since_s: float | None = None  # when the last reader left
        self.fresh: list[bytes] = []  # not handed to those in step yet
        self.forgotten = 0  # the newest position that was firm and is not held any more
        self.held_bytes = 0
        self._firm: list[bytes] = []
        self._firm_at: list[int] = []  # their positions
        self._loose = b""  # the newest that replaces those before it
        self._loose_at = 0
        self._packs = Packs()
        self._is_firm = key.type in ("trade", "status")  # every event of it

    def take(self, event: Event) -> None:
        """Number it and, if anyone asks, encode it."""
        self.pos += 1
        kind = event.__class__
        if kind is Quote or kind is BookL2 or (kind is not Gap and self._is_newer(event)):
            self.newest, self.newest_at = event, self.pos
        if not self.is_open:
            return
        frame = event_frame(event, self.pos, self.key.timeframe if kind is Gap else "")
        self.fresh.append(frame)
        if droppable(event):
            self._loose, self._loose_at = frame, self.pos
            return
        self._firm.append(frame)
        self._firm_at.append(self.pos)
        self._hold(len(frame))

    def open(self) -> None:
        """From here on frames are made and held."""
        self.is_open, self.empty_since_s = True, None
        self.forgotten = self.pos

    def close(self) -> None:
        """Nobody asks any more: nothing is held."""
        self._hold(-self.held_bytes)
        self.is_open = False
        self._firm, self._firm_at, self._loose, self._loose_at = [], [], b"", 0
        self._packs = Packs()

    def after(self, cursor: int, limit: int) -> tuple[list[bytes], int]:
        """The next frames for who has everything up to `cursor`, at most about `limit`, and the cursor after them.

        Only what is held: ask `holds` before.
        """
        at = bisect_right(self._firm_at, cursor)
        until = min(at + limit, len(self._firm))
        frames = self._firm[at:until]
        reached = self.pos if until == len(self._firm) else self._firm_at[until - 1]
        if cursor < self._loose_at <= reached:
            frames.insert(bisect_right(self._firm_at, self._loose_at, at, until) - at, self._loose)
        return frames, reached

    def pack(self, fresh: Sequence[bytes]) -> bytes:
        """What was fresh and ends at `pos`, packed for all in step, and kept for those who will come behind."""
        data = deflated(fresh)
        if self._is_firm:
            self._hold(self._packs.keep(self.pos - len(fresh), Pack(data, self.pos)))
        return data

    def packed_after(self, cursor: int, limit: int) -> tuple[bytes, int, int]:
        """As `after`, packed, and how many messages that are."""
        if not self._is_firm:
            frames, reached = self.after(cursor, limit)
            few = sum(map(len, frames)) < WORTH_BYTES
            return b"".join(frames) if few else deflated(frames), reached, len(frames)
        found: list[bytes] = []
        reached = cursor
        while reached - cursor < limit and reached < self.pos:
            pack = self._packs.after(reached)
            if pack is None:
                frames, until = self.after(reached, min(limit, (self._packs.begins_after(reached) or self.pos) - reached))
                pack = Pack(deflated(frames), until)
                self._hold(self._packs.keep(reached, pack))
            found.append(pack.data)
            reached = pack.until
        return b"".join(found), reached, reached - cursor

    def holds(self, cursor: int) -> bool:
        """Whether all that is firm after `cursor` is held."""
        return self.forgotten <= cursor <= self.pos

    def waiting(self, cursor: int) -> int:
        """How many events that may not be lost follow `cursor`."""
        return len(self._firm_at) - bisect_right(self._firm_at, cursor)

    def __len__(self) -> int:
        return len(self._firm)

    def forget(self, count: int) -> int:
        """Let the oldest firm events go; returns how many bytes that frees."""
        count = min(count, len(self._firm))
        if not count:
            return 0
        freed = sum(map(len, self._firm[:count]))
        self.forgotten = self._firm_at[count - 1]
        del self._firm[:count], self._firm_at[:count]
        freed += self._packs.forget(self.forgotten)
        self._hold(-freed)
        return freed

    def snapshot(self) -> Sequence[bytes]:
        """The newest event, marked as what was before; none where nothing came yet."""
        if self.newest is None:
            return ()
        return (event_frame(self.newest, self.newest_at, snapshot=True),)

    def _hold(self, more_bytes: int) -> None:
        self.held_bytes += more_bytes
        self._held.bytes += more_bytes

    def _is_newer(self, event: Event) -> bool:
        """A late repair or a correction of an old candle is not what is newest."""
        known = self.newest
        if known is None:
            return True
        if isinstance(event, Trade):
            return not event.repaired or (event.ts_event or 0) >= (known.ts_event or 0)
        return not isinstance(event, Candle) or not isinstance(known, Candle) or event.open_time >= known.open_time
