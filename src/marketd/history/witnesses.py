"""Who else can say what a candle was: the venue's REST, the trades that are stored, smaller candles, another store."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from marketd.clock import Clock
from marketd.errors import BadFrame, ConfigError, Disconnected, Refused
from marketd.history.resample import Bar, nests, resampled
from marketd.model.digits import number_text
from marketd.model.events import Candle, Trade
from marketd.model.intervals import Interval, Intervals
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, Timeframe
from marketd.model.timeframes import timeframe as named
from marketd.model.times import iso_of_ns, ns_of_iso
from marketd.net.backoff import Backoff
from marketd.net.http import Http
from marketd.stores.archive import Row, Source
from marketd.venues.candles import CandleDesk

if TYPE_CHECKING:
    from marketd.stores.archive import Archive
    from marketd.stores.ledger import Row as TradesHeld

TRIES = 5
OK, NOT_THERE = 200, 404
EXACT = frozenset({"have", "known_empty"})  # states of an interval of which everything is known
log = structlog.get_logger("verify")


class Account(NamedTuple):
    rows: Sequence[Bar]  # oldest first
    said: list[Interval]  # where they are all that there is; elsewhere nothing can be said


class Witness(Protocol):
    """Another account of the candles of a series."""

    name: str
    source: Source  # what a candle that is taken over from here is called
    replaces: bool  # whether it knows better than what is stored; if not, it only fills what is missing
    empty_is_none: bool  # it has no row for an interval without trades, whatever the venue does
    may_err: bool  # a second answer may be another one: differences count if both give them

    def page(self, series: CandleSeries) -> int:
        """How many candles one question may be about."""
        ...

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        """What it has in `span`. Raises ConfigError where it cannot speak of the series at all, Refused, Disconnected,
        BadFrame and DeliveryError where it cannot now."""
        ...


class RestWitness:
    """The venue itself, today."""

    name = "REST"
    source: Source = "repaired"
    replaces = True
    empty_is_none = False
    may_err = True

    def __init__(self, desk: CandleDesk, clock: Clock) -> None:
        self._desk, self._clock = desk, clock

    def page(self, series: CandleSeries) -> int:
        return max(1, self._desk.venue.candle_page - 1)

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        venue, frame = self._desk.venue, named(series.timeframe)
        if series.timeframe not in venue.timeframes:
            raise ConfigError(f"{venue.name} has no {series.timeframe!r} candles; it has {', '.join(venue.timeframes)}")
        now = frame.open_of(self._clock.now_ns())
        if venue.candle_reach is not None and frame.step:
            served = now - (venue.candle_reach - 2) * frame.step
            span = Interval(min(span.stop, max(span.start, served)), span.stop)
        if not span.length:
            return Account([], [])
        backoff = Backoff()
        while True:
            try:
                instrument = await self._desk.instrument(series.symbol)
                if instrument is None:
                    raise ConfigError(f"{venue.name} does not list {series.symbol!r}")
                # One candle more than wanted: a successor is what proves that the last one is closed.
                rows = await self._desk.ask(instrument, frame, Interval(span.start, frame.close_of(span.stop)))
                break
            except (Refused, Disconnected, BadFrame) as error:
                if (isinstance(error, Refused) and error.permanent) or backoff.tries == TRIES - 1:
                    raise
                delay_s = backoff.next_s()
                log.warning("verify.waiting", venue=venue.name, reason=str(error), retry_in_s=round(delay_s, 1))
                await self._clock.sleep(delay_s)
        newest = rows[-1].open_time if rows else 0
        within = [row for row in rows if span.start <= row.open_time < span.stop]
        closed = [replace(row, closed=row.closed or row.open_time < newest) for row in within]
        return Account(closed, [span])


class TradesWitness:
    """Candles built from stored trades, where the live ledger proves that all of them are there."""

    name = "stored trades"
    source: Source = "built"
    replaces = False
    empty_is_none = True
    may_err = False

    def __init__(
        self,
        build: Callable[[Iterable[Trade], Timeframe], Sequence[Candle]],
        trades: Callable[[CandleSeries, Interval], Iterable[Trade]],
        held: Callable[[CandleSeries], Sequence["TradesHeld"]],
    ) -> None:
        """`build`: candles out of all trades of an interval; `trades`: those of a series' symbol in a span, by time; `held`:
        what the live ledger says of them."""
        self._build, self._trades, self._held = build, trades, held

    def page(self, series: CandleSeries) -> int:
        step = named(series.timeframe).step
        return max(1, DAY // step) if step else 1

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        frame = named(series.timeframe)
        known = Intervals()
        for row in self._held(series):
            if row.state in EXACT and row.proof != "none" and row.from_ts is not None and row.to_ts is not None:
                known.add(row.from_ts, row.to_ts + 1)
        whole = Intervals()
        for part in known:
            first = frame.open_of(part.start)
            first = first if first == part.start else frame.close_of(first)
            whole.add(max(span.start, first), min(span.stop, frame.open_of(part.stop)))
        rows = [
            replace(candle, closed=True)
            for part in whole
            for candle in self._build(self._trades(series, part), frame)
        ]  # fmt: skip
        return Account(rows, list(whole))


class SmallerWitness:
    """Candles of the same symbol in the largest smaller timeframe that is stored."""

    name = "smaller candles"
    source: Source = "built"
    replaces = False
    empty_is_none = True
    may_err = False

    def __init__(self, archive: "Archive", stored: Sequence[CandleSeries], clock: Clock) -> None:
        self._archive, self._stored, self._clock = archive, stored, clock

    def page(self, series: CandleSeries) -> int:
        step = named(series.timeframe).step or 31 * DAY
        return max(1, 500 * HOUR // step)

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        smaller = self._smaller(series)
        if smaller is None:
            return Account([], [])
        rows = await self._archive.candles(smaller, *span)
        ledger = await self._archive.ledger(smaller, *span, states=["known_empty"])
        empty = Intervals((part.start, part.stop) for part in ledger)
        found = resampled(rows, series, span, empty, self._clock.now_ns())
        return Account(found.candles, Intervals(found.incomplete).missing(*span))

    def _smaller(self, series: CandleSeries) -> CandleSeries | None:
        frame = named(series.timeframe)
        fitting = [one for one in self._stored if one[:2] == series[:2] and nests(named(one.timeframe), frame)]
        return max(fitting, key=lambda one: named(one.timeframe).step, default=None)


class StoreWitness:
    """Another archive, as far as its own ledger vouches for it."""

    name = "the other store"
    source: Source = "repaired"
    replaces = True
    empty_is_none = False
    may_err = False

    def __init__(self, archive: "Archive") -> None:
        self._archive = archive

    def page(self, series: CandleSeries) -> int:
        return 10_000

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        rows = await self._archive.candles(series, *span)
        ledger = await self._archive.ledger(series, *span)
        said = Intervals((part.start, part.stop) for part in ledger if part.state in EXACT)
        return Account(rows, [Interval(max(a, span.start), min(b, span.stop)) for a, b in said])


class ApiWitness:
    """Another marketd, asked over HTTP: of what it has no candle of it says nothing."""

    name = "the other store"
    source: Source = "repaired"
    replaces = True
    empty_is_none = False
    may_err = False

    def __init__(self, http: Http, url: str) -> None:
        self._http, self._url = http, url.rstrip("/")

    def page(self, series: CandleSeries) -> int:
        return 10_000

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        asked = {
            "exchange": series.venue, "symbol": series.symbol, "timeframe": series.timeframe,
            "start": iso_of_ns(span.start), "end": iso_of_ns(span.stop), "include": "closed,revision,source", "numbers": "string",
        }  # fmt: skip
        status, _, body = await self._http.get(f"{self._url}/candles", asked)
        if status == NOT_THERE:
            return Account([], [])
        try:
            if status != OK:
                raise ValueError(f"status {status}")
            rows = [_row(one) for one in _decode_candles(body)]
        except (msgspec.MsgspecError, ValueError) as error:
            raise Disconnected(f"{self._url}/candles: {error}: {body[:200].decode('utf-8', 'replace')}") from error
        return Account(rows, list(Intervals((row.open_time, row.close_time) for row in rows)))


class WireCandle(msgspec.Struct):
    open_time: str
    close_time: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed: bool
    revision: int
    source: str | None


_decode_candles = msgspec.json.Decoder(list[WireCandle]).decode


def _row(wire: WireCandle) -> Row:
    opens, closes = ns_of_iso(wire.open_time), ns_of_iso(wire.close_time)
    open_, high, low, close, volume = map(number_text, (wire.open, wire.high, wire.low, wire.close, wire.volume))
    return Row(opens, closes, open_, high, low, close, volume, wire.closed, wire.revision, wire.source)
