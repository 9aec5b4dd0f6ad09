"""Fan-out from the readers to bounded subscriptions: nobody waits for anybody, and every loss is counted.

A subscription says what a full queue means to it: `shed` (lose what may be lost, then the oldest), `spill` (what may not
be lost goes to a log on disk and comes back in order), `close` (the consumer is told and let go).
"""

import asyncio
import collections
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from typing import Protocol

from marketd.metrics import Metrics
from marketd.model.events import TYPE_NAMES, BookDelta, BookL2, Event, Heartbeat, Quote, Share, droppable

HEARTBEATS_GO = 0.8  # fill from which heartbeats are dropped
CONFLATE = 0.9  # fill from which quotes and full views of books are conflated to their latest, and book deltas dropped
FROM_DISK = 512  # events read from disk in one go, so that whoever catches up does not hold the loop for long
SWEEP = 64  # a full queue makes room for one in so many events at a time, since finding droppable ones costs a walk through it


class Full(StrEnum):
    SHED = "shed"
    SPILL = "spill"
    CLOSE = "close"


class Closed(Exception):
    """The subscription was closed, and everything it held has been taken. The text says why."""


class Spill(Protocol):
    """Where events wait on disk, in order."""

    def append(self, events: Sequence[Event]) -> int:
        """Keep these; returns how many of them, the last ones, found no room and are lost. Never raises."""
        ...

    def read(self, limit: int) -> list[Event]:
        """The next events in order, empty when all were read; they stay until `commit`."""
        ...

    def commit(self) -> None:
        """What was read is delivered and may go."""
        ...

    def put_back(self, events: Sequence[Event]) -> int:
        """Keep these in front of what waits here, and forget what was read but not committed; returns how many are lost."""
        ...

    def close(self) -> None:
        """Let go of the files; what waits stays."""
        ...

    def __len__(self) -> int: ...


class Subscription:
    """One consumer's bounded queue. Who takes book deltas gets the full views too: after a loss they are where to start from."""

    def __init__(
        self, name: str, full: Full, capacity: int, types: frozenset[type[Event]] | None, spill: Spill | None, metrics: Metrics
    ) -> None:
        assert (full is Full.SPILL) == (spill is not None), "spilling needs somewhere to spill to"
        if types is not None and BookDelta in types:
            types |= {BookL2}
        self.name, self.full, self.capacity, self.types, self.spill = name, full, capacity, types, spill
        self.dropped: collections.Counter[tuple[str, str]] = collections.Counter()  # by (reason, event type)
        self.taken = 0
        self.closed: str | None = None  # why
        self._queue: deque[Event] = deque()
        self._latest: dict[tuple[type[Event], str, str], Event] = {}  # conflated quotes and books
        self._withheld: set[tuple[str, str]] = set()  # books of which a delta was lost and no full view came since
        self._all_firm = False  # a walk through the queue found nothing droppable, and nothing droppable came since
        self._spilling = spill is not None and len(spill) > 0
        self.from_disk = False  # whether the batch taken last came from the spill
        self._heartbeats_limit = int(capacity * HEARTBEATS_GO)
        self._conflate_limit = int(capacity * CONFLATE)
        self._waiting = asyncio.Event()
        self._in_hand = 0  # events taken and not yet delivered
        self._settling: dict[asyncio.Event, int] = {}  # who waits, and for how many events; 0 is until nothing waits
        self._metrics = metrics
        self._drops_exported: dict[tuple[str, str], int] = {}
        if self._spilling:
            self._waiting.set()

    def __len__(self) -> int:
        return len(self._queue) + len(self._latest)

    @property
    def fill(self) -> float:
        """From 0 to 1; 1 while events wait on disk."""
        return 1.0 if self._spilling else min(1.0, len(self) / self.capacity)

    @property
    def drained(self) -> bool:
        return not self._queue and not self._latest and not self._spilling

    def offer(self, events: Sequence[Event]) -> None:
        """Called by the bus; never waits."""
        if self.closed is not None:
            return
        if self.types is not None:
            types = self.types
            if len(events) > 1:
                events = [event for event in events if event.__class__ in types]
            elif events and events[0].__class__ not in types:  # most frames say one thing
                return
            if not events:
                return
        if len(self._queue) + len(events) < self._heartbeats_limit and not (self._latest or self._withheld or self._spilling):
            self._queue.extend(events)
            self._all_firm = False
        else:
            self._squeeze(events)
        self._waiting.set()

    async def take(self, limit: int = 1024) -> list[Event]:
        """All that waits, at most `limit`, in order; waits for the first. Raises Closed once closed and empty.

        What waits on disk comes `FROM_DISK` at a time.
        """
        while self.drained:
            if self.closed is not None:
                raise Closed(self.closed)
            self._waiting.clear()
            await self._waiting.wait()
        batch: list[Event]
        self.from_disk = False
        if len(self._queue) <= limit:
            batch = list(self._queue)
            self._queue.clear()
        else:
            batch = list(islice(self._queue, limit))
            for _ in range(limit):
                self._queue.popleft()
        if not batch and self._spilling:
            assert self.spill is not None
            batch = self.spill.read(min(limit, FROM_DISK))
            self._spilling = self.from_disk = bool(batch)
        if self._latest and not self._queue and not self._spilling:
            for key in list(islice(self._latest, limit - len(batch))):
                batch.append(self._latest.pop(key))
        self.taken += len(batch)
        self._in_hand = len(batch)
        return batch or await self.take(limit)

    def delivered(self) -> None:
        """The batch taken last has been written: what was on disk for it may go."""
        if self.spill is not None and self._spilling:
            self.spill.commit()
            self._spilling = len(self.spill) > 0
        written, self._in_hand = self._in_hand, 0
        for settled, left in self._settling.items():
            self._settling[settled] = left - written
            if self.drained or 0 < left <= written:
                settled.set()

    async def settled(self) -> None:
        """Returns when all that was published before the call is delivered or dropped: then a source may acknowledge it.

        Under pressure (events on disk, or conflated) it waits until nothing waits any more. Once the consumer has abandoned its
        queue it waits for ever, since nothing is known then: whoever calls it is cancelled before.
        """
        waiting = len(self._queue) + self._in_hand
        pressed = bool(self._latest) or self._spilling
        if not waiting and not pressed:
            return
        settled = asyncio.Event()
        self._settling[settled] = 0 if pressed else waiting
        try:
            await settled.wait()
        finally:
            del self._settling[settled]

    def abandon(self, batch: Sequence[Event]) -> int:
        """Nobody will take again: `batch` (taken, not delivered) and what waits go to the spill, or are dropped and counted.
        Returns how many are lost.
        """
        self.close("abandoned")
        left = [] if self.from_disk else list(batch)  # what came from disk is there still
        left += self._queue
        left += self._latest.values()
        self._queue.clear()
        self._latest.clear()
        lost = len(left) if self.spill is None else self.spill.put_back(left)
        self.count_dropped("late", left[len(left) - lost :])
        self._spilling = False
        return lost

    def count_dropped(self, reason: str, events: Sequence[Event]) -> None:
        """These were taken and will not be delivered."""
        for event in events:
            self._drop(reason, event)
        self._export_drops()

    def close(self, why: str) -> None:
        """No more events come in; what waits can still be taken."""
        if self.closed is None:
            self.closed = why
        self._waiting.set()

    def _squeeze(self, events: Sequence[Event]) -> None:
        """The slow path: the queue is filling up, so each event is judged by its type."""
        pressed: list[Event] = []  # on their way to disk
        for event in events:
            waiting = len(self._queue)
            kind = event.__class__
            if kind is Heartbeat and (waiting >= self._heartbeats_limit or self._spilling):
                self._drop("pressure", event)
            elif (kind is Quote or kind is BookL2) and (waiting >= self._conflate_limit or self._latest or self._spilling):
                self._conflate(event)
            elif kind is BookDelta and (waiting >= self._conflate_limit or self._spilling or self._is_withheld(event)):
                self._withheld.add((event.venue, event.symbol))
                self._drop("pressure", event)
            elif self._spilling or (waiting >= self.capacity and not self._makes_room()):
                self._overflow(event, pressed)
                if self.closed is not None:
                    break
            else:
                if kind is BookL2:
                    self._withheld.discard((event.venue, event.symbol))
                self._queue.append(event)
                self._all_firm = self._all_firm and not droppable(event)
        if pressed:
            self._to_disk(pressed)
        self._export_drops()

    def _is_withheld(self, event: Event) -> bool:
        """A delta must not overtake the view that it follows, nor come without one after a loss."""
        return (event.venue, event.symbol) in self._withheld or (BookL2, event.venue, event.symbol) in self._latest

    def _conflate(self, event: Event) -> None:
        key = (event.__class__, event.venue, event.symbol)
        earlier = self._latest.pop(key, None)
        if earlier is not None:
            self._drop("conflated", earlier)
        elif len(self._latest) >= self.capacity:
            self._drop("pressure", event)
            return
        self._latest[key] = event
        if event.__class__ is BookL2:
            self._withheld.discard((event.venue, event.symbol))

    def _makes_room(self) -> bool:
        """Let the oldest droppable events of a full queue go. False when there are none."""
        if self._all_firm:
            return False
        surplus = max(1, self.capacity // SWEEP)
        kept: deque[Event] = deque()
        broken: set[tuple[str, str]] = set()  # books of which this walk dropped something and met no full view since
        for event in self._queue:
            kind = event.__class__
            book = (event.venue, event.symbol)
            if (surplus and droppable(event)) or (kind is BookDelta and book in broken):
                surplus = max(0, surplus - 1)
                self._drop("full", event)
                if kind is BookDelta or kind is BookL2:
                    broken.add(book)
            else:
                if kind is BookL2:
                    broken.discard(book)
                kept.append(event)
        self._withheld |= {book for book in broken if (BookL2, *book) not in self._latest}
        self._queue = kept
        self._all_firm = surplus > 0  # all droppable ones are gone
        return len(kept) < self.capacity

    def _overflow(self, event: Event, pressed: list[Event]) -> None:
        """The queue is full of events that may not be lost; what happens is what this consumer chose."""
        if droppable(event):
            self._drop("pressure" if self._spilling else "full", event)
        elif self.full is Full.SPILL:
            self._spilling = True
            pressed.append(event)
        elif self.full is Full.CLOSE:
            self._drop("full", event)
            self.close(f"{self.name}: too slow, {self.capacity:,} events waiting")
        else:
            self._queue.append(event)
            oldest = next((at for at, one in enumerate(self._queue) if one.__class__ is not Share), None)
            if oldest is not None:  # what this process does is never lost: there are few of it
                self._drop("full", self._queue[oldest])
                del self._queue[oldest]

    def _to_disk(self, events: list[Event]) -> None:
        assert self.spill is not None
        lost = self.spill.append(events)
        for event in events[len(events) - lost :]:
            self._drop("spill_full", event)
        self._metrics.spilled.labels(self.name).inc(len(events) - lost)

    def _drop(self, reason: str, event: Event) -> None:
        self.dropped[reason, TYPE_NAMES[event.__class__]] += 1

    def _export_drops(self) -> None:
        """To the metrics, once a batch: a counter there costs more than all else that is done about an event."""
        for (reason, kind), count in self.dropped.items():
            known = self._drops_exported.get((reason, kind), 0)
            if count > known:
                self._metrics.dropped.labels(self.name, reason, kind).inc(count - known)
                self._drops_exported[reason, kind] = count


class Bus:
    """Where events meet. `publish` never waits."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.subscriptions: list[Subscription] = []

    def publish(self, events: Sequence[Event]) -> None:
        """Hand a batch to every subscription, in order."""
        for subscription in self.subscriptions:
            subscription.offer(events)

    @contextmanager
    def subscribe(
        self,
        name: str,
        *,
        full: Full,
        capacity: int = 65_536,
        types: frozenset[type[Event]] | None = None,
        spill: Spill | None = None,
    ) -> Iterator[Subscription]:
        """A bounded queue of what is published from now on. On leaving it takes no more; what waits can still be taken."""
        subscription = Subscription(name, full, capacity, types, spill, self.metrics)
        self.subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self.subscriptions.remove(subscription)
            subscription.close("the daemon stops")
