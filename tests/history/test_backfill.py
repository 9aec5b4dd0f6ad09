"""Series filled from simulated venues into a real store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from marketd.clock import ManualClock
from marketd.errors import BadFrame, ConfigError
from marketd.history.backfill import Backfill
from marketd.history.job import Progress
from marketd.history.planning import open_spans
from marketd.history.settling import ASKED_ONCE, Known
from marketd.model.events import Candle
from marketd.model.intervals import Interval, Intervals
from marketd.model.ledger import NOT_FETCHED, Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, MINUTE, SECOND, timeframe
from marketd.model.times import ns_of_iso
from marketd.sim import Sim
from marketd.stores.archive import Archive
from tests.history.desks import driven, rooms

M1 = timeframe("1m")


@asynccontextmanager
async def filling(name: str, clock: ManualClock, tmp_path: Path) -> AsyncIterator[tuple[Backfill, Archive, Sim, list[Progress]]]:
    told: list[Progress] = []
    async with rooms(name, clock, tmp_path) as here:
        yield Backfill(here.desk, here.archive, clock, told.append), here.archive, here.sim, told


@pytest.mark.parametrize(
    ("name", "symbol"), [("bitfinex", "BTCUSD"), ("binance", "BTCUSDT"), ("bybit", "BTCUSDT"), ("kraken", "BTCUSD")]
)
async def test_every_minute_asked_for_is_accounted_for(name: str, symbol: str, clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries(name, symbol, "1m")
    async with filling(name, clock, tmp_path) as (backfill, archive, _, _):
        now = clock.now_ns()
        span = Interval(M1.open_of(now - DAY), now)
        progress = await driven(clock, backfill.fill(series, span))
        rows = await archive.candles(series, span.start, span.stop)
        ledger = await archive.ledger(series)

        assert [] == progress.failed
        assert [] == [part for part in open_spans(ledger, Interval(span.start, M1.open_of(now))) if part.stop < M1.open_of(now)]
        assert all(row.closed for row in rows if row.open_time < M1.open_of(now))
        assert len(rows) > 600
        assert ["completed"] == [job.status for job in await archive.jobs()]


async def test_the_newest_candle_is_kept_as_open_and_closed_by_its_successor(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("binance", "BTCUSDT", "1m")
    async with filling("binance", clock, tmp_path) as (backfill, archive, _, _):
        start = M1.open_of(clock.now_ns()) - 10 * MINUTE
        await driven(clock, backfill.fill(series, Interval(start, clock.now_ns())), step_s=0)
        before = await archive.candles(series, start, 2**62)
        await clock.advance(120)
        await driven(clock, backfill.fill(series, Interval(start, clock.now_ns())), step_s=0)
        after = await archive.candles(series, start, 2**62)

    assert [True] * 10 + [False] == [row.closed for row in before]
    assert [True] * 12 + [False] == [row.closed for row in after]
    assert {0} == {row.revision for row in after}


async def test_filling_again_asks_for_nothing_that_is_known(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("bitfinex", "BTCUSD", "5m")
    async with filling("bitfinex", clock, tmp_path) as (backfill, _, _, _):
        span = Interval(clock.now_ns() - 2 * DAY, clock.now_ns() - DAY)
        first = await driven(clock, backfill.fill(series, span))
        again = await driven(clock, backfill.fill(series, span))

        assert first.requests > 0
        assert 0 == again.requests == again.total


async def test_newest_first_ends_with_the_same_content(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("coinbase", "BTCUSD", "1m")
    span = Interval(M1.open_of(clock.now_ns() - DAY), M1.open_of(clock.now_ns()) - 60 * MINUTE)
    contents = []
    for newest_first in (False, True):
        (directory := tmp_path / str(newest_first)).mkdir()
        async with filling("coinbase", clock, directory) as (backfill, archive, _, _):
            await driven(clock, backfill.fill(series, span, newest_first=newest_first))
            rows = await archive.candles(series, *span)
            contents.append(([replace(row, ts_recv=0) for row in rows], [part[:4] for part in await archive.ledger(series)]))

    assert contents[0] == contents[1]
    assert len(contents[0][0]) > 600


async def test_what_a_venue_does_not_serve_is_unrecoverable_and_not_asked_for(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("kraken", "BTCUSD", "1m")
    async with filling("kraken", clock, tmp_path) as (backfill, archive, _, _):
        await driven(clock, backfill.fill(series, Interval(clock.now_ns() - 2 * DAY, clock.now_ns())))
        first = (await archive.ledger(series))[0]

        assert "unrecoverable" == first.state
        assert "720" in first.cause


async def test_a_symbol_or_timeframe_the_venue_lacks_is_said(clock: ManualClock, tmp_path: Path) -> None:
    async with filling("binance", clock, tmp_path) as (backfill, archive, _, _):
        span = Interval(clock.now_ns() - DAY, clock.now_ns())
        with pytest.raises(ConfigError, match="binance has no '7m' candles"):
            await driven(clock, backfill.fill(CandleSeries("binance", "BTCUSDT", "7m"), span))
        with pytest.raises(ConfigError, match="binance does not list 'NOPE'"):
            await driven(clock, backfill.fill(CandleSeries("binance", "NOPE", "1m"), span))

        assert [] == await archive.jobs()


async def test_progress_is_told_with_every_page(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("coinbase", "BTCUSD", "1m")
    async with filling("coinbase", clock, tmp_path) as (backfill, _, _, told):
        span = Interval(M1.open_of(clock.now_ns() - DAY), M1.open_of(clock.now_ns()) - 60 * MINUTE)
        progress = await driven(clock, backfill.fill(series, span))

        assert len(told) > 3
        assert progress.total == progress.done


async def test_a_job_that_is_stopped_waits_and_the_same_wish_takes_it_up_again(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("coinbase", "BTCUSD", "1m")
    span = Interval(M1.open_of(clock.now_ns() - DAY), M1.open_of(clock.now_ns()) - 60 * MINUTE)
    other = Interval(span.start - 3 * DAY, span.start - 2 * DAY)
    async with filling("coinbase", clock, tmp_path) as (backfill, archive, _, told):
        task = asyncio.ensure_future(backfill.fill(series, span))
        while not any(progress.done for progress in told):
            await clock.advance(0.1)
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stopped = await archive.jobs()
        await driven(clock, backfill.fill(series, other))
        await driven(clock, backfill.fill(series, Interval(span.start + MINUTE, span.stop)))
        jobs = await archive.jobs()

    assert [("pending", "interrupted")] == [(job.status, job.last_error) for job in stopped]
    assert [("completed", other), ("completed", Interval(span.start + MINUTE, span.stop))] == [
        (job.status, job.span) for job in jobs
    ]


@pytest.mark.parametrize(("name", "symbol"), [("bitfinex", "BTCUSD"), ("bybit", "BTCUSDT"), ("coinbase", "BTCUSD")])
async def test_half_answers_one_after_the_other_lose_nothing(name: str, symbol: str, clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries(name, symbol, "1m")
    span = Interval(M1.open_of(clock.now_ns() - 3 * HOUR), M1.open_of(clock.now_ns()) - 10 * MINUTE)
    contents = []
    for faults in ("", "half_page:count=4"):
        (directory := tmp_path / (faults or "none").replace(":", "-")).mkdir()
        async with rooms(name, clock, directory, faults) as here:
            await driven(clock, Backfill(here.desk, here.archive, clock).fill(series, span))
            contents.append([row.open_time for row in await here.archive.candles(series, *span)])

    assert contents[0] == contents[1]
    assert len(contents[0]) > 100


async def test_a_stock_over_a_long_weekend_is_accounted_for_and_the_closed_market_is_asked_once(tmp_path: Path) -> None:
    friday, tuesday = ns_of_iso("2024-01-12T20:00:00Z"), ns_of_iso("2024-01-16T14:30:00Z")
    minutes = [friday + n * MINUTE for n in range(60)] + [tuesday + n * MINUTE for n in range(31)]
    path = tmp_path / "AAPL-1m.csv"
    path.write_text(
        "open_time_ms,open,high,low,close,volume\n" + "".join(f"{at // 10**6},185.5,186,185,185.7,300\n" for at in minutes)
    )
    clock, series = ManualClock(tuesday + 30 * MINUTE + 20 * SECOND), CandleSeries("alpaca", "AAPL", "1m")
    async with rooms("alpaca", clock, tmp_path, recording=path) as here:
        span = Interval(friday, tuesday + 30 * MINUTE)
        progress = await driven(clock, Backfill(here.desk, here.archive, clock).fill(series, span))
        ledger = await here.archive.ledger(series)

        assert [
            ("have", "", friday, friday + 60 * MINUTE),
            ("known_empty", "market closed", friday + 60 * MINUTE, tuesday),
            ("have", "", tuesday, tuesday + 30 * MINUTE),
        ] == [(part.state, part.cause, part.start, part.stop) for part in ledger]
        # One page of 1000 minutes after the other, and the evening and the morning once more: from 16:00 and from 4:00.
        assert progress.requests <= 1 + 6 + 2
        assert [] == await here.archive.gaps(open_only=True)


async def test_what_a_stopped_backfill_left_is_missing_and_shown_among_the_gaps(clock: ManualClock, tmp_path: Path) -> None:
    series = CandleSeries("coinbase", "BTCUSD", "1m")
    span = Interval(M1.open_of(clock.now_ns() - 2 * DAY), M1.open_of(clock.now_ns()) - 60 * MINUTE)
    async with rooms("coinbase", clock, tmp_path) as here:
        began = asyncio.Event()
        filling = Backfill(here.desk, here.archive, clock, lambda progress: began.set() if progress.candles else None)
        task = asyncio.ensure_future(filling.fill(series, span))
        while not began.is_set():
            await asyncio.wait({task}, timeout=0.01)
            await clock.advance(0.2)
        task.cancel()
        await asyncio.wait({task})
        ledger = await here.archive.ledger(series)
        gaps = await here.archive.gaps(open_only=True)
        summary = (await here.archive.summary())[0]
        await driven(clock, filling.fill(series, span))
        after = await here.archive.gaps()

    assert [] == Intervals((part.start, part.stop) for part in ledger).missing(*span)
    assert NOT_FETCHED in {gap.cause for gap in gaps}
    assert {"missing"} == {gap.state for gap in gaps}
    assert summary.missing > 1000
    assert [] == [gap for gap in after if gap.cause == NOT_FETCHED]


@pytest.mark.parametrize("faults", ["half_page:nth=2;wrong_order;error500:p=0.3", "half_page:nth=5,count=1", "half_page:nth=3"])
async def test_half_answers_to_questions_asked_again_lose_nothing_that_is_not_said(
    faults: str, clock: ManualClock, tmp_path: Path
) -> None:
    series = CandleSeries("bitfinex", "BTCUSD", "1m")
    span = Interval(M1.open_of(clock.now_ns() - 12 * DAY), M1.open_of(clock.now_ns()) - 10 * MINUTE)
    contents = []
    for number, wrong in enumerate(("", faults)):
        (directory := tmp_path / str(number)).mkdir()
        async with rooms("bitfinex", clock, directory, wrong) as here:
            await driven(clock, Backfill(here.desk, here.archive, clock).fill(series, span))
            rows = {row.open_time for row in await here.archive.candles(series, *span)}
            contents.append((rows, await here.archive.ledger(series)))
    (truth, _), (there, ledger) = contents
    empty = Intervals((part.start, part.stop) for part in ledger if part.state == "known_empty")
    missing = Intervals((part.start, part.stop) for part in ledger if part.state == "missing")

    assert [] == [at for at in truth if at in empty]
    assert truth - there == {at for at in truth if at in missing}


async def test_a_question_asked_again_that_fails_for_good_leaves_what_is_had(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series, start = CandleSeries("bitfinex", "BTCUSD", "1m"), M1.open_of(clock.now_ns() - 3 * HOUR)
    have, doubt = Interval(start, start + 10 * MINUTE), Interval(start + 10 * MINUTE, start + 20 * MINUTE)
    async with rooms("bitfinex", clock, tmp_path) as here:
        await here.archive.settle(series, [Stretch(*have, "have", "", 1), Stretch(*doubt, "missing", ASKED_ONCE, 1)])

        async def unreadable(*_: object) -> list[Candle]:
            raise BadFrame("bitfinex", b"", "no words")

        filler = Backfill(here.desk, here.archive, clock)
        later = Known(doubt.stop + HOUR, 0)

        async def known(*_: object) -> Known:
            return later

        monkeypatch.setattr(filler, "_known", known)
        monkeypatch.setattr(here.desk, "ask", unreadable)
        progress = await driven(clock, filler.fill(series, Interval(start, doubt.stop)))
        ledger = await here.archive.ledger(series)

    assert [(*have, "have"), (*doubt, "missing")] == [part[:3] for part in ledger]
    assert progress.failed
