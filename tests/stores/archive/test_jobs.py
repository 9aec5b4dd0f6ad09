"""Rows of jobs: they move with the data, and never lie."""

from marketd.clock import ManualClock
from marketd.model.intervals import Interval
from marketd.stores.archive import Archive, JobRow
from tests.stores.archive.conftest import SERIES, at, candle, have, page

SPAN = Interval(at(0), at(9))


async def test_a_job_is_stored_with_its_span_and_moves_with_its_pages(archive: Archive, clock: ManualClock) -> None:
    began = clock.now_ns()
    job = await archive.job_started(SERIES, SPAN, True)
    await archive.put(page([candle(7), candle(8)], (7, 9), have(7, 9), job=job, cursor=at(7)))

    assert [JobRow(job, SERIES, "running", began, None, 2, None, SPAN, True, at(7))] == await archive.jobs()


async def test_a_job_ends_well_or_with_an_error(archive: Archive, clock: ManualClock) -> None:
    first, second = [await archive.job_started(SERIES, SPAN, False) for _ in range(2)]
    await clock.advance(5)
    await archive.job_ended(first, None)
    await archive.job_ended(second, "bitfinex: refused")

    assert [(second, "failed", "bitfinex: refused"), (first, "completed", None)] == [
        (job.id, job.status, job.last_error) for job in await archive.jobs()
    ]
    assert clock.now_ns() == (await archive.jobs())[0].completed_at


async def test_jobs_that_ran_when_the_program_was_killed_wait_to_be_taken_up(archive: Archive) -> None:
    ended, job = [await archive.job_started(SERIES, SPAN, False) for _ in range(2)]
    await archive.job_ended(ended, None)

    assert (1, 0) == (await archive.jobs_interrupted([SERIES]), await archive.jobs_interrupted([SERIES]))
    assert [(job, "interrupted")] == [(one.id, one.last_error) for one in await archive.jobs(statuses=["pending"])]

    await archive.job_resumed(job)

    assert [job] == [one.id for one in await archive.jobs(SERIES, statuses=["running"], limit=1)]


async def test_the_last_job_of_a_series_is_in_its_summary(archive: Archive) -> None:
    await archive.put(page([candle(0)], (0, 1)))
    await archive.job_started(SERIES, SPAN, False)
    last = await archive.job_started(SERIES, SPAN, False)
    [summary] = await archive.summary()

    assert summary.last_job is not None
    assert last == summary.last_job.id


async def test_a_job_counts_the_candles_that_it_brought_each_once(archive: Archive) -> None:
    job = await archive.job_started(SERIES, SPAN, False)
    for first, last in ((0, 5), (3, 8)):
        candles = [candle(minute) for minute in range(first, last)]
        await archive.put(page(candles, (first, last), job=job, cursor=at(last)))

    assert [(8, at(8))] == [(one.candles_fetched, one.cursor) for one in await archive.jobs(SERIES)]
