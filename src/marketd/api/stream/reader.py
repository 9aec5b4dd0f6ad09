"""How a client of `/ws` gets its events: with all others while it keeps up, from the log by a cursor while it does not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from marketd.api.stream.channel import Channel

if TYPE_CHECKING:
    from marketd.api.stream.hub import Hub

log = structlog.get_logger("api")
AT_ONCE = 512  # frames written in one go to who catches up
LOOKS = 5  # at what is due, in the interval of the fastest pace


class Wire(Protocol):
    """The connection. `write` may call the client's `pause` before it returns."""

    peer: str  # whose it is, for the log
    packs: bool  # permessage-deflate is agreed on

    def write(self, data: bytes) -> None: ...

    def close(self, code: int, words: str) -> None: ...


class Reading:
    """A subscription that is not in step: it has everything up to `cursor`, and gets more when it is `due_s`."""

    __slots__ = ("cursor", "due_s", "every_s")

    def __init__(self, cursor: int, every_s: float) -> None:
        self.cursor, self.every_s, self.due_s = cursor, every_s, 0.0


class Reader:
    """Its channels are in step, or have a reading; those at a pace of their own always have one."""

    def __init__(self, hub: "Hub", wire: Wire) -> None:
        self.hub, self.wire = hub, wire
        self.out: list[bytes] = []  # of the flush under way
        self.is_open = True
        self._channels: dict[Channel, Reading | None] = {}  # None: in step
        self._paced = 0  # how many channels have a pace of their own
        self._every_s, self._due_s = float("inf"), 0.0  # the fastest of them, and when to look again
        self._paused = False

    def _join(self, channel: Channel, cursor: int, every_s: float) -> None:
        """From `cursor` on; 0 s: as it comes."""
        self._channels[channel] = Reading(cursor, every_s)
        if every_s:
            self.hub.paced.add(self)
            self._paced += 1
            self._every_s, self._due_s = min(self._every_s, every_s), 0.0

    def _leave(self, channel: Channel) -> None:
        reading = self._channels.pop(channel)
        channel.in_step[self.wire.packs].discard(self)
        self.hub.left(channel)
        if reading is not None and reading.every_s:
            self._paced -= 1
            if not self._paced:
                self.hub.paced.discard(self)
                self._every_s = float("inf")

    def flush(self, joined: dict[tuple[bytes, ...], bytes]) -> None:
        """Write what the hub laid out for it; `joined` is shared by all that get the same."""
        if len(self.out) == 1:
            data = self.out[0]
        else:
            parts = tuple(self.out)
            data = joined.get(parts) or joined.setdefault(parts, b"".join(parts))
        self.out.clear()
        if self.is_open:
            self.wire.write(data)

    def catch_up(self) -> None:
        """Write what those behind miss, until the connection takes no more or they are in step."""
        for channel, reading in list(self._channels.items()):
            if reading is not None and not reading.every_s and not self._advance(channel, reading):
                return

    def deliver_due(self, now_s: float) -> None:
        """What is due at a pace of its own."""
        if self._paused or now_s < self._due_s:
            return
        self._due_s = now_s + self._every_s / LOOKS
        for channel, reading in list(self._channels.items()):
            if reading is not None and reading.every_s and now_s >= reading.due_s and reading.cursor < channel.pos:
                reading.due_s = max(reading.due_s, now_s) + reading.every_s
                if not self._advance(channel, reading):
                    return

    def _advance(self, channel: Channel, reading: Reading) -> bool:
        """False where it cannot go on now."""
        while reading.cursor < channel.pos:
            if self._paused or not self.is_open:
                return False
            if not channel.holds(reading.cursor):
                self._too_slow("more than is held waited for it")
                return False
            if self.wire.packs:
                data, reading.cursor, count = channel.packed_after(reading.cursor, AT_ONCE)
            else:
                frames, reading.cursor = channel.after(reading.cursor, AT_ONCE)
                data, count = b"".join(frames), len(frames)
            self.hub.sent(count)
            self.wire.write(data)
        if not reading.every_s and not self._paused and self.is_open:
            self._channels[channel] = None
            channel.in_step[self.wire.packs].add(self)
        return True

    def pause(self) -> None:
        """The connection takes no more for now."""
        self._paused = True
        self.hub.paused.add(self)
        for channel, reading in self._channels.items():
            if reading is None:
                self._channels[channel] = Reading(channel.pos, 0.0)
                channel.in_step[self.wire.packs].discard(self)

    def resume(self) -> None:
        self._paused = False
        self.hub.paused.discard(self)
        if self.is_open:
            self.catch_up()

    def waiting(self) -> int:
        """How many events that may not be lost wait for it."""
        return sum(channel.waiting(one.cursor) for channel, one in self._channels.items() if one is not None)

    def fill(self) -> float:
        return min(1.0, self.waiting() / self.hub.config.queue)

    def judge(self) -> None:
        """Close it if too much waits."""
        waiting = self.waiting()
        if waiting > self.hub.config.queue:
            self._too_slow(f"{waiting:,} events that may not be lost waited for it")

    def _too_slow(self, words: str) -> None:
        log.warning("api.stream_slow", code="stream-slow", client=self.wire.peer, reason=words)
        self.close(1013, f"too slow: {words}; come again, with `after`", "slow")

    def close(self, code: int, words: str, reason: str) -> None:
        """Say why and go; `reason` is how it is counted."""
        if self.is_open:
            self.gone(reason)
            self.wire.close(code, words)

    def gone(self, reason: str = "gone") -> None:
        """No more of anything."""
        self.is_open = False
        for channel in list(self._channels):
            self._leave(channel)
        self.hub.paused.discard(self)

    def _write(self, frames: Sequence[bytes]) -> None:
        if frames and self.is_open:
            self.hub.sent(len(frames))
            self.wire.write(b"".join(frames))
