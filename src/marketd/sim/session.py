"""One WebSocket client of a simulated venue: what it listens to, what reaches it, and the faults on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marketd.sim.faults import Fault
from marketd.sim.wire import Request, Socket, encode_frame, to_json

if TYPE_CHECKING:
    from marketd.sim.venue import SimVenue


class Session:
    """One WebSocket client of a venue. Subclasses speak the venue's protocol."""

    def __init__(self, venue: SimVenue, request: Request) -> None:
        self.venue, self.request = venue, request
        self.topics: set[tuple[str, ...]] = set()
        self.since_ns = self.last_ping_ns = self.heard_ns = 0
        self.unanswered_ns: int | None = None  # time of the oldest ping without an answer
        self.cut_at_ns: int | None = None
        self.captured: list[bytes] | None = None  # flood: frames are kept here instead of being sent

    # -- the line -------------------------------------------------------------------------------------------------

    def opened(self, socket: Socket) -> None:
        self.socket = socket
        self.since_ns = self.last_ping_ns = self.heard_ns = self.venue.clock_ns()
        self.venue.sessions[self] = None
        self.on_open()

    def heard(self, text: bytes) -> None:
        self.heard_ns = self.venue.clock_ns()
        self.venue.heard_frames += 1
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        self.on_message(message)

    def ping(self, payload: bytes = b"") -> None:
        self.last_ping_ns = self.venue.clock_ns()
        if self.unanswered_ns is None:
            self.unanswered_ns = self.last_ping_ns
        self.socket.ping(payload)

    def ponged(self) -> None:
        self.unanswered_ns = None

    def closed(self) -> None:
        self.venue.sessions.pop(self, None)
        for topic in list(self.topics):
            self.leave(topic)
        self.on_closed()

    def say(self, message: object) -> None:
        """A control message; only a mute or stalled venue withholds it."""
        payload = message if isinstance(message, bytes) else to_json(message)
        if not self.venue.muted:
            self.socket.send(payload)

    def push(self, symbol: str | None, channel: str | None, payload: bytes) -> None:
        """A data frame of the synthetic market; it passes the faults. A recording takes its place."""
        if self.venue.recording is None:
            self._pass(symbol, channel, payload)

    def replay(self, payload: bytes, message: Any) -> None:
        """A recorded frame; it passes the faults too."""
        self._pass(next(iter(self.venue.recorded_symbols(message)), None), None, payload)

    def wants(self, message: Any) -> bool:
        """Whether this client subscribed to what a recorded frame belongs to; true where that cannot be told."""
        return True

    def _pass(self, symbol: str | None, channel: str | None, payload: bytes) -> None:
        venue = self.venue
        if not venue.deck.has_frame_faults:
            self._send(payload)
            return
        now_ns = venue.clock_ns()
        frames = venue.deck.on_frame(self, symbol, channel, payload, now_ns)
        slow = venue.deck.first("slow", now_ns, lambda fault: fault.on != "rest" and fault.symbol in {None, symbol})
        for frame in frames:
            if slow is not None:
                venue.later(slow.by_s, self._send, frame)
            else:
                self._send(frame)

    def _send(self, payload: bytes) -> None:
        if self.captured is not None:
            self.captured.append(encode_frame(payload))
        else:
            self.socket.send(payload)

    # -- topics ---------------------------------------------------------------------------------------------------

    def join(self, *topic: str) -> None:
        """Listen to (channel, symbol, ...)."""
        self.topics.add(topic)
        self.venue.watching.setdefault(topic, {})[self] = None

    def leave(self, topic: tuple[str, ...]) -> None:
        self.topics.discard(topic)
        watchers = self.venue.watching.get(topic)
        if watchers is not None:
            watchers.pop(self, None)
            if not watchers:
                del self.venue.watching[topic]
                self.venue.views.pop(topic, None)

    def refused(self, symbol: str | None) -> Fault | None:
        """The `error` fault that this subscription meets."""
        return self.venue.deck.first("error", self.venue.clock_ns(), lambda fault: fault.symbol in {None, symbol})

    def covers(self, symbol: str | None) -> bool:
        return symbol is None or any(symbol in topic for topic in self.topics)

    # -- what a venue fills in ------------------------------------------------------------------------------------

    def on_open(self) -> None: ...

    def on_message(self, message: Any) -> None: ...

    def on_closed(self) -> None: ...

    def on_second(self, now_ns: int) -> None: ...

    def announce_cut(self) -> None: ...
