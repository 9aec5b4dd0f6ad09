"""The paper trader at work: hears of candles and signals, steps, keeps each step, and tells the message log."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Literal

import structlog

from marketd.clock import Clock
from marketd.errors import DeliveryError, place_of, words_of
from marketd.metrics import Metrics
from marketd.model.cached import update_channel
from marketd.model.signals import signal_channel
from marketd.paper.account import Account
from marketd.paper.books import Books, Step
from marketd.paper.section import PaperConfig
from marketd.paper.telling import line_of, note_of
from marketd.paper.trading import step
from marketd.paper.watching import Watch
from marketd.rooms import room
from marketd.stores.cache import Desk, Note, Resumed
from marketd.stores.paper import Kept, PaperStore

Word = Literal["ok", "degraded", "unhealthy"]
GATHER_S = 0.2  # signals that come within it are one look
LOOKS_WHILE_WAITING = 10
REFRESHES = 1.5  # of the cache within which all coins of a boundary come: one may begin just before it, and one end late
AGAIN_S = 1.0  # after the cache or the books could not be reached
TELL_AT_ONCE = 100
SHOWN = 200  # letters of what could not be read
log = structlog.get_logger("paper")


class Trader:
    """One book. Whatever happens, its account is what its stored fills make of it."""

    def __init__(
        self, terms: PaperConfig, desk: Desk, store: PaperStore, clock: Clock, metrics: Metrics, every_s: float = 120.0
    ) -> None:
        """`every_s`: how often the cache refreshes the candles."""
        self.terms, self.store = terms, store
        self.kept: Kept | None = None  # the book as stored
        self.books: Books | None = None
        self._desk, self._clock, self._metrics = desk, clock, metrics
        self._every_s = every_s
        self._wait_s = REFRESHES * every_s if terms.wait_s is None else terms.wait_s
        self._watch = Watch(desk, terms, clock, metrics)
        self._wake = asyncio.Event()
        self._due_s: float | None = None  # when to look again though nothing comes
        self._boundary = (0, 0.0)  # the newest that was seen, and when it was first
        self._away = "the books are being opened"
        self._trouble = ""
        self._waiting = ""
        self._faults: set[str] = set()

    @property
    def state(self) -> tuple[Word, str]:
        """For /health."""
        if self._away:
            return "unhealthy", self._away
        if trouble := self._trouble or self._watch.late(self._every_s):
            return "degraded", trouble
        books = self.books
        held = 0 if books is None else len(books.account.positions)
        return "ok", f"paper only; {held} positions; {self._waiting or 'waits for the next candle'}"

    async def run(self) -> None:
        """Until cancelled."""
        self._wake.set()
        async with room("paper") as here:
            here.start("hear", self._hear())
            here.start("time", self._time())
            await self._work()

    async def _hear(self) -> None:
        update = update_channel(self.terms.timeframe)
        async with self._desk.listen(signal_channel("*"), update) as messages:
            async for message in messages:
                if isinstance(message, Resumed):
                    self._wake.set()
                    continue
                try:
                    if message.channel == update:
                        self._watch.heard_update(message.payload)
                        self._wake.set()
                    elif self._watch.heard_signal(message.payload):
                        self._wake.set()
                except ValueError as error:
                    self._metrics.paper_skipped.labels("message").inc()
                    shown = message.payload[:SHOWN].decode(errors="backslashreplace")
                    log.warning("paper.message", channel=message.channel, reason=str(error), message=shown)

    async def _time(self) -> None:
        """What waits is looked at again."""
        while True:
            await self._clock.sleep(0.1)
            if self._due_s is not None and self._clock.monotonic() >= self._due_s:
                self._due_s = None
                self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            await self._clock.sleep(GATHER_S)
            self._wake.clear()
            try:
                await self._look()
            except DeliveryError as error:
                self._failed(str(error))
            except Exception as error:
                self._metrics.paper_skipped.labels("fault").inc()
                if (place := place_of(error)) not in self._faults:
                    self._faults.add(place)
                    log.error("paper.fault", error=f"{place}: {words_of(error)}")
                self._failed(f"a mistake of ours: {place}")

    def _failed(self, reason: str) -> None:
        """It is tried again."""
        if reason != self._away:
            log.warning("paper.away", reason=reason)
        self._away = reason
        self._due_s = self._clock.monotonic() + AGAIN_S

    async def _keep(self, keeping: Awaitable[Kept]) -> Kept:
        """What was asked of the database and not answered may have happened or not: then the books are read anew."""
        try:
            self.kept = await keeping
        except BaseException:
            self.books = self.kept = None
            raise
        return self.kept

    async def _look(self) -> None:
        books, kept = await self._opened()
        if kept.timeframe != self.terms.timeframe:
            self._away = (
                f"book {kept.book} is kept in candles of {kept.timeframe}, paper.timeframe is {self.terms.timeframe}; "
                "set it back, or name another paper.book"
            )
            return
        seen = await self._watch.look(books)
        self._away, self._waiting, look = "", seen.lacking, seen.look
        if look is None:
            self._trouble = seen.lacking if self._watch.symbols else ""
            await self._tell()
            return
        if look.boundary < books.boundary:
            self._trouble = "the cache is behind the books: its candles end before the last step"
            await self._tell()
            return
        self._trouble = ""
        now_s = self._clock.monotonic()
        if look.boundary != self._boundary[0]:
            self._boundary = look.boundary, now_s
        if seen.lacking and now_s - self._boundary[1] < self._wait_s:
            self._due_s = now_s + max(0.2, self._wait_s / LOOKS_WHILE_WAITING)
            await self._tell()
            return
        told = look.advices
        old = [one.id for one in told if one.close_time < look.boundary]
        if old:
            known = await self.store.known(kept.book, old)  # told again: they were decided long ago
            look = replace(look, advices=tuple(one for one in look.advices if one.id not in known))
        done = step(books, look, self.terms)
        if not done.is_empty:
            step_of = (done.books.boundary, done.orders, done.fills, done.points, done.seen)
            await self._keep(self.store.keep(kept, *step_of))
        self.books = done.books
        self._watch.settled(told)
        self._count(done)
        await self._tell()
        if done.troubles:
            await self._desk.do(*(Note("error", f"paper:{one.partition(':')[0]}", f"paper: {one}") for one in done.troubles))

    async def _opened(self) -> tuple[Books, Kept]:
        if self.books is not None and self.kept is not None:
            return self.books, self.kept
        store, terms = self.store, self.terms
        kept = await store.open(terms.book, terms.cash, terms.timeframe, self._clock.now_ns())
        account = Account.opened(kept.cash).folded(await store.all_fills(kept.book))
        points = await store.equity(kept.book, kept.boundary, kept.boundary + 1, 1)
        equity = points[0].equity if points else account.cash
        decided = await store.orders_at(kept.book, kept.boundary)
        self.kept = kept
        self.books = Books(account, kept.boundary, equity, await store.seen(kept.book), decided)
        self._measure()
        self._say(kept, account)
        return self.books, kept

    def _say(self, kept: Kept, account: Account) -> None:
        if kept.cash != self.terms.cash:
            text = f"began with {kept.cash}, paper.cash is {self.terms.cash}; the book's counts"
            log.warning("paper.cash", book=kept.book, text=text)
        held = len(account.positions)
        log.info("paper.books", book=kept.book, fills=account.fills, positions=held, text="no order goes to a venue")

    async def _tell(self) -> None:
        """The message log hears of every order, also of those that a killed process kept and did not tell; some perhaps twice."""
        kept = self.kept
        while kept is not None and kept.told < kept.orders:
            page = await self.store.orders(kept.book, after=kept.told, limit=TELL_AT_ONCE)
            orders = [one.of for one in page]
            fills = await self.store.fills_of(kept.book, [one.id for one in orders if one.refusal is None])
            await self._desk.do(*(note_of(one, fills.get(one.id)) for one in orders))
            kept = await self._keep(self.store.told(kept, page[-1].seq))

    def _count(self, done: Step) -> None:
        fills = {one.order: one for one in done.fills}
        for order in done.orders:
            self._metrics.paper_orders.labels(order.why, order.refusal or "filled").inc()
            log.info("paper.order", symbol=order.symbol, text=line_of(order, fills.get(order.id)))
        for trouble in done.troubles:
            self._metrics.paper_skipped.labels("missing").inc()
            log.warning("paper.missing", text=trouble)
        self._measure()

    def _measure(self) -> None:
        assert self.books is not None
        self._metrics.paper_positions.set(len(self.books.account.positions))
        self._metrics.paper_equity.set(float(self.books.account.equity(self.books.marks)))
