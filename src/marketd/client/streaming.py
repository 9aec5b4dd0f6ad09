"""Live events from marketd's `/ws`: subscribed, resumed after every break, each once; what is missing is said in between."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Literal

import msgspec
from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from marketd.client.errors import BadAnswer, BadRequest, NotAllowed, Unreachable
from marketd.client.questions import refusal
from marketd.client.retrying import Retry, Tries
from marketd.model.events import BookL2, Candle, Gap, Quote, Status, Trade

ChannelType = Literal["trade", "quote", "book", "candle", "status"]
Live = Trade | Quote | BookL2 | Candle | Gap | Status
CONNECT_WITHIN_S = 10.0
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
BEHIND_MAX = 1024  # messages between the connection and whoever takes them; beyond, it is not read until some are taken
RESUMED = ("trade", "candle")
FOREVER = Retry(attempts=1_000_000_000)


class Channel(msgspec.Struct, frozen=True):
    """What to listen to. Without `provider` it is the first venue that has the symbol."""

    type: ChannelType
    symbol: str | None = None
    provider: str | None = None
    timeframe: str | None = None
    max_hz: float | None = None


class Streamed(msgspec.Struct, frozen=True):
    """An event and its position in its channel; a snapshot was there before and is not to be counted."""

    event: Live
    pos: int
    is_snapshot: bool


class Missed(msgspec.Struct, frozen=True):
    """After a break, what came between these positions of a channel is lost to the stream; what is stored can be asked for."""

    channel: Channel
    after: int
    first: int | None
    reason: str


class Connected(msgspec.Struct, frozen=True):
    """The connection is up and everything subscribed."""

    epoch: str
    is_again: bool


class Broken(msgspec.Struct, frozen=True):
    """The connection ended; it is tried again after so long."""

    reason: str
    retry_s: float


Message = Streamed | Missed | Connected | Broken


class _Place(msgspec.Struct):
    """What stands beside an event's own keys."""

    type: str = ""
    op: str = ""
    pos: int = 0
    snapshot: bool = False
    timeframe: str | None = None
    channel: str = ""
    provider: str = ""
    symbol: str = ""


class _Missed(msgspec.Struct):
    after: int
    first: int | None
    reason: str


class _Standing(msgspec.Struct):
    type: str
    provider: str
    symbol: str | None
    timeframe: str | None
    pos: int
    missed: _Missed | None = None


class _Answer(msgspec.Struct):
    op: str
    epoch: str = ""
    error: str = ""
    field: str | None = None
    allowed: object = None
    auth: str = ""
    channels: list[_Standing] = []


_place = msgspec.json.Decoder(_Place)
_answer = msgspec.json.Decoder(_Answer)
_event: msgspec.json.Decoder[Live] = msgspec.json.Decoder(Live)
_TYPES = {"book_l2": "book"}


class Inbox(WSListener):
    """What one connection brings, in order; it is not read while too much waits here."""

    def __init__(self) -> None:
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
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                self._waiting.put_nowait(b"".join(self._parts))
                self._parts.clear()
                if not self._is_held and self._waiting.qsize() > BEHIND_MAX:
                    self._is_held = True
                    transport.underlying_transport.pause_reading()

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


class Listening:
    """One `stream`: its channels, and where each has got to."""

    def __init__(
        self,
        url: str,
        token: str | None,
        channels: Sequence[Channel],
        retry: Retry,
        wait: Callable[[float], Awaitable[None]],
    ) -> None:
        self._url, self._token, self._retry, self._wait = url, token, retry, wait
        self._channels = list(channels)
        self._epoch = ""
        self._at: list[int | None] = [None] * len(self._channels)  # the last position, by channel
        self._index: dict[tuple[str, str, str, str], int] = {}

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Goes on until whoever iterates stops. Raises ClientError for what no second try can mend."""
        tries = Tries(self._retry)
        is_again = False
        while True:
            inbox: Inbox | None = None
            try:
                inbox = await self._connect()
                for missed in await self._subscribe(inbox):
                    yield missed
                yield Connected(self._epoch, is_again)
                is_again = True
                while True:
                    found = self._read(await inbox.take())
                    if found is not None:
                        tries = Tries(self._retry)  # only what comes is a sign that it works
                        yield found
            except Unreachable as error:
                if inbox is not None and inbox.code == 1008:
                    raise NotAllowed(inbox.reason) from error
                retry_s = tries.delay_s(error)
                yield Broken(str(error), retry_s)
            finally:
                if inbox is not None:
                    inbox.close()
            await self._wait(retry_s)

    async def _connect(self) -> Inbox:
        where = f"{self._url.replace('http', 'ws', 1)}/ws"
        headers: Mapping[str, str] = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, inbox = await ws_connect(
                    Inbox, where, extra_headers=dict(headers), max_frame_size=MESSAGE_BYTES_MAX, enable_auto_pong=False
                )
        except WSHandshakeError as error:
            if error.response is None:
                raise Unreachable(f"{where}: {error}") from error
            names = {name.lower(): value for name, value in error.response.headers.items()}
            found = refusal("/ws", int(error.response.status), names, error.raw_body or b"")
            raise (Unreachable(str(found)) if int(error.response.status) in (429, 503) else found) from error
        except (OSError, TimeoutError, WSError) as error:
            raise Unreachable(f"{where}: {error or type(error).__name__}") from error
        if not isinstance(inbox, Inbox):
            raise Unreachable(f"{where}: the connection ended before the handshake was answered")
        return inbox

    async def _subscribe(self, inbox: Inbox) -> list[Missed]:
        """Ask for everything, each where it was; what cannot be gone on from is returned."""
        hello = self._read_answer(await inbox.take())
        if hello.op != "hello":
            raise BadAnswer(f"{self._url}: this is no marketd")
        if hello.auth == "needed":
            raise NotAllowed("a token is needed here")
        inbox.send({"op": "subscribe", "channels": [self._asked(at) for at in range(len(self._channels))]})
        answer = self._read_answer(await inbox.take())
        if answer.op == "error":
            raise BadRequest(f"{answer.field or 'subscribe'}: {answer.error}", answer.field, answer.allowed)
        self._epoch = answer.epoch
        missed: list[Missed] = []
        for at, one in enumerate(answer.channels):
            self._channels[at] = msgspec.structs.replace(self._channels[at], provider=one.provider)
            self._index[one.type, one.provider, one.symbol or "", one.timeframe or ""] = at
            if one.missed is not None:
                missed.append(Missed(self._channels[at], one.missed.after, one.missed.first, one.missed.reason))
            self._at[at] = one.pos
        return missed

    def _asked(self, at: int) -> dict[str, object]:
        channel, after = self._channels[at], self._at[at]
        asked: dict[str, object] = {key: value for key, value in msgspec.structs.asdict(channel).items() if value is not None}
        if channel.type in RESUMED and after is not None:
            asked |= {"epoch": self._epoch, "after": after}
        return asked

    def _read(self, message: bytes) -> Streamed | None:
        try:
            place = _place.decode(message)
            if not place.type:
                return None
            event = _event.decode(message)
        except msgspec.ValidationError:
            return None  # of a kind that is newer than this client
        except msgspec.DecodeError as error:
            raise BadAnswer(f"{self._url}: {error}") from error
        at = self._channel_of(place)
        if at is not None and not place.snapshot:
            self._at[at] = place.pos
        return Streamed(event, place.pos, place.snapshot)

    def _channel_of(self, place: _Place) -> int | None:
        """Whose position it is. A gap names the timeframe of the candles among which it stands."""
        kind = place.channel if place.type == "gap" else _TYPES.get(place.type, place.type)
        return self._index.get((kind, place.provider, place.symbol, place.timeframe or ""))

    def _read_answer(self, message: bytes) -> _Answer:
        try:
            return _answer.decode(message)
        except msgspec.DecodeError as error:
            raise BadAnswer(f"{self._url}: {error}; is it marketd that listens there?") from error
