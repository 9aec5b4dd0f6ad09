"""Series kept complete: at the start, by the periodic scan, and again after trouble."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from structlog.testing import capture_logs

from marketd.clock import ManualClock
from marketd.history.keeping import RETRY_S_MIN, Horizon, Keeper, run_history
from marketd.history.planning import open_spans
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, timeframe
from tests.history.desks import Rooms, rooms

MINUTES = CandleSeries("binance", "BTCUSDT", "1m")
HOURS = CandleSeries("binance", "BTCUSDT", "1h")
SCAN_S = 3600.0


def keeper(here: Rooms, *series: CandleSeries, at_start: bool = True, alerts: list[str] | None = None) -> Keeper:
    def alert(code: str, of: CandleSeries, reason: str) -> None:
        if alerts is not None:
            alerts.append(f"{code} {of.symbol} {reason}")

    return Keeper({"binance": here.desk}, series, here.archive, Horizon(1, SCAN_S, at_start), here.clock, here.metrics, alert)


async def until(clock: ManualClock, met: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not met():
            await asyncio.sleep(0.01)
            await clock.advance(0.2)


async def test_every_series_is_filled_at_the_start_longest_candles_first(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        kept = keeper(here, MINUTES, HOURS)
        async with run_history(kept, here.archive):
            await until(clock, lambda: all(one.due_s > clock.monotonic() + 60 for one in kept.kept) and not kept.is_filling)
        span = Interval(clock.now_ns() - DAY + HOUR, clock.now_ns() - HOUR)

        assert [HOURS, MINUTES] == [one.series for one in kept.kept]
        assert [] == open_spans(await here.archive.ledger(MINUTES), span)
        assert [] == kept.failing


async def test_a_hole_that_appears_later_is_found_by_the_scan(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        kept = keeper(here, MINUTES)
        async with run_history(kept, here.archive):
            await until(clock, lambda: kept.kept[0].due_s > clock.monotonic() + 60 and not kept.is_filling)
            at = timeframe("1m").open_of(clock.now_ns()) - HOUR
            hole = Stretch(at, at + HOUR // 2, "missing", "lost", clock.now_ns())
            await here.archive.settle(MINUTES, [hole])
            kept.repair_soon(MINUTES)
            await until(clock, lambda: kept.kept[0].due_s > clock.monotonic() + 60 and not kept.is_filling)
            left = open_spans(await here.archive.ledger(MINUTES), Interval(hole.start, hole.stop))
            repaired = [gap.repaired_at is not None for gap in await here.archive.gaps()]

        assert [] == left
        assert [True] == repaired


async def test_nothing_is_asked_at_the_start_when_not_wanted(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        kept = keeper(here, MINUTES, at_start=False)

        assert clock.monotonic() + SCAN_S == kept.kept[0].due_s


async def test_what_cannot_be_filled_is_said_alerted_and_tried_again_less_and_less_often(
    clock: ManualClock, tmp_path: Path
) -> None:
    unknown, alerts = CandleSeries("binance", "NOPE", "1m"), list[str]()
    async with rooms("binance", clock, tmp_path) as here:
        kept = keeper(here, unknown, alerts=alerts)
        with capture_logs() as logs:
            async with run_history(kept, here.archive):
                await until(clock, lambda: len(alerts) >= 2)

        assert "binance does not list 'NOPE'" == kept.failing[0].failing
        assert {"archive-incomplete NOPE binance does not list 'NOPE'"} == set(alerts)
        assert any(one["event"] == "archive.incomplete" and one["log_level"] == "error" for one in logs)
        assert kept.kept[0].backoff.tries >= 2
        assert kept.kept[0].due_s - clock.monotonic() > RETRY_S_MIN / 2


async def test_jobs_that_an_earlier_run_left_running_are_no_longer_said_to_run(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        await here.archive.job_started(MINUTES, Interval(0, HOUR), False)
        kept = keeper(here, MINUTES, at_start=False)
        async with run_history(kept, here.archive):
            statuses = [job.status for job in await here.archive.jobs()]

        assert ["pending"] == statuses
