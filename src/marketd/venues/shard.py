"""One connection's share of a venue's subscriptions, kept alive: reconnected with backoff, replaced before a forced cut."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from marketd.clock import Clock
from marketd.errors import Disconnected, Refused
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
log = structlog.get_logger("feed")


class Ending(NamedTuple):
    """How a connection ended, and how long the venue wants us to stay away."""

    why: str
    wait_s: float = 0.0


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
        self.connection: Connection | None = None
        self.changed = asyncio.Event()
        self._place, self._venue, self._base, self._instruments, self._intake = place, venue, base, instruments, intake
        self._connections, self._went_down = connections, went_down
        self._clock, self._metrics, self._capture = clock, metrics, capture

    async def keep(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff()
        spacing_s = 60.0 / self._venue.limits.connects_per_min
        await self._clock.sleep(self._place * spacing_s)
        async with room(f"{self._venue.name}.shard.{self._place}") as here:
            old: tuple[Connection, asyncio.Task[Ending]] | None = None
            while True:
                while not self.wanted:
                    self.changed.clear()
                    await self.changed.wait()
                new = self._dial()
                life = here.start(str(new.number), self._live(new))
                if old is not None:
                    await self._hand_over(old, new, life)
                if not life.done():
                    await self._until_changed(here, new, life)
                if not life.done():
                    self._metrics.reconnects.labels(self._venue.name, "ahead of a cut").inc()
                    log.info(f"{self._venue.name}.replacing", reason=new.replace)
                    old = (new, life)
                    await self._clock.sleep(spacing_s)
                    continue
                ending = life.result()
                if new.has_data.is_set():
                    backoff.reset()
                if old is None or old[1].done():
                    old = None
                    self.connection = None
                    self._went_down(self, ending.why)
                delay_s = max(backoff.next_s(), ending.wait_s)
                self._metrics.reconnects.labels(self._venue.name, "lost").inc()
                log.warning(f"{self._venue.name}.reconnecting", reason=ending.why, retry_in_s=round(delay_s, 2))
                await self._clock.sleep(delay_s)

    def _dial(self) -> Connection:
        new = Connection(self._venue, self._base, self._instruments, self._intake, self._clock, self._capture, list(self.wanted))
        self._connections[new.number] = new
        self.connection = new
        return new

    async def _live(self, connection: Connection) -> Ending:
        try:
            why = await connection.run()
            return Ending(why, BANNED_S if connection.banned else 0.0)
        except Refused as error:
            return Ending(str(error), max(error.retry_after_s, BANNED_S if error.permanent else 0.0))
        except Disconnected as error:
            return Ending(str(error))
        finally:
            self._connections.pop(connection.number, None)

    async def _hand_over(
        self, old: tuple[Connection, asyncio.Task[Ending]], new: Connection, life: "asyncio.Task[Ending]"
    ) -> None:
        """Both run until the new one has every answer, then the old one goes."""
        deadline_s = self._clock.monotonic() + OVERLAP_S
        while not life.done() and not old[1].done() and self._clock.monotonic() < deadline_s:
            if new.is_open and new.acked >= set(new.wanted):
                break
            await self._clock.sleep(0.1)
        if not life.done():
            old[0].close("replaced by a newer connection")

    async def _until_changed(self, here: Room, connection: Connection, life: "asyncio.Task[Ending]") -> None:
        waiter = here.start("changed", connection.changed.wait())
        await asyncio.wait({life, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
