"""The loop that runs any venue: connections that come and go, subscriptions that change, gaps that are repaired.

One event: socket -> `Connection._on_frame` -> `line.read` -> `Intake.take` (vet, continuity, books) -> bus. Beside it, in
this room's own tasks: REST repairs and book snapshots, reconnects, and the once-a-second look at what has gone silent.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import structlog

from marketd.clock import Clock
from marketd.errors import Disconnected, MarketdError, Refused
from marketd.metrics import Metrics
from marketd.model.events import SYSTEM, Event, Heartbeat
from marketd.model.instruments import Instruments
from marketd.model.marks import Mark
from marketd.net.backoff import Backoff
from marketd.net.capture import Capture
from marketd.net.governor import Priority
from marketd.rooms import Room, room
from marketd.venues.connection import Connection
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.notices import Acked, Declined, Lost, Notice
from marketd.venues.repair import Repairs
from marketd.venues.rest import Rest
from marketd.venues.settings import FeedConfig
from marketd.venues.venue import Span, Venue, Wanted

TICK_S = 0.02
REPAIRERS = 4
OVERLAP_S = 30.0  # how long a replaced connection lives on at most
STALE_TWICE = 2
log = structlog.get_logger("feed")


class Shard:
    """What one connection carries."""

    def __init__(self) -> None:
        self.wanted: dict[Wanted, None] = {}
        self.connection: Connection | None = None
        self.changed = asyncio.Event()


class Feed:
    """One venue, live. Give it `want`; it keeps that subscribed, complete and said."""

    def __init__(
        self,
        venue: Venue,
        config: FeedConfig,
        rest: Rest,
        stream_base: str,
        publish: Callable[[Sequence[Event]], None],
        clock: Clock,
        metrics: Metrics,
        *,
        capture: Capture | None = None,
        marks: Mapping[str, Mark] | None = None,
        gaps: Iterable[tuple[str, Span]] = (),
    ) -> None:
        self.venue, self.config, self.rest, self.clock = venue, config, rest, clock
        self.instruments = Instruments()
        self.loaded = asyncio.Event()  # the instrument list is here
        self.unlisted: set[str] = set()
        self.intake = Intake(
            venue,
            publish,
            self,
            metrics,
            hold_s=config.hold_s,
            hold_events=config.hold_events,
            book_depth=config.book_depth,
            book_interval_ms=config.book_interval_ms,
            deltas=config.book_deltas,
        )
        self.shards: list[Shard] = []
        self._publish, self._metrics, self._capture, self._stream_base = publish, metrics, capture, stream_base
        self._marks, self._open_gaps = dict(marks or {}), list(gaps)
        self._wanted: dict[Wanted, None] = {}
        self._wanted_changed = asyncio.Event()
        self._connections: dict[int, Connection] = {}
        self._down_for: dict[Wanted, str] = {}  # why trades may be missing, until the next acknowledgement
        self._repairs: Repairs | None = None
        self._early: list[tuple[Repair, Priority]] = []
        self._fetching: set[str] = set()
        self._probes: dict[Wanted, int] = {}

    # -- what others ask ------------------------------------------------------------------------------------------------

    def want(self, wanted: Iterable[Wanted]) -> None:
        """The subscriptions from now on: what is new is asked for, what is gone is dropped, the rest is untouched."""
        self._wanted = dict.fromkeys(one for one in wanted if one.channel in self.venue.channels)
        self._wanted_changed.set()

    @property
    def wanted(self) -> list[Wanted]:
        return list(self._wanted)

    @property
    def connections_open(self) -> int:
        return sum(1 for one in self._connections.values() if one.is_open)

    def silence_s(self) -> float:
        """Seconds since the venue last said anything that became an event or a notice."""
        last = self.intake.last_ns
        return (self.clock.now_ns() - last) / 1e9 if last is not None else float("inf")

    # -- the intake's asks ----------------------------------------------------------------------------------------------

    def repair(self, repair: Repair, priority: Priority = Priority.REPAIR) -> None:
        if self._repairs is not None:
            self._repairs.add(repair, priority)
        else:
            self._early.append((repair, priority))

    def notice(self, connection: int, notice: Notice) -> None:
        line = self._connections.get(connection)
        if line is None:
            return
        now = self.clock.now_ns()
        if isinstance(notice, Declined):
            self._declined(notice, now)
        line.hear(notice)
        if isinstance(notice, Acked):
            self._acked(notice.wanted, now)
        elif isinstance(notice, Lost):
            symbols = {one.symbol for one in line.wanted if one.channel == "trade"}
            self.intake.publish(self.intake.continuity.lost(symbols, notice.cause, now))
            self.intake.publish(self.intake.books.reset([one.symbol for one in line.wanted if one.channel == "book"], notice.cause, now))

    def _acked(self, wanted: Iterable[Wanted], now: int) -> None:
        for one in wanted:
            stream = self.intake.streams.get(one)
            if stream is not None and stream.state in ("down", "asked"):
                stream.become("live", "subscribed", now)
            cause = self._down_for.pop(one, None)
            if cause is not None and one.channel == "trade":
                self.intake.publish(self.intake.continuity.lost([one.symbol], cause, now))

    def _declined(self, notice: Declined, now: int) -> None:
        for one in notice.wanted if notice.permanent else ():
            stream = self.intake.streams.get(one)
            if stream is not None and stream.become("refused", notice.words, now):
                log.warning(f"{self.venue.name}.subscribe_failed", symbol=one.symbol, channel=one.channel, reason=notice.words)
                self.intake.status(one.symbol, "refused", notice.words, now)

    # -- the loop -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        async with room(f"feed.{self.venue.name}") as here:
            if self.venue.dry:
                self.loaded.set()
                return await self._beat("dry run")
            await self._load()
            self._repairs = Repairs(self.intake, self.rest, self.instruments, self.clock, self._metrics)
            for early in self._early:
                self._repairs.add(*early)
            for number in range(REPAIRERS):
                here.start(f"repair.{number}", self._repairs.run())
            here.start("tick", self._tick())
            here.start("look", self._look(here))
            here.start("beat", self._beat("silence"))
            while True:
                self._wanted_changed.clear()
                self._arrange(here)
                await self._wanted_changed.wait()

    async def _load(self) -> None:
        """The instrument list: without it no symbol can be spelled. Tried until it comes."""
        backoff = Backoff()
        while True:
            try:
                answer = await self.rest.ask(self.venue.instruments_request(), Priority.LIVE)
                self.instruments = Instruments(self.venue.read_instruments(answer))
            except MarketdError as error:
                delay_s = backoff.next_s()
                log.warning(f"{self.venue.name}.instruments_failed", reason=str(error), retry_in_s=round(delay_s, 1))
                self.intake.status(SYSTEM, "disconnected", f"instruments: {error}", self.clock.now_ns())
                await self.clock.sleep(delay_s)
            else:
                self.loaded.set()
                return

    def _arrange(self, here: Room) -> None:
        """Bring the shards in line with what is wanted."""
        listed = {one: None for one in self._wanted if one.symbol in self.instruments}
        self.unlisted = {one.symbol for one in self._wanted if one.symbol not in self.instruments}
        now = self.clock.now_ns()
        gone = [one for one in self.intake.streams if one not in listed]
        fresh = [one for one in listed if one not in self.intake.streams]
        for shard in self.shards:
            mine = [one for one in gone if one in shard.wanted]
            for one in mine:
                del shard.wanted[one]
            if mine and shard.connection is not None:
                shard.connection.unsubscribe(mine)
        self.intake.unwant(gone)
        self.intake.want(fresh, now)
        self._seed(fresh)
        by_symbol: dict[str, list[Wanted]] = {}
        for one in fresh:
            by_symbol.setdefault(one.symbol, []).append(one)
        touched: dict[int, tuple[Shard, list[Wanted]]] = {}
        for group in by_symbol.values():
            shard = self._room_for(group, here)
            shard.wanted.update(dict.fromkeys(group))
            touched.setdefault(id(shard), (shard, []))[1].extend(group)
        for shard, added in touched.values():
            shard.changed.set()
            if shard.connection is not None:
                shard.connection.subscribe(added)

    def _seed(self, fresh: Iterable[Wanted]) -> None:
        for one in fresh:
            mark = self._marks.pop(one.symbol, None) if one.channel == "trade" else None
            if mark is not None:
                self.intake.continuity.seed(one.symbol, mark.trade_id, mark.ts_event)
                self._down_for[one] = "the daemon was not running"
                for symbol, span in self._open_gaps:
                    if symbol == one.symbol:
                        self.intake.continuity.resume(symbol, span)
                        self.repair(Repair(symbol, span, "open since an earlier run"))

    def _room_for(self, group: Sequence[Wanted], here: Room) -> Shard:
        limits = self.venue.limits
        for shard in self.shards:
            symbols = {one.symbol for one in shard.wanted}
            fits = limits.symbols_per_connection is None or len(symbols) < limits.symbols_per_connection
            if fits and len(shard.wanted) + len(group) <= limits.topics_per_connection:
                return shard
        shard = Shard()
        self.shards.append(shard)
        here.start(f"shard.{len(self.shards)}", self._keep(shard, len(self.shards) - 1))
        return shard

    async def _keep(self, shard: Shard, place: int) -> None:
        """Keep one shard connected: reconnect with backoff, or open the successor before the old connection goes."""
        backoff = Backoff()
        spacing_s = 60.0 / self.venue.limits.connects_per_min
        await self.clock.sleep(place * spacing_s if place else 0)
        async with room(f"{self.venue.name}.shard.{place}") as here:
            old: tuple[Connection, asyncio.Task[str]] | None = None
            while True:
                while not shard.wanted:
                    shard.changed.clear()
                    await shard.changed.wait()
                new = self._dial(shard)
                life = here.start(str(new.number), self._live(new))
                if old is not None:
                    await self._hand_over(old, new, life)
                if not life.done():
                    await self._until_changed(new, life)
                if new.replace is not None and not life.done():
                    self._metrics.reconnects.labels(self.venue.name, "ahead of a cut").inc()
                    log.info(f"{self.venue.name}.replacing", reason=new.replace)
                    old = (new, life)
                    await self.clock.sleep(spacing_s)
                    continue
                why = life.result()
                if new.has_data.is_set():
                    backoff.reset()
                if old is None or old[1].done():
                    old = None
                    self._went_down(shard, why)
                delay_s = max(backoff.next_s(), new_wait_s(life), 60.0 if new.banned else 0.0)
                self._metrics.reconnects.labels(self.venue.name, "lost").inc()
                log.warning(f"{self.venue.name}.reconnecting", reason=why, retry_in_s=round(delay_s, 2))
                await self.clock.sleep(delay_s)

    def _dial(self, shard: Shard) -> Connection:
        new = Connection(
            self.venue, self._stream_base, self.instruments, self.intake, self.clock, self._capture, list(shard.wanted)
        )
        self._connections[new.number] = new
        shard.connection = new
        return new

    async def _live(self, connection: Connection) -> str:
        """One connection's life; how it ended, in words."""
        try:
            return await connection.run()
        except (Refused, Disconnected) as error:
            return str(error)
        finally:
            self._connections.pop(connection.number, None)
            self._metrics.connections.labels(self.venue.name).set(self.connections_open)

    async def _hand_over(self, old: tuple[Connection, asyncio.Task[str]], new: Connection, life: asyncio.Task[str]) -> None:
        """Both run until the new one has every answer, then the old one goes."""
        deadline = self.clock.monotonic() + OVERLAP_S
        while not life.done() and not old[1].done() and self.clock.monotonic() < deadline:
            if new.is_open and new.acked >= set(new.wanted):
                break
            await self.clock.sleep(0.1)
        if not life.done():
            old[0].close("replaced by a newer connection")

    async def _until_changed(self, connection: Connection, life: asyncio.Task[str]) -> None:
        waiter = asyncio.ensure_future(connection.changed.wait())
        try:
            await asyncio.wait({life, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()

    def _went_down(self, shard: Shard, why: str) -> None:
        now = self.clock.now_ns()
        shard.connection = None
        for one in shard.wanted:
            stream = self.intake.streams.get(one)
            if stream is not None and stream.state != "refused":
                stream.become("down", why, now)
                stream.seq = None
                self._down_for[one] = f"the connection was down: {why}"
        books = [one.symbol for one in shard.wanted if one.channel == "book"]
        self.intake.publish(self.intake.books.reset(books, why, now))
        self.intake.status(SYSTEM, "disconnected", why, now)

    # -- what time makes due --------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(TICK_S)
            self.intake.tick(self.clock.now_ns())

    async def _look(self, here: Room) -> None:
        """Once a second: what is silent, which books must start over, who has answered."""
        audit_s = self.clock.monotonic()
        while True:
            await self.clock.sleep(0.25)
            now = self.clock.now_ns()
            for connection in self._connections.values():
                if not connection.has_data.is_set() and connection.is_open and connection.counted:
                    connection.has_data.set()
                    self._metrics.connections.labels(self.venue.name).set(self.connections_open)
                    self.intake.status(SYSTEM, "connected", f"connection {connection.number}", now)
            for symbol, cause in self.intake.books.wants(now):
                self._resync(symbol, cause, here)
            self._judge(now)
            if self.clock.monotonic() - audit_s >= self.config.audit_s:
                audit_s = self.clock.monotonic()
                self._audit(now)

    def _resync(self, symbol: str, cause: str, here: Room) -> None:
        """Start one book over: by REST where the venue serves snapshots, else by subscribing to it again."""
        instrument = self.instruments[symbol]
        if self.venue.snapshot_request(instrument) is None:
            wanted = Wanted("book", symbol)
            for shard in self.shards:
                if wanted in shard.wanted and shard.connection is not None:
                    shard.connection.again([wanted])
        elif symbol not in self._fetching:
            self._fetching.add(symbol)
            here.start(f"snapshot.{symbol}", self._snapshot(symbol))

    async def _snapshot(self, symbol: str) -> None:
        instrument = self.instruments[symbol]
        request = self.venue.snapshot_request(instrument)
        assert request is not None
        try:
            answer = await self.rest.ask(request, Priority.LIVE)
            now = self.clock.now_ns()
            snapshot = self.venue.read_snapshot(answer, instrument, now)
            self.intake.publish([e for e in self.intake.books.on_snapshot(snapshot)])
        except MarketdError as error:
            log.warning("feed.snapshot_failed", venue=self.venue.name, symbol=symbol, reason=str(error))
        finally:
            self._fetching.discard(symbol)

    def _judge(self, now: int) -> None:
        """Live, quiet or stale, by each stream's own pace. A quiet one is asked about over REST before anything is cut."""
        for wanted, stream in self.intake.streams.items():
            cadence = stream.cadence
            cadence.learn(now)
            if stream.state in ("refused", "down"):
                continue
            if not cadence.is_odd(now):
                if cadence.count and stream.become("live", "data arrives", now):
                    self._probes.pop(wanted, None)
            elif stream.state == "live":
                stream.become("quiet", f"silent for {cadence.silence_s(now):.0f} s, usually {1 / cadence.rate:.1f} s", now)
                if wanted.channel == "trade":
                    track = self.intake.continuity.track(wanted.symbol)
                    if track.last is not None:
                        span = Span(str(track.last + 1), None, track.last_ts, now)
                        self.repair(Repair(wanted.symbol, span, "silent against its pace"), Priority.AUDIT)

    def went_stale(self, symbol: str, now: int) -> None:
        """REST had news that the line did not bring: ask for that subscription again; if that did not help, replace the line."""
        wanted = Wanted("trade", symbol)
        stream = self.intake.streams.get(wanted)
        if stream is None or stream.state not in ("quiet", "stale"):
            return
        if stream.become("stale", "the venue has newer trades than its stream brought", now):
            self.intake.status(symbol, "stale", stream.reason, now)
        self._probes[wanted] = self._probes.get(wanted, 0) + 1
        for shard in self.shards:
            if wanted in shard.wanted and shard.connection is not None:
                if self._probes[wanted] >= STALE_TWICE:
                    self._probes.pop(wanted)
                    shard.connection.close(f"{symbol} stayed mute")
                else:
                    shard.connection.again([wanted])

    def _audit(self, now: int) -> None:
        """Where the venue proves nothing, compare with what its REST side says of the last minute."""
        proof = self.venue.proofs.get("trade")
        if proof is None:
            return
        for wanted, stream in self.intake.streams.items():
            if wanted.channel != "trade" or stream.state in ("refused", "down"):
                continue
            if proof.detects in ("overlap", "none", "sequence"):
                track = self.intake.continuity.track(wanted.symbol)
                if track.recent:
                    since = (track.last_ts or now) - int(self.config.audit_s * 1e9)
                    self.repair(Repair(wanted.symbol, Span(None, None, since, now), "audit"), Priority.AUDIT)

    async def _beat(self, reason: str) -> None:
        """A venue that is silent says so itself."""
        while True:
            await self.clock.sleep(self.config.heartbeat_s)
            if self.silence_s() >= self.config.heartbeat_s:
                now = self.clock.now_ns()
                self._publish((Heartbeat(self.venue.name, SYSTEM, None, now, reason),))


def new_wait_s(life: "asyncio.Task[str]") -> float:
    return 0.0


__all__ = ["Feed", "chain"]
