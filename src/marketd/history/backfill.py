"""Filling a series: what its ledger does not account for is asked for, page by page, and each page is committed with its
ledger and the job's cursor, so that a kill costs at most one page."""

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec.structs import replace

from marketd.clock import Clock
from marketd.errors import BadFrame, ConfigError, DeliveryError, Disconnected, Refused, StartError
from marketd.history.bulk import files_wanted, take_file
from marketd.history.planning import Piece, open_spans, pieces
from marketd.history.settling import DELISTED, Known, settle
from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import NOT_FETCHED, Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, Timeframe
from marketd.model.timeframes import timeframe as named
from marketd.net.backoff import Backoff
from marketd.stores.archive import Page, Source, Written
from marketd.venues.candles import CandleDesk
from marketd.venues.hours import hours_of

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

T = TypeVar("T")
UNREADABLE_TRIES = 3
ROUNDS = 12  # each answer that is cut short brings at least a part of what is left
STORE_S_MAX = 5.0  # between two questions to a database that is away: it is ours
PAUSE_S = 2.0  # for the last word of a job that is stopped
LOOK_BACK = 3  # candles in the first look for the newest one; each further look reaches ten times as far
log = structlog.get_logger("backfill")


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
        self.desk, self._archive, self._clock, self._tell, self._tries = desk, archive, clock, tell, tries
        self._first_days: dict[str, Known] = {}  # by symbol: its first day, as far as asked for

    async def fill(
        self, series: CandleSeries, span: Interval, *, newest_first: bool = False, source: Source = "backfill"
    ) -> Progress:
        """Account for every candle of `series` that opens in `span` (ns), up to the newest closed one. Waits for as long as
        the venue or the database is away. Raises ConfigError for what the venue does not have."""
        frame = self._timeframe(series)
        span = Interval(_opening(span.start, frame), _opening(span.stop, frame))
        rows = await self._stored(lambda: self._archive.ledger(series))
        progress = Progress(series, sum(part.length for part in open_spans(rows, span)))
        if not progress.total:
            return progress
        instrument = await self._instrument(series)
        async with AsyncExitStack() as claims:
            is_ours = await self._stored(lambda: claims.enter_async_context(self._archive.claim(series)))
            job = await self._stored(lambda: self._job(series, span, newest_first, is_ours, rows))
            try:
                await self._work(series, instrument, frame, span, newest_first, source, job, progress)
            except CancelledError:
                with suppress(DeliveryError, TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await self._archive.job_paused(job)
                raise
            except Exception as error:
                failure = str(error)
                await self._stored(lambda: self._archive.job_ended(job, failure))
                raise
            await self._stored(lambda: self._archive.job_ended(job, "; ".join(progress.failed)[:500] or None))
        return progress

    async def _work(
        self,
        series: CandleSeries,
        instrument: Instrument,
        frame: Timeframe,
        span: Interval,
        newest_first: bool,
        source: Source,
        job: int,
        progress: Progress,
    ) -> None:
        self._tell(progress)
        rows = await self._stored(lambda: self._archive.ledger(series))
        known = await self._known(series, instrument, frame, span, rows, source, progress)
        if known is None:
            progress.failed.append(f"{self.desk.venue.name} has no {series.timeframe} candle of {series.symbol} since then")
            return
        await self._beyond_reach(series, frame, span, known)
        closed = Interval(span.start, min(span.stop, known.edge))
        await self._say_wanted(series, closed)
        if self.desk.has_bulk:
            await self._take_files(series, instrument, frame, closed, newest_first, job, progress)
        for number in range(ROUNDS):  # what one round leaves in doubt is asked for in the next
            rows = await self._stored(lambda: self._archive.ledger(series))
            asked = list(pieces(rows, closed, frame, self._page, newest_first=newest_first))
            for piece in asked if number == 0 else [one for one in asked if one.again]:
                await self._take(series, instrument, frame, piece, known, source, job, progress)

    async def _say_wanted(self, series: CandleSeries, span: Interval) -> None:
        """What is about to be asked for is missing until it is here: stopped on the way, the ledger knows what was left."""
        now = self._clock.now_ns()
        rows = await self._stored(lambda: self._archive.ledger(series))
        unknown = Intervals((row.start, row.stop) for row in rows).missing(*span) if span.length > 0 else []
        wanted = [Stretch(*part, "missing", NOT_FETCHED, now) for part in unknown]
        await self._stored(lambda: self._archive.settle(series, wanted))

    async def _take_files(
        self,
        series: CandleSeries,
        instrument: Instrument,
        frame: Timeframe,
        closed: Interval,
        newest_first: bool,
        job: int,
        progress: Progress,
    ) -> None:
        """Whole months and days from the venue's archive of files; what they do not have is left to REST."""
        rows = await self._stored(lambda: self._archive.ledger(series))
        files = files_wanted(rows, closed, frame, self._page, self._clock.now_ns())

        async def put(page: Page) -> Written:
            progress.done += sum(part.stop - part.start for part in page.parts)
            return await self._stored(lambda: self._archive.put(page))

        for file in reversed(files) if newest_first else files:
            progress.requests += 2
            now = self._clock.now_ns()
            progress.candles += await take_file(self.desk, file, series, instrument, frame, put, now, job)
            self._tell(progress)

    async def _job(self, series: CandleSeries, span: Interval, newest_first: bool, is_ours: bool, rows: list[Stretch]) -> int:
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

    async def _stored(self, ask: Callable[[], Awaitable[T]], progress: Progress | None = None) -> T:
        """What the archive answers, once it does."""
        backoff = Backoff(max_s=STORE_S_MAX)
        while True:
            try:
                return await ask()
            except DeliveryError as error:
                await self._wait(error, backoff, progress)

    @property
    def _page(self) -> int:
        return self.desk.venue.candle_page

    def _timeframe(self, series: CandleSeries) -> Timeframe:
        venue = self.desk.venue
        if series.timeframe not in venue.timeframes:
            raise ConfigError(f"{venue.name} has no {series.timeframe!r} candles; it has {', '.join(venue.timeframes)}")
        return named(series.timeframe)

    async def _instrument(self, series: CandleSeries) -> Instrument:
        backoff = Backoff()
        while True:
            try:
                instrument = await self.desk.instrument(series.symbol)
            except (Refused, Disconnected, BadFrame) as error:
                await self._wait(error, backoff)
                continue
            if instrument is None:
                raise ConfigError(f"{self.desk.venue.name} does not list {series.symbol!r}")
            return instrument

    async def _take(
        self,
        series: CandleSeries,
        instrument: Instrument,
        frame: Timeframe,
        piece: Piece,
        known: Known,
        source: Source,
        job: int,
        progress: Progress,
    ) -> None:
        """One page: asked, judged, committed."""
        now = self._clock.now_ns()
        try:
            rows = await self._ask(instrument, frame, piece.span, progress)
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
            piece.span, rows, frame, self.desk.venue.candle_empty, known, now,
            ledger=ledger, again=piece.again, hours=hours_of(self.desk.venue),
        )  # fmt: skip
        page = Page(series, piece.span, settled.candles, settled.parts, source, job, piece.span.stop)
        written = await self._stored(lambda: self._archive.put(page), progress)
        doubted = sum(part.length for part in settled.doubts)
        progress.done += sum(part.stop - part.start for part in settled.parts) - doubted
        progress.candles += written.new
        progress.waiting = ""
        self._tell(progress)

    async def _ask(self, instrument: Instrument, frame: Timeframe, span: Interval, progress: Progress) -> list[Candle]:
        """Raises Refused where asking again is pointless, BadFrame where the answer stays unreadable."""
        backoff, unreadable = Backoff(), 0
        while True:
            try:
                progress.requests += 1
                return await self.desk.ask(instrument, frame, span)
            except Refused as error:
                if error.permanent:
                    raise
                await self._wait(error, backoff, progress)
            except BadFrame as error:
                unreadable += 1
                if unreadable == UNREADABLE_TRIES:
                    raise
                await self._wait(error, backoff, progress)
            except Disconnected as error:
                await self._wait(error, backoff, progress)

    async def _known(
        self,
        series: CandleSeries,
        instrument: Instrument,
        frame: Timeframe,
        span: Interval,
        rows: list[Stretch],
        source: Source,
        progress: Progress,
    ) -> Known | None:
        """Where the series begins and ends at the venue; None if it has no candle at all since `span.start`."""
        have = [row for row in rows if row.state == "have"]
        edge = next((_last(row, frame) for row in reversed(have) if _last(row, frame) >= span.stop), None)
        if edge is None:
            newest = await self._newest(instrument, frame, span, progress)
            if newest is None:
                return None
            edge = newest.open_time
            if instrument.is_trading and edge < span.stop:  # it may be forming still: kept as it is, and nothing said of it
                its = Interval(edge, newest.close_time)
                page = Page(series, its, [replace(newest, closed=False)], [], source)
                await self._stored(lambda: self._archive.put(page))
        if not instrument.is_trading:  # no successor will come: the venue's own word closes the last one
            edge = frame.close_of(edge)
        first = await self._first(series, instrument, frame, span, edge, have, progress)
        return Known(edge, first, span.start, instrument.is_trading)

    async def _newest(self, instrument: Instrument, frame: Timeframe, span: Interval, progress: Progress) -> Candle | None:
        """The newest candle since `span.start`: looked for from now backwards, further each time, long silences by the day."""
        stop = frame.close_of(frame.open_of(self._clock.now_ns()))
        count = min(LOOK_BACK, self._page)
        by_day = "1d" in self.desk.venue.timeframes and 0 < frame.step < DAY
        while stop > span.start:
            start = max(span.start, _opening(stop - count * _step(frame, stop), frame))
            found = await self._ask(instrument, frame, Interval(start, stop), progress)
            if found:
                return found[-1]
            stop = start
            if by_day and count == self._page:
                by_day, stop = False, await self._silent_since(instrument, Interval(span.start, stop), span.stop, progress)
            count = min(count * 10, self._page)
        return None

    async def _silent_since(self, instrument: Instrument, span: Interval, asked_stop: int, progress: Progress) -> int:
        """Where the last day with a candle in `span` ends; where the days know of none, nothing follows what is asked for."""
        days = named("1d")
        stop = days.close_of(days.open_of(span.stop))
        while stop > span.start:
            start = max(days.open_of(span.start), stop - self._page * DAY)
            found = await self._ask(instrument, days, Interval(start, stop), progress)
            if found:
                return min(span.stop, found[-1].close_time)
            stop = start
        return min(span.stop, asked_stop)

    async def _first(
        self,
        series: CandleSeries,
        instrument: Instrument,
        frame: Timeframe,
        span: Interval,
        edge: int,
        have: list[Stretch],
        progress: Progress,
    ) -> int | None:
        """The day of the listing, from the daily candles, where that is cheaper than empty pages."""
        if have and have[0].start <= span.start:
            return 0
        if "1d" not in self.desk.venue.timeframes or frame.step == 0 or frame.step >= DAY:
            return None
        if edge - span.start < 2 * DAY:  # too short to tell a listing from a quiet start
            return 0
        cached = self._first_days.get(series.symbol)
        if cached is None or cached.horizon > span.start:
            found = await self._first_day(instrument, span, edge, progress)
            cached = self._first_days[series.symbol] = Known(edge, found, span.start)
        if cached.first is None or cached.first > span.start:
            return cached.first
        return 0

    async def _first_day(self, instrument: Instrument, span: Interval, edge: int, progress: Progress) -> int | None:
        days = named("1d")
        at, stop = days.open_of(span.start), days.close_of(days.open_of(edge))
        while at < stop:
            until = min(stop, at + self._page * DAY)
            found = await self._ask(instrument, days, Interval(at, until), progress)
            if found:
                return found[0].open_time
            at = until
        return None

    async def _beyond_reach(self, series: CandleSeries, frame: Timeframe, span: Interval, known: Known) -> None:
        """What the venue does not serve is said so without asking; what lies after a delisting, too."""
        now, venue = self._clock.now_ns(), self.desk.venue
        if venue.candle_reach is not None:
            served = _opening(known.edge - (venue.candle_reach - 1) * _step(frame, known.edge), frame)
            cause = f"{venue.name} serves only the newest {venue.candle_reach} candles"
            rows = await self._stored(lambda: self._archive.ledger(series))
            lost = [
                Stretch(*part, "unrecoverable", cause, now)
                for part in open_spans(rows, Interval(span.start, min(span.stop, served)))
            ]
            await self._stored(lambda: self._archive.settle(series, lost))
        if not known.is_listed and known.edge < span.stop:
            after = Interval(max(span.start, known.edge), span.stop)
            await self._stored(lambda: self._archive.settle(series, [Stretch(*after, "known_empty", DELISTED, now)]))

    async def _wait(self, error: Exception, backoff: Backoff, progress: Progress | None = None) -> None:
        if isinstance(error, Disconnected) and backoff.tries + 1 == self._tries:
            raise StartError(f"{error}; given up after {self._tries} tries")
        delay_s = backoff.next_s()
        log.warning("archive.waiting", venue=self.desk.venue.name, reason=str(error), retry_in_s=round(delay_s, 1))
        if progress is not None:
            progress.waiting = str(error)
            self._tell(progress)
        await self._clock.sleep(delay_s)


def _opening(at: int, frame: Timeframe) -> int:
    """The first open time at or after `at`."""
    opened = frame.open_of(at)
    return opened if opened == at else frame.close_of(opened)


def _step(frame: Timeframe, at: int) -> int:
    """The length of the candle that holds `at`, ns."""
    opened = frame.open_of(at)
    return frame.close_of(opened) - opened


def _last(row: Stretch, frame: Timeframe) -> int:
    """The open time of a stretch's last candle."""
    return frame.open_of(row.stop - 1)
