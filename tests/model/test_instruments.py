"""A venue's list, asked by either spelling."""

import pytest

from marketd.model.instruments import Instrument, Instruments, decimals, neutral

BITCOIN = Instrument("one", "BTCUSD", "tBTCUSD", "BTC", "USD", tick="0.10")
HALTED = Instrument("one", "ETHUSD", "tETHUSD", "ETH", "USD", status="halted")


def test_both_spellings_lead_to_the_instrument() -> None:
    listed = Instruments([BITCOIN, HALTED])

    assert (BITCOIN, BITCOIN, None) == (listed["BTCUSD"], listed.by_venue_symbol("tBTCUSD"), listed.get("tBTCUSD"))
    assert {"tBTCUSD": "BTCUSD", "tETHUSD": "ETHUSD"} == listed.symbols
    assert ([BITCOIN, HALTED], 2, True) == (list(listed), len(listed), "ETHUSD" in listed)


def test_any_word_but_trading_is_not_trading() -> None:
    assert (True, False) == (BITCOIN.is_trading, HALTED.is_trading)


def test_a_step_says_how_many_decimals_move() -> None:
    assert [2, 0, 0, 8] == [decimals(step) for step in ("0.0100", "1", "1.0", "0.00000001")]


def test_a_symbol_is_written_joined_and_in_capitals() -> None:
    assert ["BTCUSDT", "BRK.B"] == [neutral("btcusdt"), neutral("BRK.B")]


@pytest.mark.parametrize("text", ["BTC/USDT", "btc-usdt", "BTC USDT", "BTC_USDT"])
def test_any_other_spelling_is_answered_with_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r"did you mean BTCUSDT\?"):
        neutral(text)
