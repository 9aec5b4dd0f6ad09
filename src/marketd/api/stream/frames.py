"""WebSocket frames of what is sent, made once: a server does not mask (RFC 6455, 5.1), so the same bytes go to every client."""

import struct
from typing import Any

import msgspec

from marketd.model.events import Event, Trade
from marketd.model.wire import encode

TEXT, PING = 0x81, 0x89  # a whole message in one frame
REASON_BYTES_MAX = 123  # of a close frame: 125 less the code

_encode = msgspec.json.Encoder().encode


def text_frame(payload: bytes) -> bytes:
    """One text message."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", TEXT, 126, size) + payload
    return struct.pack("!BBQ", TEXT, 127, size) + payload


def event_frame(event: Event, pos: int, timeframe: str = "", *, snapshot: bool = False) -> bytes:
    """An event as on every wire, with its position; what a venue's own text is kept for is no wire's business.

    A gap names the timeframe of the channel it is said in.
    """
    if event.__class__ is Trade and event.raw is not msgspec.UNSET:
        event = msgspec.structs.replace(event, raw=msgspec.UNSET)
    more = b',"snapshot":true' if snapshot else b',"timeframe":"%s"' % timeframe.encode() if timeframe else b""
    return text_frame(b'%s,"pos":%d%s}' % (encode(event)[:-1], pos, more))


def answer_frame(answer: Any) -> bytes:
    """An answer to one client."""
    return text_frame(_encode(answer))


def close_reason(words: str) -> bytes:
    """As much of it as a close frame holds, in whole characters."""
    return words.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()


PING_FRAME = bytes((PING, 0))
