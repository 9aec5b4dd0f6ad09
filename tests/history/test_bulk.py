"""History from a simulated archive of files, with REST for what the files do not have."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.history.backfill import Backfill
from marketd.history.bulk import files_wanted
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, timeframe
from marketd.model.times import ns_of_iso
from marketd.net.quarantine import Quarantine
from marketd.stores.archive import Row
from marketd.venues.candles import CandleDesk
from tests.history.desks import Rooms, driven, rooms

M1 = timeframe("1m")
SERIES = CandleSeries("binance", "BTCUSDT", "1m")
START = ns_of_iso("2023-11-01T12:00:00Z")  # the clock of tests stands on the 14th
SPAN = Interval(START, START + 3 * DAY)


@asynccontextmanager
async def with_files(clock: ManualClock, directory: Path, faults: str = "") -> AsyncIterator[tuple[Rooms, Backfill, Quarantine]]:
    directory.mkdir(exist_ok=True)
    async with rooms("binance", clock, directory, faults) as here:
        quarantine = Quarantine(directory / "quarantine.jsonl")
        desk = CandleDesk(here.desk._rest, clock, here.metrics, quarantine, here.sim.env()["BINANCE_REST_URL"])
        yield here, Backfill(desk, here.archive, clock), quarantine


def numbers(rows: list[Row]) -> list[tuple[object, ...]]:
    return [(row.open_time, row.open, row.high, row.low, row.close, row.volume, row.closed) for row in rows]


async def filled(clock: ManualClock, directory: Path, faults: str = "") -> tuple[list[Row], list[tuple[int, int, str]], int, int]:
    async with with_files(clock, directory, faults) as (here, backfill, quarantine):
        progress = await driven(clock, backfill.fill(SERIES, SPAN))
        rows = await here.archive.candles(SERIES, *SPAN)
        ledger = [(part.start, part.stop, part.state) for part in await here.archive.ledger(SERIES)]
        return rows, ledger, quarantine.kept, progress.requests


async def test_files_and_rest_give_the_same_to_the_last_digit(clock: ManualClock, tmp_path: Path) -> None:
    rows, ledger, quarantined, _ = await filled(clock, tmp_path / "files")
    async with rooms("binance", clock, tmp_path) as here:
        await driven(clock, Backfill(here.desk, here.archive, clock).fill(SERIES, SPAN))
        by_rest = await here.archive.candles(SERIES, *SPAN)

    assert numbers(by_rest) == numbers(rows)
    assert [(*SPAN, "have")] == ledger
    assert {"bulk": 2 * 1440, "backfill": 1440} == Counter(row.source for row in rows)
    assert 0 == quarantined


async def test_microseconds_are_the_same_candles(clock: ManualClock, tmp_path: Path) -> None:
    milli, *_ = await filled(clock, tmp_path / "ms")
    micro, *_ = await filled(clock, tmp_path / "us", "microseconds")

    assert numbers(milli) == numbers(micro)
    assert 2 * 1440 == sum(row.source == "bulk" for row in micro)


async def test_a_file_that_is_not_proved_is_left_alone_and_rest_is_asked(clock: ManualClock, tmp_path: Path) -> None:
    rows, ledger, quarantined, _ = await filled(clock, tmp_path / "files", "wrong_checksum")

    assert {"backfill": 3 * 1440} == Counter(row.source for row in rows)
    assert [(*SPAN, "have")] == ledger
    assert 2 == quarantined


async def test_what_a_file_lacks_comes_from_rest(clock: ManualClock, tmp_path: Path) -> None:
    whole, *_ = await filled(clock, tmp_path / "whole")
    rows, ledger, quarantined, _ = await filled(clock, tmp_path / "lacking", "missing_rows")

    assert numbers(whole) == numbers(rows)
    assert [(*SPAN, "have")] == ledger
    assert 0 == quarantined
    assert 2 * (1440 - 1440 // 7) == sum(row.source == "bulk" for row in rows)


async def test_what_is_not_published_is_asked_of_rest(clock: ManualClock, tmp_path: Path) -> None:
    async with with_files(clock, tmp_path) as (here, backfill, _):
        now = clock.now_ns()
        span = Interval(M1.open_of(now - 26 * HOUR), M1.open_of(now))
        await driven(clock, backfill.fill(SERIES, span))
        rows = await here.archive.candles(SERIES, *span)

    assert {"backfill"} == {row.source for row in rows}


@pytest.mark.parametrize(
    ("known", "dates"),
    [
        ([], ["2023-11-02", "2023-11-03"]),
        ([Stretch(START + DAY, START + DAY + HOUR, "have", "", 1)], ["2023-11-03"]),
        ([Stretch(*SPAN, "have", "", 1)], []),
    ],
)
def test_only_files_of_which_nothing_is_known_are_wanted(known: list[Stretch], dates: list[str]) -> None:
    assert dates == [file.date for file in files_wanted(known, SPAN, M1, 1000, SPAN.stop + DAY)]


def test_a_file_is_wanted_a_day_after_its_end() -> None:
    assert ["2023-11-02"] == [file.date for file in files_wanted([], SPAN, M1, 1000, ns_of_iso("2023-11-04T00:00:00Z"))]
