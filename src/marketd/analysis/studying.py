"""The technical analysis as a service: each newly closed candle is judged once, and what was published of it is never revised."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import structlog

from marketd.analysis.closed import CANDLES, Closed, NotClosed, of_cache
from marketd.analysis.listening import Listening, Word, kind_of
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import Reading, analyse
from marketd.analysis.updates import Update
from marketd.clock import Clock
from marketd.errors import place_of, words_of
from marketd.metrics import Metrics
from marketd.model.cached import analysis_key, before_key, ohlcv_key
from marketd.model.foreign import reader_of
from marketd.model.series import CandleSeries
from marketd.model.signals import Signal, SignalId, encode_signal, signal_channel
from marketd.model.timeframes import SECOND, timeframe
from marketd.stores.cache import Desk, Operation, Publish, Write

ROLE = "ta"
SAID_MAX = 5000  # signals that are remembered for whoever looks
log = structlog.get_logger("ta")
_encode = msgspec.json.Encoder().encode
_decode = reader_of(Reading)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was said of a series last."""

    reading: Reading
    open_time: int  # of its newest closed candle, ns
    is_judged: bool  # its signals are out, or there were none; otherwise it had no values


class Step(NamedTuple):
    """What one look at a series leads to."""

    series: CandleSeries
    standing: Standing
    missed: int = 0  # candles that closed unseen between the last look and this one


class Studies:
    """Reads on `market:update:{timeframe}`, and whenever the way to the cache was broken."""

    def __init__(
        self,
        desk: Desk,
        config: AnalysisConfig,
        venue: str,
        every_s: Mapping[str, float],
        coins: Sequence[str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`every_s`: the timeframes, and how often the cache refreshes each; `coins`: read beside those that an update names."""
        self.timeframes = tuple(every_s)
        self._desk, self._config, self._venue, self._clock, self._metrics = desk, config, venue, clock, metrics
        self._standings: dict[CandleSeries, Standing] = {}
        self._unsure: set[CandleSeries] = set()  # nobody knows whether what was asked of the cache last was done
        self._unread: set[CandleSeries] = set()  # what an earlier run said of them cannot be read
        self._faults: set[str] = set()  # said
        self._said: dict[SignalId, Signal] = {}
        self.listening = Listening(ROLE, desk, every_s, coins, clock, metrics, self.work)

    async def run(self) -> None:
        """Until cancelled."""
        await self.listening.run()

    @property
    def state(self) -> tuple[Word, str]:
        """For /health."""
        return self.listening.state

    @property
    def symbols(self) -> list[str]:
        """Those with a reading, in the order of the cache."""
        return list(dict.fromkeys(series.symbol for series in self._standings))

    def reading(self, symbol: str, timeframe: str) -> Reading | None:
        """As published last; None before that."""
        standing = self._standings.get(CandleSeries(self._venue, symbol, timeframe))
        return None if standing is None else standing.reading

    @property
    def said(self) -> Sequence[Signal]:
        """The newest signals, oldest first: those made here, and of an earlier run the last ones of each series."""
        return sorted(self._said.values(), key=lambda one: one.ts)

    async def work(self, update: Update) -> Mapping[str, str]:
        """Judge what closed since the last look; the coins without values, and why. Raises DeliveryError."""
        wanted = [CandleSeries(self._venue, coin, update.timeframe) for coin in update.coins]
        if update.resumed:
            self._unsure.update(wanted)
        asked = [one for one in wanted if one in self._unsure or one not in self._standings]
        keys = [name(one.symbol, one.timeframe) for one in wanted for name in (before_key, ohlcv_key)]
        values = await self._desk.read(*keys, *(analysis_key(one.symbol, one.timeframe) for one in asked))
        operations = self._recall(asked, values[len(keys) :])
        left_out: dict[str, str] = {}
        steps: list[Step] = []
        for at, series in enumerate(wanted):
            try:
                step = self._look(series, values[2 * at], values[2 * at + 1], left_out)
            except Exception as error:
                left_out[series.symbol] = self._failed(series, error)
                continue
            if step is not None:
                steps.append(step)
                operations += _operations(step)
            await asyncio.sleep(0)  # sockets have their turn between two coins
        self._unsure.update(asked, (step.series for step in steps))
        if operations:
            await self._desk.do(*operations)
        self._unsure.difference_update(wanted)
        self._note(update.timeframe, steps)
        for series in [one for one in self._standings if one.timeframe == update.timeframe and one.symbol not in update.coins]:
            del self._standings[series]
            self._unread.discard(series)
        return left_out

    def _recall(self, asked: Sequence[CandleSeries], values: Sequence[bytes | None]) -> list[Operation]:
        """Take what the cache says was said last, where that is newer; put back what it has lost."""
        back: list[Operation] = []
        for series, value in zip(asked, values, strict=True):
            own = self._standings.get(series)
            kept = None if value is None else self._read(series, value)
            if kept is not None and (own is None or kept.open_time >= own.open_time):
                self._standings[series] = kept
                self._remember(kept.reading.signals)
            elif own is not None:
                back.append(_write(series, own.reading))
        return back

    def _read(self, series: CandleSeries, value: bytes) -> Standing | None:
        try:
            reading = _decode(value)
            if reading.open_time is not None and (ahead := reading.open_time - self._clock.now_ns()) > 0:
                raise msgspec.DecodeError(f"of a candle that opens {ahead // SECOND} s from now")
        except msgspec.DecodeError as error:
            if series not in self._standings:
                self._unread.add(series)
            self._metrics.analysis_skipped.labels(ROLE, "reading").inc()
            log.warning("analysis.reading", symbol=series.symbol, timeframe=series.timeframe, reason=str(error))
            return None
        return None if reading.open_time is None else Standing(reading, reading.open_time, reading.quality.ok)

    def _look(self, series: CandleSeries, before: bytes | None, array: bytes | None, left_out: dict[str, str]) -> Step | None:
        """None where there is nothing new to say. Of a coin without values, the reason goes to `left_out`."""
        window = of_cache(series, before, array, self._clock.now_ns())
        if isinstance(window, NotClosed):
            left_out[series.symbol] = window.reason
            self._metrics.analysis_skipped.labels(ROLE, kind_of(window, array)).inc()
        opened, standing = window.open_time, self._standings.get(series)
        if opened is None:
            return None  # what was said last stays
        if standing is not None and opened < standing.open_time:
            left_out[series.symbol] = "the cache is behind what was read before"
            self._metrics.analysis_skipped.labels(ROLE, "older").inc()
            return None
        if standing is not None and opened == standing.open_time:
            if standing.is_judged:  # once for good, whatever the venue makes of the candle later
                return None
            if isinstance(window, NotClosed) and window.reason == standing.reading.quality.reason:
                return None
        reading = analyse(window, self._config)
        missed = 0 if standing is None else _between(series.timeframe, standing.open_time, opened)
        if series in self._unread:  # signals of this candle may be out already: the next one is the first to be judged
            reading = msgspec.structs.replace(reading, signals=())
        return Step(series, Standing(reading, opened, isinstance(window, Closed)), missed)

    def _note(self, timeframe: str, steps: Sequence[Step]) -> None:
        """What was done."""
        for step in steps:
            self._standings[step.series] = step.standing
            self._unread.discard(step.series)
            self._remember(step.standing.reading.signals)
            for signal in step.standing.reading.signals:
                self._metrics.analysis_signals.labels(timeframe, signal.rule, signal.direction).inc()
        self._metrics.analysis_readings.labels(ROLE, timeframe).inc(len(steps))
        missed = {step.series.symbol: step.missed for step in steps if step.missed}
        if missed:
            candles = sum(missed.values())
            self._metrics.analysis_skipped.labels(ROLE, "missed").inc(candles)
            log.warning("analysis.missed", timeframe=timeframe, candles=candles, coins=len(missed), most=max(missed.values()))

    def _remember(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            self._said.setdefault(signal.id, signal)
        while len(self._said) > SAID_MAX:
            del self._said[next(iter(self._said))]

    def _failed(self, series: CandleSeries, error: Exception) -> str:
        """Counted always, said once for each place of a mistake."""
        self._metrics.analysis_skipped.labels(ROLE, "fault").inc()
        if (place := place_of(error)) not in self._faults:
            self._faults.add(place)
            where = {"symbol": series.symbol, "timeframe": series.timeframe}
            log.error("analysis.fault", role=ROLE, **where, error=f"{place}: {words_of(error)}")
        return f"a mistake of ours: {place}"


def _operations(step: Step) -> list[Operation]:
    """The reading under its key, and its signals, in one breath: neither is there without the other."""
    reading = step.standing.reading
    return [_write(step.series, reading), *(_publish(signal) for signal in reading.signals)]


def _write(series: CandleSeries, reading: Reading) -> Write:
    """Kept until none of its candles is among the last 500."""
    life_s = CANDLES * timeframe(series.timeframe).length_at(reading.open_time or 0) / SECOND
    return Write(analysis_key(series.symbol, series.timeframe), _encode(reading), life_s)


def _publish(signal: Signal) -> Publish:
    summary = f"{signal.symbol} {signal.timeframe} {signal.direction} by {signal.rule} at {signal.price}"
    return Publish(signal_channel(signal.symbol), encode_signal(signal), signal=True, summary=summary)


def _between(name: str, seen: int, opened: int) -> int:
    """Candles that lie between two open times."""
    frame = timeframe(name)
    return max(0, (opened - frame.close_of(seen)) // frame.length_at(seen))
