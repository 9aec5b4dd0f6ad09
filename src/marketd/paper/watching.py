"""What the shared cache says that the trader needs: candles, readings, quotes, by one question for all symbols."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.model.cached import analysis_key, decode_candles, decode_price, decode_updated, ohlcv_key, price_key, update_channel
from marketd.model.foreign import reader_of
from marketd.model.signals import Signal, decode_signal
from marketd.model.timeframes import timeframe
from marketd.model.times import ns_of_iso
from marketd.paper.advising import advice_of, is_ours, is_symbol, wrong_with
from marketd.paper.books import Books
from marketd.paper.section import PaperConfig
from marketd.paper.sight import Advice, Look, Quoted, Sight, is_price, sight_of
from marketd.stores.cache import Desk

SYMBOLS_MAX = 2_000
PENDING_MAX = 10_000  # signals that wait to be decided
NAMED = 5
LATE = 2  # times the cadence without an update: the cache is behind, or gone
SECOND = 1_000_000_000


class _Reading(msgspec.Struct):
    """What of a reading concerns the trader."""

    close_time: int | None = None  # ns, of the newest candle that was judged
    signals: tuple[Signal, ...] = ()


_read = reader_of(_Reading)


class Seen(NamedTuple):
    look: Look | None  # None: there is nothing to look at yet
    lacking: str  # what is expected at this boundary and not there yet; empty: nothing


class Watch:
    """Which symbols there are, which signals came, and what the cache says of them."""

    def __init__(self, desk: Desk, terms: PaperConfig, clock: Clock, metrics: Metrics) -> None:
        self._desk, self._terms, self._clock, self._metrics = desk, terms, clock, metrics
        self._frame = timeframe(terms.timeframe)
        self.symbols: dict[str, None] = {}  # of the last update, those that failed in it too
        self._named: dict[str, None] = {}  # by signals since
        self.pending: dict[str, Advice] = {}
        self._updated = clock.now_ns()  # when the last update came, or hearing began

    def heard_update(self, payload: bytes) -> None:
        """Raises ValueError for a message that cannot be understood."""
        try:
            updated = decode_updated(payload)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        symbols = dict.fromkeys((*updated.symbols, *updated.failed))
        if len(symbols) > SYMBOLS_MAX or not all(map(is_symbol, symbols)):
            raise ValueError(f"expected at most {SYMBOLS_MAX:,} symbols of letters and digits")
        self.symbols, self._named = symbols, {}
        self._updated = self._clock.now_ns()

    def heard_signal(self, payload: bytes) -> bool:
        """Whether it is one for us. Raises ValueError likewise."""
        try:
            signal = decode_signal(payload)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None
        if not is_ours(signal, self._terms):
            return False
        if wrong := wrong_with(signal):
            raise ValueError(wrong)
        if signal.close_time > self._clock.now_ns() + self._frame.step:
            raise ValueError(f"a candle of {signal.symbol} that closes more than a candle from now")
        advice = advice_of(signal)
        if len(self.pending) >= PENDING_MAX and advice.id not in self.pending:
            self._metrics.paper_skipped.labels("full").inc()
            return False
        self.pending[advice.id] = advice
        if len(self.symbols) + len(self._named) < SYMBOLS_MAX:
            self._named[signal.symbol] = None
        return True

    def late(self, every_s: float) -> str:
        """What is said of a cache that was silent for twice its cadence; empty while all is well."""
        silent_s = (self._clock.now_ns() - self._updated) / SECOND
        if silent_s <= LATE * every_s:
            return ""
        name = self._terms.timeframe
        return f"no update of {name} for {silent_s:,.0f} s, expected every {every_s:g} s on {update_channel(name)}"

    def settled(self, advices: Iterable[Advice]) -> None:
        """These were decided."""
        for one in advices:
            self.pending.pop(one.id, None)

    async def look(self, books: Books) -> Seen:
        """The cache as it is now. Raises DeliveryError."""
        expected = self.symbols or dict.fromkeys(books.seen)
        if not expected:  # a signal alone would be decided without those of the others
            return Seen(None, "no update of the cache has named a symbol yet")
        symbols = sorted({*expected, *self._named, *books.account.positions})
        pending = list(self.pending.values())  # what comes during the look may be newer than what is read, and is for the next
        frame, is_quoted = self._terms.timeframe, self._terms.fill == "quote"
        keys = [*(ohlcv_key(one, frame) for one in symbols), *(analysis_key(one, frame) for one in symbols)]
        keys += [price_key(one) for one in symbols] if is_quoted else []
        values = await self._desk.read(*keys)
        count = len(symbols)
        quotes = values[2 * count :] if is_quoted else [None] * count
        sights: dict[str, Sight] = {}
        for at, symbol in enumerate(symbols):
            sights[symbol] = self._sight(symbol, values[at], quotes[at])
            await asyncio.sleep(0)  # sockets have their turn between two coins
        boundary = max((one.closed[-1].open_time + self._frame.step for one in sights.values() if one.closed), default=0)
        if not boundary:
            return Seen(None, "the cache has no candles that closed")
        readings = {one: self._reading(one, values[count + at]) for at, one in enumerate(symbols)}
        advices = {one.id: one for one in pending if one.close_time <= boundary}
        for reading in readings.values():
            for signal in reading.signals:
                if is_ours(signal, self._terms) and signal.close_time == boundary:
                    advice = advice_of(signal)
                    advices.setdefault(advice.id, advice)
        look = Look(boundary, self._clock.now_ns(), sights, tuple(advices.values()))
        return Seen(look, self._lacking(look, expected, readings, books))

    def _lacking(self, look: Look, expected: Iterable[str], readings: Mapping[str, _Reading], books: Books) -> str:
        late: list[str] = []
        undecided = {one.symbol for one in look.advices if one.close_time == look.boundary and one.id not in books.decided}
        for symbol in expected:
            sight, reading = look.sights[symbol], readings[symbol]
            has_candle = bool(sight.closed) and sight.closed[-1].open_time + self._frame.step == look.boundary
            is_judged = reading.close_time is not None and reading.close_time >= look.boundary
            has_price = self._terms.fill == "quote" or sight.opens is not None or symbol not in undecided
            if not (has_candle and is_judged and has_price):
                late.append(symbol)
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        return f"waits for {', '.join(late[:NAMED])}{more}" if late else ""

    def _sight(self, symbol: str, value: bytes | None, price: bytes | None) -> Sight:
        if value is None:
            return Sight(doubt="no candles in the cache")
        try:
            candles = decode_candles(value)
        except msgspec.DecodeError as error:
            self._metrics.paper_skipped.labels("candles").inc()
            return Sight(doubt=f"its candles cannot be read: {error}")
        sight = sight_of(candles, self._frame.step, None if price is None else self._quote(price))
        ahead = sight.closed[-1].open_time + self._frame.step - self._clock.now_ns() if sight.closed else 0
        if ahead > self._frame.step:  # one such would make the candles of all others old
            self._metrics.paper_skipped.labels("candles").inc()
            return Sight(doubt=f"its newest closed candle ends {ahead // SECOND} s from now")
        return sight

    def _quote(self, value: bytes) -> Quoted | None:
        try:
            found = decode_price(value)
            if found.bid is None or found.ask is None or not (is_price(found.bid) and is_price(found.ask)):
                return None
            return Quoted(found.bid, found.ask, ns_of_iso(found.timestamp))
        except (msgspec.DecodeError, ValueError):
            self._metrics.paper_skipped.labels("quote").inc()
            return None

    def _reading(self, symbol: str, value: bytes | None) -> _Reading:
        try:
            found = _Reading() if value is None else _read(value)
        except msgspec.DecodeError:
            found = None
        if found is None or any(one.symbol != symbol or wrong_with(one) for one in found.signals):
            self._metrics.paper_skipped.labels("reading").inc()
            return _Reading()
        return found
