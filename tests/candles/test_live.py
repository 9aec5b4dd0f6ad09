"""Live candles into a real store."""

from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from marketd.candles.live import SKIPPED, LiveCandles
from marketd.clock import ManualClock
from marketd.errors import DeliveryError
from marketd.model.events import Candle, Trade
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import open_archive
from tests.samples import candle, trade

BINANCE = CandleSeries("binance", "BTCUSDT", "1m")
COINBASE = CandleSeries("coinbase", "BTCUSD", "1m")
START = candle(0).open_time


def forming(number: int, close: str = "37123.40") -> Candle:
    return candle(number, closed=False, close=close)


def bought(minute: int, second: int, price: str) -> Trade:
    at = START + minute * MINUTE + second * 1_000_000_000
    return trade(at, venue="coinbase", symbol="BTCUSD", ts_event=at, ts_recv=at, price=price, size="1")


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'archive.db'}"


async def test_a_forming_candle_is_stored_and_only_a_closed_one_is_accounted_for(clock: ManualClock, tmp_path: Path) -> None:
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock)
        await live.write([forming(1, "37101.00"), forming(1, "37102.00")])
        first = await archive.candles(BINANCE, 0, 2**62)
        unknown = await archive.ledger(BINANCE)
        await live.write([candle(1), forming(2)])

        assert [("37102.00", False)] == [(row.close, row.closed) for row in first]
        assert [] == unknown
        assert [True, False] == [row.closed for row in await archive.candles(BINANCE, 0, 2**62)]
        assert [(START + MINUTE, START + 2 * MINUTE, "have")] == [part[:3] for part in await archive.ledger(BINANCE)]


async def test_what_the_stream_skipped_is_missing_at_once_and_told(clock: ManualClock, tmp_path: Path) -> None:
    told: list[CandleSeries] = []
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock, told.append)
        await live.write([candle(1)])
        await live.write([candle(4)])
        ledger = [(part.start - START) // MINUTE for part in await archive.ledger(BINANCE) if part.cause == SKIPPED]
        gaps = await archive.gaps(open_only=True)

        assert [2] == ledger
        assert [BINANCE] == told
        assert [(START + 2 * MINUTE, START + 4 * MINUTE)] == [(gap.gap_start, gap.gap_end) for gap in gaps]


async def test_candles_of_a_venue_that_streams_none_are_built_from_its_trades(clock: ManualClock, tmp_path: Path) -> None:
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [COINBASE], lambda venue: False, clock)
        await live.write([bought(0, 30, "1"), bought(1, 1, "2"), bought(1, 59, "3"), bought(2, 5, "4.50")])
        rows = await archive.candles(COINBASE, 0, 2**62)

        assert [("2", "3", True, "built"), ("4.50", "4.50", False, "built")] == [
            (row.open, row.close, row.closed, row.source) for row in rows
        ]


async def test_events_of_series_that_are_not_kept_pass_by(clock: ManualClock, tmp_path: Path) -> None:
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock)
        await live.write([candle(1, timeframe="5m"), replace(candle(1), venue="bybit"), trade(1)])

        assert [] == await archive.series()


async def test_the_same_batch_again_changes_nothing(clock: ManualClock, tmp_path: Path) -> None:
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock)
        for _ in range(2):
            await live.write([candle(1), candle(2), forming(3)])

        assert [0, 0, 0] == [row.revision for row in await archive.candles(BINANCE, 0, 2**62)]
        assert 1 == len(await archive.ledger(BINANCE))


async def test_a_correction_by_the_stream_is_a_revision(clock: ManualClock, tmp_path: Path) -> None:
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock)
        await live.write([candle(1)])
        await live.write([candle(1, close="37199.99", revision=1)])

        assert [("37199.99", 1)] == [(row.close, row.revision) for row in await archive.candles(BINANCE, 0, 2**62)]
        assert ["37123.40"] == [row.close for row in await archive.revisions(BINANCE, 0, 2**62)]


async def test_a_batch_that_could_not_be_stored_builds_its_trades_once(clock: ManualClock, tmp_path: Path) -> None:
    batch = [bought(0, 1, "9"), bought(1, 1, "10"), bought(1, 2, "11"), bought(2, 1, "12")]
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [COINBASE], lambda venue: False, clock)
        with patch.object(archive, "put", side_effect=DeliveryError("the disk is full")):
            for _ in range(2):
                with pytest.raises(DeliveryError):
                    await live.write(batch)
        await live.write(batch)
        stored = {(row.open_time - START) // MINUTE: row.volume for row in await archive.candles(COINBASE, 0, 2**62)}

    assert {1: "2", 2: "1"} == stored


async def test_what_is_known_already_of_a_skipped_stretch_is_not_called_missing(clock: ManualClock, tmp_path: Path) -> None:
    between = Stretch(START + 2 * MINUTE, START + 4 * MINUTE, "known_empty", "no trades", 1)
    told: list[CandleSeries] = []
    async with open_archive(url(tmp_path), clock) as archive:
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock, told.append)
        await live.write([candle(1)])
        await archive.settle(BINANCE, [between])
        await live.write([candle(4)])
        states = [part.state for part in await archive.ledger(BINANCE)]

    assert ["have", "known_empty", "have"] == states
    assert [] == told


async def test_what_lies_between_history_and_the_first_live_candle_is_missing_at_once(clock: ManualClock, tmp_path: Path) -> None:
    told: list[CandleSeries] = []
    async with open_archive(url(tmp_path), clock) as archive:
        await archive.settle(BINANCE, [Stretch(START, START + 2 * MINUTE, "have", "", 0)])
        live = LiveCandles(archive, [BINANCE], lambda venue: True, clock, told.append)
        await live.write([forming(3)])
        told_of_forming = list(told)
        await live.write([candle(4)])
        parts = await archive.ledger(BINANCE)
        ledger = [((part.start - START) // MINUTE, (part.stop - START) // MINUTE, part.state) for part in parts]

        assert [] == told_of_forming
        assert [BINANCE] == told
        assert [(0, 2, "have"), (2, 4, "missing"), (4, 5, "have")] == ledger


async def test_a_first_live_candle_that_follows_history_leaves_nothing_missing(clock: ManualClock, tmp_path: Path) -> None:
    told: list[CandleSeries] = []
    async with open_archive(url(tmp_path), clock) as archive:
        await archive.settle(BINANCE, [Stretch(START, START + 2 * MINUTE, "have", "", 0)])
        await LiveCandles(archive, [BINANCE], lambda venue: True, clock, told.append).write([candle(2), candle(3)])

        assert [] == told
        assert ["have"] == [part.state for part in await archive.ledger(BINANCE)]
