"""One connection to `/ws`: opened, its messages whole and unpacked, why it ended."""

import asyncio
import zlib
from collections.abc import Mapping

import msgspec
from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    ws_connect,
)

from marketd.client.errors import BadAnswer, Unreachable
from marketd.client.questions import refusal

CONNECT_WITHIN_S = 10.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
BEHIND_MAX = 1024  # messages between the connection and whoever takes them; beyond, it is not read until some are taken
DEFLATE = "permessage-deflate"  # RFC 7692
TAIL = b"\x00\x00\xff\xff"  # what every packed message leaves out


async def connected(base_url: str, token: str | None) -> "Inbox":
    """A new connection. Raises Unreachable for what may pass, ClientError for a refusal."""
    where = f"{base_url.replace('http', 'ws', 1)}/ws"
    headers = {"Sec-WebSocket-Extensions": DEFLATE, **({} if token is None else {"Authorization": f"Bearer {token}"})}
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            _, inbox = await ws_connect(
                _inbox, where, extra_headers=headers, max_frame_size=MESSAGE_BYTES_MAX, enable_auto_pong=False
            )
    except WSHandshakeError as error:
        if error.response is None:
            raise Unreachable(f"{where}: {error}") from error
        found = refusal("/ws", int(error.response.status), _lower(error.response.headers), error.raw_body or b"")
        raise (Unreachable(str(found)) if int(error.response.status) in (429, 503) else found) from error
    except (OSError, TimeoutError, WSError) as error:
        raise Unreachable(f"{where}: {error or type(error).__name__}") from error
    if not isinstance(inbox, Inbox):
        raise Unreachable(f"{where}: the connection ended before the handshake was answered")
    if inbox.extension is not None and inbox.extension.partition(";")[0].strip().lower() != DEFLATE:
        inbox.close()
        raise BadAnswer(f"{where}: {inbox.extension!r} was not asked for")
    return inbox


def _inbox(_: WSUpgradeRequest, response: WSUpgradeResponse) -> "Inbox":
    return Inbox(_lower(response.headers).get("sec-websocket-extensions"))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Inbox(WSListener):
    """What one connection brings, in order, unpacked; it is not read while too much waits here."""

    def __init__(self, extension: str | None = None) -> None:
        """`extension` is what the server agreed to."""
        self.extension = extension
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)  # of all messages: each may refer to those before
        self._is_packed = False  # the message under way
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._transport: WSTransport | None = None
        self._parts: list[bytes] = []
        self._is_held = False
        self.reason = "the connection broke"
        self.code = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            code = frame.get_close_code()
            self.code = code.value if isinstance(code, WSCloseCode) else int(code or 0)  # the library knows some by name
            self.reason = f"closed by the server: {self.code} {frame.get_close_reason() or ''}".strip()
            transport.send_close(code)
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type != WSMsgType.PONG:
            if not self._parts:
                self._is_packed = bool(frame.rsv1)
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                self._put(transport, b"".join(self._parts))
                self._parts.clear()

    def _put(self, transport: WSTransport, message: bytes) -> None:
        try:
            self._waiting.put_nowait(self._unpacked(message) if self._is_packed else message)
        except zlib.error as error:
            self.reason = f"a message does not unpack: {error}"
            transport.disconnect()
        if not self._is_held and self._waiting.qsize() > BEHIND_MAX:
            self._is_held = True
            transport.underlying_transport.pause_reading()

    def _unpacked(self, message: bytes) -> bytes:
        if self.extension is None:
            raise zlib.error("packing was not agreed on")
        found = self._unpacker.decompress(message + TAIL, MESSAGE_BYTES_MAX)
        if self._unpacker.unconsumed_tail:
            raise zlib.error(f"it is larger than {MESSAGE_BYTES_MAX:,} bytes")
        return found

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._waiting.put_nowait(None)

    def send(self, message: object) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.TEXT, msgspec.json.encode(message))

    async def take(self) -> bytes:
        """The next message. Raises Unreachable at the end of the connection."""
        message = await self._waiting.get()
        if message is None:
            raise Unreachable(self.reason)
        if self._is_held and self._waiting.qsize() <= BEHIND_MAX // 2:
            self._is_held = False
            assert self._transport is not None
            self._transport.underlying_transport.resume_reading()
        return message

    def close(self) -> None:
        if self._transport is not None:
            self._transport.send_close()
            self._transport.disconnect()
