"""History from a venue's public archive, where it is configured: whole months and days, before REST is asked for the rest."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from marketd.errors import Disconnected
from marketd.history.planning import open_spans
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, Timeframe
from marketd.stores.archive import Page
from marketd.venues.bulk import BulkFile, Damaged, files_within
from marketd.venues.candles import CandleDesk

if TYPE_CHECKING:
    from marketd.stores.archive import Written

LATE = DAY  # a day's file is published on the day after
log = structlog.get_logger("bulk")


def files_wanted(rows: Sequence[Stretch], span: Interval, timeframe: Timeframe, page: int, now: int) -> list[BulkFile]:
    """The files, oldest first, of which the ledger knows nothing yet and that can have been published."""
    past = Interval(span.start, max(span.start, min(span.stop, now - LATE)))
    return [file for part in open_spans(rows, past) for file in files_within(part, timeframe, page)]


async def take_file(
    desk: CandleDesk,
    file: BulkFile,
    series: CandleSeries,
    instrument: Instrument,
    timeframe: Timeframe,
    put: Callable[[Page], Awaitable["Written"]],
    now: int,
    job: int,
) -> int:
    """Store what the file has; how many candles. Its holes stay as unknown as they were, so that REST is asked for them. A file
    that is not there, not reached or not proved is said and leaves everything to REST."""
    try:
        candles = await desk.bulk(file, instrument, timeframe)
    except Damaged:
        return 0  # said where it was found
    except Disconnected as error:
        log.info("bulk.away", venue=series.venue, reason=str(error))
        return 0
    if not candles:
        return 0
    missing = file.span.length // timeframe.step - len(candles)
    if missing:
        log.info("bulk.incomplete", venue=series.venue, symbol=series.symbol, file=file.date, rows=len(candles), missing=missing)
    await put(Page(series, file.span, candles, _had(candles, now), "bulk", job, file.span.stop))
    return len(candles)


def _had(candles: Sequence[Candle], now: int) -> list[Stretch]:
    return [Stretch(*run, "have", "", now) for run in Intervals((one.open_time, one.close_time) for one in candles)]
