"""`GET /lines`: what happened to the venues' lines and who stood in for whom, also before the start where events are stored."""

from typing import Annotated, get_args

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import answer, require
from marketd.api.parameters import COUNT, NS_MAX, TIME, TIMES, VENUE
from marketd.api.shapes import NS, TEXT, answers, array, shape
from marketd.api.views import Views
from marketd.model.events import SYSTEM, LineState, Status

LIMIT = 100
LIMIT_MAX = 1000


class LinesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    provider: VENUE | None = Field(None, description="of this venue only")
    symbols: bool = Field(False, description="true: also what concerns one symbol and not the whole line")
    before: TIME = Field(NS_MAX, description=f"older than this: {TIMES}")
    limit: COUNT = Field(LIMIT, ge=1, le=LIMIT_MAX, description="how many, newest first")


def lines_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["status"])

    @routes.get("/lines", responses=LINES, summary="What happened to each venue's line, and failover, newest first")
    async def lines(query: Annotated[LinesQuery, Query()]) -> Response:
        if views.latest is None and views.store is None:
            require(views.latest, "ingest")
        store, found = views.store, _remembered(views, query)
        if store is not None:
            found += await store.ask(
                lambda reader: reader.statuses(query.provider, before=query.before, limit=query.limit, lines=not query.symbols)
            )
        # What was just said is not stored yet, or never where the store is away or off; what is older only the store has.
        once = {(one.ts_recv, one.venue, one.symbol, one.state): one for one in found}
        newest = sorted(once.values(), key=lambda one: one.ts_recv, reverse=True)[: query.limit]
        return answer([_row(one) for one in newest])

    return routes


def _remembered(views: Views, query: LinesQuery) -> list[Status]:
    return [
        one
        for one in (() if views.latest is None else views.latest.statuses)
        if query.provider in (None, one.venue) and (query.symbols or one.symbol == SYSTEM) and one.ts_recv < query.before
    ]


def _row(one: Status) -> dict[str, object]:
    symbol = None if one.symbol == SYSTEM else one.symbol
    return {"ts": one.ts_recv, "provider": one.venue, "symbol": symbol, "state": one.state, "reason": one.reason}


LINES = answers(
    array(
        shape(
            {
                "ts": NS, "provider": TEXT, "symbol": {"anyOf": [TEXT, {"type": "null"}]},
                "state": {"enum": list(get_args(LineState))}, "reason": TEXT,
            }
        )
    )
)  # fmt: skip
