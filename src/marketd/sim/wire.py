"""
HTTP/1.1 and WebSocket on one port, server side only, with hands on the bytes so that faults can be put on the wire.

The WebSocket half follows RFC 6455 (https://www.rfc-editor.org/rfc/rfc6455). Server frames are not masked, so sending is
a header and a payload; small frames are gathered and written together at the end of the loop's turn.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_BYTES_MAX = 65_536
MESSAGE_BYTES_MAX = 1 << 20
WRITE_AT_BYTES = 1 << 18  # gathered frames beyond this are written without waiting for the end of the turn
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
TURNS_TO_CLOSE = 100
SMALL_HEADS = [bytes((0x80 | TEXT, size)) for size in range(126)]


def to_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # percent-decoded, without the query
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    target: str  # path and query as they came
    peer: str = ""  # address and port of who asks

    def without(self, prefix: str) -> Request:
        """The same request below a path prefix."""
        path = self.path.removeprefix(prefix) or "/"
        return Request(self.method, path, self.query, self.headers, self.target, self.peer)


@dataclass
class Response:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    content_type: str = "application/json"

    def encode(self) -> bytes:
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [
            f"HTTP/1.1 {self.status} {reason}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


class Peer(Protocol):
    """Whoever talks to one WebSocket client."""

    def opened(self, socket: Socket) -> None: ...
    def heard(self, text: bytes) -> None: ...
    def ponged(self) -> None: ...
    def closed(self) -> None: ...


class App(Protocol):
    """What stands behind the port."""

    def rest(self, request: Request) -> Response: ...
    def accept(self, request: Request) -> Peer | Response: ...


def encode_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole unmasked frame."""
    size = len(payload)
    if size < 126:
        return (SMALL_HEADS[size] if opcode == TEXT else bytes((0x80 | opcode, size))) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Socket:
    """The sending half of one WebSocket connection."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._size = 0
        self._scheduled = False
        self._room = asyncio.Event()
        self._room.set()
        self.stalled = False
        self.frames_sent = 0

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._size + self._transport.get_write_buffer_size()

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def send(self, payload: bytes) -> None:
        self.send_encoded(encode_frame(payload))

    def send_encoded(self, frame: bytes) -> None:
        """A frame that already has its header."""
        self.frames_sent += 1
        self._parts.append(frame)
        self._size += len(frame)
        if self._size > WRITE_AT_BYTES:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._end_of_turn)

    def _end_of_turn(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        if self.stalled or not self._parts or self._transport.is_closing():
            return
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._transport.write(data)

    def ping(self, payload: bytes = b"") -> None:
        self.send_encoded(encode_frame(payload, PING))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and close once all is written."""
        if not self._transport.is_closing():
            self._parts.append(encode_frame(struct.pack("!H", code) + reason.encode()[:120], CLOSE))
            self.stalled = False
            self.flush()
            self._transport.close()

    def abort(self) -> None:
        """Drop the line without a word."""
        self._transport.abort()

    def stall(self, on: bool) -> None:
        """Neither read nor write while stalled; what was to be sent waits."""
        self.stalled = on
        if self._transport.is_closing():
            return
        if on:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            self.flush()

    def has_room(self, on: bool) -> None:
        if on:
            self._room.set()
        else:
            self._room.clear()

    async def wait_for_room(self) -> None:
        """Wait until the client has taken most of what was written, or is gone."""
        await self._room.wait()


class ServerProtocol(asyncio.Protocol):
    """One TCP connection: HTTP requests one after the other, until one of them becomes a WebSocket."""

    def __init__(self, app: App, live: set[ServerProtocol]) -> None:
        self._app, self._live = app, live
        self._buffer = bytearray()
        self._message = bytearray()
        self._answering: asyncio.TimerHandle | None = None
        self._peer: Peer | None = None
        self.socket: Socket | None = None
        self._from = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self._loop = asyncio.get_running_loop()
        transport.set_write_buffer_limits(high=1 << 20)
        peer = transport.get_extra_info("peername") or ("", 0)
        self._from = f"{peer[0]}:{peer[1]}"
        self._live.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._live.discard(self)
        if self._answering is not None:
            self._answering.cancel()
        if self.socket is not None:
            self.socket.has_room(True)
        if self._peer is not None:
            peer, self._peer = self._peer, None
            peer.closed()

    def pause_writing(self) -> None:
        if self.socket is not None:
            self.socket.has_room(False)

    def resume_writing(self) -> None:
        if self.socket is not None:
            self.socket.has_room(True)

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._peer is None:
            self._read_requests()
        else:
            self._read_frames()

    # -- HTTP -----------------------------------------------------------------------------------------------------

    def _read_requests(self) -> None:
        while self._answering is None and self._peer is None and not self._transport.is_closing():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_BYTES_MAX:
                    self._transport.close()
                return
            head = bytes(self._buffer[:end])
            request = parse_request(head, self._from)
            if request is None:
                self._transport.write(Response(b"bad request", 400, {"Connection": "close"}).encode())
                self._transport.close()
                return
            body_size = int(request.headers.get("content-length") or 0)
            if len(self._buffer) < end + 4 + body_size:
                return
            del self._buffer[: end + 4 + body_size]
            if request.headers.get("upgrade", "").lower() == "websocket":
                self._upgrade(request)
            else:
                self._answer(self._app.rest(request), keep=request.headers.get("connection", "").lower() != "close")
        if self._peer is not None and self._buffer:
            self._read_frames()

    def _answer(self, response: Response, keep: bool) -> None:
        if not keep:
            response.headers["Connection"] = "close"
        if response.delay_s > 0:
            self._answering = self._loop.call_later(response.delay_s, self._write_answer, response.encode(), keep)
        else:
            self._write_answer(response.encode(), keep)

    def _write_answer(self, data: bytes, keep: bool) -> None:
        waited, self._answering = self._answering is not None, None
        self._transport.write(data)
        if not keep:
            self._transport.close()
        elif waited:
            self._read_requests()

    def _upgrade(self, request: Request) -> None:
        found = self._app.accept(request)
        if isinstance(found, Response):
            self._answer(found, keep=False)
            return
        key = request.headers.get("sec-websocket-key", "").encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self._transport.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        self._peer = found
        self.socket = Socket(self._transport, self._loop)
        found.opened(self.socket)

    # -- WebSocket ------------------------------------------------------------------------------------------------

    def _read_frames(self) -> None:
        while self._peer is not None and not self._transport.is_closing():
            frame = take_frame(self._buffer)
            if frame is None:
                if len(self._buffer) > MESSAGE_BYTES_MAX:
                    self._close(1009, "message too big")
                return
            final, opcode, payload = frame
            if opcode == PING:
                assert self.socket is not None
                self.socket.send_encoded(encode_frame(payload, PONG))
                self.socket.frames_sent -= 1
            elif opcode == PONG:
                self._peer.ponged()
            elif opcode == CLOSE:
                self._close(1000, "")
            else:
                self._message += payload
                if final:
                    text = bytes(self._message)
                    self._message.clear()
                    self._peer.heard(text)

    def _close(self, code: int, reason: str) -> None:
        if self.socket is not None:
            self.socket.close(code, reason)


def parse_request(head: bytes, peer: str = "") -> Request | None:
    """The head of one request, without the empty line; None if it is not HTTP."""
    try:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        int(headers.get("content-length") or 0)
    except ValueError:
        return None
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, target, peer)


def take_frame(buffer: bytearray) -> tuple[bool, int, bytes] | None:
    """Remove one whole client frame from the front of the buffer and unmask it; None while it is incomplete."""
    if len(buffer) < 2:
        return None
    size, at = buffer[1] & 0x7F, 2
    if size == 126:
        if len(buffer) < 4:
            return None
        size, at = int.from_bytes(buffer[2:4], "big"), 4
    elif size == 127:
        if len(buffer) < 10:
            return None
        size, at = int.from_bytes(buffer[2:10], "big"), 10
    masked = buffer[1] & 0x80
    start = at + 4 if masked else at
    if len(buffer) < start + size:
        return None
    payload = bytes(buffer[start : start + size])
    if masked and size:
        mask = bytes(buffer[at : at + 4])
        key = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    final, opcode = bool(buffer[0] & 0x80), buffer[0] & 0x0F
    del buffer[: start + size]
    return final, opcode, payload


@dataclass
class Listening:
    """An open port."""

    host: str
    port: int
    server: asyncio.Server
    live: set[ServerProtocol]

    async def close(self) -> None:
        self.server.close()
        for connection in list(self.live):
            connection.abort()
        await self.server.wait_closed()
        for _ in range(TURNS_TO_CLOSE):  # each leaves as its transport tells it that it is lost
            if self.live:
                await asyncio.sleep(0)


async def listen(app: App, host: str, port: int) -> Listening:
    """Open the port; 0 takes a free one. Raises OSError when it is taken."""
    live: set[ServerProtocol] = set()
    make: Callable[[], ServerProtocol] = lambda: ServerProtocol(app, live)  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, host, port)
    return Listening(host, server.sockets[0].getsockname()[1], server, live)
