"""The table {fault x venue} of docs/faults.md, and how a fault is set on some venues while the others look on.

Half of the simulated venues are struck, the other half are witnesses, all in one simulation, on one bus, into one store.
On a struck venue the fault hits its first symbol, or the connection that carries it.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from marketd.bus import Bus
from marketd.clock import SystemClock
from marketd.metrics import Metrics
from marketd.model.events import Gap, Status, Trade
from marketd.net.http import Http
from marketd.sim.faults import Armed
from marketd.sim.server import SIM_VENUES, open_sim
from marketd.sim.venue import TrueTrade
from marketd.sinks.delivery import run_sinks
from marketd.stores.events import EventStore, EventStoreConfig
from marketd.stores.ledger import Row as LedgerRow
from marketd.venues import VENUES, venue_named
from marketd.venues.feed import FeedConfig
from marketd.venues.venue import Venue
from tests.scenarios.feeds import SETTINGS, FastClock, Scenario, follow, plain

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
ALL = tuple(name for name in VENUES if name in SIM_VENUES)
SIDES = (ALL[::2], ALL[1::2])
SPEED = 6.0
RETRY_AFTER_S = 45.0
BEYOND_REACH = 100  # trades
UNDER_WAY_NS = 3_000_000_000
AUDIT_S = 3.0  # within which the 60 newest trades, all that one venue offers, still reach back to the last comparison


@dataclass(frozen=True)
class Row:
    """One line of the page: what a fault does to a venue."""

    fault: str
    venue: str
    happens: str
    stored: str  # "all", "all but what the ledger names", or "-": the venue cannot have this fault
    ledger: str  # what was said of the struck symbol's trades; several outcomes are joined by ", or "
    books: str  # which book started over: "none", "this one", "unseen" where nothing shows that it should, "-" without books
    others: str  # what the symbol beside it noticed: see `Seen.noticed`

    @property
    def applies(self) -> bool:
        return self.stored != "-"


def read_page() -> list[Row]:
    """The rows as the page has them: a heading for each fault, under it a table with one line a venue."""
    rows, fault = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            fault = line[3:].strip()
        elif cells := re.fullmatch(r"\| (\w+) \|(.*)\|", line):
            rows += [Row(fault, cells[1], *(cell.strip() for cell in cells[2].split("|")))] if cells[1] in ALL else []
    return rows


# -- the faults -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """How it is set, and whether it concerns a connection: then each symbol gets one of its own, where the venue lets us."""

    strike: Callable[[Scenario], Awaitable[None]]
    on_line: bool = False


async def hit(here: Scenario, armed: Armed, count: int = 1) -> None:
    """Until it has hit as often as it was to."""
    await here.eventually(lambda: armed.total >= (armed.fault.count or count), f"{armed.fault.name} to hit")


def frames(name: str, channel: str, count: int) -> Fault:
    async def strike(here: Scenario) -> None:
        await hit(here, here.fault(name, symbol=here.symbols[0], channel=channel, count=count))

    return Fault(strike)


async def reconnected(here: Scenario, before: int) -> None:
    """Given up, and a trade is made before anybody can be back: without one nothing would have been missed."""
    await here.eventually(lambda: here.feed.reconnects > before, "the connection is given up")
    trade_now(here)


def trade_now(here: Scenario) -> None:
    """The market goes on until the struck symbol has traded."""
    made = len(here.truth.trades(here.symbols[0]))
    while len(here.truth.trades(here.symbols[0])) == made:
        here.truth.step(1)


async def disconnect(here: Scenario) -> None:
    before = here.feed.reconnects
    here.fault("disconnect", symbol=here.symbols[0], count=1)
    await reconnected(here, before)


async def outage(here: Scenario) -> None:
    before = here.feed.reconnects
    here.fault("disconnect", symbol=here.symbols[0], count=1, for_s=3600.0)
    await reconnected(here, before)
    until = len(here.truth.trades(here.symbols[0])) + BEYOND_REACH
    while len(here.truth.trades(here.symbols[0])) < until:
        here.truth.step(5)
        await asyncio.sleep(0.01)


async def mute(here: Scenario) -> None:
    before = here.feed.reconnects
    here.fault("mute")
    await reconnected(here, before)


async def mute_symbol(here: Scenario) -> None:
    """Until it is said to be stale, or, where the line's own numbers tell at once, until a loss is said; and so much of its book
    was lost that it cannot look the same again by chance."""
    one = here.symbols[0]
    muted = {channel: here.fault("mute", symbol=one, channel=channel) for channel in ("trade", "quote", "book")}
    said = len(here.gaps("trade", "found"))
    await here.eventually(
        lambda: here.statuses("stale") or one in {gap.symbol for gap in here.gaps("trade", "found")[said:]}, "to be noticed"
    )
    if "book" in here.venue.channels:
        await hit(here, muted["book"], 20)


async def cut(here: Scenario) -> None:
    first, accepted = set(here.feed.connections), here.truth.accepted
    here.fault("cut", symbol=here.symbols[0], by_s=20.0, count=1)
    await here.eventually(lambda: here.truth.accepted > accepted, "the successor")
    await here.eventually(lambda: len(first - set(here.feed.connections)) == 1, "the old connection is gone")


async def duplicate(here: Scenario) -> None:
    await hit(here, here.fault("duplicate", symbol=here.symbols[0], count=30))


def refusal(status: int) -> Fault:
    async def strike(here: Scenario) -> None:
        """Banned while trades are missing: what would be asked to repair them waits."""
        before = here.feed.reconnects
        banned = here.fault("refuse", status=status, retry_after_s=RETRY_AFTER_S, count=1)
        here.fault("disconnect", symbol=here.symbols[0], count=1)
        await reconnected(here, before)
        await hit(here, banned)
        await here.eventually(lambda: here.feed.rest.governor.paused_s > 0, "the refusal is heard")
        await here.eventually(lambda: here.feed.rest.governor.paused_s == 0, "the ban is over")

    return Fault(strike, on_line=True)


async def slow_snapshot(here: Scenario) -> None:
    slow = here.fault("slow", path="depth", by_s=3.0)
    await hit(here, here.fault("gap", symbol=here.symbols[0], channel="book", count=2))
    await hit(here, slow)


FAULTS: Mapping[str, Fault] = {
    "disconnect": Fault(disconnect, on_line=True),
    "outage": Fault(outage, on_line=True),
    "mute": Fault(mute),
    "mute symbol": Fault(mute_symbol),
    "gap in trades": frames("gap", "trade", 5),
    "gap in a book": frames("gap", "book", 3),
    "duplicate": Fault(duplicate),
    "reordered trades": frames("reorder", "trade", 3),
    "reordered book frames": frames("reorder", "book", 3),
    "garbled trades": frames("garble", "trade", 2),
    "garbled book frames": frames("garble", "book", 2),
    "429 with Retry-After": refusal(429),
    "418 with Retry-After": refusal(418),
    "daily cut": Fault(cut, on_line=True),
    "snapshot slower than deltas": Fault(slow_snapshot),
}


# -- one run --------------------------------------------------------------------------------------------------------------------


class Asked(Http):
    """A real client that notes when each question left, when its answer was here, and what it was."""

    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self.clock = clock
        self.log: list[tuple[float, float, int]] = []

    async def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        sent_s = self.clock.monotonic()
        answer = await super().get(url, params, headers)
        self.log.append((sent_s, self.clock.monotonic(), answer[0]))
        return answer

    def early(self, retry_after_s: float) -> list[str]:
        """Questions asked after a refusal was heard and before the venue wanted to hear any."""
        refused = [heard_s for _, heard_s, status in self.log if status in (418, 429)]
        return [
            f"asked {sent_s - heard_s:.1f} s after a refusal for {retry_after_s:g} s"
            for heard_s in refused
            for sent_s, _, _ in self.log
            if heard_s < sent_s < heard_s + retry_after_s
        ]


@dataclass
class Seen:
    """One venue after the run."""

    here: Scenario
    asked: Asked
    before: tuple[dict[str, int], int]  # resyncs of each book, and events, when the fault came
    resyncs: dict[str, int] = field(default_factory=dict)  # since then
    notes: list[Gap | Status] = field(default_factory=list)  # what was said from then on until the feeds were closed
    reconnects: int = 0
    stored: dict[str, list[Trade]] = field(default_factory=dict)
    ledger: dict[str, list[LedgerRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known, said = self.before
        self.resyncs = {one: count - known[one] for one, count in resyncs(self.here).items()}
        self.notes = [one for one in self.here.events[said:] if isinstance(one, Gap | Status)]
        self.reconnects = self.here.feed.reconnects

    @property
    def one(self) -> str:
        return self.here.symbols[0]

    @property
    def other(self) -> str:
        return self.here.symbols[1]

    def truth(self, symbol: str) -> list[TrueTrade]:
        """The venue's trades from the first that was stored."""
        mine = {plain(one.trade_id) for one in self.stored[symbol]}
        made = self.here.truth.trades(symbol, since_start=False)
        start = next((index for index, one in enumerate(made) if one.trade_id in mine), 0)
        return made[start:]

    def missing(self, symbol: str) -> list[TrueTrade]:
        mine = {plain(one.trade_id) for one in self.stored[symbol]}
        return [one for one in self.truth(symbol) if one.trade_id not in mine]

    def lost(self, symbol: str) -> list[LedgerRow]:
        return [row for row in self.ledger[symbol] if row.state != "have"]

    def said(self, symbol: str) -> str:
        """In the page's words."""
        states = {one.state for one in self.notes if isinstance(one, Gap) and (one.channel, one.symbol) == ("trade", symbol)}
        return "found and unrecoverable" if "unrecoverable" in states else "found and filled" if states else "nothing missing"

    def unfaithful(self) -> list[str]:
        """Where what is stored is not what happened, or what the ledger says is not what is stored."""
        found = []
        for symbol in self.here.symbols:
            published = Counter(one.trade_id for one in self.here.trades(symbol))
            found += [f"{symbol}: {trade_id} published {times} times" for trade_id, times in published.items() if times > 1]
            if published.keys() != {one.trade_id for one in self.stored[symbol]}:
                found.append(f"{symbol}: published {len(published)}, stored {len(self.stored[symbol])}")
            known = {one.trade_id: one for one in self.here.truth.trades(symbol, since_start=False)}
            since = min(one.ts_event for one in known.values())  # what the truth still remembers
            mine = [one for one in self.stored[symbol] if (one.ts_event or 0) >= since]
            wrong = [one for one in mine if not is_same(one, known.get(plain(one.trade_id)))]
            if wrong:
                found.append(f"{symbol}: not the venue's: {wrong[:3]}")
            missing, lost = self.missing(symbol), self.lost(symbol)
            silent = [one for one in missing if not any(covers(row, one) for row in lost)]
            if silent:
                found.append(f"{symbol}: {len(silent)} trades missing in silence: {silent[:3]}; ledger {lost}")
            empty = [row for row in lost if not any(covers(row, one) for one in missing)]
            if empty:
                found.append(f"{symbol}: the ledger names as missing what is not: {empty[:3]}")
            if any(row.state == "missing" for row in lost):
                found.append(f"{symbol}: still open: {lost[:3]}")
        return found

    def why(self, symbol: str) -> list[str]:
        """In the feed's own words, for a failure to show."""
        return [f"{one.channel} {one.state}: {one.cause}" for one in self.notes if isinstance(one, Gap) and one.symbol == symbol]

    def noticed(self, symbol: str) -> str:
        """What was said of it since the fault came, in the page's words."""
        mine = [one for one in self.notes if one.symbol == symbol]
        kinds = {one.channel if isinstance(one, Gap) else one.state for one in mine}
        kinds |= {"book"} if self.resyncs.get(symbol) else set()
        words = {frozenset(): "nothing", frozenset({"trade"}): "trades asked for again", frozenset({"book"}): "book started over"}
        return words.get(frozenset(kinds), "the same")


def is_same(mine: Trade, true: TrueTrade | None) -> bool:
    """Digit for digit; Kraken's REST alone writes more zeros than its stream."""
    if true is None or mine.ts_event != true.ts_event or mine.side not in (None, true.side):
        return False
    if mine.repaired and mine.venue == "kraken":
        return mine.decimal == (Decimal(true.price), Decimal(true.size))
    return (mine.price, mine.size) == (true.price, true.size)


def covers(row: LedgerRow, trade: TrueTrade) -> bool:
    if row.from_id is not None and row.to_id is not None:
        return int(row.from_id) <= int(trade.trade_id) <= int(row.to_id)
    return row.from_ts is not None and row.to_ts is not None and row.from_ts <= trade.ts_event <= row.to_ts


def numbers(levels: Sequence[tuple[str, str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]


def troubles(here: Scenario) -> list[str]:
    """What is not well on a venue now."""
    feed, found = here.feed, []
    found += [f"{w.symbol} {w.channel} {s.state}: {s.reason}" for w, s in feed.intake.streams.items() if s.state != "live"]
    for symbol in here.symbols:
        track = feed.intake.continuity.track(symbol)
        if track.missing or track.open_since is not None or track.held:
            found.append(f"{symbol}: trades wait, missing {list(track.missing)}, open since {track.open_since}")
        if feed.config.audit_s and track.compared_ts is None:
            found.append(f"{symbol}: not yet compared with REST")
        if "book" in here.venue.channels and not feed.intake.books.is_in_sync(symbol):
            found.append(f"{symbol}: book {feed.intake.books.state(symbol)}")
    return found


def differences(here: Scenario, blind: Sequence[str]) -> list[str]:
    """Books that are not the venue's, now that its market stands still."""
    found = []
    for symbol in here.symbols if "book" in here.venue.channels else ():
        view = here.feed.intake.books.view(symbol)
        ours = None if view is None else (numbers(view.bids), numbers(view.asks))
        theirs = tuple(numbers(side) for side in here.truth.book(symbol))
        if ours != theirs and symbol not in blind:
            found.append(f"{symbol}: the book is not the venue's: ours {ours}, theirs {theirs}")
    return found


async def recover(here: Scenario) -> None:
    """The fault ends, the market goes on a little, and all is well again."""
    here.heal()
    await asyncio.gather(*(here.flows(symbol, 10) for symbol in here.symbols))
    await until_none(here, lambda: [*troubles(here), *silent(here, here.clock.now_ns() - UNDER_WAY_NS)])


async def stand_still(found: Sequence[Scenario], blind: Sequence[str]) -> None:
    """The markets stop, all at once; what was under way arrives."""
    for here in found:
        here.is_moving = False
        here.truth.tick(force=True)
    for here in found:
        unseen = here.symbols[:1] if here.venue.name in blind else ()
        await until_none(here, lambda here=here, unseen=unseen: [*differences(here, unseen), *silent(here)])  # type: ignore[misc]


async def until_none(here: Scenario, what: Callable[[], Sequence[str]]) -> None:
    last: list[str] = []

    def none() -> bool:
        last[:] = what()
        return not last

    try:
        await here.eventually(none, "well again")
    except AssertionError as error:
        raise AssertionError(f"{here.venue.name}: {last}; {error}") from None


def silent(here: Scenario, before: int = 2**63) -> list[str]:
    """Trades that happened before a time, were not published and are not said to be lost."""
    return [f"{symbol}: {missing[:3]} missing" for symbol in here.symbols if (missing := here.missing(symbol, before))]


async def run(fault: Fault, struck: Sequence[str], blind: Sequence[str], seed: int, data_dir: Path) -> dict[str, Seen]:
    """Strike these venues, let them recover, close everything as a daemon does, and read what is stored.

    On the venues named `blind` the struck book may differ afterwards.
    """
    clock, metrics = FastClock(SPEED), Metrics()
    bus, asked = Bus(metrics), {name: Asked(clock) for name in ALL}
    proofs = {(name, channel): proof.detects for name in ALL for channel, proof in venue_named(name, SETTINGS).proofs.items()}

    def build(name: str) -> Venue:
        venue = venue_named(name, SETTINGS)
        if fault.on_line and name in struck and not shares_one_line(name):
            venue.limits = replace(venue.limits, symbols_per_connection=1)
        return venue

    async with (
        EventStore(EventStoreConfig(), data_dir, SystemClock(), proofs) as store,
        open_sim(ALL, seed=seed, clock=clock) as sim,
    ):
        symbols = {name: tuple(sim.venue(name).listings)[:2] for name in ALL}
        async with (
            run_sinks([], bus, SystemClock(), data_dir=data_dir, stores=[store]),
            follow(
                sim, symbols, clock, seed,
                config=often_compared, pace=events_per_s, pass_on=bus.publish, build=build, http_of=asked.__getitem__,
            ) as found,
        ):  # fmt: skip
            await asyncio.gather(*(until_none(here, lambda here=here: troubles(here)) for here in found.values()))  # type: ignore[misc]
            before = {name: (resyncs(here), len(here.events)) for name, here in found.items()}

            async def go_through(here: Scenario) -> None:
                await fault.strike(here)
                await recover(here)

            async with asyncio.TaskGroup() as group:
                for name in struck:
                    group.create_task(go_through(found[name]), name=name)
            await asyncio.gather(*(recover(found[name]) for name in ALL if name not in struck))
            await stand_still(list(found.values()), blind)
            seen = {name: Seen(here, asked[name], before[name]) for name, here in found.items()}
        for name, one in seen.items():
            for symbol in symbols[name]:
                one.stored[symbol] = (
                    await store.ask(lambda reader, s=symbol, v=name: reader.trades(s, venue=v, limit=100_000))  # type: ignore[misc]
                ).trades
                one.ledger[symbol] = await store.ask(lambda reader, s=symbol, v=name: reader.ledger(s, v, "trade"))  # type: ignore[misc]
    return seen


def events_per_s(name: str) -> float:
    """Bybit's REST offers 60 trades: they are to reach back over a short break, and not over a ban."""
    return 12.0 if name == "bybit" else 25.0


def shares_one_line(name: str) -> bool:
    """An account of this venue has one connection."""
    return name == "alpaca"


def often_compared(venue: Venue) -> FeedConfig:
    """Where only a comparison with REST finds what a line lost, it comes before the trades are beyond REST's reach."""
    return FeedConfig(audit_s=AUDIT_S) if venue.proofs["trade"].detects == "overlap" else FeedConfig(audit_s=0.0)


def resyncs(here: Scenario) -> dict[str, int]:
    return {state.symbol: state.resyncs for state in here.feed.intake.books.states()}
