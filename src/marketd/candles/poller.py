"""The cache's poller: newest candles and prices of one venue, each timeframe on its own pace, and only what can be believed."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NoReturn

import structlog

from marketd.candles.coins import COINS, choose
from marketd.candles.newest import ASKED, Newest, Unbelievable, newest
from marketd.candles.polling import Polling, Word
from marketd.candles.schedule import LAST, PRICES_EVERY_S, PRICES_TTL_S, Pace, Round, after_silence, next_start, pace, slots
from marketd.candles.section import CacheConfig
from marketd.clock import Clock
from marketd.errors import BadFrame, DeliveryError, Disconnected, Refused, place_of
from marketd.metrics import Metrics
from marketd.model.cached import (
    UPDATE_ALL,
    CachedPrice,
    Updated,
    before_key,
    encode_candle,
    encode_candles,
    encode_price,
    encode_updated,
    ohlcv_key,
    price_key,
    update_channel,
)
from marketd.model.instruments import Instrument, Instruments
from marketd.model.timeframes import timeframe
from marketd.model.times import iso_of_ns
from marketd.net.governor import Priority
from marketd.net.quarantine import Quarantine
from marketd.rooms import room, to_the_end
from marketd.stores.cache import Desk, Publish, Write
from marketd.venues.polled import DayPrice, Polled, impossible_price
from marketd.venues.rest import Rest
from marketd.venues.venue import Answer

LIST_EVERY_S = 3600.0
AGAIN_S_MIN, AGAIN_S_MAX = 2.0, 60.0  # between two tries of what failed
AGAIN_SHARE = 1 / 15  # of a cycle, the first of those waits
FRAME_BYTES = 4096  # of an answer that is kept aside
log = structlog.get_logger("cache")
TROUBLE = (Refused, Disconnected, BadFrame, Unbelievable, DeliveryError)


class Poller:
    """Until cancelled. What it knows of each series and price is in `polling`."""

    def __init__(
        self,
        config: CacheConfig,
        rest: Rest,
        questions: Polled,
        desk: Desk,
        clock: Clock,
        metrics: Metrics,
        quarantine: Quarantine | None = None,
    ) -> None:
        self.config = config
        self.paces = [pace(name) for name in config.timeframes]
        self.polling = Polling(rest.venue.name, self.paces, clock, metrics)
        self._rest, self._questions, self._desk = rest, questions, desk
        self._clock, self._metrics, self._quarantine = clock, metrics, quarantine
        self._round = Round(self.paces)
        self._started_s = 0.0
        self._list_again = asyncio.Event()  # the venue knows a symbol no more that its list had

    async def run(self) -> NoReturn:
        delay_s = AGAIN_S_MIN
        while not await self._list():
            await self._clock.sleep(delay_s)
            delay_s = min(AGAIN_S_MAX, delay_s * 2)
        self._started_s = self._clock.monotonic()
        async with room("poller") as here:
            for one in self.paces:
                here.start(one.timeframe, self._candles(one))
            here.start("prices", self._prices())
            here.start("list", self._relist())
            await asyncio.Event().wait()
        raise AssertionError

    @property
    def state(self) -> tuple[Word, str]:
        """Whether the venue feeds the cache, for /health."""
        word, reason = self.polling.state
        if word == "ok" and (paused_s := self._rest.governor.paused_s) > 0:
            return "degraded", f"the venue wants silence for {paused_s:.0f} s more"
        return word, reason

    # -- which markets ---------------------------------------------------------------------------------------------

    async def _list(self) -> bool:
        """Ask what the venue lists; whether some coin is among it. If not, the markets before stay in force."""
        venue = self._rest.venue
        try:
            answer = await self._rest.ask(venue.instruments_request(), Priority.AUDIT)
            chosen = choose(self.config.symbols or COINS, Instruments(venue.read_instruments(answer)))
            if not chosen.instruments:
                raise Unbelievable("trades none of the coins that are asked for")
        except (Refused, Disconnected, BadFrame, Unbelievable) as error:
            self.polling.not_listed(str(error))
            log.warning("cache.list_failed", venue=venue.name, reason=str(error))
            return False
        for coin in sorted(set(chosen.unlisted) - set(self.polling.unlisted)):
            log.warning("symbols.unlisted", symbol=coin, reason=f"{venue.name} trades it neither against USDT nor USD; left out")
        self.polling.follow(chosen)
        return True

    async def _relist(self) -> None:
        """Each hour, and soon after the venue did not know a symbol."""
        while True:
            self._list_again.clear()
            async with room("wait") as here:
                hour = here.start("hour", self._clock.sleep(LIST_EVERY_S))
                told = here.start("told", self._list_again.wait())
                await asyncio.wait({hour, told}, return_when=asyncio.FIRST_COMPLETED)
            await self._list()
            await self._clock.sleep(AGAIN_S_MAX)

    # -- candles ---------------------------------------------------------------------------------------------------

    async def _candles(self, its: Pace) -> None:
        at_s = 0
        while True:
            await self._until(at_s)
            late_s = self._clock.monotonic() - self._started_s - at_s
            if late_s < its.every_s * LAST:
                await self._cycle(its, at_s)
            else:  # the process stood still, and this cycle is over: nobody failed
                log.warning("cache.late", venue=self._rest.venue.name, timeframe=its.timeframe, late_s=round(late_s))
            at_s = max(at_s + its.every_s, next_start(self._clock.monotonic() - self._started_s, its.every_s))

    async def _cycle(self, its: Pace, at_s: int) -> None:
        """One refresh of a timeframe: every coin at its own moment, those that failed again, an end in time for the next."""
        markets = self.polling.instruments
        offsets = slots(len(markets), its.every_s, self.config.spread)
        until_s = at_s + its.every_s * LAST
        refreshed: list[str] = []
        async with room(f"cycle.{its.timeframe}") as here:
            asking = [
                here.start(one.symbol, self._refresh(one, its, at_s + offset, offset, until_s, refreshed))
                for one, offset in zip(markets, offsets, strict=True)
            ]
            end = here.start("end", self._until(until_s))
            waiting = set(asking)
            while waiting and not end.done():
                done, _ = await asyncio.wait({*waiting, end}, return_when=asyncio.FIRST_COMPLETED)
                waiting -= done
        symbols = [one.symbol for one in markets]
        failed = [symbol for symbol in symbols if symbol not in refreshed]
        self.polling.ended(its.timeframe, failed)
        await self._tell(its, at_s, [symbol for symbol in symbols if symbol in refreshed], failed)

    async def _refresh(
        self, market: Instrument, its: Pace, slot_s: float, offset_s: float, until_s: float, refreshed: list[str]
    ) -> None:
        """Ask until there is an answer that can be believed, and write it."""
        await self._until(slot_s)
        delay_s = max(AGAIN_S_MIN, its.every_s * AGAIN_SHARE)
        while True:
            try:
                await self._allowed(its, offset_s, until_s)
                await self._ask(market, its)
            except TROUBLE as error:
                self.polling.failed(market.symbol, its.timeframe, error)
                if isinstance(error, Refused) and error.permanent:
                    self._list_again.set()
                    return
            except Exception as error:
                self._mistaken("candles", market.symbol, error)
                return
            else:
                refreshed.append(market.symbol)
                return
            if self._clock.monotonic() - self._started_s + delay_s >= until_s:
                return
            await self._clock.sleep(delay_s)
            delay_s *= 2

    async def _ask(self, market: Instrument, its: Pace) -> None:
        frame = timeframe(its.timeframe)
        answer = await self._rest.ask(self._questions.newest_candles_request(market, frame, ASKED), Priority.AUDIT)
        try:
            page = self._questions.read_newest_candles(answer, market, frame, answer.ts_recv)
            found = newest(page, frame, answer.ts_recv, self.polling.held(market.symbol, its.timeframe))
        except (BadFrame, Unbelievable) as error:
            self._set_aside(market.symbol, error, answer)
            raise
        self.polling.answered(market.symbol)
        await to_the_end(self._desk.do(*_writes(market.symbol, its, found)))
        self.polling.refreshed(market.symbol, its.timeframe, found, answer.ts_recv)

    async def _tell(self, its: Pace, at_s: int, refreshed: list[str], failed: list[str]) -> None:
        now = iso_of_ns(self._clock.now_ns())
        updates = [Publish(update_channel(its.timeframe), encode_updated(Updated(its.timeframe, refreshed, failed, now)))]
        whole = self._round.finish(its.timeframe, at_s, refreshed, failed)
        if whole is not None:
            update = Updated("all", whole.refreshed, whole.failed, now, whole.timeframes)
            updates.append(Publish(UPDATE_ALL, encode_updated(update)))
        try:
            await to_the_end(self._desk.do(*updates))
        except DeliveryError as error:
            self._metrics.cache_refreshes.labels(its.timeframe, "not published").inc()
            log.debug("cache.not_published", timeframe=its.timeframe, reason=str(error))

    # -- prices ----------------------------------------------------------------------------------------------------

    async def _prices(self) -> None:
        at_s = 0
        while True:
            await self._until(at_s)
            until_s, delay_s = at_s + PRICES_EVERY_S * LAST, AGAIN_S_MIN
            while not await self._priced() and self._clock.monotonic() - self._started_s + delay_s < until_s:
                await self._clock.sleep(delay_s)
                delay_s *= 2
            at_s = max(at_s + PRICES_EVERY_S, next_start(self._clock.monotonic() - self._started_s, PRICES_EVERY_S))

    async def _priced(self) -> bool:
        """Ask for all prices at once and write those that can be believed; whether that was every one."""
        markets = self.polling.instruments
        try:
            await self._allowed()
            prices, answer = await self._day(markets), self._clock.now_ns()
            writes = [Write(price_key(one.symbol), encode_price(_cached(one)), PRICES_TTL_S) for one in prices]
            if writes:
                await to_the_end(self._desk.do(*writes))
        except TROUBLE as error:
            self.polling.not_priced([one.symbol for one in markets], error)
            return False
        except Exception as error:
            self._mistaken("prices", "", error)
            return False
        self.polling.priced([one.symbol for one in prices], answer)
        missing = sorted({one.symbol for one in markets} - {one.symbol for one in prices})
        if missing:
            self.polling.not_priced(missing, Unbelievable("no price in the answer, or none that can be"))
        return not missing

    async def _day(self, markets: Sequence[Instrument]) -> list[DayPrice]:
        """Where the venue refuses them together for good, some market spoils the question: each half is asked alone."""
        try:
            answer = await self._rest.ask(self._questions.prices_request(markets), Priority.AUDIT)
        except Refused as error:
            if not error.permanent:
                raise
            self._list_again.set()
            if len(markets) == 1:
                return []
            half = len(markets) // 2
            return [*await self._day(markets[:half]), *await self._day(markets[half:])]
        spelled: Mapping[str, Instrument] = {one.venue_symbol: one for one in markets}
        try:
            prices = self._questions.read_prices(answer, spelled, answer.ts_recv)
        except BadFrame as error:
            self._set_aside("", error, answer)
            raise
        good = []
        for price in prices:
            why = impossible_price(price, answer.ts_recv)
            if why is None:
                good.append(price)
            else:
                self._set_aside(price.symbol, Unbelievable(why), answer)
        self.polling.answered()
        return good

    # -- waiting, and what went wrong --------------------------------------------------------------------------------

    async def _until(self, at_s: float) -> None:
        """The second `at_s` of the poller's own time."""
        await self._clock.sleep(max(0.0, self._started_s + at_s - self._clock.monotonic()))

    async def _allowed(self, its: Pace | None = None, offset_s: float = 0.0, until_s: float = 0.0) -> None:
        """While the venue wants silence nobody queues: afterwards everyone has a moment again in what is left of the cycle."""
        while (paused_s := self._rest.governor.paused_s) > 0:
            room_s = until_s - (self._clock.monotonic() + paused_s - self._started_s)
            spread = self.config.spread
            wait_s = 0.0 if its is None else after_silence(offset_s, its.every_s, spread, room_s)
            await self._clock.sleep(paused_s + wait_s)

    def _set_aside(self, symbol: str, error: Exception, answer: Answer) -> None:
        venue, why = self._rest.venue.name, str(error) if isinstance(error, Unbelievable) else "answer not understood"
        self._metrics.events_quarantined.labels(venue, why).inc()
        log.warning("feed.quarantined", venue=venue, symbol=symbol, reason=str(error))
        if self._quarantine is not None:
            self._quarantine.keep(answer.ts_recv, venue, symbol, str(error), answer.body[:FRAME_BYTES])

    def _mistaken(self, what: str, symbol: str, error: Exception) -> None:
        """A mistake of ours costs one refresh, and is said."""
        self._metrics.faults.labels(self._rest.venue.name, "cache").inc()
        log.error("feed.fault", venue=self._rest.venue.name, where=f"cache {what} {symbol}".strip(), reason=place_of(error))


def _writes(symbol: str, its: Pace, found: Newest) -> list[Write]:
    writes = [Write(ohlcv_key(symbol, its.timeframe), encode_candles(found.rows), its.ttl_s)]
    if found.before is not None:
        writes.append(Write(before_key(symbol, its.timeframe), encode_candle(found.before), its.ttl_s))
    return writes


def _cached(price: DayPrice) -> CachedPrice:
    bid, ask = (None if side is None else Decimal(side) for side in (price.bid, price.ask))
    return CachedPrice(Decimal(price.price), Decimal(price.change), Decimal(price.volume), iso_of_ns(price.ts), bid, ask)
