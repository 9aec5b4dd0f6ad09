"""One job: the series and the span that are to be filled, and how far it is."""

from dataclasses import dataclass, field

from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import Timeframe
from marketd.stores.archive import Source


@dataclass(slots=True)
class Progress:
    """How far a job is: intervals in ns of open time."""

    series: CandleSeries
    total: int
    done: int = 0
    candles: int = 0
    requests: int = 0
    waiting: str = ""  # why nothing moves, in words; empty while it does
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be filled, from where, and in which order."""

    number: int  # of its row
    series: CandleSeries
    instrument: Instrument
    frame: Timeframe
    span: Interval  # ns of open time, whole intervals of the timeframe
    newest_first: bool
    source: Source
    progress: Progress
