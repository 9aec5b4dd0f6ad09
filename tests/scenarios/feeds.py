"""Venues' real feeds against their simulated twins, in fast-forward, and what is true of each."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

from marketd.metrics import Metrics
from marketd.model.events import Event, Gap, Status, Trade
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.net.quarantine import Quarantine
from marketd.rooms import room
from marketd.sim.faults import Armed
from marketd.sim.server import Sim, open_sim
from marketd.venues import venue_named
from marketd.venues.feed import Feed, FeedConfig
from marketd.venues.rest import Rest
from marketd.venues.venue import Venue, Wanted

WITHIN_S = 30.0
STEP_S_MAX = 0.015  # of the machine's time between two readings of a fast clock


class FastClock:
    """The machine's clock, `speed` times as fast: what waits ten seconds waits one.

    It is read every few milliseconds. When the machine is too busy for that, it stands still until it is read again, so that
    nobody takes our own slowness for the venue's silence.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._wall, self._read = time.time_ns(), time.monotonic()
        self._started = self._now = self._read

    def now_ns(self) -> int:
        return self._wall + int((self.monotonic() - self._started) * 1e9)

    def monotonic(self) -> float:
        real = time.monotonic()
        self._now += min(real - self._read, STEP_S_MAX) * self.speed
        self._read = real
        return self._now

    async def sleep(self, delay_s: float) -> None:
        until, left_s = self.monotonic() + delay_s, delay_s
        while True:
            await asyncio.sleep(left_s / self.speed)
            left_s = until - self.monotonic()
            if left_s <= 0:
                return


class Scenario:
    """A feed that runs, the market it watches, and what it published."""

    def __init__(
        self,
        sim: Sim,
        venue: Venue,
        symbols: Sequence[str],
        clock: FastClock,
        seed: int,
        pass_on: Callable[[Sequence[Event]], None],
    ) -> None:
        self.sim, self.venue, self.symbols, self.clock, self.seed = sim, venue, tuple(symbols), clock, seed
        self._pass_on = pass_on
        self.events: list[Event] = []
        self.metrics = Metrics()
        self.feed: Feed
        self.is_moving = True

    @property
    def truth(self):  # type: ignore[no-untyped-def]
        return self.sim.venue(self.venue.name)

    def fault(self, name: str, **settings: object) -> Armed:
        return self.sim.fault(self.venue.name, name, **settings)[0]

    def heal(self) -> None:
        self.sim.heal(self.venue.name)

    def publish(self, events: Sequence[Event]) -> None:
        self.events.extend(events)
        self._pass_on(events)

    def of(self, kind: type, symbol: str | None = None) -> list:  # type: ignore[type-arg]
        return [one for one in self.events if one.__class__ is kind and symbol in (None, one.symbol)]

    def trades(self, symbol: str) -> list[Trade]:
        return self.of(Trade, symbol)

    def gaps(self, channel: str, *states: str) -> list[Gap]:
        return [one for one in self.of(Gap) if one.channel == channel and (not states or one.state in states)]

    def statuses(self, state: str) -> list[Status]:
        return [one for one in self.of(Status) if one.state == state]

    def missing(self, symbol: str, before: int = 2**63) -> list[str]:
        """Ids of trades made since the first published one, and before a time, that were neither published nor said to be
        unrecoverable."""
        published = {plain(one.trade_id) for one in self.trades(symbol)}
        made = self.truth.trades(symbol)
        start = next((index for index, one in enumerate(made) if one.trade_id in published), None)
        if start is None:
            return ["none published"]
        given_up = [one for one in self.gaps("trade", "unrecoverable") if one.symbol == symbol]
        lacking = [one for one in made[start:] if one.trade_id not in published and one.ts_event < before]
        return [one.trade_id for one in lacking if not is_within(one, given_up)]

    async def eventually(self, condition: Callable[[], object], what: str = "", within_s: float = WITHIN_S) -> None:
        """Wait for a condition; a failure tells the seed and how it stands."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"seed {self.seed}: not within {within_s} s: {what or 'condition'}; {self.said()}"
            await asyncio.sleep(0.01)

    def said(self) -> str:
        kinds = Counter(one.__class__.__name__ for one in self.events)
        told = [
            (one.state, one.symbol, *((one.channel, one.cause) if isinstance(one, Gap) else (one.reason,)))
            for one in self.events
            if isinstance(one, Gap | Status)
        ][-12:]
        return f"{dict(kinds)}; last said: {told}"

    async def flows(self, symbol: str, count: int = 30) -> None:
        """Until so many more trades of it were published."""
        before = len(self.trades(symbol))
        await self.eventually(lambda: len(self.trades(symbol)) >= before + count, f"{count} more trades of {symbol}")

    async def complete(self, *symbols: str) -> None:
        """Faults end, the market goes on a little and stops: then every trade is there once, digit for digit, or said lost."""
        self.heal()
        for symbol in symbols:
            await self.flows(symbol, 20)
        self.is_moving = False
        for symbol in symbols:
            await self.eventually(lambda mine=symbol: not self.missing(mine), f"{symbol} complete")  # type: ignore[misc]
            self.check_trades(symbol)

    def check_trades(self, symbol: str, *, digits: bool = True) -> None:
        published = self.trades(symbol)
        twice = [trade_id for trade_id, count in Counter(one.trade_id for one in published).items() if count > 1]

        assert twice == [], f"seed {self.seed}: {twice[:5]}"
        known = {one.trade_id: one for one in self.truth.trades(symbol, since_start=False)}
        if digits:
            wrong = [(told(one), told(known[plain(one.trade_id)])) for one in published if plain(one.trade_id) in known]

            wrong = [pair for pair in wrong if pair[0] != pair[1]]
            assert wrong == [], f"seed {self.seed}: {wrong[:3]}"

    def check_live_order(self, symbol: str) -> None:
        """Trades that are not marked as repaired come in the venue's order."""
        times = [one.ts_event for one in self.trades(symbol) if not one.repaired]

        assert times == sorted(times), f"seed {self.seed}"


def told(trade) -> tuple[object, ...]:  # type: ignore[no-untyped-def]
    return plain(trade.trade_id), Decimal(trade.price), Decimal(trade.size), trade.ts_event  # one venue's REST pads zeros


def plain(trade_id: str) -> str:
    """The venue's own number, without what makes it unique beyond a day."""
    return trade_id.rpartition("-")[2]


def is_within(trade, gaps: Iterable[Gap]) -> bool:  # type: ignore[no-untyped-def]
    for gap in gaps:
        if gap.from_id is not None and gap.to_id is not None:
            if int(gap.from_id) <= int(trade.trade_id) <= int(gap.to_id):
                return True
        elif gap.from_ts is not None and gap.to_ts is not None and gap.from_ts <= trade.ts_event <= gap.to_ts:
            return True
    return False


SETTINGS = {"ALPACA_KEY": "key", "ALPACA_SECRET": "secret", "ALPACA_DRY_RUN": "false"}


@asynccontextmanager
async def scenario(
    name: str,
    symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT"),
    *,
    seed: int,
    faults: str = "",
    limits: bool = True,
    speed: float = 12.0,
    **settings: object,
) -> AsyncIterator[Scenario]:
    """One feed. Rates and times are those of the fast clock; `settings` are those of `follow`."""
    clock = FastClock(speed)
    async with (
        open_sim([name], seed=seed, clock=clock, faults=faults, symbols=symbols, limits=limits) as sim,
        follow(sim, {name: symbols}, clock, seed, **settings) as found,  # type: ignore[arg-type]
    ):
        yield found[name]


@asynccontextmanager
async def follow(
    sim: Sim,
    symbols: Mapping[str, Sequence[str]],
    clock: FastClock,
    seed: int,
    *,
    channels: Sequence[str] | None = None,
    pace: Callable[[str], float] = lambda name: 40.0,
    config: FeedConfig | Callable[[Venue], FeedConfig] | None = None,
    settle: bool = True,
    quarantine: Quarantine | None = None,
    pass_on: Callable[[Sequence[Event]], None] = lambda events: None,
    build: Callable[[str], Venue] = lambda name: venue_named(name, SETTINGS),
    http_of: Callable[[str], Http] = lambda name: Http(),
) -> AsyncIterator[dict[str, Scenario]]:
    """Feeds on venues of one simulation, by name, that have published of each symbol, unless `settle` is off. `pace` is market
    events a second by venue."""
    found: dict[str, Scenario] = {}
    async with AsyncExitStack() as stack:
        for name, mine in symbols.items():
            http = await stack.enter_async_context(http_of(name))
            found[name] = one = Scenario(sim, build(name), mine, clock, seed, pass_on)
            env, prefix = sim.env(), name.upper()
            governor = Governor(clock, one.venue.limits.rest)
            rest = Rest(one.venue, env[f"{prefix}_REST_URL"], http, governor, clock, one.metrics)
            own = config(one.venue) if callable(config) else config or FeedConfig()
            one.feed = Feed(
                one.venue, own, rest, env[f"{prefix}_WS_URL"], one.publish, clock, one.metrics,
                quarantine=quarantine,
            )  # fmt: skip
            one.feed.want(wanted(one.venue, mine, channels))
        here = await stack.enter_async_context(room("scenario"))
        for name, one in found.items():
            here.start(f"{name} market", market(one, pace(name)))
            here.start(name, one.feed.run())
        if settle:
            await asyncio.gather(*(one.flows(symbol, 5) for one in found.values() for symbol in one.symbols))
        yield found


def wanted(venue: Venue, symbols: Iterable[str], channels: Sequence[str] | None = None) -> list[Wanted]:
    chosen = [one for one in ("trade", "quote", "book") if one in venue.channels] if channels is None else channels
    return [Wanted(channel, symbol, "1m" if channel == "candle" else "") for symbol in symbols for channel in chosen]  # type: ignore[arg-type]


async def market(here_is: Scenario, events_per_s: float) -> None:
    """The market moves until it is told to stand still; what is due by the clock goes on."""
    due, last = 0.0, here_is.clock.monotonic()
    while True:
        now = here_is.clock.monotonic()
        due, last = due + (now - last) * events_per_s, now
        count, due = int(due), due % 1
        if count and here_is.is_moving:
            here_is.truth.step(count)
        here_is.truth.tick()
        await asyncio.sleep(0.005)


__all__ = ["FastClock", "Scenario", "follow", "scenario", "wanted"]
