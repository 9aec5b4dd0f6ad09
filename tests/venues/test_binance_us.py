"""Binance.US: where it differs from Binance."""

import msgspec

from marketd.model.instruments import Instrument
from marketd.venues.binance import Binance
from marketd.venues.binance_us import BinanceUs
from marketd.venues.venue import Answer, Span

BTC = Instrument("binance_us", "BTCUSD", "BTCUSD", "BTC", "USD")
SPAN = Span("10", "20", None, None)


def test_it_has_its_own_hosts_and_a_smaller_allowance() -> None:
    venue = BinanceUs()

    assert (venue.stream_url, venue.rest_url) == ("wss://stream.binance.us:9443", "https://api.binance.us")
    assert venue.limits.rest[""].weight == 1200
    assert "1s" not in venue.timeframes
    assert venue.timeframes.keys() < Binance.timeframes.keys()


def test_without_a_key_only_the_newest_trades_repair_a_gap() -> None:
    venue = BinanceUs()
    request = venue.trades_request(BTC, SPAN)
    rows = [{"id": number, "price": "1", "qty": "1", "time": 1, "isBuyerMaker": True} for number in range(1000)]
    page = venue.read_trades(Answer(200, {}, msgspec.json.encode(rows)), BTC, SPAN, 1)

    assert request is not None
    assert (request.path, request.params) == ("/api/v3/trades", {"symbol": "BTCUSD", "limit": "1000"})
    assert page.more is None
    assert {trade.venue for trade in page.trades} == {"binance_us"}
