"""Candles that closed lately, compared with REST: what the venue corrected meanwhile is kept as a revision."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog
from msgspec.structs import replace

from marketd.clock import Clock
from marketd.errors import MarketdError
from marketd.metrics import Metrics
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.net.governor import Priority
from marketd.stores.archive import Page
from marketd.venues.candles import CandleDesk

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

BACK = 3  # closed candles that are compared, beside those since the last look
log = structlog.get_logger("recheck")


class Recheck:
    """Compares each series every `every_s` seconds, one after the other."""

    def __init__(
        self,
        desks: Mapping[str, CandleDesk],
        series: Sequence[CandleSeries],
        archive: "Archive",
        every_s: float,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._desks, self._series, self._archive = desks, list(series), archive
        self._every_s, self._clock, self._metrics = every_s, clock, metrics

    async def run(self) -> None:
        """Look until cancelled; a venue or database in trouble is looked at again the next time."""
        while True:
            await self._clock.sleep(self._every_s)
            for series in self._series:
                try:
                    await self.look(series)
                except MarketdError as error:
                    log.info("recheck.postponed", venue=series.venue, symbol=series.symbol, reason=str(error))

    async def look(self, series: CandleSeries) -> int:
        """Compare the latest closed candles with REST; how many the venue had corrected. Raises Refused, Disconnected,
        BadFrame, DeliveryError."""
        desk, frame = self._desks[series.venue], timeframe(series.timeframe)
        instrument = await desk.instrument(series.symbol)
        if instrument is None:
            return 0
        opened = frame.open_of(self._clock.now_ns())
        length = frame.close_of(opened) - opened
        count = min(desk.venue.candle_page, BACK + int(self._every_s * 1_000_000_000 // length))
        span = Interval(frame.open_of(opened - count * length), frame.close_of(opened))
        rows = await desk.ask(instrument, frame, span, Priority.AUDIT)
        closed = [row for row in rows[:-1] if row.open_time < rows[-1].open_time]  # the last one has no successor yet
        if not closed:
            return 0
        parts = [Stretch(row.open_time, row.close_time, "have", "", self._clock.now_ns()) for row in closed]
        page = Page(
            series,
            Interval(closed[0].open_time, closed[-1].close_time),
            [replace(row, closed=True) for row in closed],
            parts,
            "repaired",
        )
        revised = (await self._archive.put(page)).revised
        if revised:
            self._metrics.candles_revised.labels(series.venue).inc(revised)
            log.info("candles.revised", venue=series.venue, symbol=series.symbol, timeframe=series.timeframe, count=revised)
        return revised
