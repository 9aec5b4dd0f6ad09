"""Fills gaps over REST, beside the reader: nothing that reads a socket ever waits for it."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

import structlog

from marketd.clock import Clock
from marketd.errors import MarketdError, Refused, place_of
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.model.instruments import Instruments
from marketd.net.backoff import Backoff
from marketd.net.governor import Priority
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.rest import Rest
from marketd.venues.venue import Request, Span

GIVE_UP_S = 3600.0  # of failing for reasons that may pass; a refusal for good ends it at once
TRIES_BEHIND_MAX = 4  # the venue's REST side may lag behind its stream
PROBE_AGE_NS = 2_000_000_000
AUDIT = "audit"  # the cause of a probe that compares a while of a stream which proves nothing
PAGES_MAX = 5_000
WAITING_MAX = 10_000
log = structlog.get_logger("repair")


class Repairs:
    """The gaps of one venue that wait to be filled, most urgent first."""

    def __init__(
        self,
        intake: Intake,
        rest: Rest,
        instruments: Callable[[], Instruments],
        clock: Clock,
        metrics: Metrics,
        on_news: Callable[[str], None],
    ) -> None:
        self._intake, self._rest, self._instruments, self._clock, self._metrics = intake, rest, instruments, clock, metrics
        self._on_news = on_news  # called with the symbol when a probe found trades that the stream should have brought
        self._queue: asyncio.PriorityQueue[tuple[int, int, Repair, Priority]] = asyncio.PriorityQueue(WAITING_MAX)
        self._order = count()
        self.open = 0
        self._probing: set[str] = set()
        self._to_begin: set[str] = set()  # symbols with a repair by time that waits: it covers all that is lost until then

    def add(self, repair: Repair, priority: Priority = Priority.REPAIR) -> None:
        """Never waits; if far too many wait already, this one is given up and said so."""
        if repair.is_probe:
            if repair.symbol in self._probing:
                return None
            self._probing.add(repair.symbol)
        elif repair.span.from_id is None:
            if repair.symbol in self._to_begin:
                return self._intake.continuity.folded(repair.symbol)
            self._to_begin.add(repair.symbol)
        try:
            self._queue.put_nowait((int(priority), next(self._order), repair, priority))
            self.open += 1
        except asyncio.QueueFull:
            self._to_begin.discard(repair.symbol)
            self._give_up(repair, "too many repairs wait")

    async def run(self) -> None:
        """Work until cancelled. Several of these may run at once."""
        while True:
            _, _, repair, priority = await self._queue.get()
            if not repair.is_probe:
                self._to_begin.discard(repair.symbol)
            try:
                if self._intake.expects_trades(repair.symbol):
                    await (self._probe if repair.is_probe else self._fill)(repair, priority)
            except Exception as error:  # a fault of ours costs this repair, not the feed
                self._intake.fault("repairing", error)
                self._give_up(repair, f"a fault of ours: {place_of(error)}")
            finally:
                self.open -= 1
                if repair.is_probe:
                    self._probing.discard(repair.symbol)

    async def _probe(self, repair: Repair, priority: Priority) -> None:
        """A question only: whatever comes of it, nothing is given up."""
        until = self._clock.now_ns() - PROBE_AGE_NS
        try:
            await self._walk(repair, repair.span, priority)
            if repair.cause == AUDIT:
                self._intake.continuity.track(repair.symbol).compared_ts = until
        except MarketdError as error:
            log.info("repair.probe_failed", venue=self._rest.venue.name, symbol=repair.symbol, reason=str(error))

    async def _fill(self, repair: Repair, priority: Priority) -> None:
        venue, backoff = self._rest.venue, Backoff(1.0, 60.0)
        behind, deadline_s = 0, self._clock.monotonic() + GIVE_UP_S
        self._intake.publish(self._intake.continuity.repairing(repair, self._clock.now_ns()))
        while self._intake.expects_trades(repair.symbol):
            left = self._intake.continuity.still_missing(repair.symbol, repair.span)
            try:
                covered, ahead = await self._walk(repair, left, priority) if left is not None else (True, False)
            except MarketdError as error:
                if (isinstance(error, Refused) and error.permanent) or self._clock.monotonic() > deadline_s:
                    self._give_up(repair, str(error))
                    return
                log.warning("repair.failed", venue=venue.name, symbol=repair.symbol, reason=str(error), tries=backoff.tries + 1)
                await self._clock.sleep(backoff.next_s())
                continue
            if ahead and behind < TRIES_BEHIND_MAX:
                behind += 1
                await self._clock.sleep(float(behind))
                continue
            now = self._clock.now_ns()
            reach = venue.proofs["trade"].reach
            events = self._intake.continuity.repaired(
                repair.symbol, repair.span, f"beyond what the venue still offers ({reach})", now, absent=covered
            )
            self._metrics.repairs.labels(venue.name, "done" if covered else "partly").inc()
            self._intake.publish(events)
            return

    async def _walk(self, repair: Repair, span: Span, priority: Priority) -> tuple[bool, bool]:
        """Fetch page by page, merging as they come. Says whether they cover the span, and whether it ends ahead of them."""
        venue, instrument = self._rest.venue, self._instruments()[repair.symbol]
        asked = from_the_last_known(span)
        request: Request | None = venue.trades_request(instrument, asked)
        if request is None:
            raise Refused(venue.name, f"offers no way to fetch trades ({venue.proofs['trade'].repairs})", permanent=True)
        lowest: int | None = None
        highest: int | None = None
        for number in range(PAGES_MAX):
            answer = await self._rest.ask(request, priority)
            now = answer.ts_recv
            page = venue.read_trades(answer, instrument, asked, now)
            trades = self._intake.admit(page.trades)
            if repair.is_probe:  # the stream may be a moment behind REST without anything being lost
                trades = [trade for trade in trades if (trade.ts_event or now) < now - PROBE_AGE_NS]
            merged = self._intake.continuity.fetched(repair.symbol, trades, goes_on=number > 0)
            self._intake.publish(merged)
            if repair.is_probe and merged:
                self._on_news(repair.symbol)
            if span.from_id is not None and trades:
                ids = [int(trade.trade_id) for trade in trades]
                lowest = min(ids) if lowest is None else min(lowest, *ids)
                highest = max(ids) if highest is None else max(highest, *ids)
            request = page.more
            if request is None:
                break
        if span.from_id is None:
            return self._intake.continuity.track(repair.symbol).proven, False
        if span.to_id is None:
            return True, False
        reaches_back = lowest is not None and lowest <= int(span.from_id) - 1
        return reaches_back and highest is not None and highest >= int(span.to_id), highest is None or highest < int(span.to_id)

    def _give_up(self, repair: Repair, cause: str) -> None:
        name = self._rest.venue.name
        if repair.is_probe:
            self._probing.discard(repair.symbol)
            return
        self._metrics.repairs.labels(name, "failed").inc()
        events: Sequence[Event] = self._intake.continuity.repaired(repair.symbol, repair.span, cause, self._clock.now_ns())
        self._intake.publish(events)


def from_the_last_known(span: Span) -> Span:
    """Ask from the trade before the gap: getting it back proves that the answer reaches far enough."""
    return span if span.from_id is None else span._replace(from_id=str(max(0, int(span.from_id) - 1)))
