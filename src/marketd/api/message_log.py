"""`GET /api/redis/log`: what went through the shared cache, in pages, newest first; and live, by server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, get_args

import msgspec
import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import ERRORS, answer, refuse, require
from marketd.api.parameters import COUNT, TIME, TIMES
from marketd.api.sending import sent_events
from marketd.api.views import Views
from marketd.errors import DeliveryError
from marketd.model.message_log import EntryType, Source
from marketd.stores.cache import Logged, Resumed, Wanted

LIMIT = 100
LIMIT_MAX = 1000
TAILS_MAX = 16  # at once
QUIET_S = 15.0  # after so long without an entry a comment is sent, so that whoever is in between keeps the connection
RETRY_MS = 2000
CURSOR = "X-Next-Cursor of an earlier answer, or the id of an entry"
ROLES = "cache, scanner, ta or trader"
Schema = dict[str, Any]
log = structlog.get_logger("api")
_encode = msgspec.json.encode


class LogQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: EntryType | None = Field(None, description=f"one of {', '.join(get_args(EntryType))}")
    source: Source | None = Field(None, description=f"one of {', '.join(get_args(Source))}")
    channel: str | None = Field(None, min_length=1, max_length=200, description="the channel or key, as it is")
    since: TIME = Field(0, description=f"logged at or after: {TIMES}")

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.type, self.source, self.channel, self.since)


class PageQuery(LogQuery):
    limit: COUNT = Field(LIMIT, ge=1, le=LIMIT_MAX, description="entries in one answer")
    cursor: str | None = Field(None, max_length=50, description=f"older than this: {CURSOR}")


def message_log_routes(views: Views) -> APIRouter:
    routes = APIRouter(prefix="/api/redis", tags=["cache"])
    tails = Tails()

    @routes.get("/log", responses=PAGE, summary="The message log, newest first; the next page's cursor is in X-Next-Cursor")
    async def message_log(query: Annotated[PageQuery, Query()]) -> Response:
        cache = require(views.cache, ROLES)
        try:
            page = await cache.log(query.wanted, query.limit, query.cursor)
        except ValueError:
            refuse("cursor is none of ours", "cursor", CURSOR)
        return answer(page.entries, {"X-Next-Cursor": page.cursor} if page.cursor else None)

    @routes.get("/log/live", responses=LIVE, summary="The message log as it grows, as server-sent events")
    async def message_log_live(
        request: Request,
        query: Annotated[LogQuery, Query()],
        last_event_id: Annotated[str | None, Header(max_length=50, description="go on after this entry")] = None,
    ) -> Response:
        cache = require(views.cache, ROLES)
        if tails.count >= TAILS_MAX:
            refuse("too many follow the log at once", "connections", TAILS_MAX, status=503)
        events = tails.tail(request, cache.follow(last_event_id), query.wanted)
        try:
            head = await anext(events)
        except ValueError:
            refuse("Last-Event-ID is none of ours", "Last-Event-ID", "the id of an entry, as 1700000000000-0")
        return sent_events(head, events)

    return routes


class Tails:
    """Answers that go on until their client or the daemon ends them."""

    def __init__(self) -> None:
        self.count = 0

    async def tail(
        self,
        request: Request,
        following: AsyncIterator[Sequence[Logged] | Resumed],
        wanted: Wanted,
    ) -> AsyncIterator[bytes]:
        """Entries as events with their id; a loss as event `gone`; the daemon's end as event `end`.

        It counts from the moment that its head is asked for. Until the head is there it raises what `follow` does.
        """
        self.count += 1
        try:
            batch = await anext(following)
            yield b"retry: %d\n\n" % RETRY_MS
            async for body in self._events(request, batch, following, wanted):
                yield body
        finally:
            self.count -= 1
            await following.aclose()  # type: ignore[attr-defined]  # an async generator in each cache

    async def _events(
        self,
        request: Request,
        batch: Sequence[Logged] | Resumed,
        following: AsyncIterator[Sequence[Logged] | Resumed],
        wanted: Wanted,
    ) -> AsyncIterator[bytes]:
        stopping: asyncio.Event = request.app.state.stopping
        loop = asyncio.get_running_loop()
        said_s = loop.time()
        try:
            while not stopping.is_set():
                body = _gone(batch) if isinstance(batch, Resumed) else b"".join(_event(one) for one in batch if wanted.takes(one))
                if not body and loop.time() - said_s >= QUIET_S:
                    body = b": quiet\n\n"
                if body:
                    said_s = loop.time()
                    yield body
                batch = await anext(following)
                if await request.is_disconnected():
                    return
            yield b"event: end\ndata: marketd is stopping\n\n"
        except DeliveryError as error:
            log.warning("api.cut", path="/api/redis/log/live", reason=str(error))
            yield b"event: end\ndata: the log cannot be read now\n\n"


def _event(entry: Logged) -> bytes:
    return b"id: %s\ndata: %s\n\n" % (entry.id.encode(), _encode(entry))


def _gone(resumed: Resumed) -> bytes:
    return b"event: gone\ndata: %s\n\n" % _encode({"reason": resumed.reason})


_TEXT: Schema = {"type": "string"}
_ENTRY: Schema = {
    "type": "object",
    "required": ["id", "type", "channel", "source", "summary", "payload_size", "timestamp"],
    "properties": {
        "id": _TEXT, "type": _TEXT, "channel": _TEXT, "source": _TEXT, "summary": _TEXT,
        "payload_size": {"type": "integer"}, "timestamp": _TEXT,
    },
}  # fmt: skip
PAGE: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {"description": "entries", "content": {"application/json": {"schema": {"type": "array", "items": _ENTRY}}}},
}
LIVE: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {"description": "events: each entry as JSON with its id", "content": {"text/event-stream": {"schema": _TEXT}}},
}
