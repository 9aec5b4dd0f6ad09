"""`GET /status/live`: health and venues as they change, by server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from marketd.api.answers import ERRORS, refuse
from marketd.api.health import health_of
from marketd.api.parameters import NoQuery
from marketd.api.sending import sent_events
from marketd.api.shapes import TEXT, shape
from marketd.api.views import Views

FOLLOWERS_MAX = 64  # at once
EVERY_S = 1.0
QUIET_S = 15.0  # after so long without a change a comment is sent, so that whoever is in between keeps the connection
EVENT = shape({"event": TEXT, "data": TEXT})  # the data is JSON, except in `end`
HEAD = b"retry: 2000\n\n"


def status_live_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["status"])
    live = {**ERRORS, 200: {"description": "events: health and venues", "content": {"text/event-stream": {"schema": EVENT}}}}
    states = States(views)

    @routes.get("/status/live", responses=live, summary="Health and venues as they change, as server-sent events")
    async def status_live(request: Request, _: Annotated[NoQuery, Query()]) -> Response:
        if states.followers >= FOLLOWERS_MAX:
            refuse("too many follow the status at once", "connections", FOLLOWERS_MAX, status=503)
        events = states.follow(request)
        return sent_events(await anext(events), events)

    return routes


class States:
    """The newest state, made once for all that follow."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._made_s = float("-inf")
        self._newest = b""
        self.followers = 0

    def newest(self) -> bytes:
        now_s = self._views.clock.monotonic()
        if now_s - self._made_s >= EVERY_S / 2:
            self._made_s = now_s
            _, health = health_of(self._views)
            venues = [] if self._views.feeds is None else self._views.feeds.venues()
            self._newest = msgspec.json.encode({"health": health, "venues": venues})
        return self._newest

    async def follow(self, request: Request) -> AsyncIterator[bytes]:
        """Each state as an event `status`; the daemon's end as event `end`. It counts once its head is asked for."""
        self.followers += 1
        stopping: asyncio.Event = request.app.state.stopping
        clock, said, said_s = self._views.clock, b"", 0.0
        try:
            yield HEAD
            while not stopping.is_set():
                newest, now_s = self.newest(), clock.monotonic()
                if newest != said:
                    said, said_s = newest, now_s
                    yield b"event: status\ndata: %s\n\n" % newest
                elif now_s - said_s >= QUIET_S:
                    said_s = now_s
                    yield b": quiet\n\n"
                if await request.is_disconnected():
                    return
                await clock.sleep(EVERY_S)
            yield b"event: end\ndata: marketd is stopping\n\n"
        finally:
            self.followers -= 1
