"""Events from NATS into the bus: whatever the collectors publish under the prefix, read by one member of a queue group at a time.

Core NATS keeps nothing: what was published while the connection was away, or dropped because we were too slow, is lost. That is
said as a gap of every symbol concerned, so that whoever keeps state knows. JetStream keeps it: see `sources/durable.py`.
Queue groups: https://docs.nats.io/nats-concepts/core-nats/queue (read 2026-11-21).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import structlog
from nats.aio.msg import Msg
from nats.errors import SlowConsumerError

from marketd.clock import Clock
from marketd.errors import words_of
from marketd.model.events import SYSTEM, Event, Gap, Status
from marketd.net.nats import PING_S, NatsLink, token
from marketd.net.nats_session import Session
from marketd.rooms import room
from marketd.sources.tolerant import TolerantReader

QUEUE_GROUP = "senpai-md"
PENDING_MAX = 262_144  # messages that nats-py may hold for us before it drops some and says so
PENDING_BYTES_MAX = 256 * 1024 * 1024
FOUND_DEAD_NS = 3 * PING_S * 1_000_000_000  # by then a connection over which nothing comes back is given up
KNOWN_MAX = 10_000  # series whose loss is said one by one
SAY_EVERY_S = 1.0  # losses that come together are said together
log = structlog.get_logger("sources")

State = Literal["ok", "degraded", "unhealthy"]
Series = tuple[str, str]  # venue, symbol


class Intake:
    """From messages to events on the bus, and the series seen, so that a loss can be said of each."""

    def __init__(self, reader: TolerantReader, publish: Callable[[Sequence[Event]], None], clock: Clock) -> None:
        self.known: dict[Series, None] = {}
        self.received = 0  # messages
        self._reader, self._publish, self._clock = reader, publish, clock

    def take(self, messages: Iterable[Msg]) -> None:
        """Read what came and hand it to the bus as one batch."""
        read, events = self._reader.read, []
        for message in messages:
            self.received += 1
            event = read(message.data, message.subject)
            if event is not None:
                events.append(event)
                if len(self.known) < KNOWN_MAX and event.symbol != SYSTEM:
                    self.known[event.venue, event.symbol] = None
        if events:
            self._publish(events)

    def lost(self, concerned: Iterable[Series], from_ts: int, cause: str) -> int:
        """Say that events of these series are missing from then until now; how many series those are."""
        now = self._clock.now_ns()
        gaps = [
            Gap(venue, symbol, None, now, "trade", "unrecoverable", None, None, from_ts, now, cause)
            for venue, symbol in concerned
        ]
        if gaps:
            self._publish(gaps)
        return len(gaps)

    def down(self, why: str) -> None:
        """Say of every venue that nothing of it comes any more."""
        now = self._clock.now_ns()
        venues = dict.fromkeys(venue for venue, _ in self.known)
        if venues:
            self._publish([Status(venue, SYSTEM, None, now, "disconnected", why) for venue in venues])


class NatsSource:
    """Subscribes to everything under the prefix, again after every reconnect."""

    def __init__(self, link: NatsLink, prefix: str, intake: Intake, clock: Clock) -> None:
        self.subject = f"{prefix}.>"
        self.losses = 0  # messages known to be lost, and disconnections
        self._link, self._intake, self._clock = link, intake, clock
        self._waiting: list[Msg] = []
        self._slow: dict[str, int] = {}  # the last word of a subject -> messages dropped since it was last said
        self._slow_since: int | None = None
        self._is_listening = False
        self._heard_ns = 0  # when something came last
        self._complete_ns: int | None = None  # until when nothing can be missing; None: it never listened
        self._deaf_s = clock.monotonic()  # since when it does not listen
        self._refused = ""  # the server's words, where it does not let us listen

    @property
    def state(self) -> tuple[State, str]:
        """For /health."""
        if not self._link.state.connected:
            return "unhealthy", f"NATS is away: {self._link.state.reason}"
        if self._refused:
            return "unhealthy", self._refused
        if not self._is_listening:
            since_s = self._clock.monotonic() - self._deaf_s
            return "unhealthy", f"subscribing to {self.subject} for {since_s:.0f} s, nothing is read yet"
        return "ok", f"listens to {self.subject} in queue group {QUEUE_GROUP}, {self._intake.received:,} messages so far"

    async def run(self) -> None:
        """Listen until cancelled."""
        self._link.listeners.append(self._on_error)
        try:
            async with room("nats source") as here:
                here.start("losses", self._say_losses())
                while True:
                    session = await self._link.opened()
                    await self._listen(session)
        finally:
            self._link.listeners.remove(self._on_error)

    async def _listen(self, session: Session) -> None:
        """Until the connection ends."""
        self._refused = ""
        try:
            await session.client.subscribe(
                self.subject,
                queue=QUEUE_GROUP,
                cb=self._take,
                pending_msgs_limit=PENDING_MAX,
                pending_bytes_limit=PENDING_BYTES_MAX,
            )
            await session.client.flush()  # the server knows: from here on nothing is missed
        except Exception as error:
            log.warning("nats.error", error=words_of(error), subject=self.subject, reason="cannot subscribe")
            await self._clock.sleep(SAY_EVERY_S)
            return
        self._is_listening = True
        if self._complete_ns is not None:
            self._came_back(self._complete_ns)
        complete_ns = self._complete_ns = self._clock.now_ns()
        try:
            await session.gone.wait()
        finally:
            self._is_listening, self._deaf_s = False, self._clock.monotonic()
            self._flush()
            # A connection may have been dead for a while before that is found out.
            self._complete_ns = max(complete_ns, self._heard_ns, self._clock.now_ns() - FOUND_DEAD_NS)
        self._intake.down("NATS is away")

    async def _take(self, message: Msg) -> None:
        """nats-py's callback: what one read of the socket brings is one batch."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(message)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and self._is_listening:
            self._heard_ns = self._clock.now_ns()
        self._intake.take(waiting)

    def _on_error(self, error: Exception) -> None:
        if "permissions violation for subscription" in str(error).lower():
            self._refused = str(error)
        if isinstance(error, SlowConsumerError):
            word = error.subject.rpartition(".")[2]
            self._slow[word] = self._slow.get(word, 0) + 1
            if self._slow_since is None:
                self._slow_since = self._clock.now_ns()

    async def _say_losses(self) -> None:
        """Messages that were dropped before we could read them: once a second what came together."""
        while True:
            await self._clock.sleep(SAY_EVERY_S)
            slow, since = self._slow, self._slow_since
            if since is None:
                continue
            self._slow, self._slow_since = {}, None
            count = sum(slow.values())
            concerned = [series for series in self._intake.known if token(series[1]) in slow]
            series = self._intake.lost(concerned, since, f"slow consumer: {count:,} messages from NATS dropped unread")
            self.losses += count
            log.error("source.lost", messages=count, series=series, subject=self.subject, reason="slow consumer")

    def _came_back(self, went: int) -> None:
        away_s = (self._clock.now_ns() - went) / 1e9
        cause = f"NATS was away for {away_s:.1f} s, and core NATS keeps nothing"
        series = self._intake.lost(list(self._intake.known), went, cause)
        self.losses += 1
        log.warning("source.lost", series=series, subject=self.subject, reason=cause)
