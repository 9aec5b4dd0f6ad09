"""What goes into the archive and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries

Source = Literal["live", "backfill", "repaired", "built", "bulk"]
JobStatus = Literal["pending", "running", "completed", "failed"]


@dataclass(frozen=True)
class Page:
    """Candles of one series and what is known of `span` with them: all of it is stored, or none."""

    series: CandleSeries
    span: Interval  # ns, on the grid of the timeframe
    candles: Sequence[Candle]  # oldest first, one for each open time, inside the span
    parts: Sequence[Stretch]  # what the ledger says from now on; of what lies between them it says what it said before
    source: Source
    job: int | None = None  # the job that this page is a step of
    cursor: int | None = None  # ns; where that job goes on


class Written(NamedTuple):
    """What became of a page's candles."""

    new: int
    revised: int  # closed ones that had other values, which are kept as revisions
    unchanged: int
    updated: int = 0  # forming ones that moved on, and built ones that the venue confirmed


class Row(msgspec.Struct, frozen=True, gc=False):
    """A stored candle. Numbers are text with the digits that came in."""

    open_time: int  # ns
    close_time: int  # ns, always open_time + timeframe
    open: str
    high: str
    low: str
    close: str
    volume: str
    closed: bool
    revision: int
    source: str | None  # None for rows from before the archive kept it
    ts_recv: int | None = None  # ns, of what is said here; None likewise


class Summed(NamedTuple):
    """A range of a series in a few numbers: any candle more, corrected or confirmed changes one of them."""

    candles: int
    last: int | None  # ns, open time
    forming: int  # candles
    built: int  # candles that no venue has confirmed
    revisions: int
    changed: int | None  # ns, when the newest word came


class SeriesSummary(msgspec.Struct, frozen=True):
    series: CandleSeries
    first: int | None  # ns, open time of the oldest candle
    last: int | None
    count: int  # candles
    missing: int  # candles, from here on: open times in this state
    known_empty: int
    unrecoverable: int
    last_job: "JobRow | None"


class GapRow(msgspec.Struct, frozen=True):
    """A row of `candle_gaps`; times in ns, gap_end exclusive."""

    exchange: str
    symbol: str
    timeframe: str
    gap_start: int
    gap_end: int
    detected_at: int | None
    repaired_at: int | None
    state: str  # what the ledger says: missing, repairing, unrecoverable, known_empty; have once it is repaired
    cause: str | None


class JobRow(msgspec.Struct, frozen=True):
    """A row of `ingestion_jobs`; times in ns. Rows from before the archive have no span and no cursor."""

    id: int
    series: CandleSeries
    status: JobStatus
    started_at: int | None
    completed_at: int | None
    candles_fetched: int
    last_error: str | None
    span: Interval | None
    newest_first: bool
    cursor: int | None
