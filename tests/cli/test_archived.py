"""Which stored series are meant, and what is said where none is."""

import pytest

from marketd.cli.archived import chosen, symbols_of, timeframes_of, venues_of
from marketd.errors import ConfigError, StartError
from marketd.model.series import CandleSeries

HOUR = CandleSeries("binance", "BTCUSDT", "1h")
STORED = [HOUR, CandleSeries("binance", "ETHUSDT", "1m"), CandleSeries("kraken", "BTCUSD", "1m")]


def test_no_name_is_every_series_and_names_narrow_them() -> None:
    assert sorted(STORED) == chosen(STORED, [], [], [])
    assert [HOUR] == chosen(STORED, ["binance"], ["BTCUSDT"], [])
    assert 2 == len(chosen(STORED, [], [], ["1m"]))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (([], ["BTCUSDX"], []), r"--symbol BTCUSDX: nothing of it is stored \(did you mean BTCUSDT?\?\); stored: BTCUSDT, "),
        ((["kraken"], [], ["1h"]), "--timeframe 1h: nothing of it is stored for kraken; stored: 1m"),
        ((["bybit"], [], []), "--exchange bybit: nothing of it is stored; stored: binance, kraken"),
    ],
)
def test_a_name_that_nothing_is_stored_of_is_told_what_there_is(names: tuple[list[str], ...], says: str) -> None:
    with pytest.raises(StartError, match=says):
        chosen(STORED, *names)


def test_a_venue_that_does_not_exist_is_a_mistake_of_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"--exchange krakken: unknown venue \(did you mean kraken\?\)"):
        chosen(STORED, ["krakken"], [], [])


def test_names_are_taken_with_commas_and_refused_in_one_line() -> None:
    assert ["binance", "kraken"] == venues_of("Binance, kraken")
    assert ["BTCUSD", "ETHUSD"] == symbols_of("btcusd,ETHUSD")
    assert [] == timeframes_of(None)
    with pytest.raises(ConfigError, match=r"--symbol: found 'BTC/USD'; .*did you mean BTCUSD\?"):
        symbols_of("BTC/USD")
    with pytest.raises(ConfigError, match="--timeframe: '7q'"):
        timeframes_of("7q")
