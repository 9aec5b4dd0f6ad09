"""Candles built from the recorded trades of two venues equal the venues' own, minute by minute."""

import json
from collections.abc import Iterable
from decimal import Decimal
from gzip import open as open_gzip
from pathlib import Path

import pytest

from marketd.candles.build import built
from marketd.model.events import Candle, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.timeframes import timeframe
from marketd.venues.bitfinex import Bitfinex
from marketd.venues.kraken import Kraken
from marketd.venues.notices import Overlap
from marketd.venues.venue import Answer, Span, Venue
from tests.venues.recorded_sessions import frames_of

M1 = timeframe("1m")
EVERYTHING = Span(None, None, None, None)


def bodies(path: Path) -> list[Answer]:
    with open_gzip(path, "rt") as lines:
        return [Answer(200, {}, json.loads(line)["body"].encode()) for line in lines]


def own_candles(venue: Venue, instrument: Instrument, path: Path) -> dict[int, Candle]:
    pages = [venue.read_candles(answer, instrument, M1, 0) for answer in bodies(path)]
    return {one.open_time: one for page in pages for one in page}


def in_order(trades: Iterable[Trade]) -> list[Trade]:
    """Each once, by the venue's time and number."""
    known = {one.trade_id: one for one in trades}
    return sorted(known.values(), key=lambda one: (one.ts_event or 0, int(one.trade_id)))


def numbers(candle: Candle) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, (candle.open, candle.high, candle.low, candle.close, candle.volume)))


@pytest.mark.recorded("bitfinex/ws/long_session_20181112_conn1.frames.gz")
def test_candles_built_from_bitfinex_trades_equal_its_own(recording: Path, shared_data: Path) -> None:
    venue, instrument = Bitfinex(), Instrument("bitfinex", "BTCUSD", "tBTCUSD", "BTC", "USD")
    line = venue.open_line(Instruments([instrument]))
    trades: list[Trade] = []
    for frame, _ in frames_of(recording):
        for said in line.read(frame, 0):
            trades += [said] if isinstance(said, Trade) else said.trades if isinstance(said, Overlap) else []
    mine = built(in_order(one for one in trades if one.symbol == "BTCUSD"), M1)[1:-1]  # joined and left in mid-minute
    theirs = own_candles(venue, instrument, shared_data / "bitfinex/rest/candles_1m_BTCUSD_20181112.jsonl.gz")
    compared = [one for one in mine if one.open_time in theirs]

    assert 294 == len(compared)  # 289 of the session, and the 5 before it that its snapshot of 30 trades covers
    assert [] == [one for one in compared if numbers(one) != numbers(theirs[one.open_time])]


@pytest.mark.recorded("kraken/rest/xbtusdt_20251110_trades.jsonl.gz")
def test_candles_built_from_kraken_trades_equal_its_own(recording: Path, shared_data: Path) -> None:
    venue, instrument = Kraken(), Instrument("kraken", "XBTUSDT", "XBT/USDT", "XBT", "USDT")
    pages = [venue.read_trades(answer, instrument, EVERYTHING, 0).trades for answer in bodies(recording)]
    mine = built(in_order(one for page in pages for one in page), M1)[1:]  # the first page begins in mid-minute
    theirs = own_candles(venue, instrument, shared_data / "kraken/rest/xbtusdt_20251110_ohlc1m.jsonl.gz")
    compared = [one for one in mine if one.open_time in theirs]
    empty = [one for one in theirs.values() if not Decimal(one.volume)]

    assert 273 == len(compared)
    assert [] == [one for one in compared if numbers(one) != numbers(theirs[one.open_time])]
    assert all(one.open == one.close for one in empty)
