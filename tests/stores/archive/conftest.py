"""An archive of each kind, and pages to put into it."""

from collections.abc import AsyncIterator, Sequence

import pytest

from marketd.clock import ManualClock
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import Archive, Page, Source, open_archive

SERIES = CandleSeries("bitfinex", "BTCUSD", "1m")
START = 1_700_000_040_000_000_000  # a whole minute
DIGITS = ("37000.10", "37001", "36999.5000", "37000.0", "1.123456789012345678")


def at(minute: int) -> int:
    return START + minute * MINUTE


def candle(minute: int, *, close: str = DIGITS[3], volume: str = DIGITS[4], closed: bool = True) -> Candle:
    opens = at(minute)
    return Candle(
        SERIES.venue, SERIES.symbol, None, opens + 7, SERIES.timeframe, opens, opens + MINUTE, *DIGITS[:3], close, volume, closed
    )


def page(
    candles: Sequence[Candle],
    span: tuple[int, int],
    *parts: Stretch,
    source: Source = "backfill",
    job: int | None = None,
    cursor: int | None = None,
) -> Page:
    """Of the one series; the span in minutes. Without parts the ledger says nothing new."""
    return Page(SERIES, Interval(at(span[0]), at(span[1])), candles, parts, source, job, cursor)


def have(start: int, stop: int, cause: str = "backfill", since: int = START) -> Stretch:
    return Stretch(at(start), at(stop), "have", cause, since)


def missing(start: int, stop: int, cause: str = "fetch failed", since: int = START) -> Stretch:
    return Stretch(at(start), at(stop), "missing", cause, since)


@pytest.fixture
async def archive(url: str, clock: ManualClock) -> AsyncIterator[Archive]:
    async with open_archive(url, clock) as opened:
        yield opened
