"""A connection to `/ws`, taken over from the HTTP server: picows reads its frames, and what is sent is framed already."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # what the library's own server is made of

from marketd.api.stream.client import Client
from marketd.api.stream.deflate import TooLarge, Unpackable, inflated
from marketd.api.stream.frames import close_reason
from marketd.api.stream.reader import Wire

MESSAGE_BYTES_MAX = 256 * 1024
PARTS_MAX = 1024
WAITING_BYTES_MAX = 64 * 1024  # in our memory for one connection, beside what is being written
SENT_BYTES_MAX = 256 * 1024  # in the system's memory for one connection
GOODBYE_S = 10.0  # for a close frame to get through to who does not read
HANDSHAKE_S = 5.0
HEAD = b"GET /ws HTTP/1.1\r\nHost: marketd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
DATA = (WSMsgType.TEXT, WSMsgType.BINARY)
NEVER_SENT = (WSCloseCode.NO_INFO, WSCloseCode.ABNORMAL_CLOSURE)  # RFC 6455, 7.4.1: no codes of a close frame
QUIET = logging.getLogger("marketd.api.stream")  # what the library says of a connection is counted and told by its end
QUIET.setLevel(logging.CRITICAL + 1)


class Connection(WSListener):
    """A Wire."""

    def __init__(self, opened: Callable[[Wire], Client], packs: bool) -> None:
        self._opened = opened
        self.packs = packs
        self._client: Client | None = None
        self._transport: WSTransport | None = None
        self._out: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._is_packed = False  # the message under way
        self.peer = ""

    # -- what the client uses -----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._out is not None and not self._out.is_closing():
            self._out.write(data)

    def close(self, code: int, words: str) -> None:
        """Say goodbye; who does not hear it is cut."""
        transport, out = self._transport, self._out
        if transport is None or out is None or out.is_closing():
            return
        transport.send_close(WSCloseCode(code), close_reason(words))
        transport.disconnect()
        asyncio.get_running_loop().call_later(GOODBYE_S, out.abort)

    # -- what picows calls --------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport, self._out = transport, transport.underlying_transport
        self._out.set_write_buffer_limits(high=WAITING_BYTES_MAX)
        sock = self._out.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES_MAX)
        self.peer = str((self._out.get_extra_info("peername") or ("",))[0])
        self._client = self._opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        client = self._client
        if client is None or not client.is_open:
            return
        client.heard_s = client.hub.clock.monotonic()
        kind = frame.msg_type
        if frame.rsv2 or frame.rsv3 or (frame.rsv1 and not (self.packs and kind in DATA)):
            client.close(1002, "a frame has a bit that was not agreed on", "protocol")
        elif kind in DATA or kind == WSMsgType.CONTINUATION:
            self._take(client, frame)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            client.gone()
            code = frame.get_close_code()
            transport.send_close(code if isinstance(code, WSCloseCode) and code not in NEVER_SENT else WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._client is not None:
            self._client.gone()

    def pause_writing(self) -> None:
        if self._client is not None and self._out is not None:
            self._client.pause()
            self._out.pause_reading()  # who does not read may not ask either

    def resume_writing(self) -> None:
        if self._client is not None and self._out is not None and not self._out.is_closing():
            self._out.resume_reading()
            self._client.resume()

    def _take(self, client: Client, frame: WSFrame) -> None:
        """A message, or a part of one."""
        if (frame.msg_type == WSMsgType.CONTINUATION) is not bool(self._parts):
            client.close(1002, "a message began inside another, or went on without having begun", "protocol")
            return
        if not self._parts:
            self._is_packed = bool(frame.rsv1)
        self._parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > MESSAGE_BYTES_MAX or len(self._parts) > PARTS_MAX:
            client.close(1009, f"a message larger than {MESSAGE_BYTES_MAX:,} bytes", "protocol")
        elif frame.fin:
            message = b"".join(self._parts)
            self._parts.clear()
            self._parts_bytes = 0
            self._hear(client, message)

    def _hear(self, client: Client, message: bytes) -> None:
        try:
            client.hear(inflated(message, MESSAGE_BYTES_MAX) if self._is_packed else message)
        except TooLarge:
            client.close(1009, f"a message larger than {MESSAGE_BYTES_MAX:,} bytes", "protocol")
        except Unpackable as error:
            client.close(1007, f"a packed message that does not unpack: {error}", "protocol")


def take_over(
    transport: asyncio.Transport, key: bytes, rest: bytes, opened: Callable[[Wire], Client], extension: str | None = None
) -> None:
    """From here on the connection belongs to picows, which answers the handshake with this key; `rest` came with its head."""
    connection = Connection(opened, extension is not None)
    headers = {} if extension is None else {"Sec-WebSocket-Extensions": extension}
    answer = WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), connection)
    protocol = WSProtocol(
        None, None, False, lambda _: answer, QUIET, True, HANDSHAKE_S, False, 0, 0, WSAutoPingStrategy.PING_WHEN_IDLE,
        False, MESSAGE_BYTES_MAX, None, 4096,
    )  # fmt: skip
    transport.set_protocol(cast("asyncio.BaseProtocol", protocol))
    protocol.connection_made(transport)
    _feed(protocol, b"%sSec-WebSocket-Key: %s\r\n\r\n" % (HEAD, key))
    if rest and not transport.is_closing():
        _feed(protocol, rest)


def _feed(protocol: WSProtocol, data: bytes) -> None:
    while data:
        room: memoryview = protocol.get_buffer(len(data))
        size = min(len(room), len(data))
        room[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
