"""Live candles into the archive: as the venue streams them, or built from its trades where it streams none.

A closed candle is accounted for the moment it is stored. What the stream skipped is `missing` at once, and whoever repairs
is told.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Self

from marketd.bus import Full
from marketd.candles.build import Builder
from marketd.candles.compare import Comparison
from marketd.clock import Clock
from marketd.model.events import Candle, Event, Trade
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import Timeframe, timeframe
from marketd.stores.archive import Page

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

SKIPPED = "the live stream skipped it"


class LiveCandles:
    """A sink: candles of the series it keeps, everything else passes by. Raises DeliveryError like any sink."""

    name = "archive"
    types: frozenset[type[Event]] | None = frozenset({Candle, Trade})
    full = Full.SPILL
    capacity = 65_536
    gather_s = 0.2

    def __init__(
        self,
        archive: "Archive",
        series: Iterable[CandleSeries],
        streamed: Callable[[str], bool],
        clock: Clock,
        on_hole: Callable[[CandleSeries], None] = lambda series: None,
        comparison: Comparison | None = None,
    ) -> None:
        """`streamed` says whether a venue streams candles; of the others they are built from trades. `comparison` is shown
        what is streamed, and the trades."""
        self._archive, self._clock, self._on_hole = archive, clock, on_hole
        self._comparison = comparison
        self._frames: dict[CandleSeries, Timeframe] = {one: timeframe(one.timeframe) for one in series}
        self._builders: dict[tuple[str, str], list[Builder]] = {}
        for one, frame in self._frames.items():
            if not streamed(one.venue):
                self._builders.setdefault((one.venue, one.symbol), []).append(Builder(frame))
        self._batch: Sequence[Event] = ()  # under way
        self._said: dict[CandleSeries, dict[int, Candle]] = {}  # what it says and is not stored yet
        self._reached: dict[CandleSeries, int] = {}  # where the newest closed candle stored in this run ends
        self.last: dict[CandleSeries, Candle] = {}  # the newest, for those who look

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def write(self, batch: Sequence[Event]) -> None:
        """Store what the batch says of each series, one transaction a series. The same batch again, after a failure, goes on
        where that was: its trades are built into candles once."""
        if batch is not self._batch:
            self._batch, self._said = batch, self._sorted(batch)
        for series, candles in list(self._said.items()):
            is_built = (series.venue, series.symbol) in self._builders
            page = await self._page(series, [candles[at] for at in sorted(candles)], is_built)
            await self._archive.put(page)
            del self._said[series]
            closed = [one.close_time for one in page.candles if one.closed]
            if closed:
                self._reached[series] = max(self._reached.get(series, 0), *closed)
            self.last[series] = page.candles[-1]
            if any(part.state == "missing" for part in page.parts):
                self._on_hole(series)
        self._batch = ()

    def _sorted(self, batch: Sequence[Event]) -> dict[CandleSeries, dict[int, Candle]]:
        """The last word on each candle, by series."""
        found: dict[CandleSeries, dict[int, Candle]] = {}
        newest: dict[tuple[str, str], Trade] = {}
        for event in batch:
            if isinstance(event, Candle):
                self._note(found, event)
                if self._comparison is not None and event.closed and not event.repaired:
                    self._comparison.candle(event)
            elif isinstance(event, Trade):
                if self._comparison is not None:
                    self._comparison.trade(event)
                key = event.venue, event.symbol
                for builder in self._builders.get(key, ()):
                    newest[key] = event
                    for candle in builder.add(event):
                        self._note(found, candle)
        for key, trade in newest.items():
            for builder in self._builders[key]:
                for candle in builder.forming(trade):
                    self._note(found, candle)
        return found

    def _note(self, found: dict[CandleSeries, dict[int, Candle]], candle: Candle) -> None:
        series = CandleSeries(candle.venue, candle.symbol, candle.timeframe)
        if series not in self._frames:
            return
        candles = found.setdefault(series, {})
        known = candles.get(candle.open_time)
        if known is None or candle.closed or not known.closed:
            candles[candle.open_time] = candle

    async def _page(self, series: CandleSeries, candles: list[Candle], is_built: bool) -> Page:
        """Closed candles are had; between the newest one of before and the first of these something may be missing."""
        now = self._clock.now_ns()
        parts: list[Stretch] = []
        at = self._reached.get(series)
        for candle in candles:
            if not candle.closed:  # forms: nothing is known of its interval yet
                continue
            if at is None:  # the first one of this run: history reached up to somewhere
                before = await self._archive.ledger(series, 0, candle.open_time)
                at = before[-1].stop if before else None
            if at is not None and at < candle.open_time:
                rows = await self._archive.ledger(series, at, candle.open_time)
                known = Intervals((row.start, row.stop) for row in rows)  # by REST meanwhile, for one
                parts += [Stretch(*part, "missing", SKIPPED, now) for part in known.missing(at, candle.open_time)]
            parts.append(Stretch(candle.open_time, candle.close_time, "have", "", now))
            at = candle.close_time if at is None else max(at, candle.close_time)
        start = parts[0].start if parts and parts[0].start < candles[0].open_time else candles[0].open_time
        return Page(series, Interval(start, candles[-1].close_time), candles, parts, "built" if is_built else "live")
