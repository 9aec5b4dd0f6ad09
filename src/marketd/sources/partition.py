"""One partition as long as it is ours: its past first, by which windows are rebuilt, then what comes, in order.

What is done is noted in the partition's claim, after it was processed. Who takes over goes on from there.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
import structlog

from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.model.events import SYSTEM, Event, Share, ShareState, Status
from marketd.net.nats import NatsLink
from marketd.net.nats_api import Stored, ask, latest, stored_at
from marketd.sources.leases import Claim, Leases
from marketd.sources.partitioned import PREFIX, STREAM, subjects
from marketd.sources.stored import Ordered

SECOND = 1_000_000_000
NOTE_S = 0.5  # between two notes of what is done
EARLIER_S = 5.0  # the past is read from so much before the window, since events come late and clocks differ
TROUBLE_S = 0.5  # pause before the next try

State = Literal["rebuilding", "live", "leaving"]
log = structlog.get_logger("partitions")


class Bound(NamedTuple):
    """What every partition of this member needs."""

    link: NatsLink
    leases: Leases
    read: Callable[[bytes, str], Event | None]  # a message's event
    publish: Callable[[Sequence[Event]], None]
    settled: Callable[[], Awaitable[None]]  # all that was published before has been processed
    clock: Clock
    window_s: float
    batch: int  # messages of one partition that may be under way


class Partition:
    """`run` ends when it is left or lost; then nobody here knows its symbols any more."""

    def __init__(self, claim: Claim, bound: Bound) -> None:
        self.claim = claim
        self.symbols: set[str] = set()
        self.done = claim.done
        self.lost = False
        self.trouble = ""  # why it cannot be read now
        self._is_live = self._is_leaving = False
        self._bound = bound
        self._past = claim.done  # messages up to here were processed by an owner before
        self._noted_s = self._began_s = bound.clock.monotonic()
        self._stored: Ordered | None = None

    @property
    def number(self) -> int:
        return self.claim.partition

    @property
    def state(self) -> State:
        return "leaving" if self._is_leaving else "live" if self._is_live else "rebuilding"

    @property
    def age_s(self) -> float:
        """Since it was taken."""
        return self._bound.clock.monotonic() - self._began_s

    @property
    def pending(self) -> int | None:
        """Messages not read yet; None before it is known."""
        return None if self._stored is None else self._stored.pending

    def leave(self) -> None:
        """End after what is under way, and release the claim."""
        self._is_leaving = True

    async def run(self) -> None:
        try:
            while not self._is_leaving and not self.lost:
                try:
                    await self._advance()
                    self.trouble = ""
                except DeliveryError as error:
                    self.trouble = str(error)
                    await self._bound.clock.sleep(TROUBLE_S)
        finally:
            self._tell("released", self.symbols)
        if self._stored is not None:
            await self._stored.close()
        if not self.lost:
            await self._bound.settled()
            try:
                await self._note(member=None)
            except DeliveryError as error:
                log.debug("partition.not_released", partition=self.number, error=str(error))  # it is taken up again

    async def _advance(self) -> None:
        """The next messages, from asking for them to noting that they are done."""
        bound = self._bound
        if self._stored is None:
            self._stored = await self._open()
        batch = await self._stored.next(NOTE_S)
        if not bound.leases.is_valid:
            self.lost = True  # others may have taken it
            return
        self._take([one for one in batch if one.sequence <= self._past])
        if not self._is_live and (self._stored.after >= self._past or self._stored.pending == 0):
            self._tell("ready", self.symbols)
            self._is_live = True
            log.info("partition.live", partition=self.number, symbols=len(self.symbols), took_ms=round(self.age_s * 1000))
        self._take([one for one in batch if one.sequence > self._past])
        if batch:
            await bound.settled()  # the past too: a window may be longer than the queue before whoever processes it
            self.done = max(self._past, batch[-1].sequence)
        if self.done != self.claim.done and bound.clock.monotonic() - self._noted_s >= NOTE_S:
            await self._note(member=self.claim.member)

    async def _open(self) -> Ordered:
        """Reads from where the windows begin. What was last said of a symbol before that is published here."""
        bound = self._bound
        await self._check_kept()
        since_ns = await self._since_ns() if self._past else None
        if since_ns is not None:
            for kind in ("trade", "quote"):
                self._take(await latest(bound.link.session, STREAM, f"{PREFIX}.{self.number}.{kind}.*", before_ns=since_ns))
        return Ordered(
            bound.link,
            STREAM,
            subjects(self.number),
            bound.clock,
            after=0 if since_ns else self._past,
            since_ns=since_ns,
            batch=bound.batch,
        )

    async def _check_kept(self) -> None:
        """The stream has its limits: whoever was away for longer finds a hole, and that is said; so is a claim of more than
        there is, which must not mark what is to come as done.
        """
        state = (await ask(self._bound.link.session, f"STREAM.INFO.{STREAM}"))["state"]
        first, last = int(state["first_seq"]), int(state["last_seq"])
        if self._past > last:
            log.warning("partition.ahead", partition=self.number, claimed=self._past, last=last)
            self._past = self.done = last
        if self._past and first > self._past + 1:
            reason = (
                f"the stream begins at message {first:,}, this partition is done up to {self._past:,}: what came between is gone"
            )
            log.warning("source.lost", source=STREAM, partition=self.number, messages_max=first - self._past - 1, reason=reason)

    async def _since_ns(self) -> int | None:
        """When the window of the last message that is done began. None if that message is no longer there."""
        bound = self._bound
        found = await stored_at(bound.link.session, STREAM, self._past)
        if found is None:
            return None
        event = bound.read(found.data, found.subject)
        newest = found.time_ns if event is None or event.ts_event is None else min(found.time_ns, event.ts_event)
        return newest - int((bound.window_s + EARLIER_S) * SECOND)

    def _take(self, batch: Sequence[Stored]) -> None:
        events = [event for one in batch if (event := self._bound.read(one.data, one.subject)) is not None]
        if events:
            self._bound.publish(list(self._ours(events)))

    def _ours(self, events: Iterable[Event]) -> Iterable[Event]:
        """What is said of a whole venue concerns each of our symbols here, and none of another partition."""
        for event in events:
            if event.symbol != SYSTEM:
                if event.symbol not in self.symbols:
                    self.symbols.add(event.symbol)
                    if not self._is_live:
                        yield self._share("assigned", (event.symbol,))
                yield event
            elif isinstance(event, Status):
                for symbol in sorted(self.symbols):
                    yield msgspec.structs.replace(event, symbol=symbol)

    def _tell(self, state: ShareState, symbols: Iterable[str]) -> None:
        if self.symbols:
            self._bound.publish([self._share(state, tuple(sorted(symbols)))])

    def _share(self, state: ShareState, symbols: tuple[str, ...]) -> Share:
        return Share("marketd", SYSTEM, None, self._bound.clock.now_ns(), state, symbols)

    async def _note(self, *, member: str | None) -> None:
        """Say how far we are. If the claim is no longer ours, it is lost."""
        self._noted_s = self._bound.clock.monotonic()
        claim = await self._bound.leases.write(self.claim, member=member, done=self.done)
        if claim is None and member is not None:
            self.lost = True
        elif claim is not None:
            self.claim = claim
