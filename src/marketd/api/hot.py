"""Answers that were just given, for those who ask the same again: no route, no database, no encoding."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketd.api.sending import takes_gzip
from marketd.clock import Clock
from marketd.model.series import CandleSeries

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

FRESH_S = 1.0  # what another process writes is seen after so long; what this one writes, at once
BYTES_MAX = 32 << 20  # kept in all
ANSWER_MAX = 1 << 20
OWN = frozenset({"origin", "if-none-match", "if-modified-since", "range"})  # whoever sends these gets an answer of their own
KEY = "marketd.source"  # where a route says what its answer was made of


class Source(NamedTuple):
    """An answer is as good as new while the series has this version."""

    archive: "Archive"
    series: CandleSeries
    version: int


@dataclass(frozen=True)
class Kept:
    start: Message
    body: Message
    source: Source
    until_s: float

    @property
    def size(self) -> int:
        return len(self.body["body"])


class Hot:
    """An ASGI layer inside the guard. It keeps short answers whose route says what they were made of."""

    def __init__(self, app: ASGIApp, *, clock: Clock) -> None:
        self._app, self._clock = app, clock
        self._kept: OrderedDict[tuple[str, bytes, bool], Kept] = OrderedDict()  # the least lately asked first
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/candles"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not OWN.isdisjoint(headers.keys()):
            await self._app(scope, receive, send)
            return
        key = (scope["path"], scope["query_string"], takes_gzip(headers.get("accept-encoding", "")))
        kept = self._fresh(key)
        if kept is None:
            await self._app(scope, receive, self._keeping(key, scope, send))
            return
        await send(kept.start)
        await send(kept.body)

    def _fresh(self, key: tuple[str, bytes, bool]) -> Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        archive, series, version = kept.source
        if self._clock.monotonic() >= kept.until_s or archive.version(series) != version:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def _keeping(self, key: tuple[str, bytes, bool], scope: Scope, send: Send) -> Send:
        """Pass on, and remember an answer of one part."""
        starts: list[Message] = []

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                starts.append(message)
            source = scope.get(KEY)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body") and len(starts) == 1
            if source is not None and is_whole and starts[0]["status"] == 200 and len(message.get("body", b"")) <= ANSWER_MAX:
                self._keep(key, Kept(starts[0], message, source, self._clock.monotonic() + FRESH_S))
            await send(message)

        return passing

    def _keep(self, key: tuple[str, bytes, bool], kept: Kept) -> None:
        self._drop(key)
        self._kept[key] = kept
        self._bytes += kept.size
        while self._bytes > BYTES_MAX:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, bytes, bool]) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= gone.size
