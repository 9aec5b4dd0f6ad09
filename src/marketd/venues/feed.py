"""The loop that runs any venue: connections that come and go, subscriptions that change, gaps that are repaired.

One event: socket -> `Connection` -> `line.read` -> `Intake.take` (vet, continuity, books) -> bus. Beside it, in this room's
own tasks: reconnects (`Shard`), REST repairs (`Repairs`), book snapshots, and the look at what has gone silent (`Watch`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from marketd.clock import Clock
from marketd.errors import MarketdError
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
from marketd.venues.shard import Shard
from marketd.venues.venue import Span, Venue, Wanted
from marketd.venues.watch import Watch

TICK_S = 0.02
LOOK_S = 0.25
REPAIRERS = 4
log = structlog.get_logger("feed")


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """How a feed behaves; the same for every venue."""

    hold_s: float = 2.0  # later trades of a symbol wait so long for a repair
    hold_events: int = 10_000
    book_depth: int = 20
    book_interval_ms: int = 100
    book_deltas: bool = False
    audit_s: float = 60.0
    heartbeat_s: float = 10.0


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
        self.shards: list[Shard] = []
        self.connections: dict[int, Connection] = {}
        self.reconnects = 0
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
        self.repairs = Repairs(
            self.intake, rest, lambda: self.instruments, clock, metrics, lambda symbol: self._watch.news(symbol)
        )
        self._watch = Watch(venue, self.intake, self.repairs, self.shards, clock, config.audit_s)
        self._publish, self._metrics, self._capture, self._stream_base = publish, metrics, capture, stream_base
        self._marks, self._open_gaps = dict(marks or {}), list(gaps)
        self._wanted: dict[Wanted, None] = {}
        self._wanted_changed = asyncio.Event()
        self._fetching: set[str] = set()

    def want(self, wanted: Iterable[Wanted]) -> None:
        """The subscriptions from now on: what is new is asked for, what is gone is dropped, the rest is untouched."""
        self._wanted = dict.fromkeys(one for one in wanted if one.channel in self.venue.channels)
        self._wanted_changed.set()

    @property
    def wanted(self) -> list[Wanted]:
        return list(self._wanted)

    @property
    def connections_open(self) -> int:
        return sum(1 for one in self.connections.values() if one.is_open)

    def silence_s(self) -> float:
        """Seconds since the venue last said anything; infinite before that."""
        last = self.intake.last_ns
        return (self.clock.now_ns() - last) / 1e9 if last is not None else float("inf")

    def repair(self, repair: Repair) -> None:
        """The intake found a gap."""
        self.repairs.add(repair)

    def notice(self, connection: int, notice: Notice) -> None:
        """The intake passes on what a line says of itself."""
        line = self.connections.get(connection)
        if line is None:
            return
        now = self.clock.now_ns()
        if isinstance(notice, Declined) and notice.permanent:
            self.intake.refused(notice.wanted, notice.words, now)
        line.hear(notice)
        if isinstance(notice, Acked):
            self.intake.acked(notice.wanted, now)
        elif isinstance(notice, Lost):
            self.intake.lost(line.wanted, notice.cause, now)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._run()
        finally:
            self.intake.close()

    async def _run(self) -> None:
        async with room(f"feed.{self.venue.name}") as here:
            if self.venue.dry:
                self.loaded.set()
                await self._beat("dry run")
            await self._load()
            for number in range(REPAIRERS):
                here.start(f"repair.{number}", self.repairs.run())
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
                self.instruments = self.intake.instruments = Instruments(self.venue.read_instruments(answer))
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
        listed = [one for one in self._wanted if one.symbol in self.instruments]
        self.unlisted = {one.symbol for one in self._wanted} - {one.symbol for one in listed}
        gone = self.intake.streams.keys() - set(listed)
        fresh = [one for one in listed if one not in self.intake.streams]
        for shard in self.shards:
            mine = [one for one in gone if shard.wanted.pop(one, 0) is None]
            if mine and shard.connection is not None:
                shard.connection.unsubscribe(mine)
        self.intake.unwant(gone)
        self.intake.want(fresh, self.clock.now_ns())
        self._seed(fresh)
        by_symbol: dict[str, list[Wanted]] = {}
        for one in fresh:
            by_symbol.setdefault(one.symbol, []).append(one)
        added: dict[Shard, list[Wanted]] = {}
        for group in by_symbol.values():
            shard = self._shard_for(group, here)
            shard.wanted.update(dict.fromkeys(group))
            added.setdefault(shard, []).extend(group)
        for shard, group in added.items():
            shard.changed.set()
            if shard.connection is not None:
                shard.connection.subscribe(group)

    def _seed(self, fresh: Iterable[Wanted]) -> None:
        """Go on after what the sinks hold: ask for the time in between, and for gaps that an earlier run left open."""
        for one in fresh:
            mark = self._marks.pop(one.symbol, None) if one.channel == "trade" else None
            if mark is None or mark.trade_id is None:
                continue
            self.intake.continuity.seed(one.symbol, mark.trade_id, mark.ts_event)
            self.intake.missed_because[one] = "the daemon was not running"
            for symbol, span in self._open_gaps:
                if symbol == one.symbol:
                    self.intake.continuity.resume(symbol, span)
                    self.repair(Repair(symbol, span, "open since an earlier run"))

    def _shard_for(self, group: Sequence[Wanted], here: Room) -> Shard:
        limits = self.venue.limits
        for shard in self.shards:
            symbols = {one.symbol for one in shard.wanted}
            fits = limits.symbols_per_connection is None or len(symbols) < limits.symbols_per_connection
            if fits and len(shard.wanted) + len(group) <= limits.topics_per_connection:
                return shard
        shard = Shard(
            len(self.shards), self.venue, self._stream_base, self.instruments, self.intake, self.connections, self._went_down,
            self.clock, self._metrics, self._capture,
        )  # fmt: skip
        self.shards.append(shard)
        here.start(f"shard.{len(self.shards)}", shard.keep())
        return shard

    def _went_down(self, shard: Shard, why: str) -> None:
        self.reconnects += 1
        self.intake.down(shard.wanted, why, self.clock.now_ns())

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep(TICK_S)
            self.intake.tick(self.clock.now_ns())

    async def _look(self, here: Room) -> None:
        while True:
            await self.clock.sleep(LOOK_S)
            now = self.clock.now_ns()
            for connection in list(self.connections.values()):
                if connection.first_data():
                    self.intake.status(SYSTEM, "connected", f"connection {connection.number} brings data", now)
            self._metrics.connections.labels(self.venue.name).set(self.connections_open)
            for symbol, cause in self.intake.books.wants(now).items():
                self._resync(symbol, cause, here)
            self._watch.look(now)

    def _resync(self, symbol: str, cause: str, here: Room) -> None:
        """Start one book over: by REST where the venue serves snapshots, else by subscribing to it again."""
        if not self.intake.books.by_rest:
            self.intake.books.asked(symbol, self.clock.now_ns())
            wanted = Wanted("book", symbol)
            for shard in self.shards:
                if wanted in shard.wanted and shard.connection is not None:
                    shard.connection.again([wanted])
        elif symbol not in self._fetching:
            self._fetching.add(symbol)
            self.intake.books.asked(symbol, self.clock.now_ns())
            log.info("feed.book_snapshot", venue=self.venue.name, symbol=symbol, reason=cause)
            here.start(f"snapshot.{symbol}", self._snapshot(symbol))

    async def _snapshot(self, symbol: str) -> None:
        instrument = self.instruments[symbol]
        request = self.venue.snapshot_request(instrument)
        assert request is not None
        try:
            answer = await self.rest.ask(request, Priority.LIVE)
            self.intake.fetched_book(self.venue.read_snapshot(answer, instrument, answer.ts_recv))
        except MarketdError as error:
            self.intake.books.ask_failed(symbol, self.clock.now_ns())
            log.warning("feed.snapshot_failed", venue=self.venue.name, symbol=symbol, reason=str(error))
        finally:
            self._fetching.discard(symbol)

    async def _beat(self, reason: str) -> None:
        """A venue that is silent says so itself."""
        while True:
            await self.clock.sleep(self.config.heartbeat_s)
            if self.silence_s() >= self.config.heartbeat_s:
                self._publish((Heartbeat(self.venue.name, SYSTEM, None, self.clock.now_ns(), reason),))
