"""What a venue's section says of its channels and symbols."""

import pytest

from marketd.venues.section import VenueConfig


def test_no_channel_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one of trade, quote, book, candle"):
        VenueConfig(channels=())


def test_trades_quotes_and_books_are_collected_unless_said_otherwise() -> None:
    assert VenueConfig().wanted == ("trade", "quote", "book")


def test_naming_timeframes_adds_candles() -> None:
    assert VenueConfig.model_validate({"timeframes": "1m,5m"}).wanted == ("trade", "quote", "book", "candle")


def test_channels_named_are_the_channels() -> None:
    assert VenueConfig.model_validate({"timeframes": ["1m"], "channels": ["trade"]}).wanted == ("trade",)


def test_symbols_are_in_capitals_and_once() -> None:
    assert VenueConfig.model_validate({"symbols": "btcusdt, BTCUSDT ,brk.b"}).symbols == ("BTCUSDT", "BRK.B")


@pytest.mark.parametrize("symbol", ["BTC-USDT", "BTC/USDT", "tBTC:USD", "BTC USDT"])
def test_a_venues_spelling_is_not_a_symbol(symbol: str) -> None:
    with pytest.raises(ValueError, match="as BTCUSDT"):
        VenueConfig.model_validate({"symbols": [symbol]})
