"""The series of the archive as `/status` shows them: how far each reaches, what it lacks, whether it is live."""

import asyncio
from typing import TYPE_CHECKING, Any

from marketd.api.views import ArchivingView, Views
from marketd.clock import Clock
from marketd.model.series import CandleSeries
from marketd.model.timeframes import timeframe
from marketd.model.times import iso_of_ns
from marketd.stores.archive import JobRow, SeriesSummary

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

FRESH_S = 2.0  # so long one look into the archive answers everybody
MS = 1_000_000


class SeriesStatus:
    """Asks the archive at most every two seconds, and once however many wait."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._looking = asyncio.Lock()
        self._looked_s: float | None = None
        self._found: list[SeriesSummary] = []

    async def rows(self) -> list[dict[str, Any]]:
        """Raises DeliveryError when the archive cannot be read now."""
        clock, archiving = self._views.clock, self._views.archive
        async with self._looking:
            if self._looked_s is None or clock.monotonic() - self._looked_s >= FRESH_S:
                archive = None if self._views.stored is None else await self._views.stored.opened()
                self._found = await _summaries(archive, archiving)
                self._looked_s = clock.monotonic()
        return [_row(one, archiving, clock) for one in self._found]


async def _summaries(archive: "Archive | None", archiving: ArchivingView | None) -> list[SeriesSummary]:
    """Of what is stored, and of what is wanted and has nothing yet."""
    found = [] if archive is None else await archive.summary()
    there = {one.series for one in found}
    wanted = [] if archiving is None else [one.series for one in archiving.keeper.kept if one.series not in there]
    return sorted([*found, *(SeriesSummary(one, None, None, 0, 0, 0, 0, None) for one in wanted)], key=lambda one: one.series)


def _row(one: SeriesSummary, archiving: ArchivingView | None, clock: Clock) -> dict[str, Any]:
    now = clock.now_ns()
    newest = one.last if archiving is None else max(filter(None, [one.last, _streamed(one.series, archiving)]), default=None)
    ends = None if newest is None else timeframe(one.series.timeframe).close_of(newest)
    return {
        "exchange": one.series.venue,
        "symbol": one.series.symbol,
        "timeframe": one.series.timeframe,
        "first": _time(one.first),
        "last": _time(newest),
        "count": one.count,
        "gaps": one.missing + one.unrecoverable,
        "missing": one.missing,
        "unrecoverable": one.unrecoverable,
        "known_empty": one.known_empty,
        "last_job": None if one.last_job is None else _job(one.last_job),
        "lag_ms": None if ends is None else max(0, now - ends) // MS,
        "live": archiving is not None and _is_live(one.series, archiving, now),
        "reason": "" if archiving is None else _reason(one.series, archiving),
    }


def _streamed(series: CandleSeries, archiving: ArchivingView) -> int | None:
    candle = archiving.live.last.get(series)
    return None if candle is None else candle.open_time


def _is_live(series: CandleSeries, archiving: ArchivingView, now: int) -> bool:
    """The stream's newest candle forms, or is the one before it."""
    candle = archiving.live.last.get(series)
    return candle is not None and timeframe(series.timeframe).close_of(candle.close_time) > now


def _reason(series: CandleSeries, archiving: ArchivingView) -> str:
    for one in archiving.keeper.kept:
        if one.series == series:
            return one.failing or ("" if one.progress is None else one.progress.waiting or "fetching history")
    return "stored, not kept here"


def _job(job: JobRow) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "started_at": _time(job.started_at),
        "completed_at": _time(job.completed_at),
        "candles_fetched": job.candles_fetched,
        "last_error": job.last_error,
    }


def _time(ts: int | None) -> str | None:
    return None if ts is None else iso_of_ns(ts)
