"""The events themselves."""

from decimal import Decimal
from typing import get_args

import pytest

from marketd.model.events import (
    EVENT_TYPES,
    TYPE_NAMES,
    AnyEvent,
    BookSnapshot,
    Candle,
    Gap,
    Heartbeat,
    Quote,
    Share,
    Trade,
    droppable,
)

CANDLE = Candle(
    "one",
    "BTCUSDT",
    1,
    2,
    timeframe="1m",
    open_time=0,
    close_time=60,
    open="1",
    high="1",
    low="1",
    close="1",
    volume="0",
    closed=True,
)


def test_an_event_never_changes() -> None:
    trade = Trade("one", "BTCUSDT", 1, 2, price="1", size="2", side=None, trade_id="7")

    with pytest.raises(AttributeError):
        trade.price = "3"  # type: ignore[misc]


def test_every_type_has_its_name_on_the_wire() -> None:
    named = {kind: kind.__struct_config__.tag for kind in (*EVENT_TYPES, BookSnapshot, Share)}

    assert TYPE_NAMES == named
    assert set(EVENT_TYPES) == set(get_args(AnyEvent))


def test_price_and_size_are_exact_as_decimals() -> None:
    trade = Trade("one", "BTCUSDT", 1, 2, price="0.1", size="0.30", side=None, trade_id="7")

    assert (Decimal("0.1"), Decimal("0.30")) == trade.decimal


def test_trades_closed_candles_gaps_and_status_are_never_droppable() -> None:
    gap = Gap(
        "one", "BTCUSDT", None, 2, channel="trade", state="found", from_id="1", to_id="2", from_ts=None, to_ts=None, cause="test"
    )
    trade = Trade("one", "BTCUSDT", 1, 2, price="1", size="2", side=None, trade_id="7")
    forming = Candle(**{**{name: getattr(CANDLE, name) for name in CANDLE.__struct_fields__}, "closed": False})
    quote = Quote("one", "BTCUSDT", 1, 2, bid="1", bid_size="1", ask="2", ask_size="1")
    heartbeat = Heartbeat("one", "__system__", None, 2, reason="silence")

    assert [False, False, False] == [droppable(event) for event in (gap, trade, CANDLE)]
    assert [True, True, True] == [droppable(event) for event in (forming, quote, heartbeat)]
