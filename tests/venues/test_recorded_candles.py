"""Every recorded candle that lies beside the project, read by our venues and compared digit by digit with the JSON itself."""

import csv
import gzip
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from marketd.model.events import Candle
from marketd.model.instruments import Instrument
from marketd.model.timeframes import timeframe
from marketd.venues import VENUES
from marketd.venues.venue import Answer

INSTRUMENT = Instrument("any", "BTCUSD", "AAPL", "BTC", "USD")
SETTINGS = {"ALPACA_KEY": "K", "ALPACA_SECRET": "S", "ALPACA_DRY_RUN": "false"}
Digits = tuple[int, str, str, str, str, str]  # open time in ns; open, high, low, close, volume as written


class Page(NamedTuple):
    timeframe: str  # ours
    body: str


def records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def written(text: str) -> Any:
    """JSON with every number as the text that stands there."""
    return json.loads(text, parse_float=str, parse_int=str)


def same(row: Digits, candle: Candle) -> bool:
    """Digit by digit; only what was written with an exponent may be written out."""
    said = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return row[0] == candle.open_time and all(
        one == other or ("e" in one.lower() and Decimal(one) == Decimal(other) and "e" not in other.lower())
        for one, other in zip(row[1:], said, strict=True)
    )


def compare(venue: str, pages: Iterator[Page], rows_of: Any) -> tuple[int, int]:
    """How many bodies and rows were the same; an assertion tells the first that is not."""
    bodies = count = 0
    reader = VENUES[venue](SETTINGS)
    for page in pages:
        rows: list[Digits] = sorted(rows_of(written(page.body)))
        candles = reader.read_candles(Answer(200, {}, page.body.encode()), INSTRUMENT, timeframe(page.timeframe), 1)

        assert len(rows) == len(candles)
        for row, candle in zip(rows, candles, strict=True):
            assert same(row, candle), (row, candle)
        assert [one.closed for one in candles] == [True] * (len(rows) - 1) + [False] * bool(rows)
        bodies, count = bodies + 1, count + len(rows)
    return bodies, count


@pytest.mark.recorded("bitfinex/rest/candles_*.jsonl.gz")
def test_bitfinex_bodies(recording: Path) -> None:
    def rows(body: Any) -> list[Digits]:
        return [(int(t) * 10**6, o, h, low, c, v) for t, o, c, h, low, v in body]

    pages = (Page(re.findall(r"trade:(\w+):", one["url"])[0], one["body"]) for one in records(recording))
    bodies, count = compare("bitfinex", pages, rows)

    assert bodies > 0
    assert count > 600


@pytest.mark.recorded("binance/rest/gct_mock_spot.jsonl.gz")
def test_binance_bodies(recording: Path) -> None:
    def rows(body: Any) -> list[Digits]:
        return [(int(row[0]) * 10**6, *row[1:6]) for row in body]

    found = ((re.search(r"/api/v3/klines\?.*interval=(\w+)", one["url"] or ""), one["body"]) for one in records(recording))
    bodies, count = compare("binance", (Page(url[1], body) for url, body in found if url), rows)

    assert bodies == 7
    assert count > 100


@pytest.mark.recorded("bybit/rest/v5_spot_testnet_2023.jsonl.gz")
def test_bybit_bodies(recording: Path) -> None:
    def rows(body: Any) -> list[Digits]:
        return [(int(row[0]) * 10**6, *row[1:6]) for row in body["result"]["list"]]

    pages = (Page("1d", one["body"]) for one in records(recording) if "/v5/market/kline?" in one["url"])
    bodies, count = compare("bybit", pages, rows)

    assert bodies == 2
    assert count > 5


@pytest.mark.recorded("coinbase/rest/exchange_rest_2020.jsonl.gz")
def test_coinbase_bodies(recording: Path) -> None:
    def rows(body: Any) -> list[Digits]:
        return [(int(t) * 10**9, o, h, low, c, v) for t, low, h, o, c, v in body]

    names = {theirs: ours for ours, theirs in VENUES["coinbase"]({}).timeframes.items()}
    found = ((re.search(r"/candles\?granularity=(\d+)", one["url"] or ""), one["body"]) for one in records(recording))
    bodies, count = compare("coinbase", (Page(names[url[1]], body) for url, body in found if url), rows)

    assert bodies == 2
    assert count > 10


@pytest.mark.recorded("kraken/rest/*_ohlc1m.jsonl.gz")
def test_kraken_bodies(recording: Path) -> None:
    def rows(body: Any) -> list[Digits]:
        [found] = [rows for name, rows in body["result"].items() if name != "last"]
        return [(int(t) * 10**9, o, h, low, c, v) for t, o, h, low, c, _, v, _ in found]

    bodies, count = compare("kraken", (Page("1m", one["body"]) for one in records(recording)), rows)

    assert bodies == 1
    assert count > 400


@pytest.mark.recorded("alpaca/fixtures/rest_bodies_alpacapy.jsonl.gz")
def test_alpaca_bodies(recording: Path) -> None:
    def rows(body: Any) -> list[Digits]:
        found = (body["bars"] or {}).get("AAPL", [])
        return [(hour_ns(row["t"]), row["o"], row["h"], row["l"], row["c"], row["v"]) for row in found]

    def hour_ns(text: str) -> int:
        day, hour = re.findall(r"^2022-03-(\d\d)T(\d\d):00:00Z$", text)[0]
        return (1_646_092_800 + ((int(day) - 1) * 24 + int(hour)) * 3600) * 10**9  # from 2022-03-01

    # The single form and crypto are not asked for; the rows of this fixture open on whole hours (days of New York).
    pages = (Page("1h", one["frame"]) for one in records(recording) if one["test"] == "test_multisymbol_get_bars")
    bodies, count = compare("alpaca", pages, rows)

    assert bodies == 1
    assert count > 0


@pytest.mark.recorded("binance/candles/*/*.csv.gz", "bybit/candles/*.csv.gz", "bitfinex/candles/*.csv.gz")
def test_recorded_candles_of_every_timeframe_open_on_our_grid(recording: Path) -> None:
    venue = VENUES[next(part for part in recording.parts if part in VENUES)]({})
    name = re.findall(r"-(\d+[smhdwM])[-._]", recording.name)
    if not name or name[0] not in venue.timeframes:
        return
    frame = timeframe(name[0])
    with gzip.open(recording, "rt") as lines:
        opened = [int(row[0]) * 10**6 for row in csv.reader(lines) if row[0].isdigit()]

    assert opened
    assert [at for at in opened if frame.open_of(at) != at] == []
