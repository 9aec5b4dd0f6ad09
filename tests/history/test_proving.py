"""A stored series proved against simulated venues and other stores, and mended."""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from marketd.clock import ManualClock
from marketd.history.backfill import Backfill
from marketd.history.proving import Prover, Report
from marketd.history.verify import NUMBERS
from marketd.history.witnesses import Account, RestWitness, SmallerWitness, StoreWitness, Witness
from marketd.model.events import Candle
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, MINUTE
from marketd.stores.archive import Archive, Page, Row, Source, open_archive
from tests.history.desks import Rooms, driven, rooms

M1 = CandleSeries("binance", "BTCUSDT", "1m")
M5 = M1._replace(timeframe="5m")


async def filled(here: Rooms, series: CandleSeries = M1, length: int = 4 * HOUR) -> Interval:
    """A span of closed candles, stored as the venue has them."""
    stop = here.clock.now_ns() // HOUR * HOUR - DAY
    span = Interval(stop - length, stop)
    await driven(here.clock, Backfill(here.desk, here.archive, here.clock).fill(series, span))
    return span


async def proved(
    here: Rooms, series: CandleSeries = M1, span: Interval | None = None, *, repair: bool = False, sample: int | None = None,
    witness: Witness | None = None,
) -> Report:  # fmt: skip
    prover = Prover(here.archive, witness or RestWitness(here.desk, here.clock), here.clock)
    return await driven(here.clock, prover.prove(series, span, repair=repair, sample=sample))


def as_candle(row: Row, series: CandleSeries = M1) -> Candle:
    return Candle(
        series.venue, series.symbol, None, 1, series.timeframe, row.open_time, row.close_time,
        row.open, row.high, row.low, row.close, row.volume, row.closed,
    )  # fmt: skip


async def overwritten(archive: Archive, rows: Sequence[Candle], source: Source = "repaired", series: CandleSeries = M1) -> None:
    parts = [Stretch(one.open_time, one.close_time, "have", "", 1) for one in rows]
    await archive.put(Page(series, Interval(rows[0].open_time, rows[-1].close_time), rows, parts, source))


async def test_what_the_venue_gave_is_what_it_still_has(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        span = await filled(here)
        report = await proved(here)

        assert report.is_equal
        assert (span, 240, []) == (report.span, report.compared, report.unsaid)


async def test_a_digit_that_is_wrong_is_found_and_the_venues_word_becomes_a_revision(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        span = await filled(here)
        rows = await here.archive.candles(M1, *span)
        wrong = replace(as_candle(rows[7]), high=rows[7].high + "1")
        await overwritten(here.archive, [wrong])
        found = await proved(here)
        mended = await proved(here, repair=True)
        after = await here.archive.candles(M1, *span)

        assert [("values", ("high",), False)] == [(one.kind, one.fields, one.repaired) for one in found.differences]
        assert not found.is_equal
        assert mended.is_equal
        assert (rows[7].high, 2, "repaired") == (after[7].high, after[7].revision, after[7].source)
        assert [rows[7].high, wrong.high] == [one.high for one in await here.archive.revisions(M1, *span)]
        assert (await proved(here)).differences == []


async def test_candles_that_are_not_stored_are_found_whatever_the_ledger_says_and_fetched(
    clock: ManualClock, tmp_path: Path
) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        span = await filled(here)
        longer = Interval(span.start - 10 * MINUTE, span.stop)
        await here.archive.settle(M1, [Stretch(span.start - 5 * MINUTE, span.start, "have", "", 1)])
        found = await proved(here, span=longer, repair=True)

        assert [("only there", "")] * 5 + [("only there", "have")] * 5 == [(one.kind, one.state) for one in found.differences]
        assert 10 == found.repaired
        assert 250 == len(await here.archive.candles(M1, *longer))
        assert [("have", *longer)] == [(part.state, part.start, part.stop) for part in await here.archive.ledger(M1)]


async def test_what_was_never_asked_for_is_counted_and_is_no_difference(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        span = await filled(here)
        found = await proved(here, span=Interval(span.start - 10 * MINUTE, span.stop))

        assert (True, 240, 10) == (found.is_equal, found.compared, found.unasked)
        assert 240 == len(await here.archive.candles(M1, 0, span.stop))


async def test_what_the_venue_does_not_have_stays_and_is_said(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        await overwritten(here.archive, [Candle("binance", "BTCUSDT", None, 1, "1m", 0, MINUTE, "1", "1", "1", "1", "1", True)])
        found = await proved(here, repair=True)

        assert [("only here", False)] == [(one.kind, one.repaired) for one in found.differences]
        assert 1 == len(await here.archive.candles(M1, 0, MINUTE))


async def test_what_the_ledger_has_and_nobody_else_is_called_missing(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        await here.archive.settle(M1, [Stretch(0, 5 * MINUTE, "have", "", 1)])
        found = await proved(here, span=Interval(0, 10 * MINUTE), repair=True)

        assert [("ledger", 0, 5 * MINUTE, True)] == [(one.kind, one.start, one.stop, one.repaired) for one in found.differences]
        assert ["missing"] == [part.state for part in await here.archive.ledger(M1)]


async def test_half_an_answer_is_no_difference(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        await filled(here)
        here.sim.fault(None, "half_page", count=1)
        report = await proved(here)

        assert report.is_equal


async def test_a_sample_asks_for_so_many_pages(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        await filled(here, length=3 * DAY)
        report = await proved(here, sample=2)

        assert report.is_equal
        assert (2, 2) == (report.pages, report.asked)
        assert 1320 <= report.compared <= 2000  # of five pages, four whole and one of 320


async def test_minutes_make_up_what_was_fetched_as_five_and_fill_what_is_missing(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        span = await filled(here)
        await filled(here, M5)
        theirs = await here.archive.candles(M5, *span)
        witness = SmallerWitness(here.archive, await here.archive.series(), clock)
        report = await proved(here, M5, witness=witness)

        assert report.is_equal
        assert 48 == report.compared

    async with open_archive(f"sqlite:///{tmp_path / 'second.db'}", clock) as second:
        await second.put(Page(M1, span, [], [Stretch(*span, "missing", "", 1)], "backfill"))
        await overwritten(second, [replace(as_candle(theirs[0], M5), close="1")], "backfill", M5)
        minutes = [as_candle(row) for row in await _minutes(tmp_path, clock, span)]
        await overwritten(second, minutes, "backfill")
        witness = SmallerWitness(second, await second.series(), clock)
        report = await Prover(second, witness, clock).prove(M5, span, repair=True)
        rows = await second.candles(M5, *span)

        assert ["values"] + ["only there"] * 47 == [one.kind for one in report.differences]
        assert [False] + [True] * 47 == [one.repaired for one in report.differences]
        assert ("1", "backfill", "built") == (rows[0].close, rows[0].source, rows[1].source)
        assert theirs[1].open == rows[1].open


async def _minutes(directory: Path, clock: ManualClock, span: Interval) -> list[Row]:
    async with open_archive(f"sqlite:///{directory / 'archive.db'}", clock) as first:
        return await first.candles(M1, *span)


async def test_a_store_is_mended_from_another_one(clock: ManualClock, tmp_path: Path) -> None:
    async with (
        rooms("binance", clock, tmp_path) as here,
        open_archive(f"sqlite:///{tmp_path / 'second.db'}", clock) as second,
    ):
        span = await filled(here)
        rows = [as_candle(row) for row in await here.archive.candles(M1, *span)]
        await overwritten(second, [replace(rows[0], close="1"), *rows[2:]], "live")
        report = await Prover(second, StoreWitness(here.archive), clock).prove(M1, repair=True)
        numbers = [[getattr(row, name) for name in NUMBERS] for row in await second.candles(M1, *span)]

        assert ["values", "only there"] == [one.kind for one in report.differences]
        assert report.is_equal
        assert [[getattr(row, name) for name in NUMBERS] for row in rows] == numbers


class Built:
    """A witness whose rows were built."""

    name = "the other store"
    source: Source = "repaired"
    replaces = True
    empty_is_none = False
    may_err = False

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = [Row(**{name: getattr(row, name) for name in Row.__struct_fields__} | {"source": "built"}) for row in rows]

    def page(self, series: CandleSeries) -> int:
        return 10_000

    async def candles(self, series: CandleSeries, span: Interval) -> Account:
        return Account(self._rows, [span])


async def test_what_was_built_elsewhere_replaces_nothing_of_the_venues_own(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        span = await filled(here)
        rows = await here.archive.candles(M1, *span)
        built = [Row(**{name: getattr(row, name) for name in Row.__struct_fields__} | {"close": "1"}) for row in rows[:1]]
        report = await proved(here, span=Interval(span.start, span.start + MINUTE), repair=True, witness=Built(built))

        assert [("values", False)] == [(one.kind, one.repaired) for one in report.differences]
        assert rows == await here.archive.candles(M1, *span)


async def test_a_series_without_a_candle_has_nothing_to_compare(clock: ManualClock, tmp_path: Path) -> None:
    async with rooms("binance", clock, tmp_path) as here:
        report = await proved(here, CandleSeries("binance", "ETHUSDT", "1h"))

        assert (0, True) == (report.compared, report.is_equal)
