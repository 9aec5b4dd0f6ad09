"""A WebSocket client connection that does nothing but read and hand over whole messages."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSError, WSHandshakeError, WSProtocolError

from marketd.errors import Disconnected, Refused, words_of
from marketd.model.digits import is_plain

MESSAGE_BYTES_MAX = 64 * 1024 * 1024  # whole-book snapshots are over a megabyte
CONTROL_BYTES_MAX = 125  # RFC 6455, 5.5: what is longer is data
PARTS_MAX = 16_384  # of one message: empty ones cost memory too
DATA = (WSMsgType.TEXT, WSMsgType.BINARY)  # an enum's members cost a look-up for each frame
QUIET = logging.getLogger("picows.quiet")  # what the library says of a connection is told by its end, once
QUIET.setLevel(logging.CRITICAL + 1)


class Socket(WSListener):
    """One open connection. `on_message` runs in the read callback and must not wait."""

    def __init__(self, on_message: Callable[[bytes], None]) -> None:
        self._on_message = on_message
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self.pings = 0  # of the server's: signs of life that are no data
        self.close_code: int | None = None  # the server's, or ours where the server broke the protocol
        self.broke_protocol = False  # the server did
        self._has_broken = False
        self._transport: WSTransport | None = None
        self._closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._closed.done()

    def send(self, data: bytes) -> None:
        """Queue a text frame. On a closed connection nothing happens: its end is reported by `closed`."""
        if self._transport is not None and not self._closed.done():
            self._transport.send(WSMsgType.TEXT, data)

    async def closed(self) -> str:
        """Waits for the end of the connection and says why it ended."""
        why = await asyncio.shield(self._closed)
        if not self._has_broken or self._transport is None:
            return why
        try:
            await self._transport.wait_disconnected()  # it knows whether the library found a fault
        except WSProtocolError as error:
            self.close_code, self.broke_protocol = int(error.args[0].value), True
            return f"the venue broke the protocol: {error.args[1]}"
        except Exception as error:
            return f"{why}: {words_of(error)}"
        return why

    def close(self, why: str = "closed by us") -> None:
        """Say goodbye and cut: nothing more is read after this."""
        if self._transport is not None and not self._closed.done():
            self._transport.send_close()
            self._transport.disconnect()
            self._end(why)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._closed.done():
            return
        if CONTROL_BYTES_MAX < frame.payload_size <= MESSAGE_BYTES_MAX and frame.fin and not self._parts:
            self._on_message(frame.get_payload_as_bytes())  # without a look at its type, which costs 0.1 us
            return
        kind = frame.msg_type
        if frame.fin and kind in DATA and not self._parts:
            message = frame.get_payload_as_bytes()
            if len(message) <= MESSAGE_BYTES_MAX:
                self._on_message(message)
            else:
                self._too_large()
        elif kind in DATA or kind == WSMsgType.CONTINUATION:
            self._join(frame)
        elif kind == WSMsgType.PING:
            self.pings += 1
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            code = frame.get_close_code()
            # Codes that the library knows are an enum, others plain numbers.
            number: int | None = code.value if isinstance(code, WSCloseCode) else code
            words = (frame.get_close_message() or b"").decode("utf-8", "replace")
            if number:
                self.close_code = number
                transport.send_close(code)
                self._end(f"the venue closed it: {number} {words}".strip())
            else:
                transport.send_close()
                self._end("the venue closed it without a word")
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._has_broken = not self._closed.done()
        self._end("the connection broke")

    def _join(self, frame: WSFrame) -> None:
        if (frame.msg_type == WSMsgType.CONTINUATION) is not bool(self._parts):
            self._fail(WSCloseCode.PROTOCOL_ERROR, "a message began inside another, or went on without having begun")
            return
        part = frame.get_payload_as_bytes()
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._parts_bytes > MESSAGE_BYTES_MAX:
            self._too_large()
        elif len(self._parts) > PARTS_MAX:
            self._fail(WSCloseCode.MESSAGE_TOO_BIG, f"a message has more than {PARTS_MAX:,} parts")
        elif frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._parts_bytes = 0
            self._on_message(whole)

    def _too_large(self) -> None:
        self._fail(WSCloseCode.MESSAGE_TOO_BIG, f"a message is larger than {MESSAGE_BYTES_MAX:,} bytes")

    def _fail(self, code: WSCloseCode, words: str) -> None:
        """The server did what it must not, or more than we take: tell it and cut."""
        self._parts.clear()
        self.close_code, self.broke_protocol = code.value, True
        if self._transport is not None:
            self._transport.send_close(code, words.encode())
            self._transport.disconnect()
        self._end(f"closed by us: {words}")

    def _end(self, why: str) -> None:
        if not self._closed.done():
            self._closed.set_result(why)


async def connect(
    url: str, on_message: Callable[[bytes], None], *, headers: Mapping[str, str] | None = None, within_s: float = 10.0
) -> Socket:
    """Open a connection. Raises Refused when the server answers no (with its Retry-After), else Disconnected."""
    where = url.partition("?")[0]
    try:
        async with asyncio.timeout(within_s):
            _, socket = await ws_connect(
                lambda: Socket(on_message),
                url,
                websocket_handshake_timeout=within_s,
                max_frame_size=MESSAGE_BYTES_MAX,
                enable_auto_pong=False,  # pongs are sent here: a ping is heard
                max_redirects=0,
                logger_name=QUIET,
                extra_headers=dict(headers or {}),
                disconnect_on_exception=True,
            )
    except WSHandshakeError as error:
        if error.response is None:
            raise Disconnected(f"{where}: {error}") from error
        status = int(error.response.status)
        wait = error.response.headers.get("Retry-After", "")
        body = (error.raw_body or b"")[:200].decode("utf-8", "replace").strip()
        raise Refused(
            where,
            f"handshake answered {status} {body}".strip(),
            status=status,
            retry_after_s=float(wait) if is_plain(wait) else 0.0,
            permanent=status == 451,
        ) from error
    except (OSError, TimeoutError, ValueError, WSError) as error:
        raise Disconnected(f"{where}: {words_of(error)}") from error
    if not isinstance(socket, Socket):  # the library brings none where the server left without an answer
        raise Disconnected(f"{where}: the connection ended before the handshake was answered")
    return socket
