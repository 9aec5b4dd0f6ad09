"""What is collected has a name; what is not is said with what is."""

from dataclasses import replace

import pytest

from marketd.api.stream.channel import Key
from marketd.api.stream.names import CollectedNames
from marketd.api.stream.wire import Asked, Mistake
from marketd.api.views import Views


def refused(names: CollectedNames, asked: Asked) -> tuple[str | None, object]:
    with pytest.raises(Mistake) as mistake:
        names.key_of(asked, "channels[3]")
    return mistake.value.answer.field, mistake.value.answer.allowed


def test_names_are_read_in_any_case(views: Views) -> None:
    names = CollectedNames(views)

    assert names.key_of(Asked("trade", "Binance", "btcusdt"), "") == Key("trade", "binance", "BTCUSDT")
    assert names.key_of(Asked("status", "binance"), "") == Key("status", "binance")
    assert names.key_of(Asked("status", "binance", "__system__"), "") == Key("status", "binance", "__system__")


def test_without_a_provider_it_is_the_one_that_answers_for_the_symbol(views: Views) -> None:
    assert CollectedNames(views).key_of(Asked("trade", None, "ETHUSDT"), "") == Key("trade", "binance", "ETHUSDT")


@pytest.mark.parametrize(
    ("asked", "field", "allowed"),
    [
        (Asked("trade", "kraken", "BTCUSDT"), "channels[3].provider", ["binance", "bybit"]),
        (Asked("trade", "b b", "BTCUSDT"), "channels[3].provider", ["binance", "bybit"]),
        (Asked("trade", "binance", "NOPE"), "channels[3].symbol", ["BTCUSDT", "ETHUSDT"]),
        (Asked("trade", "binance", "BTC/USDT"), "channels[3].symbol", "as BTCUSDT"),
        (Asked("trade", None, "NOPE"), "channels[3].symbol", ["BTCUSDT", "ETHUSDT"]),
        (Asked("trade", "binance"), "channels[3].symbol", "as BTCUSDT"),
        (Asked("status"), "channels[3].provider", ["binance", "bybit"]),
        (Asked("quote", "binance", "BTCUSDT"), "channels[3].type", ["trade", "status"]),
        (Asked("candle", "binance", "BTCUSDT"), "channels[3].timeframe", "as 1m"),
        (Asked("trade", "binance", "BTCUSDT", "1m"), "channels[3].timeframe", "candle only"),
    ],
)
def test_what_is_not_collected_is_named(asked: Asked, field: str, allowed: object, views: Views) -> None:
    assert refused(CollectedNames(views), asked) == (field, allowed)


def test_a_timeframe_that_is_none_says_what_one_looks_like(views: Views) -> None:
    field, allowed = refused(CollectedNames(views), Asked("candle", "binance", "BTCUSDT", "1x"))

    assert field == "channels[3].timeframe"
    assert "1m" in str(allowed)


def test_where_events_come_from_elsewhere_any_name_will_do(views: Views) -> None:
    names = CollectedNames(replace(views, feeds=None))

    assert names.key_of(Asked("candle", "other", "XYZ", "5m"), "") == Key("candle", "other", "XYZ", "5m")
    assert refused(names, Asked("trade", None, "XYZ"))[0] == "channels[3].provider"
