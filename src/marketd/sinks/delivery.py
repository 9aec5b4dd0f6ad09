"""The one loop that carries events to every sink: batch, write, try again, and never let one sink's trouble reach another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, nullcontext, suppress
from pathlib import Path

import structlog

from marketd.bus import Bus, Closed, Full, Subscription
from marketd.clock import Clock
from marketd.errors import Declined, DeliveryError, StartError, Unreachable
from marketd.metrics import Metrics
from marketd.model.events import Event, Share
from marketd.model.marks import Mark, Series, lowest
from marketd.rooms import room
from marketd.section import Section
from marketd.sinks.sink import DurableSink, Sink, SinkState
from marketd.sinks.spill import GIB, FileSpill

log = structlog.get_logger("sinks")

BATCH = 4096  # events in one write at most
TRIES = 5  # before a sink that sheds loses the batch
DELAY_S_MIN, DELAY_S_MAX = 0.1, 5.0
DELAY_S_AWAY = 0.5  # at most, where the server is away: asking costs nothing, and whoever connects to it waits longer
# A start waits so long for sinks to open, so that their high-water marks are known before anyone repairs from there, and to
# write what an earlier run left in their spill; then it goes on without them.
OPENING_S = 10.0
CATCHING_UP_S = 0.001  # after each batch from disk: otherwise the threads of other sinks hardly get the interpreter meanwhile
CLOSING_S = 2.0  # after the deadline, for letting go of what a late sink holds


class DeliveryConfig(Section):
    drain_s: float = 10.0
    """Seconds a stopping daemon waits for its sinks to write what they were given; the rest goes to the spill."""
    spill_bytes: int = GIB
    """Bytes of events a durable sink may leave on disk while it cannot write."""


class Deliveries:
    """All the sinks of a daemon, to be looked at."""

    start: Callable[[Sink], None]  # deliver to one more, of what is published from now on; it is closed with the others

    def __init__(self) -> None:
        self._all: list[Delivery] = []

    @property
    def states(self) -> list[SinkState]:
        return [delivery.state for delivery in self._all]

    def progress(self) -> dict[Series, Mark]:
        """The lowest high-water mark of each series over the durable sinks as they were opened: from there a restart repairs.

        What the spill of an earlier run brings does not count: what was only in memory before it is lost.
        """
        return lowest(delivery.marks_at_start for delivery in self._all)

    def add(self, delivery: "Delivery") -> None:
        self._all.append(delivery)


@asynccontextmanager
async def run_sinks(
    sinks: Sequence[Sink],
    bus: Bus,
    clock: Clock,
    *,
    data_dir: Path,
    stores: Sequence[Sink] = (),
    config: DeliveryConfig | None = None,
) -> AsyncIterator[Deliveries]:
    """Deliver what is published from now on to `sinks`, which are opened and closed here, and to `stores`, which are open.

    On leaving, intake ends and what waits is written, for at most `drain_s`; then those who are late are named, and what
    they did not write goes to their spill, or, where they have none, is counted as dropped. Nobody waits for a server that is
    away or takes nothing: what it did not get goes to the spill at once.
    """
    config = config or DeliveryConfig()
    view = Deliveries()

    def spill_of(sink: Sink) -> FileSpill | None:
        if sink.full is not Full.SPILL:
            return None
        return _open_spill(data_dir / "spill" / sink.name, sink.name, config.spill_bytes)

    spills = {sink.name: spill_of(sink) for sink in (*stores, *sinks)}
    tasks: dict[asyncio.Task[None], Delivery] = {}
    async with room("sinks") as here:
        try:
            with ExitStack() as subscriptions:

                def start(sink: Sink) -> None:
                    spill = spills.pop(sink.name) if sink.name in spills else spill_of(sink)
                    subscription = subscriptions.enter_context(
                        bus.subscribe(sink.name, full=sink.full, capacity=sink.capacity, types=sink.types, spill=spill)
                    )
                    delivery = Delivery(sink, subscription, clock, bus.metrics, is_open=sink in stores)
                    view.add(delivery)
                    tasks[here.start(sink.name, delivery.run())] = delivery

                for sink in (*stores, *sinks):
                    start(sink)
                view.start = start
                with suppress(TimeoutError):
                    async with asyncio.timeout(OPENING_S):
                        for delivery in tasks.values():
                            await delivery.caught_up.wait()
                yield view
        finally:
            timer = here.start("deadline", clock.sleep(config.drain_s))
            pending = set(tasks)
            for task, delivery in tasks.items():
                if delivery.waits_for_its_server:  # what it did not get is safe in the spill
                    task.cancel()
            while pending and not timer.done():
                _, waiting = await asyncio.wait({*pending, timer}, return_when=asyncio.FIRST_COMPLETED)
                pending = waiting - {timer}
            timer.cancel()
            for task in pending:
                tasks[task].is_late(config.drain_s)
                task.cancel()
            while pending:  # a sink may also hang in closing
                _, pending = await asyncio.wait(pending, timeout=CLOSING_S)
                for task in pending:
                    task.cancel()


def _open_spill(directory: Path, consumer: str, limit_bytes: int) -> FileSpill:
    try:
        return FileSpill(directory, consumer, limit_bytes=limit_bytes)
    except OSError as error:
        raise StartError(f"{consumer}: cannot use {directory}: {error.strerror}; change --data-dir or MARKETD_DATA_DIR") from None


class Delivery:
    """One sink and its queue."""

    def __init__(self, sink: Sink, subscription: Subscription, clock: Clock, metrics: Metrics, *, is_open: bool) -> None:
        self.sink, self.subscription = sink, subscription
        self.state = SinkState(sink.name, sink.full is Full.SPILL, clock.now_ns(), subscription)
        self._clock, self._metrics = clock, metrics
        self._is_open = is_open
        self.marks_at_start: Mapping[Series, Mark] = {}
        self.caught_up = asyncio.Event()  # it is open and has what an earlier run left in its spill, or it is in trouble
        self._batch: list[Event] = []  # taken, not yet written
        self._trouble: Exception | None = None  # since the last try
        self._delivered = metrics.delivered.labels(sink.name)
        self._fill = metrics.queue_fill.labels(sink.name)
        self._stored_ms = metrics.stored_ms.labels(sink.name)

    async def run(self) -> None:
        """Until the intake has ended and all is written. When cancelled, what is left goes to the spill."""
        try:
            await self._open_and_deliver()
        finally:
            if not self.subscription.drained or self._batch:
                self._abandon()
            if self.subscription.spill is not None:
                self.subscription.spill.close()

    @property
    def waits_for_its_server(self) -> bool:
        return self.state.durable and isinstance(self._trouble, (Unreachable, Declined))

    def is_late(self, after_s: float) -> None:
        """Name the sink that could not finish in time."""
        waiting = len(self._batch) + len(self.subscription)
        where = "kept in its spill" if self.state.durable else "dropped, see events_dropped_total"
        text = f"{self.sink.name}: {waiting:,} events not written after {after_s:g} s; {where}"
        self._say(False, text)
        (log.warning if self.state.durable else log.error)(
            "sink.late", code="stop-late", sink=self.sink.name, events=waiting, text=text
        )

    async def _open_and_deliver(self) -> None:
        tries = 0
        ended = False
        while not ended:
            try:
                async with nullcontext() if self._is_open else self.sink:
                    tries = 0
                    if isinstance(self.sink, DurableSink) and not self.state.delivered:
                        self.marks_at_start = dict(self.sink.progress())
                    await self._deliver()
                    ended = True
            except Exception as error:
                if self._gives_way(error):
                    return
                if ended:
                    log.error(
                        "sink.close_failed",
                        code="sink-gave-up",
                        sink=self.sink.name,
                        error=str(error),
                        exc_info=not _is_expected(error),
                    )
                else:
                    tries += 1
                    await self._set_back(error, tries)

    async def _deliver(self) -> None:
        self._say(True, "")
        self._trouble = None
        while True:
            if not self.subscription.spill:
                self.caught_up.set()
            try:
                self._batch = await self.subscription.take(BATCH)
            except Closed:
                return
            self._fill.set(self.subscription.fill)
            await self._write(self._batch)
            self._batch = []
            self.subscription.delivered()
            await self._pause()

    async def _pause(self) -> None:
        """Between two batches events gather, and the others get their turn before a sink that has much to catch up on."""
        pause_s = self.sink.gather_s
        if self.subscription.from_disk:
            pause_s = max(pause_s, CATCHING_UP_S)
        if self.subscription.closed is not None:
            pause_s = 0.0
        if pause_s or not self.subscription.drained:
            await self._clock.sleep(pause_s)

    async def _write(self, batch: Sequence[Event]) -> None:
        """Try until the sink took the batch; only where losing is allowed, give up after some tries and say so."""
        tries = 0
        while True:
            try:
                await self.sink.write(batch)
            except Exception as error:
                tries += 1
                if self._gives_way(error):
                    raise
                if self.subscription.full is Full.SHED and tries >= TRIES:
                    told: list[Event] = [event for event in batch if event.__class__ is Share] if self._wants_shares else []
                    if len(told) < len(batch):
                        self._give_up([event for event in batch if event.__class__ is not Share] if told else batch, error)
                    if not told:
                        return
                    self._batch = batch = told  # without it the sink would never know what it looks after
                await self._set_back(error, tries)
            else:
                break
        self._trouble = None
        ms = (self._clock.now_ns() - batch[0].ts_recv) / 1e6
        self._stored_ms.observe(ms)
        self.state.stored_ms.add(ms)
        self.state.delivered += len(batch)
        self._delivered.inc(len(batch))
        if not self.state.healthy:
            self._say(True, "")
            log.info("sink.recovered", sink=self.sink.name, tries=tries)

    @property
    def _wants_shares(self) -> bool:
        return self.sink.types is not None and Share in self.sink.types

    def _gives_way(self, error: Exception) -> bool:
        """When the daemon stops, nobody waits for a server that is away or takes nothing: what it did not get is in the spill."""
        if isinstance(error, (Unreachable, Declined)) and self.state.durable and self.subscription.closed is not None:
            self._say(False, str(error))
            return True
        return False

    async def _set_back(self, error: Exception, tries: int) -> None:
        """Say what is wrong, once per reason, and wait before the next try, longer each time."""
        self.caught_up.set()
        self._trouble = error
        self.state.retries += 1
        self._metrics.write_retries.labels(self.sink.name).inc()
        reason = str(error) if _is_expected(error) else f"{type(error).__name__}: {error}"
        is_away = isinstance(error, Unreachable)
        if not is_away and (self.state.healthy or self.state.reason != reason):
            log.warning(
                "sink.failing",
                code="sink-retrying",
                sink=self.sink.name,
                error=reason,
                tries=tries,
                exc_info=not _is_expected(error),
            )
        self._say(False, reason)
        delay_s_max = DELAY_S_AWAY if is_away else DELAY_S_MAX
        await self._clock.sleep(min(delay_s_max, DELAY_S_MIN * 2 ** (tries - 1)))

    def _give_up(self, batch: Sequence[Event], error: Exception) -> None:
        text = (
            f"{self.sink.name}: {len(batch):,} events not written after {TRIES} tries ({error}); "
            "dropped, see events_dropped_total"
        )
        log.error("sink.gave_up", code="sink-gave-up", sink=self.sink.name, events=len(batch), text=text)
        self.state.given_up += len(batch)
        self._say(False, text)
        self.subscription.count_dropped("gave_up", batch)

    def _abandon(self) -> None:
        batch, self._batch = self._batch, []
        lost = self.subscription.abandon(batch)
        if self.subscription.spill:
            log.info("sink.left_in_spill", sink=self.sink.name, events=len(self.subscription.spill))
        if lost:
            log.error(
                "sink.lost",
                code="stop-late",
                sink=self.sink.name,
                events=lost,
                text=f"{self.sink.name}: {lost:,} events lost on leaving",
            )

    def _say(self, healthy: bool, reason: str) -> None:
        if (self.state.healthy, self.state.reason) != (healthy, reason):
            self.state.healthy, self.state.reason, self.state.since = healthy, reason, self._clock.now_ns()


def _is_expected(error: Exception) -> bool:
    """The world's faults need no traceback; ours do."""
    return isinstance(error, DeliveryError)
