"""The simulated venues behind one port: paths, pace, floods, faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from marketd.clock import Clock, SystemClock
from marketd.sim.alpaca import Alpaca
from marketd.sim.binance import Binance
from marketd.sim.binance_us import BinanceUs
from marketd.sim.bitfinex import Bitfinex
from marketd.sim.bybit import Bybit
from marketd.sim.candle_files import is_candle_file, read_candle_files
from marketd.sim.coinbase import Coinbase
from marketd.sim.coingecko import CoinGecko
from marketd.sim.faults import Armed, Fault, build_fault, parse_faults
from marketd.sim.kraken import Kraken
from marketd.sim.recorded import play, read_recording
from marketd.sim.session import Session
from marketd.sim.venue import SimVenue
from marketd.sim.visits import Visits
from marketd.sim.wire import Listening, Request, Response, listen, to_json

PORT = 8190
SIM_VENUES: Mapping[str, type[SimVenue]] = {
    venue.name: venue for venue in (Binance, BinanceUs, Bybit, Coinbase, Bitfinex, Kraken, Alpaca)
}
TURN_S = 0.005
STEPS_AT_ONCE = 2000  # then the loop gets a turn, so that clients are read while a backlog is worked off
FLOOD_BYTES = 1 << 17


@dataclass(frozen=True)
class Flood:
    """What a flood sent."""

    frames: int
    trades: int
    bytes: int
    seconds: float

    @property
    def frames_per_s(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0


@dataclass
class Jumps:
    """A price move on every symbol each `every_s`: `bps` up, then the same down, and so on."""

    every_s: float = 60.0
    bps: int = 35


class Ahead:
    """A clock that shows another time of day than `clock`, and runs as that does."""

    def __init__(self, clock: Clock, now_ns: int) -> None:
        self._clock, self._ahead_ns = clock, now_ns - clock.now_ns()
        self.monotonic, self.sleep = clock.monotonic, clock.sleep

    def now_ns(self) -> int:
        return self._clock.now_ns() + self._ahead_ns


class Sim:
    """The running simulation; made by `open_sim`."""

    def __init__(self, venues: Mapping[str, SimVenue], coins: CoinGecko, clock: Clock) -> None:
        self._venues, self._clock = venues, clock
        self.coins = coins  # the ranking of the coins that the venues list
        self.visits = Visits()  # who connected
        self._listening: Listening | None = None

    # -- addresses ------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        assert self._listening is not None
        return f"{self._listening.host}:{self._listening.port}"

    def env(self) -> dict[str, str]:
        """The environment lines that point marketd at these venues, and at the ranking of their coins."""
        lines = {}
        for name in self._venues:
            lines[f"{name.upper()}_WS_URL"] = f"ws://{self.address}/{name}"
            lines[f"{name.upper()}_REST_URL"] = f"http://{self.address}/{name}"
        lines["COINGECKO_URL"] = f"http://{self.address}/{self.coins.name}"
        return lines

    @property
    def venues(self) -> Sequence[str]:
        return tuple(self._venues)

    def venue(self, name: str) -> SimVenue:
        """The truth about one venue: its trades, book, candles, clients. KeyError if it is not simulated."""
        return self._venues[name]

    # -- pace -----------------------------------------------------------------------------------------------------

    def step(self, count: int = 1, venue: str | None = None) -> int:
        """Let `count` market events happen now on one venue or on each, then push books and candles; the trades made."""
        trades = 0
        for each in self._chosen(venue):
            trades += each.step(count)
            each.tick(force=True)
        return trades

    def tick(self) -> None:
        """Do what is due by the clock; free running does it by itself."""
        for each in self._chosen(None):
            each.tick()

    def jump(self, symbol: str, bps: int, venue: str | None = None) -> None:
        """Move a price at once by basis points, on one venue or on all that list it."""
        for each in self._chosen(venue):
            if symbol in each.listings:
                each.market.jump(symbol, bps, self._clock.now_ns() // 1_000_000)

    async def flood(self, venue: str, events: int, *, events_per_s: float | None = None) -> Flood:
        """
        Encode the frames of `events` market events first, then send them as fast as the clients take them, or paced.
        All carry the time of the encoding. Frames go to the clients subscribed now; the truth knows all of them.
        """
        chosen = self._venues[venue]
        sessions = list(chosen.sessions)
        for session in sessions:
            session.captured = []
        trades = chosen.step(events)
        taken: list[tuple[Session, list[bytes]]] = [(session, session.captured or []) for session in sessions]
        for session in sessions:
            session.captured = None
        started = self._clock.monotonic()
        per_s = {id(session): events_per_s * len(frames) / events if events_per_s else None for session, frames in taken}
        await asyncio.gather(*(self._pour(session, frames, per_s[id(session)]) for session, frames in taken))
        sent = [frame for _, frames in taken for frame in frames]
        return Flood(len(sent), trades, sum(map(len, sent)), self._clock.monotonic() - started)

    async def _pour(self, session: Session, frames: list[bytes], per_s: float | None) -> None:
        socket, started, at = session.socket, self._clock.monotonic(), 0
        while at < len(frames) and not socket.is_closing:
            until = at + 1000 if per_s is None else int((self._clock.monotonic() - started) * per_s) + 1
            for frame in frames[at:until]:
                socket.send_encoded(frame)
            at = max(at, min(until, len(frames)))
            socket.flush()
            await socket.wait_for_room()
            await self._clock.sleep(0 if per_s is None else 0.001)

    def _chosen(self, venue: str | None) -> Iterable[SimVenue]:
        return self._venues.values() if venue is None else (self._venues[venue],)

    # -- faults ---------------------------------------------------------------------------------------------------

    def fault(self, venue: str | None, name: str, **settings: object) -> list[Armed]:
        """
        Set a fault now, on one venue or all, or by the name `coingecko` on the ranking; settings as in a specification
        (`for_s`, `at_s`, ... also with the unit).
        ValueError for an unknown name or setting.
        """
        return self.arm(build_fault(name, {"venue": venue, **settings}))

    def arm(self, fault: Fault) -> list[Armed]:
        now_ns = self._clock.now_ns()
        if fault.venue == self.coins.name:
            return [self.coins.deck.arm(fault, now_ns)]
        armed = []
        for each in self._chosen(fault.venue):
            armed.append(each.deck.arm(fault, now_ns))
            each.apply_faults(now_ns)
        return armed

    def heal(self, venue: str | None = None, name: str | None = None) -> None:
        """End faults: all, or those of a venue or name."""
        if venue in {None, self.coins.name}:
            self.coins.deck.heal(name)
        if venue == self.coins.name:
            return
        for each in self._chosen(venue):
            each.deck.heal(name)
            each.apply_faults(self._clock.now_ns())

    # -- what the port asks ---------------------------------------------------------------------------------------

    def _route(self, request: Request) -> tuple[SimVenue | CoinGecko, Request] | Response:
        name = request.path.strip("/").split("/", 1)[0]
        if name == self.coins.name:
            return self.coins, request.without(f"/{name}")
        venue = self._venues.get(name)
        if venue is None:
            known = ", ".join(f"/{each}" for each in self._venues)
            return Response(f"marketd sim: no venue at {request.path}; there are {known}\n".encode(), 404)
        inner = request.without(f"/{name}")
        return venue, inner.without(venue.root) if venue.root else inner

    def rest(self, request: Request) -> Response:
        if request.path == "/visits":
            return Response(to_json(self.visits.listed()))
        self.visits.note("rest", request, self._clock.now_ns())
        found = self._route(request)
        return found if isinstance(found, Response) else found[0].rest(found[1])

    def accept(self, request: Request) -> Session | Response:
        self.visits.note("ws", request, self._clock.now_ns())
        found = self._route(request)
        if isinstance(found, Response):
            return found
        venue, inner = found
        return venue.rest(inner) if isinstance(venue, CoinGecko) else venue.accept(inner)


async def run_freely(sim: Sim, clock: Clock, rate: float, jumps: Jumps | None) -> None:
    """Events at `rate` a second per venue, and everything that is due, until cancelled."""
    names = sim.venues
    started = clock.monotonic()
    last, due, moves = started, 0.0, 0
    while True:
        now = clock.monotonic()
        due, last = due + (now - last) * rate, now
        count = min(int(due), STEPS_AT_ONCE)
        due -= count
        for name in names:
            if count:
                sim.venue(name).step(count)
        sim.tick()
        if jumps is not None and now - started >= (moves + 1) * jumps.every_s:
            moves += 1
            for symbol in sorted(set(chain.from_iterable(sim.venue(name).listings for name in names))):
                sim.jump(symbol, jumps.bps if moves % 2 else -jumps.bps)
        await clock.sleep(0 if due >= 1 else TURN_S)


@asynccontextmanager
async def open_sim(
    venues: Iterable[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    seed: int = 1,
    clock: Clock | None = None,
    rate: float = 0.0,
    symbols: Iterable[str] = (),
    faults: str | Iterable[Fault] = (),
    limits: bool = True,
    jumps: Jumps | None = None,
    recording: Path | Iterable[Path] | None = None,
    speed: float | None = None,
    now: int | None = None,
    thin: Mapping[str, float] | None = None,
) -> AsyncIterator[Sim]:
    """
    Simulated venues on one port (0: a free one) until the block is left.

    `rate` is market events a second per venue; at 0 nothing moves but by `step` and `tick`. `symbols` (ours, as BTCUSDT)
    replace each venue's own list. `limits=False` lifts the venues' request limits. With a `recording` (and one venue) its
    frames take the place of the market: once, to the first clients, at `speed` times the recorded pace or as fast as they
    are taken. Files of candles (`candle_files.py`; also directories) take the place of the market's candles over REST instead,
    and nothing else. `now` (ns) is what the venues' clocks say at the start, and go on from; `thin` is the share of its
    minutes in which a symbol (ours) has no trade. ValueError for an unknown venue, symbol, fault or a file that cannot be
    read; OSError when the port is taken.
    """
    clock = Ahead(clock or SystemClock(), now) if now is not None else clock or SystemClock()
    chosen = list(SIM_VENUES if venues is None else venues)
    for name in chosen:
        if name not in SIM_VENUES:
            raise ValueError(f"sim venue {name!r} does not exist; allowed: {', '.join(SIM_VENUES)}")
    wanted = parse_faults(faults, dict.fromkeys([*chosen, CoinGecko.name])) if isinstance(faults, str) else list(faults)
    later = asyncio.get_running_loop().call_later
    symbols = list(symbols)
    if recording is not None and len(chosen) != 1:
        raise ValueError(f"a recording is of one venue: name it, one of {', '.join(SIM_VENUES)}")
    paths = [] if recording is None else [recording] if isinstance(recording, Path) else list(recording)
    of_candles = [path for path in paths if is_candle_file(path, SIM_VENUES[chosen[0]])]
    candle_files = read_candle_files(of_candles, SIM_VENUES[chosen[0]]) if of_candles else None
    frames = [path for path in paths if path not in of_candles]
    if frames and candle_files is not None:
        raise ValueError(f"{frames[0]}: a recording of frames and files of candles do not go together")
    played = read_recording(frames, chosen[0]) if frames else None
    for symbol, share in (thin or {}).items():
        if not 0 < share < 1:
            raise ValueError(f"sim thin {symbol}={share} is not a share between 0 and 1")
    built = {
        name: SIM_VENUES[name](
            clock.now_ns,
            later,
            seed=seed,
            symbols=symbols,
            limits=limits,
            recording=played,
            candle_files=candle_files,
            thin=thin,
        )
        for name in chosen
    }
    tickers = (listing.base for venue in built.values() if not venue.stock for listing in venue.listings.values())
    sim = Sim(built, CoinGecko(tickers, clock.now_ns, seed=seed, limits=limits), clock)
    for fault in wanted:
        sim.arm(fault)
    failed: Exception | None = None
    sim._listening = await listen(sim, host, port)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(run_freely(sim, clock, rate, jumps), name="sim")] if rate > 0 else []
            if played is not None:
                venue = built[chosen[0]]
                playing = play(played, lambda: list(venue.sessions), venue.is_recorded_control, clock, speed)
                running.append(tasks.create_task(playing, name="sim recording"))
            try:
                yield sim
            except Exception as error:  # raised again outside: the group would wrap it
                failed = error
            finally:
                for task in running:
                    task.cancel()
        if failed is not None:
            raise failed
    finally:
        await sim._listening.close()
