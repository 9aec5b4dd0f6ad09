"""What the poller knows about its keys and its venue."""

import pytest
from structlog.testing import capture_logs

from marketd.candles.coins import Chosen
from marketd.candles.newest import Newest, Unbelievable
from marketd.candles.polling import PRICES, SILENT_S, Polling
from marketd.candles.schedule import pace
from marketd.clock import ManualClock
from marketd.errors import DeliveryError, Disconnected
from marketd.metrics import Metrics
from marketd.model.instruments import Instrument

COINS = tuple(Instrument("binance_us", f"{coin}USDT", f"{coin}USDT", coin, "USDT") for coin in ("AAA", "BBB", "CCC"))
FOUND = Newest([], None, 5)


@pytest.fixture
def polling(clock: ManualClock) -> Polling:
    found = Polling("binance_us", [pace("5m")], clock, Metrics())
    found.follow(Chosen(COINS, ()))
    return found


def refresh(polling: Polling, symbol: str) -> None:
    polling.answered(symbol)
    polling.refreshed(symbol, "5m", FOUND, polling.clock.now_ns())


def test_before_the_list_is_there_the_venue_feeds_nothing(clock: ManualClock) -> None:
    polling = Polling("binance_us", [pace("5m")], clock, Metrics())
    assert polling.state[0] == "unhealthy"
    polling.not_listed("no answer")

    assert ("unhealthy", "no answer") == polling.state


def test_one_coin_in_trouble_degrades_and_is_named(polling: Polling) -> None:
    refresh(polling, "BBBUSDT")
    polling.failed("AAAUSDT", "5m", Unbelievable("no candles"))

    assert ("degraded", "AAAUSDT 5m: no candles") == polling.state


def test_when_most_coins_fail_and_none_succeeds_the_venue_is_away(polling: Polling) -> None:
    for symbol in ("AAAUSDT", "BBBUSDT"):
        polling.failed(symbol, "5m", Disconnected("refused"))
    away = polling.state
    refresh(polling, "CCCUSDT")

    assert ("unhealthy", "degraded") == (away[0], polling.state[0])
    assert "refused" in away[1]


def test_a_redis_that_is_away_is_not_the_venues_fault(polling: Polling) -> None:
    for one in COINS:
        polling.answered(one.symbol)
        polling.failed(one.symbol, "5m", DeliveryError("redis: away"))

    assert polling.state[0] == "degraded"


async def test_silence_is_noticed(polling: Polling, clock: ManualClock) -> None:
    await clock.advance(SILENT_S + 1)

    assert polling.state[0] == "unhealthy"


async def test_what_was_believed_counts_as_long_as_its_key_lives(polling: Polling, clock: ManualClock) -> None:
    refresh(polling, "AAAUSDT")
    there = polling.held("AAAUSDT", "5m")
    await clock.advance(121)

    assert there is not None
    assert polling.held("AAAUSDT", "5m") is None


def test_what_fails_is_said_when_it_changes(polling: Polling) -> None:
    with capture_logs() as logs:
        for failed in (["AAAUSDT"], ["AAAUSDT"], ["AAAUSDT", "BBBUSDT"], [], []):
            polling.ended("5m", failed)

    assert [("cache.refresh_failed", 1), ("cache.refresh_failed", 2), ("cache.refreshed_again", 2)] == [
        (one["event"], len(one["symbols"])) for one in logs
    ]


def test_a_changed_list_keeps_what_is_known_of_the_others(polling: Polling) -> None:
    refresh(polling, "AAAUSDT")
    polling.follow(Chosen(COINS[:2], ("CCC",)))

    assert {(one.symbol, name) for one in COINS[:2] for name in ("5m", PRICES)} == set(polling.kept)
    assert polling.kept["AAAUSDT", "5m"].refreshed is not None
