"""Recorded candles of real venues, served by their simulated selves and filled into both stores: every row, digit by digit, and
the venues' real outages."""

import csv
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from marketd.clock import ManualClock
from marketd.history.backfill import Backfill
from marketd.history.settling import NO_TRADES, OUTAGE
from marketd.metrics import Metrics
from marketd.model.intervals import Interval
from marketd.model.series import CandleSeries
from marketd.model.timeframes import DAY, HOUR, MINUTE
from marketd.model.times import ns_of_iso
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.sim import Sim, open_sim
from marketd.stores.archive import Archive, open_archive
from marketd.venues import venue_named
from marketd.venues.candles import CandleDesk
from marketd.venues.rest import Rest
from tests.history.desks import driven

MS = 1_000_000
DOWNLOADED = "binance/candles/freqtrade_dl/*-1h.csv.gz"
SOME = [DOWNLOADED.replace("*", symbol) for symbol in ("BTCUSDT", "DOGEUSDT", "AVAXUSDT", "ETCUSDT")]
# The maintenance windows that the data's README lists: the last candle before each, and the first after it.
MAINTENANCE = [
    ("2018-06-26T01:00:00Z", "2018-06-26T12:00:00Z"), ("2018-07-04T00:00:00Z", "2018-07-04T08:00:00Z"),
    ("2019-05-15T02:00:00Z", "2019-05-15T13:00:00Z"), ("2019-08-15T01:00:00Z", "2019-08-15T10:00:00Z"),
    ("2020-02-19T11:00:00Z", "2020-02-19T17:00:00Z"), ("2020-12-21T13:00:00Z", "2020-12-21T18:00:00Z"),
    ("2021-04-25T04:00:00Z", "2021-04-25T08:00:00Z"), ("2021-08-13T01:00:00Z", "2021-08-13T06:00:00Z"),
]  # fmt: skip
Digits = tuple[str, ...]  # open, high, low, close, volume


def plain(text: str) -> str:
    """The same digits without an exponent."""
    return f"{Decimal(text):f}" if "e" in text.lower() else text


def answers(path: Path) -> dict[int, Digits]:
    """By open time: what the recorded REST answers say. Their columns are time, open, close, high, low, volume."""
    found: dict[int, Digits] = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            for at, opened, closed, high, low, volume in json.loads(json.loads(line)["body"], parse_float=str, parse_int=str):
                found[int(at) * MS] = tuple(map(plain, (opened, high, low, closed, volume)))
    return found


def downloaded(path: Path) -> dict[int, Digits]:
    with gzip.open(path, "rt", newline="") as lines:
        return {int(row[0]) * MS: tuple(map(plain, row[1:6])) for row in csv.reader(lines) if row[0].isdecimal()}


def holes(times: list[int], step: int) -> list[Interval]:
    return [Interval(a + step, b) for a, b in pairwise(times) if b - a > step]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'archive.db'}"
    return str(request.getfixturevalue("postgres_url"))


@asynccontextmanager
async def filling(name: str, path: Path, url: str, clock: ManualClock) -> AsyncIterator[tuple[Backfill, Archive, Sim]]:
    metrics = Metrics()
    async with open_sim([name], clock=clock, recording=path) as sim, Http() as http, open_archive(url, clock) as archive:
        venue = venue_named(name, {})
        rest = Rest(venue, sim.env()[f"{name.upper()}_REST_URL"], http, Governor(clock, venue.limits.rest), clock, metrics)
        yield Backfill(CandleDesk(rest, clock, metrics), archive, clock), archive, sim


async def outages_of(name: str, symbol: str, step: int, path: Path, truth: dict[int, Digits], url: str) -> list[Interval]:
    """Fill from the file, compare every row, ask once more: the holes that the archive calls outages."""
    times = sorted(truth)
    clock = ManualClock(times[-1] + step + MINUTE)
    series, span = CandleSeries(name, symbol, "1m" if step == MINUTE else "1h"), Interval(times[0], times[-1] + step)
    async with filling(name, path, url, clock) as (backfill, archive, sim):
        first = await driven(clock, backfill.fill(series, span))
        asked = len(sim.venue(name).requests)
        again = await driven(clock, backfill.fill(series, span))
        rows = [row async for batch in archive.stream(series, 0, 2**62) for row in batch]
        ledger, gaps = await archive.ledger(series), await archive.gaps()

    assert truth == {row.open_time: (row.open, row.high, row.low, row.close, row.volume) for row in rows}
    assert times[-1:] == [row.open_time for row in rows if not row.closed]  # nothing has followed it yet
    assert [] == first.failed
    assert asked == len(sim.venue(name).requests) - again.requests
    assert again.requests <= 3  # looks for the newest candle: time goes on meanwhile
    assert 0 == sim.venue(name).refused
    assert holes(times, step) == [Interval(row.start, row.stop) for row in ledger if row.state == "known_empty"]
    assert {"have", "known_empty"} == {row.state for row in ledger}
    outages = [Interval(row.start, row.stop) for row in ledger if row.cause == OUTAGE]

    assert {NO_TRADES, OUTAGE, ""} >= {row.cause for row in ledger}
    assert outages == [Interval(gap.gap_start, gap.gap_end) for gap in gaps if gap.repaired_at is None]
    return outages


@pytest.mark.recorded("bitfinex/rest/candles_1m_*_20??_??.jsonl.gz")
async def test_bitfinexs_minutes_are_stored_as_recorded_and_the_week_after_the_theft_is_an_outage(
    recording: Path, url: str
) -> None:
    symbol = "ETHUSD" if "ETHUSD" in recording.name else "BTCUSD"
    outages = await outages_of("bitfinex", symbol, MINUTE, recording, answers(recording), url)
    shut = Interval(ns_of_iso("2016-08-02T18:03:00Z"), ns_of_iso("2016-08-10T15:53:00Z"))

    assert ([shut] if "2016_08" in recording.name else []) == outages


@pytest.mark.recorded("bitfinex/rest/candles_1m_ETHUSD_2018_01.jsonl.gz")
async def test_a_market_silent_for_years_is_not_asked_for_page_by_page(recording: Path, tmp_path: Path) -> None:
    truth = answers(recording)
    times = sorted(truth)
    clock = ManualClock(ns_of_iso("2026-01-01T00:00:00Z"))
    async with filling("bitfinex", recording, f"sqlite:///{tmp_path / 'archive.db'}", clock) as (backfill, archive, _):
        span = Interval(times[0], times[-1] + 15 * DAY)
        progress = await driven(clock, backfill.fill(CandleSeries("bitfinex", "ETHUSD", "1m"), span))
        rows = await archive.candles(CandleSeries("bitfinex", "ETHUSD", "1m"), *span)

    assert times == [row.open_time for row in rows]
    assert progress.requests < 25


@pytest.mark.recorded(*SOME)
async def test_binances_hours_are_stored_as_recorded_and_its_maintenance_is_an_outage(recording: Path, url: str) -> None:
    await compare_hours(recording, url)


@pytest.mark.soak
@pytest.mark.recorded(DOWNLOADED)
async def test_the_hours_of_every_symbol_are_stored_as_recorded(recording: Path, url: str) -> None:
    await compare_hours(recording, url)


async def compare_hours(path: Path, url: str) -> None:
    truth = downloaded(path)
    outages = await outages_of("binance", path.name.partition("-")[0], HOUR, path, truth, url)
    times = sorted(truth)
    windows = [Interval(ns_of_iso(last) + HOUR, ns_of_iso(first)) for last, first in MAINTENANCE]

    assert holes(times, HOUR) == outages  # Binance writes a row also for an hour without trades
    assert [] == [
        one
        for one in windows
        if times[0] < one.start and not any(out.start <= one.start and one.stop <= out.stop for out in outages)
    ]
