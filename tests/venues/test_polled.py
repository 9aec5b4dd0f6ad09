"""What a polled venue is asked beside the rest."""

import msgspec
import pytest

from marketd.errors import BadFrame
from marketd.model.instruments import Instrument
from marketd.model.timeframes import timeframe
from marketd.venues.binance import Binance
from marketd.venues.binance_us import BinanceUs
from marketd.venues.kraken import Kraken
from marketd.venues.polled import DayPrice, impossible_price, questions_of
from marketd.venues.venue import Answer

BTC = Instrument("binance_us", "BTCUSDT", "BTCUSDT", "BTC", "USDT")
FIVE = timeframe("5m")
OPENS = [1_700_000_100_000, 1_700_000_400_000, 1_700_000_700_000]


def body(*opens: int) -> Answer:
    rows = [[at, "10.10", "10.20", "10.00", "10.10", "0.500", at + 299_999, "5.05", 3, "0", "0", "0"] for at in opens]
    return Answer(200, {}, msgspec.json.encode(rows))


def test_some_venues_can_be_polled() -> None:
    assert (True, True, False) == tuple(questions_of(one) is not None for one in (BinanceUs(), Binance(), Kraken()))


def test_newest_candles_are_asked_for_without_times() -> None:
    asked = BinanceUs().newest_candles_request(BTC, FIVE, 501)

    assert ("/api/v3/klines", {"symbol": "BTCUSDT", "interval": "5m", "limit": "501"}, 1) == (
        asked.path, asked.params, asked.weight
    )  # fmt: skip


def test_newest_candles_keep_their_digits_and_only_the_last_may_form() -> None:
    found = BinanceUs().read_newest_candles(body(*OPENS), BTC, FIVE, 7)

    assert [True, True, False] == [one.closed for one in found]
    assert ("10.10", "0.500", OPENS[2] * 1_000_000) == (found[-1].open, found[-1].volume, found[-1].open_time)


@pytest.mark.parametrize("opens", [[OPENS[0], OPENS[0]], [OPENS[1], OPENS[0]]], ids=["twice", "newest first"])
def test_rows_in_another_order_or_twice_are_not_believed(opens: list[int]) -> None:
    with pytest.raises(BadFrame, match="rows not oldest first, each once"):
        BinanceUs().read_newest_candles(body(*opens), BTC, FIVE, 7)


def test_prices_weigh_what_the_venue_says() -> None:
    weights = [
        [venue.prices_request([BTC] * count).weight for count in (1, 20, 21, 100, 101)] for venue in (BinanceUs(), Binance())
    ]

    assert [[1, 1, 20, 20, 40], [2, 2, 40, 40, 80]] == weights


def test_prices_are_those_asked_for_with_the_venues_digits() -> None:
    row = {"symbol": "BTCUSDT", "lastPrice": "10.500", "priceChangePercent": "-1.250", "volume": "7.00", "closeTime": 5}
    rows = [{**row, "bidPrice": "10.4", "askPrice": "0.00"}, {**row, "symbol": "OTHER"}]

    assert [DayPrice("BTCUSDT", "10.500", "-1.250", "7.00", 5_000_000, "10.4", None)] == BinanceUs().read_prices(
        Answer(200, {}, msgspec.json.encode(rows)), {"BTCUSDT": BTC}, 7
    )


NOW = 1_700_000_000_000_000_000
GOOD = DayPrice("BTCUSDT", "10.500", "-1.250", "7.00", NOW, "10.4", None)


@pytest.mark.parametrize(
    ("price", "why"),
    [
        (GOOD, None),
        (GOOD._replace(price="0.00"), "price is zero"),
        (GOOD._replace(price="NaN"), "price or volume is no plain number"),
        (GOOD._replace(volume="-1"), "price or volume is no plain number"),
        (GOOD._replace(change="--1"), "price or volume is no plain number"),
        (GOOD._replace(bid="x"), "price or volume is no plain number"),
        (GOOD._replace(ts=-1), "time out of range"),
        (GOOD._replace(ts=0), "time out of range"),
        (GOOD._replace(ts=NOW + 3_600_000_000_001), "time in the future"),
        (GOOD._replace(ts=10**30), "time in the future"),
    ],
)
def test_an_impossible_price_is_named(price: DayPrice, why: str | None) -> None:
    assert why == impossible_price(price, NOW)


def test_a_row_of_prices_that_cannot_be_read_is_left_out_and_the_others_are_read() -> None:
    row = {"symbol": "BTCUSDT", "lastPrice": "10.5", "priceChangePercent": "1", "volume": "7", "closeTime": 5}
    rows = [{**row, "lastPrice": None}, 7, {"symbol": 3}, row]

    assert ["10.5"] == [
        one.price for one in BinanceUs().read_prices(Answer(200, {}, msgspec.json.encode(rows)), {"BTCUSDT": BTC}, 7)
    ]
