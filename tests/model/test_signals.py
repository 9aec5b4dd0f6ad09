"""A signal keeps everything on its way over the wire, and has an identity by which it is known again."""

import msgspec
import pytest

from marketd.model.signals import Signal, SignalId, SignalQuality, decode_signal, encode_signal, signal_channel

HOUR = 3_600_000_000_000
AT = 1_700_000_000_000_000_000
SIGNAL = Signal(
    "BTCUSDT", "made", "1h", "long", "ribbon_up", ("each is above",), "37000.10", AT, AT + HOUR, AT + HOUR,
    SignalQuality(True, None, 500),
)  # fmt: skip


def test_a_signal_comes_back_as_it_was_sent() -> None:
    assert decode_signal(encode_signal(SIGNAL)) == SIGNAL


def test_on_the_wire_the_venue_is_the_provider_and_the_price_is_text() -> None:
    found = msgspec.json.decode(encode_signal(SIGNAL))

    assert (found["provider"], found["price"], found["open_time"]) == ("made", "37000.10", AT)


def test_identity_is_the_candle_and_the_rule_alone() -> None:
    again = msgspec.structs.replace(SIGNAL, reasons=("other words",), price="1")

    assert SIGNAL.id == again.id == SignalId("made", "BTCUSDT", "1h", AT, "ribbon_up")


def test_a_symbol_has_a_channel() -> None:
    assert signal_channel("BTCUSDT") == "market:signal:BTCUSDT"


def test_fields_of_later_versions_are_ignored() -> None:
    more = encode_signal(SIGNAL)[:-1] + b',"strength":3}'

    assert decode_signal(more) == SIGNAL


def test_what_is_no_signal_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_signal(b'{"symbol": "BTCUSDT"}')
