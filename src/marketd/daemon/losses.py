"""What is missing or dropped, said in the log: gaps as they are found, filled or given up, and what consumers lost."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from marketd.bus import Bus, Closed, Full, Subscription
from marketd.clock import Clock
from marketd.model.events import Gap
from marketd.rooms import room

CAPACITY = 16_384
EVERY_S = 1.0  # gaps that come together are one line
NAMED_MAX = 10
log = structlog.get_logger("losses")


@asynccontextmanager
async def run_losses(bus: Bus, clock: Clock) -> AsyncIterator[None]:
    """Say what happens from now on."""
    async with room("losses") as here:
        with bus.subscribe("losses", full=Full.SHED, capacity=CAPACITY, types=frozenset({Gap})) as subscription:
            here.start("gaps", _gaps(subscription, clock))
            here.start("drops", _drops(bus, clock))
            yield


async def _gaps(subscription: Subscription, clock: Clock) -> None:
    while True:
        try:
            batch = await subscription.take(CAPACITY)
        except Closed:
            return
        say_gaps([event for event in batch if isinstance(event, Gap)])
        await clock.sleep(EVERY_S)


def say_gaps(gaps: Sequence[Gap]) -> None:
    """One line for all of a venue that happened to a channel for one cause."""
    alike: dict[tuple[str, str, str, str], list[Gap]] = {}
    for gap in gaps:
        alike.setdefault((gap.venue, gap.channel, gap.state, gap.cause), []).append(gap)
    for (venue, channel, state, cause), its in alike.items():
        symbols = list(dict.fromkeys(gap.symbol for gap in its))
        said: dict[str, object] = {"venue": venue, "channel": channel, "count": len(its), "reason": cause}
        said |= {"symbol": symbols[0]} if len(symbols) == 1 else {"symbols": symbols[:NAMED_MAX], "of": len(symbols)}
        if len(its) == 1:
            said |= {key: value for key in ("from_id", "to_id") if (value := getattr(its[0], key)) is not None}
        if state == "unrecoverable":
            log.error("feed.gap_unrecoverable", **said)
        elif state == "filled":
            log.info("feed.gap_filled", **said)
        elif channel == "trade":
            log.warning("feed.gap", **said)
        else:  # a book starts over by itself; why its line broke is said where it broke
            log.info("feed.gap", **said)


async def _drops(bus: Bus, clock: Clock) -> None:
    before: dict[str, Counter[tuple[str, str]]] = {}
    while True:
        await clock.sleep(EVERY_S)
        before = say_drops(bus.subscriptions, before)


def say_drops(
    subscriptions: Sequence[Subscription], before: dict[str, Counter[tuple[str, str]]]
) -> dict[str, Counter[tuple[str, str]]]:
    """One line for each consumer that lost something since `before`; what is to be `before` next time."""
    now = {one.name: Counter(one.dropped) for one in subscriptions}
    for name, dropped in now.items():
        fresh = dropped - before.get(name, Counter())
        if fresh:
            lost = {f"{kind} ({reason})": count for (reason, kind), count in sorted(fresh.items())}
            log.warning("bus.dropped", consumer=name, dropped=lost)
    return now
