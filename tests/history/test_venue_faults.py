"""Venues that refuse, answer half, in disorder, twice, too early or otherwise than before: the store ends right, and their limits
are kept."""

from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.history.backfill import Backfill
from marketd.history.planning import open_spans
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE, timeframe
from marketd.stores.archive import Archive, Row
from tests.history.desks import driven, rooms

M1 = timeframe("1m")
VENUES = [
    ("bitfinex", "BTCUSD"), ("binance", "BTCUSDT"), ("bybit", "BTCUSDT"), ("coinbase", "BTCUSD"), ("kraken", "BTCUSD"),
]  # fmt: skip
FAULTS = [
    "candle_429:nth=2,count=3,retry_after=3s", "ban:for=20s,retry_after=5s", "error500:count=3", "half_page:count=3",
    "wrong_order", "duplicate_rows", "forming_last", "half_page:count=2;wrong_order;duplicate_rows;error500:nth=3",
]  # fmt: skip
Said = list[tuple[int, str, str, str, str, str, bool]]


async def content(archive: Archive, series: CandleSeries, span: Interval) -> tuple[Said, list[tuple[int, int, str, str]]]:
    rows = await archive.candles(series, *span)
    return [said(row) for row in rows], [part[:4] for part in await archive.ledger(series)]


def said(row: Row) -> tuple[int, str, str, str, str, str, bool]:
    return row.open_time, row.open, row.high, row.low, row.close, row.volume, row.closed


@pytest.mark.parametrize("faults", FAULTS)
@pytest.mark.parametrize(("name", "symbol"), VENUES)
async def test_the_store_ends_as_without_the_fault(
    name: str, symbol: str, faults: str, clock: ManualClock, tmp_path: Path
) -> None:
    series, now = CandleSeries(name, symbol, "1m"), M1.open_of(clock.now_ns())
    span = Interval(now - 700 * MINUTE, now - 20 * MINUTE)
    found = []
    for number, each in enumerate(("", faults)):
        own = ManualClock(clock.now_ns())
        (directory := tmp_path / str(number)).mkdir()
        async with rooms(name, own, directory, each) as here:
            progress = await driven(own, Backfill(here.desk, here.archive, own).fill(series, span), 20 if "ban" in faults else 1)
            found.append(await content(here.archive, series, span))
            jobs = await here.archive.jobs()
            refused = here.sim.venue(name).refused

        assert ([], 0) == (progress.failed, refused)
        assert ["completed"] == [job.status for job in jobs]

    assert found[0] == found[1]
    assert len(found[0][0]) > 400


@pytest.mark.parametrize(("name", "symbol"), VENUES)
async def test_a_corrected_candle_is_stored_and_what_it_said_before_is_kept(
    name: str, symbol: str, clock: ManualClock, tmp_path: Path
) -> None:
    series, now = CandleSeries(name, symbol, "1m"), M1.open_of(clock.now_ns())
    span = Interval(now - 200 * MINUTE, now - 20 * MINUTE)
    async with rooms(name, clock, tmp_path) as here:
        backfill = Backfill(here.desk, here.archive, clock)
        await driven(clock, backfill.fill(series, span))
        before = {row.open_time: row for row in await here.archive.candles(series, *span)}
        here.sim.fault(name, "corrected", count=3)
        await here.archive.settle(series, [Stretch(*span, "missing", "to be compared", clock.now_ns())])
        await driven(clock, backfill.fill(series, span))
        after = {row.open_time: row for row in await here.archive.candles(series, *span)}
        kept = await here.archive.revisions(series, *span)
        corrected = {at_ms * 1_000_000: row for (_, _, at_ms), row in here.sim.venue(name).rows.corrections.items()}
        left = open_spans(await here.archive.ledger(series), span)

    corrected = {at: row for at, row in corrected.items() if span.start <= at < span.stop}

    assert len(corrected) >= 2  # the newest candles were looked at too
    assert {(at, row.close) for at, row in corrected.items()} == {
        (at, row.close) for at, row in after.items() if row.revision == 1
    }
    assert [said(before[row.open_time]) for row in kept] == [said(row) for row in kept]
    assert {at: said(row) for at, row in before.items() if at not in corrected} == {
        at: said(row) for at, row in after.items() if at not in corrected
    }
    assert [] == left
