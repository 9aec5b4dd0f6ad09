"""The archive as the other rooms see it: pages in, candles and what is known of them out."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import wraps
from itertools import pairwise
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.model.intervals import Interval
from marketd.model.ledger import State, Stretch
from marketd.model.series import CandleSeries
from marketd.rooms import to_the_end
from marketd.stores.archive import accounting, jobs, reading, writing
from marketd.stores.archive.address import address_of
from marketd.stores.archive.claims import Claims
from marketd.stores.archive.columns import NS_MAX
from marketd.stores.archive.database import Database, is_passing
from marketd.stores.archive.opening import Opening, not_opened
from marketd.stores.archive.rows import GapRow, JobRow, Page, Row, SeriesSummary, Summed, Written

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger("archive")


def whole(
    ask: Callable[Concatenate["Archive", P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Archive", P], Coroutine[Any, Any, T]]:
    """On SQLite nothing under way is broken off: an abandoned cursor would hold the file's lock until nobody knows when."""

    @wraps(ask)
    async def called(self: "Archive", /, *args: P.args, **kwargs: P.kwargs) -> T:
        work = ask(self, *args, **kwargs)
        return await (to_the_end(work) if self._database.kind == "sqlite" else work)

    return called


class Archive:
    """Candles of any number of series, in PostgreSQL or SQLite.

    Every method raises DeliveryError, in one line and within a bounded time, when the database cannot do it now; nothing is
    half-written then, and the same call may be made again. Times are integer ns, UTC.
    """

    def __init__(self, database: Database, clock: Clock, opening: Opening | None = None) -> None:
        """`opening` is done before the first use; None: it was."""
        self._database, self._clock, self._opening = database, clock, opening
        self._claims = Claims(database)
        self._versions: Counter[CandleSeries] = Counter()

    @whole
    async def put(self, page: Page) -> Written:
        """Store the page: candles, ledger, gaps and the job's cursor in one transaction. The same page again changes nothing."""
        opens = [candle.open_time for candle in page.candles]
        assert all(earlier < later for earlier, later in pairwise(opens)), "oldest first, each time once"
        assert not opens or page.span.start <= opens[0] <= opens[-1] < page.span.stop, f"{page.series}: a candle leaves the span"
        now = self._clock.now_ns()
        async with self._writing() as connection:
            await writing.lock(connection, page.series)
            written = await writing.write_candles(connection, page, now)
            await accounting.settle(connection, page.series, page.parts, now)
            await jobs.advance(connection, page, written.new)
        if page.candles:
            self._versions[page.series] += 1
        return written

    def version(self, series: CandleSeries) -> int:
        """Another number after every write of candles through this object; other processes write unseen."""
        return self._versions[series]

    @whole
    async def settle(self, series: CandleSeries, parts: Sequence[Stretch]) -> None:
        """Let the ledger say this, with no candles stored; of what lies outside of the parts it says what it said."""
        async with self._writing() as connection:
            await writing.lock(connection, series)
            await accounting.settle(connection, series, parts, self._clock.now_ns())

    @whole
    async def candles(
        self, series: CandleSeries, start: int, end: int, *, limit: int | None = None, newest: bool = False
    ) -> list[Row]:
        """`start <= open_time < end`, always oldest first; of more than `limit` the oldest, or the newest."""
        async with self._reading(whole=False) as connection:
            return await reading.candle_rows(connection, series, start, end, limit, newest)

    async def stream(self, series: CandleSeries, start: int, end: int, *, batch: int = 10_000) -> AsyncIterator[list[Row]]:
        """The same in batches, for ranges of any length: no connection is held while the reader takes its time."""
        while rows := await self.candles(series, start, end, limit=batch):
            yield rows
            if len(rows) < batch:
                return
            start = rows[-1].open_time + 1

    @whole
    async def summed(self, series: CandleSeries, start: int, end: int) -> Summed:
        """What a reader of the range compares to know whether anything in it is other than it was."""
        async with self._reading() as connection:
            return await reading.range_summed(connection, series, start, end)

    @whole
    async def ledger(
        self, series: CandleSeries, start: int = 0, end: int = NS_MAX, *, states: Sequence[State] | None = None
    ) -> list[Stretch]:
        """The stretches that touch [start, end), whole, oldest first; of these states only, where some are named."""
        async with self._reading() as connection:
            return await reading.stretches(connection, series, start, end, states)

    @whole
    async def series(self) -> list[CandleSeries]:
        """Every series of which something is stored or known."""
        async with self._reading() as connection:
            return await reading.series_there(connection)

    @whole
    async def summary(self) -> list[SeriesSummary]:
        async with self._reading() as connection:
            return await reading.summaries(connection)

    @whole
    async def revisions(self, series: CandleSeries, start: int, end: int) -> list[Row]:
        """What closed candles said before they were corrected; the revision in force is in `candles`."""
        async with self._reading() as connection:
            return await reading.revision_rows(connection, series, start, end)

    @whole
    async def gaps(
        self, venue: str | None = None, symbol: str | None = None, timeframe: str | None = None, open_only: bool = False
    ) -> list[GapRow]:
        """Rows of `candle_gaps`; open ones are neither repaired nor the venue's own emptiness."""
        async with self._reading() as connection:
            return await reading.gap_rows(connection, venue, symbol, timeframe, open_only)

    @whole
    async def job_started(self, series: CandleSeries, span: Interval, newest_first: bool) -> int:
        """A new row that runs; its number."""
        async with self._writing() as connection:
            return await jobs.begin(connection, series, span, newest_first, self._clock.now_ns())

    @whole
    async def job_resumed(self, job: int, span: Interval | None = None) -> None:
        """It runs again, for this span from now on where one is given."""
        async with self._writing() as connection:
            await jobs.resume(connection, job, span)

    def claim(self, series: CandleSeries) -> AbstractAsyncContextManager[bool]:
        """Whether no other program fills the series, and none will until left; whose jobs say `running` then do not."""
        return self._claims.claim(series)

    @whole
    async def job_ended(self, job: int, error: str | None) -> None:
        """Completed, or failed with this error."""
        async with self._writing() as connection:
            await jobs.end(connection, job, error, self._clock.now_ns())

    @whole
    async def job_paused(self, job: int) -> None:
        """It was stopped on the way and waits to be resumed."""
        async with self._writing() as connection:
            await jobs.pause(connection, job)

    @whole
    async def jobs_left(self, series: CandleSeries) -> None:
        """For who has claimed the series: whatever says `running` was left by a program that is gone, and waits."""
        async with self._writing() as connection:
            await jobs.interrupt(connection, [series])

    @whole
    async def jobs_interrupted(self, series: Sequence[CandleSeries]) -> int:
        """Rows of these series that say `running` while no program fills them are `pending` from now on. How many there were."""
        count = 0
        running = {job.series for job in await self.jobs(statuses=["running"])}
        for one in running.intersection(series):
            async with self.claim(one) as is_free:
                if is_free:
                    async with self._writing() as connection:
                        count += await jobs.interrupt(connection, [one])
        return count

    @whole
    async def jobs(
        self, series: CandleSeries | None = None, *, statuses: Sequence[str] | None = None, limit: int | None = None
    ) -> list[JobRow]:
        """Newest first."""
        async with self._reading() as connection:
            return await jobs.find(connection, series, statuses, limit)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        if self._opening is not None:
            await self._opening.passed()
        async with self._database.writing() as connection:
            yield connection

    @asynccontextmanager
    async def _reading(self, whole: bool = True) -> AsyncIterator[AsyncConnection]:
        """One consistent look, or a connection for a single question."""
        if self._opening is not None:
            await self._opening.passed()
        async with self._database.reading() if whole else self._database.asking() as connection:
            yield connection

    def close(self) -> None:
        """Let go of what is claimed."""
        self._claims.close()

    @whole
    async def ping(self) -> None:
        """Raises DeliveryError that says what is wrong."""
        async with self._reading() as connection:
            await connection.execute(sa.select(sa.literal(1)))


@asynccontextmanager
async def open_archive(url: str, clock: Clock, *, upgrade: bool = True, wait: bool = False) -> AsyncIterator[Archive]:
    """The archive at `postgresql://...` or `sqlite:///path`, brought to the current schema unless told otherwise.

    With `wait` a server that is away or a full disk stops nothing: the archive raises DeliveryError until it can be opened, and
    opens by itself. Raises ConfigError for an address that is none, StartError where the database cannot be reached, does not
    let us in or is not ours.
    """
    database = Database(address_of(url))
    opening = Opening(database, clock, upgrade=upgrade)
    try:
        try:
            await opening.done()
        except DeliveryError as error:
            if not (wait and is_passing(error)):
                raise not_opened(error) from error
            log.warning("archive.waiting", reason=str(error))
        archive = Archive(database, clock, opening)
        try:
            yield archive
        finally:
            archive.close()
    finally:
        await database.close()
