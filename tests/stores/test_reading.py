"""Questions to the store."""

from pathlib import Path

import pytest

from marketd.stores.reading import Reader, read_cursor


def test_before_there_is_a_database_every_answer_is_empty(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "market_data.db")

    assert reader.latest_trade("BTCUSDT", "binance") is None
    assert reader.latest_quote("BTCUSDT", "binance") is None
    assert ([], None) == reader.trades("BTCUSDT")
    assert ([], [], []) == (reader.gaps(), reader.ledger(), reader.venues_of("BTCUSDT"))
    assert {0} == set(reader.counts().values())


def test_a_cursor_may_hold_any_trade_id() -> None:
    assert (5, "binance", "a:b:c") == read_cursor("5:binance:a:b:c")
    with pytest.raises(ValueError, match="is not a cursor from an earlier answer"):
        read_cursor("yesterday")
