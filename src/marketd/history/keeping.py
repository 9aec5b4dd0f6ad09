"""Keeps every series accounted for: once at the start, then by a periodic scan of the ledger; what could not be filled is
tried again soon, then less and less often, and said aloud."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from marketd.clock import Clock
from marketd.errors import DeliveryError, MarketdError
from marketd.history.backfill import Backfill
from marketd.history.job import Progress
from marketd.history.planning import open_spans
from marketd.metrics import Metrics
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, MINUTE, timeframe
from marketd.net.backoff import Backoff
from marketd.rooms import room
from marketd.venues.candles import CandleDesk

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

AT_ONCE = 2  # series of one venue that are filled side by side; its governor sets the pace
RETRY_S_MIN = 30.0
INTERRUPTED_S = 2.0  # between two tries to say what an earlier run left
log = structlog.get_logger("history")


@dataclass(frozen=True)
class Horizon:
    """How far back a series is kept, and how often it is looked at."""

    days: int
    scan_s: float
    at_start: bool = True


@dataclass(slots=True)
class Kept:
    """One series under care."""

    series: CandleSeries
    backoff: Backoff
    due_s: float
    progress: Progress | None = None
    failing: str = ""  # why it is not complete; empty when it is


class Keeper:
    """The series of all venues, and how they are doing."""

    def __init__(
        self,
        desks: Mapping[str, CandleDesk],
        series: Sequence[CandleSeries],
        archive: "Archive",
        horizon: Horizon,
        clock: Clock,
        metrics: Metrics,
        alert: Callable[[str, CandleSeries, str], None] = lambda code, series, reason: None,
    ) -> None:
        self._archive, self._horizon, self.clock, self._metrics, self._alert = archive, horizon, clock, metrics, alert
        now_s = clock.monotonic()
        first_s = now_s if horizon.at_start else now_s + horizon.scan_s
        # Long candles first: a few requests tell how old a market is, and spare the short ones their empty pages.
        ordered = sorted(series, key=lambda one: -(timeframe(one.timeframe).step or 31 * DAY))
        self.kept = [Kept(one, Backoff(RETRY_S_MIN, max(RETRY_S_MIN, horizon.scan_s)), first_s) for one in ordered]
        self._fillers = {name: Backfill(desk, archive, clock, self._tell) for name, desk in desks.items()}

    @property
    def failing(self) -> list[Kept]:
        return [one for one in self.kept if one.failing]

    @property
    def is_filling(self) -> bool:
        """Whether some series is being filled now."""
        return any(one.progress is not None for one in self.kept)

    def repair_soon(self, series: CandleSeries) -> None:
        """A hole was found by someone else: look at this series at once."""
        for one in self.kept:
            if one.series == series:
                one.due_s = self.clock.monotonic()

    def _tell(self, progress: Progress) -> None:
        for one in self.kept:
            if one.series == progress.series:
                one.progress = progress

    async def run(self, venue: str) -> None:
        """Work for one venue, until cancelled."""
        mine = [one for one in self.kept if one.series.venue == venue]
        while True:
            now_s = self.clock.monotonic()
            due = min(mine, key=lambda one: (one.progress is not None, one.due_s))
            if due.progress is None and due.due_s <= now_s:
                due.progress = Progress(due.series, 0)
                await self._fill(due)
                continue
            await self.clock.sleep(min(1.0, max(0.05, due.due_s - now_s)) if due.progress is None else 1.0)

    async def _fill(self, one: Kept) -> None:
        step = timeframe(one.series.timeframe)
        now = self.clock.now_ns()
        span = Interval(step.open_of(now - self._horizon.days * DAY), now)
        try:
            progress = await self._fillers[one.series.venue].fill(one.series, span)
            self._metrics.archive_requests.labels(one.series.venue).inc(progress.requests)
            left = [] if not progress.failed else open_spans(await self._archive.ledger(one.series), span)
            failing = progress.failed[0] if progress.failed else ""
            self._metrics.archive_open.labels(*one.series).set(sum(part.length for part in left) / MINUTE)
        except MarketdError as error:
            failing = str(error)
        one.progress = None
        if not failing and progress.candles:
            log.info(
                "archive.filled", venue=one.series.venue, symbol=one.series.symbol, timeframe=one.series.timeframe,
                candles=progress.candles, requests=progress.requests,
            )  # fmt: skip
        if failing:
            delay_s = one.backoff.next_s()
            log.error(
                "archive.incomplete", venue=one.series.venue, symbol=one.series.symbol, timeframe=one.series.timeframe,
                reason=failing, again_in_s=round(delay_s),
            )  # fmt: skip
            self._alert("archive-incomplete", one.series, failing)
        else:
            one.backoff.reset()
            delay_s = self._horizon.scan_s
        one.failing, one.due_s = failing, self.clock.monotonic() + delay_s


@asynccontextmanager
async def run_history(keeper: Keeper, archive: "Archive") -> AsyncIterator[None]:
    """Keep until left. What an earlier run left unfinished is said to be so, and taken up by the first look."""
    is_said = await _said_interrupted(keeper, archive)
    async with room("history") as here:
        if not is_said:
            here.start("interrupted", _say_interrupted(keeper, archive))
        for venue in sorted({one.series.venue for one in keeper.kept}):
            for number in range(AT_ONCE):
                here.start(f"{venue}.{number}", keeper.run(venue))
        yield


async def _say_interrupted(keeper: Keeper, archive: "Archive") -> None:
    """As soon as the database is there."""
    while not await _said_interrupted(keeper, archive):
        await keeper.clock.sleep(INTERRUPTED_S)


async def _said_interrupted(keeper: Keeper, archive: "Archive") -> bool:
    """Of all series, also of those whose turn comes late. False while the database is away, which others say."""
    try:
        interrupted = await archive.jobs_interrupted([one.series for one in keeper.kept])
    except DeliveryError:
        return False
    if interrupted:
        log.info("archive.resumed", jobs=interrupted)
    return True
