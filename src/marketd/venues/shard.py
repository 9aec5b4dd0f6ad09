"""One connection's share of a venue's subscriptions, kept alive: reconnected with backoff, replaced before a forced cut."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from marketd.clock import Clock
from marketd.errors import Disconnected, Refused, place_of
from marketd.metrics import Metrics
from marketd.model.instruments import Instruments
from marketd.net.backoff import Backoff
from marketd.net.capture import Capture
from marketd.rooms import Room, room
from marketd.venues.connection import Connection
from marketd.venues.intake import Intake
from marketd.venues.venue import Venue, Wanted

OVERLAP_S = 30.0  # how long a replaced connection lives on at most
BANNED_S = 60.0
ASK_AGAIN_S = 3600.0  # what the venue refused for good is asked for this often, however often the connection changes
LOOK_S = 10.0
WAIT_S_MAX = 3600.0  # whatever the venue asks for; then it is asked again
log = structlog.get_logger("feed")


class Ending(NamedTuple):
    """How a connection ended, and how long the venue wants us to stay away."""

    why: str
    wait_s: float = 0.0
    close_code: int | None = None  # of the WebSocket, where one was said
    broke_protocol: bool = False  # the venue did


class Shard:
    """What one connection carries."""

    def __init__(
        self,
        place: int,
        venue: Venue,
        base: str,
        instruments: Instruments,
        intake: Intake,
        connections: dict[int, Connection],
        went_down: Callable[["Shard", str], None],
        clock: Clock,
        metrics: Metrics,
        capture: Capture | None,
    ) -> None:
        self.wanted: dict[Wanted, None] = {}
        self.connection: Connection | None = None  # the one that counts
        self._alive: list[Connection] = []  # two of them during a hand-over
        self._refused_s: dict[Wanted, float] = {}  # when what is refused was last asked for, at the latest
        self.changed = asyncio.Event()
        self._place, self._venue, self._base, self._instruments, self._intake = place, venue, base, instruments, intake
        self._connections, self._went_down = connections, went_down
        self._clock, self._metrics, self._capture = clock, metrics, capture

    def subscribe(self, wanted: Sequence[Wanted]) -> None:
        self.wanted.update(dict.fromkeys(wanted))
        self.changed.set()
        for connection in self._alive:
            connection.subscribe(wanted)

    def unsubscribe(self, wanted: Iterable[Wanted]) -> None:
        gone = [one for one in wanted if one in self.wanted]
        for one in gone:
            del self.wanted[one]
            self._refused_s.pop(one, None)
        for connection in self._alive if gone else ():
            connection.unsubscribe(gone)

    async def keep(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff()
        spacing_s = 60.0 / self._venue.limits.connects_per_min
        await self._clock.sleep(self._place * spacing_s)
        async with room(f"{self._venue.name}.shard.{self._place}") as here:
            here.start("refused", self._ask_again())
            current: Dialled | None = None
            while True:
                if current is None:
                    await self._until_wanted()
                    current = self._dial(here)
                    self.connection = current.connection
                await self._until_changed(here, current)
                if current.life.done():
                    delay_s = self._lost(current, backoff)
                    current = self.connection = None
                    await self._clock.sleep(delay_s)
                    continue
                self._metrics.reconnects.labels(self._venue.name, "ahead of a cut").inc()
                log.info(f"{self._venue.name}.replacing", reason=current.connection.replace)
                await self._pause(here, spacing_s, current)
                new = self._dial(here)
                if await self._hand_over(current, new):
                    current, self.connection = new, new.connection
                else:  # the old one goes on as long as it can
                    await self._pause(here, self._delay_s(new, backoff), current)

    async def _until_wanted(self) -> None:
        while not self._askable():
            self.changed.clear()
            await self.changed.wait()

    def _askable(self) -> list[Wanted]:
        """What is wanted, without what the venue refused a short while ago."""
        return [one for one in self.wanted if not self._is_refused(one)]

    def _is_refused(self, wanted: Wanted) -> bool:
        stream = self._intake.streams.get(wanted)
        if stream is None or stream.state != "refused":
            self._refused_s.pop(wanted, None)
            return False
        now_s = self._clock.monotonic()
        return now_s - self._refused_s.setdefault(wanted, now_s) < ASK_AGAIN_S

    async def _ask_again(self) -> None:
        """What was refused long ago is asked for once more: the venue may have changed its mind."""
        while True:
            await self._clock.sleep(LOOK_S)
            due = [one for one in self.wanted if not self._is_refused(one) and one in self._refused_s]
            if not due:
                continue
            self.changed.set()
            if self._alive:  # else the next connection asks
                self._asked(due)
            for connection in self._alive:
                connection.retry(due)

    def _asked(self, wanted: Iterable[Wanted]) -> None:
        now_s = self._clock.monotonic()
        self._refused_s.update({one: now_s for one in wanted if one in self._refused_s})

    def _dial(self, here: Room) -> "Dialled":
        wanted = self._askable()
        self._asked(wanted)
        new = Connection(self._venue, self._base, self._instruments, self._intake, self._clock, self._capture, wanted)
        self._connections[new.number] = new
        self._alive.append(new)
        return Dialled(new, here.start(str(new.number), self._live(new)))

    async def _live(self, connection: Connection) -> Ending:
        ending = Ending("stopped")
        try:
            why, banned_s = await connection.run(), BANNED_S if connection.banned else 0.0
            ending = Ending(why, banned_s, connection.close_code, connection.broke_protocol)
        except Refused as error:
            ending = Ending(str(error), min(WAIT_S_MAX, max(error.retry_after_s, BANNED_S if error.permanent else 0.0)))
        except Disconnected as error:
            ending = Ending(str(error))
        except Exception as error:  # a fault of ours ends one connection, not the feed
            self._intake.fault("keeping a connection", error)
            ending = Ending(f"a fault of ours: {place_of(error)}")
        finally:
            if ending.broke_protocol:
                self._metrics.frames_bad.labels(self._venue.name, "protocol").inc()
            self._connections.pop(connection.number, None)
            self._alive.remove(connection)
            self._intake.ended(connection.number, ending.why, self._clock.now_ns())
        return ending

    def _lost(self, dialled: "Dialled", backoff: Backoff) -> float:
        """The only connection is gone; how long until the next one may be tried."""
        self._went_down(self, dialled.life.result().why)
        self._metrics.reconnects.labels(self._venue.name, "lost").inc()
        return self._delay_s(dialled, backoff)

    def _delay_s(self, dialled: "Dialled", backoff: Backoff) -> float:
        ending = dialled.life.result()
        if dialled.connection.has_data.is_set():
            backoff.reset()
        delay_s = max(backoff.next_s(), ending.wait_s)
        said: dict[str, object] = {"reason": ending.why, "retry_in_s": round(delay_s, 2)}
        if ending.close_code is not None:
            said |= {"venue": self._venue.name, "url": dialled.connection.where, "close_code": ending.close_code}
        if ending.broke_protocol:
            said["code"] = "feed-protocol"
        log.warning(f"{self._venue.name}.reconnecting", **said)
        return delay_s

    async def _hand_over(self, old: "Dialled", new: "Dialled") -> bool:
        """Both run until the new one has every answer, then the old one goes. False if the new one ended first."""
        deadline_s = self._clock.monotonic() + OVERLAP_S
        while not new.life.done() and not old.life.done() and self._clock.monotonic() < deadline_s:
            if new.connection.is_open and new.connection.acked >= set(new.connection.wanted):
                break
            await self._clock.sleep(0.1)
        if new.life.done():
            return False
        unanswered = [one for one in new.connection.wanted if one not in new.connection.acked]
        if unanswered:
            why = old.life.result().why if old.life.done() else "replaced before the new connection had every answer"
            self._intake.missed(unanswered, why, self._clock.now_ns())
        old.connection.close("replaced by a newer connection")
        return True

    async def _until_changed(self, here: Room, dialled: "Dialled") -> None:
        """Until the connection ends or wants a successor."""
        waiter = here.start("changed", dialled.connection.changed.wait())
        await asyncio.wait({dialled.life, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()

    async def _pause(self, here: Room, delay_s: float, dialled: "Dialled") -> None:
        """So long, but no longer than the connection lives."""
        waiter = here.start("pause", self._clock.sleep(delay_s))
        await asyncio.wait({dialled.life, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()


class Dialled(NamedTuple):
    """A connection and its life, from dialling to its end."""

    connection: Connection
    life: "asyncio.Task[Ending]"
