"""Closed candles compared with REST."""

from pathlib import Path

from msgspec.structs import replace

from marketd.candles.recheck import BACK, Recheck
from marketd.clock import ManualClock
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE, timeframe
from marketd.stores.archive import Page
from tests.history.desks import Rooms, driven, rooms

SERIES = CandleSeries("binance", "BTCUSDT", "1m")


def recheck(here: Rooms) -> Recheck:
    return Recheck({"binance": here.desk}, [SERIES], here.archive, 60.0, here.clock, here.metrics)


async def test_closed_candles_are_stored_and_the_forming_one_is_not(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        revised = await driven(clock, recheck(here).look(SERIES))
        rows = await here.archive.candles(SERIES, 0, 2**62)

        assert 0 == revised
        assert BACK <= len(rows) <= BACK + 2
        assert all(row.closed for row in rows)
        assert rows[-1].close_time <= clock.now_ns()


async def test_what_the_venue_corrected_becomes_a_revision_and_is_counted(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        instrument = await here.desk.instrument("BTCUSDT")
        assert instrument is not None
        stop = timeframe("1m").open_of(clock.now_ns())
        span = Interval(stop - 2 * MINUTE, stop)
        true = (await here.desk.ask(instrument, timeframe("1m"), span))[0]
        wrong = replace(true, close=true.open, high=true.high + "1", closed=True)
        await here.archive.put(Page(SERIES, Interval(wrong.open_time, wrong.close_time), [wrong], [], "live"))
        revised = await driven(clock, recheck(here).look(SERIES))
        row = (await here.archive.candles(SERIES, true.open_time, true.close_time))[0]

        assert 1 == revised
        assert (true.close, true.high, 1) == (row.close, row.high, row.revision)
        assert 1 == here.metrics.candles_revised.labels("binance")._value.get()
        assert [wrong.high] == [one.high for one in await here.archive.revisions(SERIES, 0, 2**62)]


async def test_a_symbol_that_is_gone_is_passed_over(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        assert 0 == await recheck(here).look(CandleSeries("binance", "NOPE", "1m"))
