"""The loop that runs any venue: connections that come and go, subscriptions that change, gaps that are repaired.

One event: socket -> `Connection` -> `line.read` -> `Intake.take` (vet, continuity, books) -> bus. Beside it, in this room's
own tasks: reconnects (`Shard`), REST repairs (`Repairs`), book snapshots, and the look at what has gone silent (`Watch`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from marketd.clock import Clock
from marketd.errors import BadFrame, MarketdError, words_of
from marketd.metrics import Metrics
from marketd.model.events import SYSTEM, Event, Heartbeat
from marketd.model.instruments import Instrument, Instruments
from marketd.model.marks import Mark
from marketd.net.backoff import Backoff
from marketd.net.capture import Capture
from marketd.net.governor import Priority
from marketd.net.quarantine import Quarantine
from marketd.rooms import Room, room
from marketd.venues.connection import Connection
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.notices import Acked, Alive, Declined, Lost, Notice
from marketd.venues.repair import Repairs
from marketd.venues.rest import Rest
from marketd.venues.shard import Shard
from marketd.venues.venue import Span, Venue, Wanted
from marketd.venues.watch import Watch

TICK_S = 0.02
LOOK_S = 0.25
REPAIRERS = 4
LIST_AGE_S = 60.0  # a list younger than this is not asked for again because of an unlisted symbol
RELIST_S = 3600.0  # how often the list is asked for while a wanted symbol is not in it
QUARANTINE_S = 1.0
RECENT_NS = 3_600_000_000_000  # what the sinks hold of a symbol that is wanted only later is gone on from if it is no older
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
    keep_raw: bool = False  # trades carry the venue's own trade object


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
        quarantine: Quarantine | None = None,
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
            quarantine=quarantine,
        )
        self.intake.instruments = self.instruments
        self._quarantine = quarantine
        self.repairs = Repairs(
            self.intake, rest, lambda: self.instruments, clock, metrics, lambda symbol: self._watch.news(symbol)
        )
        self._watch = Watch(venue, self.intake, self.repairs, self.shards, clock, config.audit_s)
        self._publish, self._metrics, self._capture, self._stream_base = publish, metrics, capture, stream_base
        self._marks, self._open_gaps = dict(marks or {}), list(gaps)
        self._has_begun = False  # what was wanted at the start is arranged
        self._wanted: dict[Wanted, None] = {}
        self._wanted_changed = asyncio.Event()
        self._fetching: set[str] = set()
        self._listed_s = float("-inf")  # when the list came
        self._lag_ms = 0.0

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
        elif isinstance(notice, Alive) and notice.symbol is not None:
            self.intake.alive(notice.symbol, notice.channel or "trade", now)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._run()
        finally:
            self.intake.close()
            if self._quarantine is not None:
                self._write_aside(self._quarantine)

    async def _run(self) -> None:
        async with room(f"feed.{self.venue.name}") as here:
            if self.venue.dry:
                self.loaded.set()
                log.warning("venue.dry", venue=self.venue.name, reason="dry run: nothing is connected, heartbeats only")
                here.start("beat", self._beat("dry run"))
                await self._stay_dry()
            await self._load()
            for number in range(REPAIRERS):
                here.start(f"repair.{number}", self.repairs.run())
            here.start("tick", self._tick())
            here.start("look", self._look(here))
            here.start("beat", self._beat("silence"))
            here.start("list", self._relist())
            if self._quarantine is not None:
                here.start("quarantine", self._put_aside(self._quarantine))
            while True:
                self._wanted_changed.clear()
                self._arrange(here)
                await self._wanted_changed.wait()

    async def _stay_dry(self) -> None:
        """Nothing is connected; what would be is shown with the reason."""
        while True:
            self._wanted_changed.clear()
            now = self.clock.now_ns()
            self.intake.unwant(self.intake.streams.keys() - self._wanted.keys())
            self.intake.want([one for one in self._wanted if one not in self.intake.streams], now)
            for stream in self.intake.streams.values():
                stream.become("dead", "dry run: nothing is connected, heartbeats only", now)
            await self._wanted_changed.wait()

    async def _load(self) -> None:
        """The instrument list: without it no symbol can be spelled. Tried until it comes."""
        backoff = Backoff()
        while True:
            try:
                await self.list_again()
            except MarketdError as error:
                delay_s = backoff.next_s()
                log.warning(f"{self.venue.name}.instruments_failed", reason=str(error), retry_in_s=round(delay_s, 1))
                self.intake.status(SYSTEM, "disconnected", f"instruments: {error}", self.clock.now_ns())
                await self.clock.sleep(delay_s)
            else:
                self.loaded.set()
                return

    async def list_again(self) -> list[Instrument]:
        """What the venue lists now, asked anew. Raises MarketdError; what was known then stays."""
        answer = await self.rest.ask(self.venue.instruments_request(), Priority.LIVE)
        listed = self.venue.read_instruments(answer)
        if not listed:
            raise BadFrame(self.venue.name, answer.body, "the venue lists no instrument at all")
        self.instruments.update(listed)
        self._listed_s = self.clock.monotonic()
        return listed

    async def _relist(self) -> None:
        """A symbol that is wanted and not listed may be new: the list is asked for again, at once if it is old, then hourly."""
        asked_for: set[str] = set(self.unlisted)
        while True:
            await self.clock.sleep(1.0)
            age_s = self.clock.monotonic() - self._listed_s
            if not self.unlisted or age_s < (RELIST_S if self.unlisted <= asked_for else LIST_AGE_S):
                continue
            asked_for = set(self.unlisted)
            try:
                await self.list_again()
            except MarketdError as error:
                self._listed_s = self.clock.monotonic()
                log.warning(f"{self.venue.name}.instruments_failed", reason=str(error))
            except Exception as error:
                self._listed_s = self.clock.monotonic()
                self.intake.fault("reading the list", error)
            self._wanted_changed.set()

    async def _put_aside(self, quarantine: Quarantine) -> None:
        while True:
            await self.clock.sleep(QUARANTINE_S)
            if quarantine.is_waiting:
                await asyncio.to_thread(self._write_aside, quarantine)

    def _write_aside(self, quarantine: Quarantine) -> None:
        try:
            quarantine.write()
        except OSError as error:
            log.warning("feed.quarantine_failed", venue=self.venue.name, path=str(quarantine.path), reason=words_of(error))

    def _arrange(self, here: Room) -> None:
        """Bring the shards in line with what is wanted."""
        listed = [one for one in self._wanted if one.symbol in self.instruments]
        self.unlisted = {one.symbol for one in self._wanted} - {one.symbol for one in listed}
        gone = self.intake.streams.keys() - set(listed)
        fresh = [one for one in listed if one not in self.intake.streams]
        for shard in self.shards:
            shard.unsubscribe(gone)
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
            shard.subscribe(group)

    def _seed(self, fresh: Iterable[Wanted]) -> None:
        """Go on after what the sinks hold: ask for the time in between, and for gaps that an earlier run left open.

        A symbol that is wanted only later was not collected meanwhile, and that is no gap: only what is recent is gone on from.
        """
        recent_ns, self._has_begun = self.clock.now_ns() - RECENT_NS if self._has_begun else 0, True
        for one in fresh:
            mark = self._marks.pop(one.symbol, None) if one.channel == "trade" else None
            if mark is None or mark.trade_id is None or (mark.ts_event or 0) < recent_ns:
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
            due_s = self.clock.monotonic() + TICK_S
            await self.clock.sleep(TICK_S)
            self._lag_ms = max(0.98 * self._lag_ms, (self.clock.monotonic() - due_s) * 1000, 0.0)
            self._metrics.loop_lag_ms.set(self._lag_ms)
            try:
                self.intake.tick(self.clock.now_ns())
            except Exception as error:
                self.intake.fault("tick", error)

    async def _look(self, here: Room) -> None:
        while True:
            await self.clock.sleep(LOOK_S)
            try:
                self._look_once(here, self.clock.now_ns())
            except Exception as error:
                self.intake.fault("look", error)

    def _look_once(self, here: Room, now: int) -> None:
        for connection in list(self.connections.values()):
            if connection.first_data():
                self.intake.status(SYSTEM, "connected", f"data arrives on connection {connection.number}", now)
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
        elif symbol not in self._fetching and not self._is_down(Wanted("book", symbol)):
            self._fetching.add(symbol)
            self.intake.books.asked(symbol, self.clock.now_ns())
            log.info("feed.book_snapshot", venue=self.venue.name, symbol=symbol, reason=cause)
            here.start(f"snapshot.{symbol}", self._snapshot(symbol))

    def _is_down(self, wanted: Wanted) -> bool:
        """Whether no line brings this: a book from REST would stand still and look alive."""
        stream = self.intake.streams.get(wanted)
        return stream is None or stream.state == "dead"

    async def _snapshot(self, symbol: str) -> None:
        try:
            instrument = self.instruments[symbol]
            request = self.venue.snapshot_request(instrument)
            assert request is not None
            answer = await self.rest.ask(request, Priority.LIVE)
            if self._is_down(Wanted("book", symbol)):  # meanwhile
                return self.intake.books.ask_failed(symbol, self.clock.now_ns())
            self.intake.fetched_book(self.venue.read_snapshot(answer, instrument, answer.ts_recv))
        except MarketdError as error:
            self.intake.books.ask_failed(symbol, self.clock.now_ns())
            log.warning("feed.snapshot_failed", venue=self.venue.name, symbol=symbol, reason=str(error))
        except Exception as error:
            self.intake.books.ask_failed(symbol, self.clock.now_ns())
            self.intake.fault("fetching a book", error)
        finally:
            self._fetching.discard(symbol)

    async def _beat(self, reason: str) -> None:
        """A venue that has nothing to publish says so: its own signs of life stay inside."""
        said, period = self.clock.now_ns(), int(self.config.heartbeat_s * 1e9)
        while True:
            left = max(said, self.intake.published_ns or 0) + period - self.clock.now_ns()
            if left > 0:
                await self.clock.sleep(max(left / 1e9, TICK_S))
            else:
                said = self.clock.now_ns()
                self._publish((Heartbeat(self.venue.name, SYSTEM, None, self.clock.now_ns(), reason),))
