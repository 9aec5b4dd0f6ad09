"""Live events from marketd's `/ws`: subscribed, resumed after every break, each once; what is missing is said in between."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from marketd.client import questions
from marketd.client.errors import BadAnswer, BadRequest, ClientError, NotAllowed, Unreachable
from marketd.client.filling import Trail
from marketd.client.inbox import Inbox, connected
from marketd.client.live import Broken, Channel, Connected, Live, Message, Missed, Streamed
from marketd.client.questions import Question
from marketd.client.retrying import Retry, Tries
from marketd.model.events import Trade

T = TypeVar("T")
UNKNOWN = 1 << 62  # how much is lacking after another run of the server
FILL_TRIES, FILL_S = 5, 1.0  # what the server has just received may not be stored yet
FILL_TRIES_UNKNOWN = 2  # where nothing can show that it is all: no more than that it had the time
RESUMED = ("trade", "candle")
FOREVER = Retry(attempts=1_000_000_000)


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


class Ask(Protocol):
    async def __call__(self, question: Question[T], /) -> T:
        """The server's answer. Raises ClientError."""
        ...


class Listening:
    """One `stream`: its channels, and where each has got to."""

    def __init__(
        self,
        url: str,
        token: str | None,
        channels: Sequence[Channel],
        retry: Retry,
        wait: Callable[[float], Awaitable[None]],
        ask: Ask,
    ) -> None:
        self._url, self._token, self._retry, self._wait, self._ask = url, token, retry, wait, ask
        self._channels = list(channels)
        self._epoch = ""
        self._at: list[int | None] = [None] * len(self._channels)  # the last position, by channel
        self._index: dict[tuple[str, str, str, str], int] = {}
        self._trails = {at: Trail() for at, one in enumerate(self._channels) if one.type == "trade"}
        self._unproven: dict[int, Missed] = {}  # filled from the store, as far as can be seen yet

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Goes on until whoever iterates stops. Raises ClientError for what no second try can mend."""
        tries = Tries(self._retry)
        is_again = False
        while True:
            inbox: Inbox | None = None
            try:
                inbox = await connected(self._url, self._token)
                for at, missed in await self._subscribe(inbox):
                    async for one in self._fill(at, missed):
                        yield one
                yield Connected(self._epoch, is_again)
                is_again = True
                while True:
                    for found in self._read(await inbox.take()):
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

    async def _subscribe(self, inbox: Inbox) -> list[tuple[int, Missed]]:
        """Ask for everything, each where it was; what cannot be gone on from is returned, by channel."""
        hello = self._read_answer(await inbox.take())
        if hello.op != "hello":
            raise BadAnswer(f"{self._url}: this is no marketd")
        if hello.auth == "needed":
            raise NotAllowed("a token is needed here")
        inbox.send({"op": "subscribe", "channels": [self._asked(at) for at in range(len(self._channels))]})
        answer = self._read_answer(await inbox.take())
        if answer.op == "error":
            raise BadRequest(f"{answer.field or 'subscribe'}: {answer.error}", answer.field, answer.allowed)
        is_same_run = self._epoch == answer.epoch
        self._epoch = answer.epoch
        missed: list[tuple[int, Missed]] = []
        self._unproven.clear()
        for at, one in enumerate(answer.channels):
            self._channels[at] = msgspec.structs.replace(self._channels[at], provider=one.provider)
            self._index[one.type, one.provider, one.symbol or "", one.timeframe or ""] = at
            if one.missed is not None:
                missed.append((at, Missed(self._channels[at], one.missed.after, one.missed.first, one.missed.reason)))
                if at in self._trails:
                    self._trails[at].lacking = one.pos - one.missed.after if is_same_run else UNKNOWN
            self._at[at] = one.pos
        return missed

    async def _fill(self, at: int, missed: Missed) -> AsyncGenerator[Message, None]:
        """The trades of the store in place of what was missed, and `missed` where it is not certain that these are all."""
        trail = self._trails.get(at)
        if trail is None or trail.start is None:
            yield missed
            return
        filled = 0
        for turn in range(FILL_TRIES if trail.lacking < UNKNOWN else FILL_TRIES_UNKNOWN):
            if turn:
                await self._wait(FILL_S)
            start, cursor = trail.start, None
            while True:
                try:
                    page = await self._ask(questions.trades(missed.channel.provider, missed.channel.symbol, start, cursor))
                except ClientError as error:
                    yield msgspec.structs.replace(missed, reason=f"{missed.reason}; GET /trades: {error}", filled=filled)
                    return
                for trade in page.trades:
                    if trail.came_stored(trade):
                        filled += 1
                        yield Streamed(trade, 0, False)
                cursor = page.cursor
                if cursor is None:
                    break
            if trail.lacking <= 0:
                self._unproven[at] = msgspec.structs.replace(missed, filled=filled)
                return
        yield msgspec.structs.replace(missed, filled=filled)

    def _asked(self, at: int) -> dict[str, object]:
        channel, after = self._channels[at], self._at[at]
        asked: dict[str, object] = {key: value for key, value in msgspec.structs.asdict(channel).items() if value is not None}
        if channel.type in RESUMED and after is not None:
            asked |= {"epoch": self._epoch, "after": after}
        return asked

    def _read(self, message: bytes) -> Sequence[Message]:
        try:
            place = _place.decode(message)
            if not place.type:
                return ()
            event = _event.decode(message)
        except msgspec.ValidationError:
            return ()  # of a kind that is newer than this client
        except msgspec.DecodeError as error:
            raise BadAnswer(f"{self._url}: {error}") from error
        at = self._channel_of(place)
        if at is not None and not place.snapshot:
            self._at[at] = place.pos
        if at in self._trails and isinstance(event, Trade):
            trail = self._trails[at]
            if place.snapshot:
                trail.came_first(event)
            elif not trail.came_live(event):
                return [self._unproven.pop(at)] if trail.lacking > 0 and at in self._unproven else ()
        return (Streamed(event, place.pos, place.snapshot),)

    def _channel_of(self, place: _Place) -> int | None:
        """Whose position it is. A gap names the timeframe of the candles among which it stands."""
        kind = place.channel if place.type == "gap" else _TYPES.get(place.type, place.type)
        return self._index.get((kind, place.provider, place.symbol, place.timeframe or ""))

    def _read_answer(self, message: bytes) -> _Answer:
        try:
            return _answer.decode(message)
        except msgspec.DecodeError as error:
            raise BadAnswer(f"{self._url}: {error}; is it marketd that listens there?") from error
