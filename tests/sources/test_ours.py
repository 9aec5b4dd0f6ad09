"""Our own form is held to what others are held to."""

from typing import Any

import msgspec
import pytest

from marketd.model.events import AnyEvent
from marketd.model.wire import encode
from marketd.sources.ours import is_ours
from marketd.sources.tolerant import Malformed, read_event
from tests.samples import book, candle, gap, heartbeat, quote, status, trade

NOW = 4_200_000_000_000_000_000


@pytest.mark.parametrize("event", [trade(), quote(), book(), candle(), gap(3, 4), heartbeat(), status()])
def test_what_we_write_is_ours(event: AnyEvent) -> None:
    assert is_ours(event)


@pytest.mark.parametrize(
    "event", [trade(symbol="btc-usd"), trade(venue="Kraken"), trade(symbol="X" * 41), trade(ts_recv=1_700_000_000_123)]
)
def test_another_notation_is_not(event: AnyEvent) -> None:
    assert not is_ours(event)


def test_other_long_texts_are_as_short_in_our_own_form_as_in_others() -> None:
    long = "x" * 1_000
    found: list[Any] = [read_event(encode(event), NOW) for event in (gap(3, 4, cause=long), status(), heartbeat())]
    told = [read_event(encode(msgspec.structs.replace(one, reason=long)), NOW) for one in (status(), heartbeat())]

    assert found[0].cause == "x" * 300
    assert ["x" * 300] * 2 == [one.reason for one in told]  # type: ignore[union-attr]
    assert read_event(encode(msgspec.structs.replace(trade(), raw="x" * 5_000)), NOW).raw is msgspec.UNSET  # type: ignore[union-attr]
    assert read_event(encode(msgspec.structs.replace(trade(), raw="x" * 4_000)), NOW).raw == "x" * 4_000  # type: ignore[union-attr]
    with pytest.raises(Malformed, match="timeframe"):
        read_event(encode(candle(timeframe=long)), NOW)
