"""What the cache announces is read tolerantly, and its silence is noticed."""

import pytest

from marketd.analysis.updates import COINS_MAX, Hearing, Update, read_update

SECOND = 1_000_000_000
MESSAGE = b'{"timeframe": "1h", "symbols": ["BTCUSDT", "ETHUSDT"], "failed": ["XUSD"], "timestamp": "2026-11-21T14:00:00+00:00"}'


def test_the_coins_of_an_update_are_those_that_succeeded_and_those_that_failed() -> None:
    assert Update("1h", ("BTCUSDT", "ETHUSDT", "XUSD"), frozenset({"XUSD"})) == read_update("market:update:1h", MESSAGE)


def test_unknown_fields_are_ignored_and_missing_ones_are_empty() -> None:
    found = read_update("market:update:5m", b'{"symbols": ["BTCUSDT", "BTCUSDT"], "by": "someone else"}')

    assert Update("5m", ("BTCUSDT",), frozenset()) == found


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"symbols"',
        b'{"failed": []}',
        b'{"symbols": "BTCUSDT"}',
        b'{"symbols": [1]}',
        b'{"symbols": [""]}',
        b'{"symbols": ["BTC USDT"]}',
        b'{"symbols": [["BTCUSDT"]]}',
        b'{"symbols": ["' + b"A" * 41 + b'"]}',
        b'{"symbols": [' + b",".join([b'"A"'] * (COINS_MAX + 1)) + b"]}",
        b"\xff\xfe",
    ],
)
def test_what_is_no_update_is_refused_with_a_reason(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_update("market:update:1h", payload)


def test_silence_of_more_than_twice_the_cadence_is_late_and_an_update_ends_it() -> None:
    hearing = Hearing({"5m": 30.0, "1h": 120.0}, 0)

    assert ["5m", "1h"] == hearing.waiting
    assert "" == hearing.late(60 * SECOND)
    assert "no update of 5m yet, expected every 30 s on market:update:5m" == hearing.late(61 * SECOND)

    hearing.heard("5m", 200 * SECOND)
    hearing.heard("1h", 200 * SECOND)
    hearing.heard("1d", 200 * SECOND)

    assert [] == hearing.waiting
    assert "" == hearing.late(260 * SECOND)
    assert "no update of 5m for 75 s, expected every 30 s on market:update:5m" == hearing.late(275 * SECOND)
