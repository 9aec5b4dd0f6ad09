"""Candles that come one after another through the live services give the signals and fills that a back-test of them gives."""

import asyncio
import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from marketd.analysis.closed import of_stored
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.studying import Studies
from marketd.analysis.technical import analyse
from marketd.backtest.running import Run, run
from marketd.backtest.stored import Stored, stored_of
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.intervals import Interval
from marketd.model.paper import EquityPoint, Fill
from marketd.model.series import CandleSeries
from marketd.model.signals import Signal, decode_signal
from marketd.paper.section import PaperConfig
from marketd.paper.service import Trader
from marketd.rooms import room
from marketd.stores.archive import Row
from marketd.stores.cache import MemoryCache, Message
from marketd.stores.paper import open_paper
from tests.analysis.candles import HOUR, Made, walk
from tests.analysis.keeping import Keeper

ANALYSIS = AnalysisConfig()
TERMS = PaperConfig(allow_short=True)
COINS = ("BTCUSDT", "ADAUSDT", "XRPUSDT", "BNBUSDT")
STEPS = 80  # candles that are traded
COUNT = 500 + STEPS
Candles = Mapping[
    str, Sequence[Made]
]  # 500 + STEPS closed ones of each coin, and the one that opens after them; the first without holes


class LeapingClock(ManualClock):
    """Nobody has anything to do in the hours between two candles, and so nobody is woken for every tenth of a second of them."""

    async def leap(self, ts: int) -> None:
        self._now = ts
        await self.advance(0)


async def live(candles: Candles, directory: Path) -> tuple[list[Signal], list[Fill], list[EquityPoint]]:
    """What the technical analysis published, and what the trader's books hold, when a candle closed after the other."""
    first = next(iter(candles.values()))
    clock, metrics = LeapingClock(first[500].open_time + 2 * 10**9), Metrics()
    cache = MemoryCache(clock, metrics)
    keeper, heard = Keeper(cache), list[Signal]()
    studies = Studies(cache.of("ta-service"), ANALYSIS, "made", {"1h": 120.0}, (), clock, metrics)
    async with (
        open_paper(f"sqlite:///{directory / 'archive.db'}", clock) as store,
        cache.of("market-data").listen("market:signal:*") as messages,
        room("test") as here,
    ):
        trader = Trader(TERMS, cache.of("trader-bot"), store, clock, metrics)
        here.start("trader", trader.run())
        here.start("studies", studies.run())
        for moment in range(first[500].open_time, first[-1].open_time + 1, HOUR):
            await clock.leap(moment + 2 * 10**9)
            boundary = 0  # where the newest candle closed that has a successor
            for coin, rows in candles.items():
                known = [one for one in rows if one.open_time <= moment][-501:]
                boundary = max(boundary, known[-2].open_time + HOUR)
                if (last := known[-1]).open_time == moment:
                    known[-1] = last._replace(high=last.open, low=last.open, close=last.open, volume="0.01")
                await keeper.put(coin, known)
            await keeper.announce(list(candles))
            async with asyncio.timeout(30):
                while trader.books is None or trader.books.boundary != boundary:
                    await clock.advance(0.1)
                    await asyncio.sleep(0.001)
            while len(messages):  # type: ignore[arg-type]
                if isinstance(message := await anext(messages), Message):
                    heard.append(decode_signal(message.payload))
        fills = await store.all_fills(TERMS.book)
        points = await store.equity(TERMS.book, 0, 2**62, COUNT)
    return heard, fills, points


def backtested(candles: Candles) -> Run:
    coins, first = [], next(iter(candles.values()))
    span = Interval(first[499].open_time, first[-1].open_time + HOUR)
    for symbol, rows in candles.items():
        stored = [Row(one.open_time, one.open_time + HOUR, *one[1:6], one is not rows[-1], 0, "backfill") for one in rows]
        found = stored_of(CandleSeries("made", symbol, "1h"), stored, span)
        assert isinstance(found, Stored), found
        coins.append(found)
    return run(coins, ANALYSIS, TERMS)


def of(ordered: Sequence[Signal]) -> list[bytes]:
    """Signals as bytes, in the order of their identities: two coins may be judged in any order."""
    return [msgspec.json.encode(one) for one in sorted(ordered, key=lambda one: (one.close_time, one.id))]


async def agree(candles: Candles, directory: Path) -> None:
    signals, fills, points = await live(candles, directory)
    backtest = backtested(candles)

    assert len(fills) > 10
    assert of(signals) == of(backtest.signals)
    assert fills == backtest.fills
    assert sorted(points, key=lambda one: one.ts) == backtest.points


@pytest.mark.timeout(180)
async def test_the_services_and_a_backtest_do_the_same_with_the_same_candles(tmp_path: Path) -> None:
    candles = {coin: walk(COUNT + 1, seed) for seed, coin in enumerate(COINS)}

    await agree(candles, tmp_path)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("coins", [COINS[1:2], COINS[1:], COINS])
async def test_so_they_do_around_a_hole_in_the_candles(coins: Sequence[str], tmp_path: Path) -> None:
    candles = {coin: walk(COUNT + 1, seed) for seed, coin in enumerate(COINS)}
    for coin in coins:
        before = signalled(coin, candles[coin])
        del candles[coin][before : before + 2]

    await agree(candles, tmp_path)


@pytest.mark.timeout(180)
async def test_so_they_do_after_hours_in_which_the_venue_had_no_candles_at_all(tmp_path: Path) -> None:
    candles = {coin: walk(COUNT + 1, seed) for seed, coin in enumerate(COINS)}
    outage = signalled(COINS[0], candles[COINS[0]])
    for rows in candles.values():
        del rows[outage : outage + 3]

    await agree(candles, tmp_path)


def signalled(coin: str, rows: Sequence[Made]) -> int:
    """Where the candle opens that follows one with a signal, so that a hole there is of consequence."""
    stored = of_stored(CandleSeries("made", coin, "1h"), rows)
    return next(end for end in range(520, COUNT) if analyse(stored.window(end), ANALYSIS).signals)


@pytest.mark.timeout(180)
@pytest.mark.recorded
async def test_so_they_do_with_recorded_candles(shared_data: Path, tmp_path: Path) -> None:
    candles: dict[str, list[Made]] = {}
    for coin in COINS:
        with gzip.open(shared_data / f"binance/candles/freqtrade_dl/{coin}-1h.csv.gz", "rt") as file:
            rows = list(csv.reader(file))[1:]
        candles[coin] = [Made(int(row[0]) * 1_000_000, *row[1:6]) for row in rows][-COUNT - 1 :]

    await agree(candles, tmp_path)
