"""A small page of candles of each venue, and what it says: `tests/frames/<venue>/candles.rest.json`."""

import json
from pathlib import Path

import pytest

from marketd.model.instruments import Instrument
from marketd.model.timeframes import timeframe
from marketd.venues import VENUES
from marketd.venues.venue import Answer

PAGES = Path(__file__).resolve().parents[1] / "frames"


@pytest.mark.parametrize("name", sorted(VENUES))
def test_a_page_says_what_stands_beside_it(name: str) -> None:
    page = json.loads((PAGES / name / "candles.rest.json").read_text())
    venue, frame = VENUES[name]({}), timeframe(page["timeframe"])
    instrument = Instrument(name, page["symbol"], page["symbol"], "BASE", "QUOTE")
    candles = venue.read_candles(Answer(200, {}, page["body"].encode()), instrument, frame, 7)
    told = [[one.open_time // 1_000_000, one.open, one.high, one.low, one.close, one.volume, one.closed] for one in candles]

    assert told == page["candles"]
    assert {(one.venue, one.symbol, one.timeframe, one.ts_recv) for one in candles} == {(name, page["symbol"], frame.name, 7)}
    assert all(one.close_time == frame.close_of(one.open_time) for one in candles)
