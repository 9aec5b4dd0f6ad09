"""The life of one connection to a venue: greet, subscribe at the venue's pace, check each answer, read, and end for a reason."""

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import count

import structlog

from marketd.clock import Clock
from marketd.errors import BadFrame
from marketd.model.events import Event
from marketd.model.instruments import Instruments
from marketd.net import websocket
from marketd.net.capture import Capture
from marketd.rooms import room
from marketd.venues.cadence import Cadence
from marketd.venues.intake import Intake
from marketd.venues.notices import Acked, Alive, Cut, Declined, Lost, Notice, Ready
from marketd.venues.venue import Line, Venue, Wanted

ASK_TWICE = 2
HABIT = 30  # frames before a connection has a pace that can be broken
numbers = count(1)
log = structlog.get_logger("feed")


class Connection:
    """One socket and its line. `run` returns why it ended; `replace` is set when a successor should be opened first."""

    def __init__(
        self,
        venue: Venue,
        base: str,
        instruments: Instruments,
        intake: Intake,
        clock: Clock,
        capture: Capture | None,
        wanted: Iterable[Wanted],
    ) -> None:
        self.number = next(numbers)
        self.wanted: dict[Wanted, None] = dict.fromkeys(wanted)
        self.replace: str | None = None  # why a successor is wanted
        self.changed = asyncio.Event()  # something above happened
        self.has_data = asyncio.Event()  # market data came: a mere answer is none
        self.is_announced = False
        self.acked: set[Wanted] = set()
        self._venue, self._base, self._intake, self._clock, self._capture = venue, base, intake, clock, capture
        self._line: Line = venue.open_line(instruments)
        self._socket: websocket.Socket | None = None
        self._cadence = Cadence(clock.now_ns())
        self._opened_s = clock.monotonic()
        self._to_send: deque[bytes] = deque()
        self._sending = asyncio.Event()
        self._asked: dict[Wanted, tuple[float, int]] = {}  # when, how often
        self._dialled: list[Wanted] = []  # what the URL was made from
        self._failure: str | None = None
        self.banned = False  # the venue refused the whole connection for good
        self.where = base  # the address, without what may be secret

    @property
    def is_open(self) -> bool:
        return self._socket is not None and self._socket.is_open

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code if self._socket is not None else None

    @property
    def broke_protocol(self) -> bool:
        """Whether it ended because the venue did what a WebSocket server must not."""
        return self._socket is not None and self._socket.broke_protocol

    async def run(self) -> str:
        """Open, live and end. Raises Refused or Disconnected if it never opened."""
        self._dialled = list(self.wanted)
        url = self._venue.connect_url(self._base, self._dialled)
        self.where = url.partition("?")[0]
        self._record("open", self.where.encode() if self._venue.connect_headers() else url.encode())
        for frame in self._line.greet():
            self._queue(frame)  # before the first frame is read: that may already ask for subscriptions
        self._socket = await websocket.connect(url, self._on_frame, headers=self._venue.connect_headers())
        self._opened_s = self._clock.monotonic()
        try:
            async with room(f"{self._venue.name}.{self.number}") as here:
                here.start("send", self._send())
                here.start("watch", self._watch())
                if self._line.ready and not self._asked:
                    self._subscribe_first()
                if self._failure is not None:  # closed while it was dialling
                    return self._failure
                ended = await self._socket.closed()
                return self._failure or ended
        finally:
            self._socket.close()
            self._record("close", (self._failure or "").encode())

    def first_data(self) -> bool:
        """True once: when the first frame has come."""
        if self.is_announced or not self._cadence.count:
            return False
        self.is_announced = True
        return True

    def is_mute(self, now_ns: int) -> bool:
        """Open, but without frames for longer than its own pace explains."""
        return self.is_open and self.has_data.is_set() and self._cadence.count >= HABIT and self._cadence.is_odd(now_ns)

    def close(self, why: str) -> None:
        """End this connection: `run` returns `why`."""
        self._failure = self._failure or why
        if self._socket is not None:
            self._socket.close()

    def subscribe(self, wanted: Iterable[Wanted]) -> None:
        fresh = [one for one in wanted if one not in self.wanted]
        self.wanted.update(dict.fromkeys(fresh))
        if self.is_open and self._line.ready:
            self._subscribe(fresh)

    def unsubscribe(self, wanted: Iterable[Wanted]) -> None:
        gone = [one for one in wanted if one in self.wanted]
        for one in gone:
            del self.wanted[one]
            self.acked.discard(one)
            self._asked.pop(one, None)
        if self.is_open and gone:
            for frame in self._line.unsubscribe(gone):
                self._queue(frame)

    def retry(self, wanted: Iterable[Wanted]) -> None:
        """Ask once more for what the venue refused."""
        wanted = list(wanted)
        self.wanted.update(dict.fromkeys(wanted))
        if self.is_open and self._line.ready:
            self._subscribe(wanted)

    def again(self, wanted: Iterable[Wanted]) -> None:
        """Ask for these anew, as for a book that must start over."""
        mine = [one for one in wanted if one in self.wanted]
        if self.is_open and self._line.ready and mine:
            self.acked.difference_update(mine)
            for frame in self._line.unsubscribe(mine):
                self._queue(frame)
            self._subscribe(mine)

    def _subscribe_first(self) -> None:
        """Exactly what the URL was made from, then what changed while the connection was made."""
        dialled = self._dialled
        self._subscribe(dialled)
        gone = [one for one in dialled if one not in self.wanted]
        for one in gone:
            self._asked.pop(one, None)
        if gone:
            for frame in self._line.unsubscribe(gone):
                self._queue(frame)
        known = set(dialled)
        fresh = [one for one in self.wanted if one not in known]
        if fresh:
            self._subscribe(fresh)

    def _subscribe(self, wanted: list[Wanted]) -> None:
        now_s, now_ns = self._clock.monotonic(), self._clock.now_ns()
        for one in wanted:
            self._asked[one] = (now_s, self._asked.get(one, (0.0, 0))[1] + 1)
            stream = self._intake.streams.get(one)
            if stream is not None and stream.state == "dead":
                stream.become("pending", "asked for", now_ns)
        for frame in self._line.subscribe(wanted):
            self._queue(frame)

    def _queue(self, frame: bytes) -> None:
        self._to_send.append(frame)
        self._sending.set()

    async def _send(self) -> None:
        """Control frames, no faster than the venue allows."""
        assert self._socket is not None
        pause_s = 1.0 / self._venue.limits.frames_per_s
        while True:
            await self._sending.wait()
            self._sending.clear()
            while self._to_send:
                frame = self._to_send.popleft()
                self._record("out", frame)
                self._socket.send(frame)
                await self._clock.sleep(pause_s)

    async def _watch(self) -> None:
        """Once a second: pings, answers that do not come, silence, and age. Less data than usual is for `Watch` to judge."""
        assert self._socket is not None
        limits = self._venue.limits
        pinged_s = heard_s = self._clock.monotonic()
        heard = 0
        life_s = limits.life_s * 0.95 if limits.life_s else None
        while True:
            await self._clock.sleep(1.0)
            now_s, now_ns = self._clock.monotonic(), self._clock.now_ns()
            if limits.ping_every_s and now_s - pinged_s >= limits.ping_every_s:
                pinged_s = now_s
                frame = self._line.ping()
                if frame is not None:
                    self._queue(frame)
            self._check_answers(now_s)
            self._cadence.learn(now_ns)
            signs = self._cadence.count + self._socket.pings
            if signs != heard:
                heard, heard_s = signs, now_s
            if now_s - heard_s > limits.silent_after_s:
                return self.close(f"silent for {now_s - heard_s:.0f} s")
            if life_s and now_s - self._opened_s > life_s:
                self._want_successor(f"the venue cuts connections after {limits.life_s:.0f} s")

    def _check_answers(self, now_s: float) -> None:
        late = [one for one, (asked_s, _) in self._asked.items() if now_s - asked_s > self._venue.limits.ack_within_s]
        if not late:
            return
        again = [one for one in late if self._asked[one][1] < ASK_TWICE]
        for one in set(late) - set(again):
            self._asked.pop(one)
            stream = self._intake.streams.get(one)
            if stream is None or stream.cadence.last_ns is not None:
                continue  # no longer wanted, or its data is answer enough
            stream.become("quiet", "the venue never confirmed the subscription", self._clock.now_ns())
            log.warning(f"{self._venue.name}.subscribe_failed", symbol=one.symbol, channel=one.channel, reason="no answer")
        if again:
            self._subscribe(again)

    def _want_successor(self, why: str) -> None:
        if self.replace is None:
            self.replace = why
            self.changed.set()

    def _on_frame(self, frame: bytes) -> None:
        """The read callback: stamp, decode, hand over. It never waits."""
        ts_recv = self._clock.now_ns()
        cadence = self._cadence
        cadence.count += 1
        cadence.last_ns = ts_recv
        if self._capture is not None:
            self._capture.frame("in", self._venue.name, self.number, ts_recv, frame)
        try:
            said = self._line.read(frame, ts_recv)
            if not self.has_data.is_set() and any(isinstance(one, Event) for one in said):
                self.has_data.set()
            self._intake.take(said, self.number, frame, ts_recv)
        except BadFrame as error:
            self._intake.bad(error, self.wanted, ts_recv)
        except Exception as error:  # a fault of ours must not end the connection
            self._intake.fault("reading a frame", error, frame)

    def hear(self, notice: Notice) -> None:
        """What the line says of itself. Data counts as an answer too, where a venue confirms late."""
        match notice:
            case Alive():
                pass
            case Acked(wanted=wanted):
                for one in wanted:
                    self.acked.add(one)
                    self._asked.pop(one, None)
            case Ready():
                self._subscribe_first()
            case Declined(wanted=wanted, words=words, permanent=permanent):
                self._declined(list(wanted), words, permanent)
            case Cut(reason=reason):
                self._want_successor(reason)
            case Lost(resubscribe=True):
                self.again(list(self.wanted))

    def _declined(self, wanted: list[Wanted], words: str, permanent: bool) -> None:
        if not wanted:
            log.warning(f"{self._venue.name}.refused", reason=words)
            self.banned = permanent
            self.close(f"the venue refused the connection: {words}")
            return
        asked = {one: self._asked.pop(one, (0.0, 1)) for one in wanted}
        if permanent:
            for one in wanted:
                self.wanted.pop(one, None)
        elif len(wanted) > 1:
            for one in wanted:  # one bad topic fails a whole request: ask one by one
                if one in self.wanted:
                    self._subscribe([one])
        elif asked[wanted[0]][1] < ASK_TWICE:
            self._asked[wanted[0]] = (self._clock.monotonic(), asked[wanted[0]][1])  # asked again when an answer is overdue
        else:
            self._intake.refused(wanted, words, self._clock.now_ns())

    def _record(self, kind: str, data: bytes) -> None:
        if self._capture is not None:
            self._capture.frame(kind, self._venue.name, self.number, self._clock.now_ns(), data)
