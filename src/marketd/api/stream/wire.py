"""What client and server say on `/ws` beside events; `/asyncapi.json` is made of these types."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

VERSION = 1
CHANNELS_MAX = 1000  # in one request
Type = Literal["trade", "quote", "book", "candle", "status"]
TYPES: tuple[str, ...] = ("trade", "quote", "book", "candle", "status")
Id = Annotated[str, Meta(max_length=64)] | int | None
Name = Annotated[str, Meta(min_length=1, max_length=40)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel as a client names it."""

    type: Type
    provider: Name | None = None  # None: the first that has the symbol
    symbol: Name | None = None  # of `status`, None: all that concerns the venue
    timeframe: Name | None = None
    max_hz: Annotated[float, Meta(ge=0.1, le=20)] | None = None
    epoch: Annotated[str, Meta(max_length=40)] | None = None
    after: Annotated[int, Meta(ge=0)] | None = None  # go on after this position of that epoch


Channels = Annotated[list[Asked], Meta(min_length=1, max_length=CHANNELS_MAX)]


class Request(msgspec.Struct, frozen=True, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    id: Id = None  # given back in the answer


class Subscribe(Request, frozen=True, tag="subscribe"):
    channels: Channels


class Unsubscribe(Request, frozen=True, tag="unsubscribe"):
    channels: Channels


class Ping(Request, frozen=True, tag="ping"): ...


class Auth(Request, frozen=True, tag="auth"):
    token: Annotated[str, Meta(max_length=1024)]


class Missed(msgspec.Struct, frozen=True):
    """A position to go on from that is not held."""

    after: int
    first: int | None  # the oldest that could have been had; None in another epoch
    reason: str


class Standing(msgspec.Struct, frozen=True):
    """A channel as the server means it. What follows the snapshot or the replay has positions after `pos`."""

    type: Type
    provider: str
    symbol: str | None
    timeframe: str | None
    pos: int
    resumed: bool | None = None  # None: not asked
    missed: Missed | None = None


class Hello(msgspec.Struct, frozen=True, tag_field="op", tag="hello"):
    """The first message of every connection."""

    version: int
    epoch: str
    ping_s: float
    auth: Literal["ok", "needed"]


class Answer(msgspec.Struct, frozen=True, tag_field="op", kw_only=True):
    id: Id = None


class Subscribed(Answer, frozen=True, tag="subscribed"):
    epoch: str
    channels: list[Standing]


class Unsubscribed(Answer, frozen=True, tag="unsubscribed"):
    channels: list[Standing]


class Pong(Answer, frozen=True, tag="pong"):
    ts: int  # ns


class Authenticated(Answer, frozen=True, tag="authenticated"): ...


class Error(Answer, frozen=True, tag="error"):
    error: str
    field: str | None = None
    allowed: Any = None


class Mistake(Exception):
    """A request that cannot be done; nothing of it is."""

    def __init__(self, error: str, field: str | None = None, allowed: Any = None, id: Id = None) -> None:
        super().__init__(error)
        self.answer = Error(id=id, error=error, field=field, allowed=allowed)


Asking = Subscribe | Unsubscribe | Ping | Auth
OPS = ["subscribe", "unsubscribe", "ping", "auth"]
ALLOWED = {
    "op": OPS,
    "type": list(TYPES),
    "id": "a whole number, or a text of at most 64 characters",
    "channels": f"1 to {CHANNELS_MAX} channels, each an object with type, provider, symbol, ...",
    "max_hz": "0.1 to 20",
    "after": "a position: a whole number from 0",
}
_requests: msgspec.json.Decoder[Asking] = msgspec.json.Decoder(Asking)
_AT = re.compile(r" - at `\$\.?(.*)`$")
_NAMED = re.compile(r"(unknown|required) field `(.*)`$", re.DOTALL)


class _HasId(msgspec.Struct):
    id: Id = None


def read_request(message: bytes) -> Asking:
    """Raises Mistake that names the key."""
    try:
        return _requests.decode(message)
    except msgspec.ValidationError as error:
        raise _mistake(str(error), _id_of(message)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Mistake("this is no JSON object", None, "one JSON object a message, as docs/streaming.md shows") from None


def _id_of(message: bytes) -> Id:
    try:
        return msgspec.json.decode(message, type=_HasId).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _mistake(words: str, id: Id) -> Mistake:
    """The decoder's words end with where in the message it stumbled."""
    found = _AT.search(words)
    field = found[1] if found else ""
    what = words[: found.start()] if found else words
    named = _NAMED.search(what)
    if named:
        field = f"{field}.{named[2]}" if field else named[2]
        what = f"{named[2][:60]} is {'required' if named[1] == 'required' else 'no key of this'}"
        if named[1] == "unknown":
            keys = Asked.__struct_fields__ if field.startswith("channels[") else ("op", "id", "channels", "token")
            return Mistake(what, field[:100], list(keys), id)
    name = re.sub(r"\[.*?\]$", "", field).rpartition(".")[2]
    return Mistake(f"{field}: {what}" if field and not named else what, field[:100] or None, ALLOWED.get(name), id)
