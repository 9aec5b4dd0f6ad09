"""Filling a series: what its ledger does not account for is asked for, page by page, and each page is committed with its
ledger and the job's cursor, so that a kill costs at most one page."""

import asyncio
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from marketd.clock import Clock
from marketd.errors import BadFrame, ConfigError, DeliveryError, Refused
from marketd.history.asking import Asking
from marketd.history.bulk import files_wanted, take_file
from marketd.history.edges import Edges
from marketd.history.job import Job, Progress
from marketd.history.planning import Piece, open_spans, pieces
from marketd.history.settling import DELISTED, Known, settle
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import NOT_FETCHED, Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, Timeframe
from marketd.model.timeframes import timeframe as named
from marketd.stores.archive import Page, Source, Written
from marketd.venues.candles import CandleDesk
from marketd.venues.hours import hours_of

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

ROUNDS = 12  # each answer that is cut short brings at least a part of what is left
PAUSE_S = 2.0  # for the last word of a job that is stopped


class Backfill:
    """Fills series of one venue."""

    def __init__(
        self,
        desk: CandleDesk,
        archive: "Archive",
        clock: Clock,
        tell: Callable[[Progress], None] = lambda progress: None,
        tries: int | None = None,
    ) -> None:
        """`tries`: so often a venue that does not answer is asked before StartError; None: for ever, as a daemon does."""
        self.desk, self._archive, self._clock, self._tell = desk, archive, clock, tell
        self._asking = Asking(desk, clock, tell, tries)
        self._stored = self._asking.stored
        self._edges = Edges(self._asking, clock)

    async def fill(
        self, series: CandleSeries, span: Interval, *, newest_first: bool = False, source: Source = "backfill"
    ) -> Progress:
        """Account for every candle of `series` that opens in `span` (ns), up to the newest closed one. Waits for as long as
        the venue or the database is away. Raises ConfigError for what the venue does not have."""
        frame = self._timeframe(series)
        span = Interval(frame.open_from(span.start), frame.open_from(span.stop))
        rows = await self._stored(lambda: self._archive.ledger(series))
        progress = Progress(series, sum(part.length for part in open_spans(rows, span)))
        if not progress.total:
            return progress
        instrument = await self._asking.instrument(series.symbol)
        async with AsyncExitStack() as claims:
            is_ours = await self._stored(lambda: claims.enter_async_context(self._archive.claim(series)))
            number = await self._stored(lambda: self._row(series, span, newest_first, is_ours, rows))
            try:
                await self._work(Job(number, series, instrument, frame, span, newest_first, source, progress))
            except CancelledError:
                with suppress(DeliveryError, TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await self._archive.job_paused(number)
                raise
            except Exception as error:
                failure = str(error)
                await self._stored(lambda: self._archive.job_ended(number, failure))
                raise
            await self._stored(lambda: self._archive.job_ended(number, "; ".join(progress.failed)[:500] or None))
        return progress

    async def _work(self, job: Job) -> None:
        self._tell(job.progress)
        known = await self._known(job)
        if known is None:
            series, venue = job.series, self.desk.venue.name
            job.progress.failed.append(f"{venue} has no {series.timeframe} candle of {series.symbol} since then")
            return
        await self._beyond_reach(job, known)
        closed = Interval(job.span.start, min(job.span.stop, known.edge))
        await self._say_wanted(job.series, closed)
        if self.desk.has_bulk:
            await self._take_files(job, closed)
        for number in range(ROUNDS):  # what one round leaves in doubt is asked for in the next
            rows = await self._stored(lambda: self._archive.ledger(job.series))
            asked = list(pieces(rows, closed, job.frame, self._page, newest_first=job.newest_first))
            for piece in asked if number == 0 else [one for one in asked if one.again]:
                await self._take(job, piece, known)

    async def _known(self, job: Job) -> Known | None:
        """Where the series begins and ends at the venue; None if it has no candle at all since the span's start."""
        rows = await self._stored(lambda: self._archive.ledger(job.series))
        frame, span, is_trading = job.frame, job.span, job.instrument.is_trading
        have = [row for row in rows if row.state == "have"]
        edge = next((_last(row, frame) for row in reversed(have) if _last(row, frame) >= span.stop), None)
        if edge is None:
            newest = await self._edges.newest(job)
            if newest is None:
                return None
            edge = newest.open_time
            if is_trading and edge < span.stop:  # it may be forming still: kept as it is, and nothing said of it
                its = Interval(edge, newest.close_time)
                page = Page(job.series, its, [replace(newest, closed=False)], [], job.source)
                await self._stored(lambda: self._archive.put(page))
        if not is_trading:  # no successor will come: the venue's own word closes the last one
            edge = frame.close_of(edge)
        return Known(edge, await self._edges.first(job, edge, have), span.start, is_trading)

    async def _beyond_reach(self, job: Job, known: Known) -> None:
        """What the venue does not serve is said so without asking; what lies after a delisting, too."""
        now, venue, span = self._clock.now_ns(), self.desk.venue, job.span
        if venue.candle_reach is not None:
            served = job.frame.open_from(known.edge - (venue.candle_reach - 1) * job.frame.length_at(known.edge))
            cause = f"{venue.name} serves only the newest {venue.candle_reach} candles"
            rows = await self._stored(lambda: self._archive.ledger(job.series))
            lost = [
                Stretch(*part, "unrecoverable", cause, now)
                for part in open_spans(rows, Interval(span.start, min(span.stop, served)))
            ]
            await self._stored(lambda: self._archive.settle(job.series, lost))
        if not known.is_listed and known.edge < span.stop:
            after = Interval(max(span.start, known.edge), span.stop)
            await self._stored(lambda: self._archive.settle(job.series, [Stretch(*after, "known_empty", DELISTED, now)]))

    async def _say_wanted(self, series: CandleSeries, span: Interval) -> None:
        """What is about to be asked for is missing until it is here: stopped on the way, the ledger knows what was left."""
        now = self._clock.now_ns()
        rows = await self._stored(lambda: self._archive.ledger(series))
        unknown = Intervals((row.start, row.stop) for row in rows).missing(*span) if span.length > 0 else []
        wanted = [Stretch(*part, "missing", NOT_FETCHED, now) for part in unknown]
        await self._stored(lambda: self._archive.settle(series, wanted))

    async def _take_files(self, job: Job, closed: Interval) -> None:
        """Whole months and days from the venue's archive of files; what they do not have is left to REST."""
        rows = await self._stored(lambda: self._archive.ledger(job.series))
        files = files_wanted(rows, closed, job.frame, self._page, self._clock.now_ns())
        progress = job.progress

        async def put(page: Page) -> Written:
            progress.done += sum(part.stop - part.start for part in page.parts)
            return await self._stored(lambda: self._archive.put(page))

        for file in reversed(files) if job.newest_first else files:
            progress.requests += 2
            now = self._clock.now_ns()
            progress.candles += await take_file(self.desk, file, job.series, job.instrument, job.frame, put, now, job.number)
            self._tell(progress)

    async def _take(self, job: Job, piece: Piece, known: Known) -> None:
        """One page: asked, judged, committed."""
        now, progress, series = self._clock.now_ns(), job.progress, job.series
        try:
            rows = await self._asking.candles(job.instrument, job.frame, piece.span, progress)
        except (Refused, BadFrame) as error:  # for good: said in the ledger, tried again by the next scan
            held = await self._stored(lambda: self._archive.ledger(series, *piece.span))
            cause = f"fetch failed: {error}"[:200]
            failed = [Stretch(*part, "missing", cause, now) for part in open_spans(held, piece.span)]
            progress.failed.append(str(error))
            await self._stored(lambda: self._archive.settle(series, failed))
            return
        around = piece.span.start - 2 * DAY, piece.span.stop + 2 * DAY
        ledger = await self._stored(lambda: self._archive.ledger(series, *around))
        settled = settle(
            piece.span, rows, job.frame, self.desk.venue.candle_empty, known, now,
            ledger=ledger, again=piece.again, hours=hours_of(self.desk.venue),
        )  # fmt: skip
        page = Page(series, piece.span, settled.candles, settled.parts, job.source, job.number, piece.span.stop)
        written = await self._stored(lambda: self._archive.put(page), progress)
        doubted = sum(part.length for part in settled.doubts)
        progress.done += sum(part.stop - part.start for part in settled.parts) - doubted
        progress.candles += written.new
        progress.waiting = ""
        self._tell(progress)

    async def _row(self, series: CandleSeries, span: Interval, newest_first: bool, is_ours: bool, rows: list[Stretch]) -> int:
        """The row of this job: one that a run before left, if what it left is a part of this, or a new one. While another
        program fills the series its rows are its own."""
        if is_ours:
            await self._archive.jobs_left(series)
            for left in await self._archive.jobs(series, statuses=["pending"]):
                rest = [] if left.span is None else open_spans(rows, left.span)
                if not rest:
                    await self._archive.job_ended(left.id, None)
                elif span.start < rest[-1].stop <= span.stop:
                    await self._archive.job_resumed(left.id, span)
                    return left.id
        return await self._archive.job_started(series, span, newest_first)

    @property
    def _page(self) -> int:
        return self.desk.venue.candle_page

    def _timeframe(self, series: CandleSeries) -> Timeframe:
        venue = self.desk.venue
        if series.timeframe not in venue.timeframes:
            raise ConfigError(f"{venue.name} has no {series.timeframe!r} candles; it has {', '.join(venue.timeframes)}")
        return named(series.timeframe)


def _last(row: Stretch, frame: Timeframe) -> int:
    """The open time of a stretch's last candle."""
    return frame.open_of(row.stop - 1)
