"""Events as JSON, one object each: the form on NATS, in JSONL and on the API."""

from collections.abc import Callable, Iterable

import msgspec

from marketd.model.events import AnyEvent, Event

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


encode: Callable[[Event], bytes] = _encoder.encode  # called once an event: a function around it would cost a third more
"""One event as a JSON object without a line end."""


def encode_lines(events: Iterable[Event]) -> bytes:
    """Events as JSON lines, each ended by a newline."""
    return _encoder.encode_lines(events)


def decode(data: bytes | str) -> AnyEvent:
    """The event of one JSON object; unknown fields are ignored. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


def decode_lines(data: bytes) -> list[AnyEvent]:
    """The events of JSON lines. Raises msgspec.DecodeError."""
    return _decoder.decode_lines(data)
