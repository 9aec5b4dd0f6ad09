"""A series has a name that a person can read."""

from marketd.model.series import CandleSeries


def test_a_series_is_told_by_venue_symbol_and_timeframe() -> None:
    assert "bitfinex BTCUSD 1m" == str(CandleSeries("bitfinex", "BTCUSD", "1m"))
