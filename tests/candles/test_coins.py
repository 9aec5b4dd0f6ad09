"""The coins that are kept, and the market that stands for each."""

from marketd.candles.coins import COINS, choose
from marketd.model.instruments import Instrument, Instruments


def listed(*symbols: str, status: str = "trading") -> Instruments:
    return Instruments(Instrument("binance_us", one, one, one[:3], one[3:], status=status) for one in symbols)


def test_there_are_29_and_none_is_a_stablecoin() -> None:
    assert 29 == len(COINS) == len(set(COINS))
    assert not {"USDT", "USDC", "DAI", "TUSD", "BUSD", "FDUSD", "PYUSD", "USDS", "WBTC", "STETH"} & set(COINS)


def test_a_coin_is_its_usdt_market_else_its_usd_market() -> None:
    chosen = choose(["BTC", "ETC", "XYZ"], listed("BTCUSDT", "BTCUSD", "ETCUSD"))

    assert (["BTCUSDT", "ETCUSD"], ("XYZ",)) == ([one.symbol for one in chosen.instruments], chosen.unlisted)


def test_a_whole_symbol_is_that_market_and_no_market_comes_twice() -> None:
    chosen = choose(["BTCUSD", "BTC", "BTCUSDT"], listed("BTCUSDT", "BTCUSD"))

    assert ["BTCUSD", "BTCUSDT"] == [one.symbol for one in chosen.instruments]


def test_what_does_not_trade_now_counts_as_unlisted() -> None:
    assert ("BTC",) == choose(["BTC"], listed("BTCUSDT", status="BREAK")).unlisted
