"""Recorded live sessions hold no frame that we cannot explain, and say the same by different ways."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from marketd.model.events import BookDelta, BookSnapshot, Trade
from marketd.model.instruments import Instruments
from marketd.venues import VENUES
from marketd.venues.notices import Overlap
from tests.venues.recorded_sessions import OTHERS, frames_of, instruments_of, recordings, survey, venue_of


@pytest.mark.recorded("*/ws*/*.gz")
def test_no_frame_of_a_session_is_unexplained(recording: Path) -> None:
    venue = venue_of(recording)
    if venue not in VENUES:
        return
    told = survey(recording, venue)

    assert told.unexplained == {}
    assert told.frames > 0
    assert told.events or told.unused  # one session is of a raw book alone, which we never ask for


@pytest.mark.recorded
def test_each_session_is_either_read_or_named_as_another_protocol(shared_data: Path) -> None:
    left = [path for path in recordings() if venue_of(path) is None]

    assert [str(path) for path in left if not any(path.match(pattern) for pattern in OTHERS)] == []


@pytest.mark.recorded("bybit/ws/v5_spot_*.gz")
def test_recorded_bybit_books_step_by_one(recording: Path) -> None:
    line = VENUES["bybit"]({}).open_line(Instruments())
    told = []
    for frame, ts_recv in frames_of(recording):  # recorded at depth 200, of the same form as the 50 that we ask for
        told += line.read(frame.replace(b'"orderbook.200.', b'"orderbook.50.'), ts_recv)
    books = [one for one in told if isinstance(one, BookSnapshot | BookDelta)]

    assert isinstance(books[0], BookSnapshot)
    assert len(books) > 100
    assert all(isinstance(later, BookDelta) and later.prev_seq == earlier.seq for earlier, later in pairwise(books))


@pytest.mark.recorded("coinbase/ws/exchange_*.gz")
def test_recorded_coinbase_trades_follow_by_one_on_the_side_that_the_ticker_calls_the_takers(recording: Path) -> None:
    line = VENUES["coinbase"]({}).open_line(instruments_of(recording, "coinbase"))
    ids: dict[str, list[int]] = {}
    sides: dict[tuple[str, str], str | None] = {}
    tickers: dict[tuple[str, str], str] = {}
    for frame, ts_recv in frames_of(recording):
        wire = json.loads(frame)
        if wire["type"] == "ticker":
            tickers[wire["product_id"].replace("-", ""), str(wire["trade_id"])] = wire["side"]
        for one in line.read(frame, ts_recv):
            trades = one.trades if isinstance(one, Overlap) else [one] if isinstance(one, Trade) else []
            for trade in trades:
                ids.setdefault(trade.symbol, []).append(int(trade.trade_id))
                sides[trade.symbol, trade.trade_id] = trade.side
    both = sides.keys() & tickers.keys()

    assert all(later == earlier + 1 for series in ids.values() for earlier, later in pairwise(series))
    assert len(both) > 50
    assert {key: sides[key] for key in both} == {key: tickers[key] for key in both}
