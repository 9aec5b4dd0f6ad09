"""A member of a group that shares the partitions fairly: it takes what is free, gives up what is too much, and stops in time.

docs/decisions/partitions.md says why leases, and what was measured.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import structlog

from marketd.clock import Clock
from marketd.errors import DeliveryError, Unreachable
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.net.backoff import Backoff
from marketd.net.nats import NatsLink
from marketd.rooms import Room, room, to_the_end
from marketd.sources.leases import Claim, Leases, View, share
from marketd.sources.nats import State
from marketd.sources.partition import Bound, Partition
from marketd.sources.partitioned import STREAM, open_partitioned

BATCH_MAX = 256
LEAVE_S = 5.0  # for finishing what is under way when the daemon stops
JOIN_S_MIN, JOIN_S_MAX = 0.5, 15.0  # before joining anew: whoever lapses because it has too much would lapse again at once
STEADY_LEASES = 3  # a lease held for so many times its length resets that
log = structlog.get_logger("partitions")


@dataclass
class MemberState:
    """How this member is doing, for /health."""

    since: int  # ns, when `healthy` or its reason last changed
    healthy: bool = False
    reason: str = "not joined yet"


class Partitions:
    """One member. `run` until cancelled; on the way out it releases what it has."""

    def __init__(
        self,
        link: NatsLink,
        *,
        prefix: str,
        count: int,
        lease_s: int,
        window_s: float,
        read: Callable[[bytes, str], Event | None],
        publish: Callable[[Sequence[Event]], None],
        settled: Callable[[], Awaitable[None]],
        clock: Clock,
        metrics: Metrics,
        under_way: int = 32_768,
    ) -> None:
        """`publish` takes events and, among them, `Share`; `settled` returns when all that was published has been processed.
        `under_way` is how many may be published and not yet processed, about: less than the queue takes.
        """
        self.leases = Leases(link, STREAM, lease_s, clock, metrics)
        self.state = MemberState(clock.now_ns())
        self._owned: dict[int, tuple[Partition, asyncio.Task[None]]] = {}
        batch = max(1, min(BATCH_MAX, under_way * 2 // (3 * count)))
        self._bound = Bound(link, self.leases, read, publish, settled, clock, window_s, batch)
        self._link, self._prefix, self._count, self._clock = link, prefix, count, clock
        self._metric = metrics.partitions_owned
        self._is_open = False  # the bucket
        self._joined_s: float | None = None
        self._share = 0
        self._told = ""
        self._joining = Backoff(JOIN_S_MIN, JOIN_S_MAX)

    @property
    def may_publish(self) -> bool:
        """False once others may have taken over, as after a pause of the process. To be asked at each publication."""
        return self.leases.is_valid

    @property
    def health(self) -> tuple[State, str]:
        """For /health: how it is now, and not only how the last turn went."""
        if not self.state.healthy:
            return "unhealthy", self.state.reason
        if not self.may_publish:
            return "unhealthy", f"not renewed within the lease of {self.leases.lease_s} s: nothing is published"
        owned = [one for _, (one, _) in sorted(self._owned.items())]
        numbers = ", ".join(str(one.number) for one in owned) or "none yet"
        has = f"member {self.leases.member} has {len(owned)} of {self._count} partitions: {numbers}"
        if stuck := [one.trouble for one in owned if one.trouble]:
            return "unhealthy" if len(stuck) == len(owned) else "degraded", f"{len(stuck)} cannot be read: {stuck[0]}; {has}"
        if rebuilding := [one.age_s for one in owned if one.state == "rebuilding"]:
            of = f"{len(owned)} partition" + "s" * (len(owned) > 1)
            return "degraded", f"rebuilding {len(rebuilding)} of {of} for {max(rebuilding):.0f} s; {has}"
        if len(owned) < self._share:
            return "degraded", f"{has}; waits for {self._share - len(owned)} more that others hold"
        return "ok", has

    def listed(self) -> dict[str, Any]:
        """For /stats and /health."""
        return {
            "member": self.leases.member,
            "count": self._count,
            "owned": [
                {
                    "partition": number,
                    "state": one.state,
                    "symbols": sorted(one.symbols),
                    "done": one.done,
                    "pending": one.pending,
                }
                for number, (one, _) in sorted(self._owned.items())
            ],
        }

    async def run(self) -> None:
        async with room("partitions") as here:
            renewing = here.start("renewing", self._renew())
            try:
                while True:
                    try:
                        await self._turn(here)
                    except Unreachable as error:
                        self._say(False, str(error))
                    except DeliveryError as error:
                        if self.state.healthy or self.state.reason != str(error):
                            log.warning("source.waiting", source=STREAM, reason=str(error))
                        self._say(False, str(error))
                        self._is_open = False  # it may have been deleted
                    else:
                        self._say(True, "")
                    await self._clock.sleep(self.leases.pause_s)
            finally:
                renewing.cancel()
                await to_the_end(self._leave())

    async def _renew(self) -> None:
        """By itself, so that a slow answer to something else does not end the lease."""
        while True:
            if self.leases.is_valid:
                with suppress(DeliveryError):  # it is tried again, and said when the lease has ended
                    await self.leases.renew()
            await self._clock.sleep(self.leases.pause_s)

    async def _turn(self, here: Room) -> None:
        """Look who is there, and come nearer to the fair share."""
        leases = self.leases
        if leases.is_lapsed:
            await self._lapse()
        self._reap()
        made = await open_partitioned(self._link.session, self._prefix, self._count, self._clock)
        if made.life != leases.life:
            await self._end_all()  # the stream was deleted and made anew
            leases.life = made.life
        if not self._is_open:
            await leases.open(made.replicas)
            self._is_open = True
        if self._joined_s is None:  # the others see us from here on, and give up what is ours before we look for it
            await leases.renew()
            self._joined_s = self._clock.monotonic()
            return
        if self._clock.monotonic() - self._joined_s > STEADY_LEASES * leases.lease_s:
            self._joining.reset()
        view = await leases.view()
        self._share = mine = share(view.members, leases.member, self._count)
        for number in sorted(self._owned, key=self._to_keep)[mine:]:
            self._owned[number][0].leave()
        await self._take_free(here, view, mine)
        self._metric.set(len(self._owned))
        self._tell_stuck()

    async def _take_free(self, here: Room, view: View, mine: int) -> None:
        """As many as are missing and can be had before the next renewal; each member begins elsewhere, so that few are wanted
        by two.
        """
        gone: dict[str, bool] = {}
        until_s = self._clock.monotonic() + self.leases.pause_s
        for number in sorted(range(self._count), key=self._rank):
            claim = view.claims.get(number, Claim(number))
            if self._clock.monotonic() > until_s:
                return
            if number in self._owned:
                continue
            if claim.member == self.leases.member:  # taken before, and the answer was lost
                await self._take(here, claim)
            elif len(self._owned) < mine and view.is_free(number):
                if claim.member is not None and claim.member not in gone:
                    gone[claim.member] = await self.leases.is_gone(claim.member)
                if claim.member is None or gone[claim.member]:
                    await self._take(here, claim)

    async def _take(self, here: Room, claim: Claim) -> None:
        """Nothing happens if another one was faster."""
        taken = await self.leases.write(claim, member=self.leases.member, done=claim.done_in(self.leases.life))
        if taken is not None:
            self._begin(here, taken)

    def _begin(self, here: Room, claim: Claim) -> None:
        one = Partition(claim, self._bound)
        self._owned[claim.partition] = one, here.start(str(claim.partition), one.run())
        log.info("partition.assigned", partition=claim.partition, after=claim.done)

    def _reap(self) -> None:
        """Forget those that have ended."""
        for number, (one, task) in list(self._owned.items()):
            if task.done():
                del self._owned[number]
                if one.lost and not self.leases.is_lapsed:
                    log.warning("partition.lost", partition=number)
                else:
                    log.info("partition.released", partition=number, done=one.done)

    def _tell_stuck(self) -> None:
        """Partitions that cannot be read, once for each reason; that the connection is away has been said."""
        stuck = [one.trouble for one, _ in self._owned.values() if one.trouble]
        if stuck and self._told != stuck[0]:
            log.warning("source.waiting", source=STREAM, partitions=len(stuck), reason=stuck[0])
        self._told = stuck[0] if stuck else ""

    async def _lapse(self) -> None:
        """The others may have taken everything: let go of it all, and join again when nothing of it is under way here, later
        each time that it happens.
        """
        wait_s, lease_s = self._joining.next_s(), self.leases.lease_s
        log.warning("partitions.lapsed", partitions=len(self._owned), lease_s=lease_s, joins_in_s=round(wait_s, 3))
        self._say(
            False, f"not renewed within the lease of {lease_s} s: its partitions are the others'; joins again in {wait_s:.1f} s"
        )
        await self._end_all()
        self._metric.set(0)
        await self._bound.settled()
        self.leases.reborn()
        self._joined_s = None
        await self._clock.sleep(wait_s)

    async def _end_all(self) -> None:
        tasks = [task for _, task in self._owned.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._owned.clear()

    async def _leave(self) -> None:
        """Finish what is under way and release it, so that nobody has to wait for the lease to end."""
        for one, _ in self._owned.values():
            one.leave()
        with suppress(TimeoutError, DeliveryError):
            async with asyncio.timeout(LEAVE_S):
                if self._owned:
                    await asyncio.wait([task for _, task in self._owned.values()])
                await self.leases.leave()
        await self._end_all()

    def _to_keep(self, partition: int) -> tuple[bool, bool, bytes]:
        """Those that leave go on leaving; one that is being rebuilt has kept its symbols waiting once already."""
        state = self._owned[partition][0].state
        return state == "leaving", state == "live", self._rank(partition)

    def _rank(self, partition: int) -> bytes:
        return blake2b(f"{partition} {self.leases.member}".encode(), digest_size=8).digest()

    def _say(self, healthy: bool, reason: str) -> None:
        if (self.state.healthy, self.state.reason) != (healthy, reason):
            self.state.healthy, self.state.reason, self.state.since = healthy, reason, self._clock.now_ns()
