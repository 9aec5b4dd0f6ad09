"""The settings of the candle cache."""

import pytest
from pydantic import ValidationError

from marketd.candles.section import CacheConfig


def test_the_shortest_cycle_comes_first() -> None:
    assert ("5m", "15m", "1h", "4h", "1d", "1M") == CacheConfig(timeframes=("1M", "4h", "1d", "1h", "15m", "5m", "5m")).timeframes


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"timeframes": "7x"}, "'7x' is no timeframe"),
        ({"timeframes": ""}, "expected at least one timeframe"),
        ({"symbols": ",".join(f"A{number}" for number in range(101))}, "expected at most 100 coins, found 101"),
        ({"symbols": "BTC-USD"}, "did you mean BTCUSD?"),
        ({"rest_url": "ftp://there"}, "expected an address with http:// or https://"),
        ({"spread": 1.5}, "less than or equal to 0.9"),
    ],
)
def test_what_cannot_be_is_said(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("?", r"\?")):
        CacheConfig.model_validate(setting)


def test_coins_are_written_as_we_write_them() -> None:
    assert ("BTC", "ETHUSD") == CacheConfig.model_validate({"symbols": "btc,ETHUSD,BTC"}).symbols
