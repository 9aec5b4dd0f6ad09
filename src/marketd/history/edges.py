"""Where a series begins and ends at the venue, found with few questions."""

from marketd.clock import Clock
from marketd.history.asking import Asking
from marketd.history.job import Job
from marketd.history.settling import Known
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.timeframes import DAY, Timeframe
from marketd.model.timeframes import timeframe as named

LOOK_BACK = 3  # candles in the first look for the newest one; each further look reaches ten times as far


class Edges:
    """Of the series of one venue; the day of a symbol's listing is remembered."""

    def __init__(self, asking: Asking, clock: Clock) -> None:
        self._asking, self._venue, self._clock = asking, asking.desk.venue, clock
        self._first_days: dict[str, Known] = {}  # by symbol: its first day, as far as asked for

    async def newest(self, job: Job) -> Candle | None:
        """The newest candle since the span's start: looked for from now backwards, further each time, long silences by the
        day. None if there is none."""
        frame, start = job.frame, job.span.start
        stop = frame.close_of(frame.open_of(self._clock.now_ns()))
        page = self._venue.candle_page
        count = min(LOOK_BACK, page)
        by_day = "1d" in self._venue.timeframes and 0 < frame.step < DAY
        while stop > start:
            since = max(start, frame.open_from(stop - count * frame.length_at(stop)))
            found = await self._ask(job, frame, Interval(since, stop))
            if found:
                return found[-1]
            stop = since
            if by_day and count == page:
                by_day, stop = False, await self._silent_since(job, stop)
            count = min(count * 10, page)
        return None

    async def first(self, job: Job, edge: int, have: list[Stretch]) -> int | None:
        """The day of the listing, from the daily candles, where that is cheaper than empty pages; 0 where it was before the
        span, None where it is not known."""
        start = job.span.start
        if have and have[0].start <= start:
            return 0
        if "1d" not in self._venue.timeframes or job.frame.step == 0 or job.frame.step >= DAY:
            return None
        if edge - start < 2 * DAY:  # too short to tell a listing from a quiet start
            return 0
        cached = self._first_days.get(job.series.symbol)
        if cached is None or cached.horizon > start:
            found = await self._first_day(job, edge)
            cached = self._first_days[job.series.symbol] = Known(edge, found, start)
        if cached.first is None or cached.first > start:
            return cached.first
        return 0

    async def _silent_since(self, job: Job, before: int) -> int:
        """Where the last day with a candle before that time ends; where the days know of none, nothing follows the span."""
        days, start = named("1d"), job.span.start
        stop = days.close_of(days.open_of(before))
        while stop > start:
            since = max(days.open_of(start), stop - self._venue.candle_page * DAY)
            found = await self._ask(job, days, Interval(since, stop))
            if found:
                return min(before, found[-1].close_time)
            stop = since
        return min(before, job.span.stop)

    async def _first_day(self, job: Job, edge: int) -> int | None:
        days = named("1d")
        at, stop = days.open_of(job.span.start), days.close_of(days.open_of(edge))
        while at < stop:
            until = min(stop, at + self._venue.candle_page * DAY)
            found = await self._ask(job, days, Interval(at, until))
            if found:
                return found[0].open_time
            at = until
        return None

    async def _ask(self, job: Job, frame: Timeframe, span: Interval) -> list[Candle]:
        return await self._asking.candles(job.instrument, frame, span, job.progress)
