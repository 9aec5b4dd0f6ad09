"""One client of `/ws`: what it asks, what it is answered, and whether it is still there."""

import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from marketd.api.stream.channel import Channel, Key
from marketd.api.stream.frames import PING_FRAME, answer_frame
from marketd.api.stream.reader import Reader, Wire
from marketd.api.stream.wire import (
    VERSION,
    Asked,
    Asking,
    Auth,
    Authenticated,
    Hello,
    Id,
    Missed,
    Mistake,
    Ping,
    Pong,
    Standing,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    read_request,
)

if TYPE_CHECKING:
    from marketd.api.stream.hub import Hub

REQUESTS_MAX = 100  # in a second
AUTH_WITHIN_S = 10.0


class Names(Protocol):
    def key_of(self, asked: Asked, field: str) -> Key:
        """What is meant. Raises Mistake that names the key, below `field`."""
        ...


class Client(Reader):
    """A reader that says what it wants."""

    def __init__(self, hub: "Hub", names: Names, wire: Wire, token: str | None) -> None:
        """`token` is what it has yet to say; None lets it in."""
        super().__init__(hub, wire)
        self.heard_s = self.pinged_s = self._since_s = self._born_s = hub.clock.monotonic()
        self._names, self._token = names, token
        self._requests = 0  # since `_since_s`
        hub.admit(self)
        self._say(Hello(VERSION, hub.epoch, hub.config.ping_s, "ok" if token is None else "needed"))

    # -- what it asks -------------------------------------------------------------------------------------------------

    def hear(self, message: bytes) -> None:
        """Do what one message asks, and answer."""
        now_s = self.hub.clock.monotonic()
        self._requests += 1
        if now_s - self._since_s >= 1.0:
            self._since_s, self._requests = now_s, 1
        if self._requests > REQUESTS_MAX:
            self.close(1008, f"more than {REQUESTS_MAX} messages in a second", "flood")
            return
        try:
            self._do(read_request(message))
        except Mistake as mistake:
            self.hub.metrics.stream_mistakes.inc()
            self._say(mistake.answer)

    def _do(self, request: Asking) -> None:
        if isinstance(request, Auth):
            self._authenticate(request)
        elif self._token is not None:
            raise Mistake("a token is needed first", "op", ["auth"], request.id)
        elif isinstance(request, Ping):
            self._say(Pong(id=request.id, ts=self.hub.clock.now_ns()))
        else:
            self._change(request)

    def _authenticate(self, request: Auth) -> None:
        if self._token is not None and not hmac.compare_digest(request.token.encode("utf-8", "replace"), self._token.encode()):
            self.close(1008, "the token is not the one that is set here", "token")
            return
        self._token = None
        self._say(Authenticated(id=request.id))

    def _change(self, request: Subscribe | Unsubscribe) -> None:
        """Subscribe or unsubscribe: first all names, so that nothing is half done."""
        try:
            keys = [self._names.key_of(one, f"channels[{at}]") for at, one in enumerate(request.channels)]
            if isinstance(request, Unsubscribe):
                self._unsubscribe(keys, request.id)
                return
            self._check(request.channels, keys)
        except Mistake as mistake:
            raise Mistake(mistake.answer.error, mistake.answer.field, mistake.answer.allowed, request.id) from None
        after: list[Sequence[bytes]] = []
        standings = [self._subscribe(key, one, after) for key, one in zip(keys, request.channels, strict=True)]
        self._say(Subscribed(id=request.id, epoch=self.hub.epoch, channels=standings))
        for frames in after:
            self._write(frames)
        if not self._paused:
            self.catch_up()

    def _check(self, channels: Sequence[Asked], keys: Sequence[Key]) -> None:
        known = {channel.key for channel in self._channels}
        seen: set[Key] = set()
        for at, key in enumerate(keys):
            if key in seen:
                raise Mistake("this channel is named twice", f"channels[{at}]", "each once")
            seen.add(key)
        if len(known | seen) > self.hub.config.channels:
            allowed = f"{self.hub.config.channels:,} a client"
            raise Mistake(f"{len(known | seen):,} channels would be too many", "channels", allowed)
        for at, one in enumerate(channels):
            if (one.after is None) is not (one.epoch is None):
                missing = "epoch" if one.epoch is None else "after"
                raise Mistake(f"{missing} is required with the other", f"channels[{at}].{missing}", "both of epoch and after")
            if one.after is not None and one.type not in ("trade", "candle"):
                raise Mistake(f"{one.type} has no history to go on from", f"channels[{at}].after", "trade and candle only")

    def _subscribe(self, key: Key, asked: Asked, after: list[Sequence[bytes]]) -> Standing:
        """From now on, or after a position; the snapshot goes to `after`."""
        known = self.hub.channels.get(key)
        if known in self._channels:
            self._leave(known)
        channel = self.hub.channel(key)  # a new one where the last reader of an empty one just left
        self.hub.joined(channel)  # first: only of what is held can one go on
        resumed, missed, cursor = None, None, channel.pos
        if asked.after is not None:
            missed = self._missed(channel, asked.epoch, asked.after)
            resumed = missed is None
            if resumed:
                cursor = asked.after
        if not resumed:
            after.append(channel.snapshot())
        self._join(channel, cursor, 0.0 if asked.max_hz is None else 1 / asked.max_hz)
        return _standing(channel.key, cursor, resumed, missed)

    def _missed(self, channel: Channel, epoch: str | None, after: int) -> Missed | None:
        if epoch != self.hub.epoch:
            return Missed(after, None, "the position is of another run of the server")
        if after > channel.pos:
            return Missed(after, None, f"the newest position is {channel.pos}")
        if not channel.holds(after):
            return Missed(after, channel.forgotten + 1, "the position is no longer held")
        return None

    def _unsubscribe(self, keys: Sequence[Key], id: Id) -> None:
        channels = [self.hub.channels.get(key) for key in keys]
        for at, channel in enumerate(channels):
            if channel is None or channel not in self._channels:
                raise Mistake("this channel is not subscribed", f"channels[{at}]", "what was subscribed here")
        there = [one for one in channels if one is not None]
        for channel in dict.fromkeys(there):
            self._leave(channel)
        self._say(Unsubscribed(id=id, channels=[_standing(one.key, one.pos, None, None) for one in there]))

    # -- the connection -----------------------------------------------------------------------------------------------

    def listen(self, now_s: float) -> None:
        """Ping it when it says nothing for a while; let it go when it does not answer, or owes a token for too long."""
        every_s = self.hub.config.ping_s
        silent_s = now_s - self.heard_s
        if self._token is not None and now_s - self._born_s > AUTH_WITHIN_S:
            self.close(1008, f"no token within {AUTH_WITHIN_S:g} s", "token")
        elif silent_s > 2 * every_s:
            self.close(1011, f"no answer to pings for {silent_s:.0f} s", "silent")
        elif silent_s > every_s and now_s - self.pinged_s > every_s:
            self.pinged_s = now_s
            self.wire.write(PING_FRAME)

    def gone(self, reason: str = "gone") -> None:
        """The connection ended."""
        if self.is_open:
            super().gone(reason)
            self.hub.release(self, reason)

    def _say(self, answer: object) -> None:
        self._write((answer_frame(answer),))


def _standing(key: Key, pos: int, resumed: bool | None, missed: Missed | None) -> Standing:
    return Standing(key.type, key.venue, key.symbol or None, key.timeframe or None, pos, resumed, missed)  # type: ignore[arg-type]
