"""`GET /trades`: stored trades, in pages."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import answer, refuse, require
from marketd.api.parameters import COUNT, NS_MAX, SYMBOL, TIME, TIMES, VENUE
from marketd.api.shapes import answers, array, ref
from marketd.api.views import Views

LIMIT = 1000
LIMIT_MAX = 10_000


class TradesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL
    start: TIME = Field(0, description=f"from here on, inclusive: {TIMES}")
    end: TIME = Field(NS_MAX, description="up to here, exclusive; default the newest")
    limit: COUNT = Field(LIMIT, ge=1, le=LIMIT_MAX, description="trades in one answer")
    cursor: str | None = Field(None, max_length=200, description="X-Next-Cursor of the answer before")
    provider: VENUE | None = None


def trades_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["stored"])

    @routes.get(
        "/trades",
        responses=answers(array(ref("Trade"))),
        summary="Stored trades, oldest first; the next page's cursor is in X-Next-Cursor",
    )
    async def trades(query: Annotated[TradesQuery, Query()]) -> Response:
        store = require(views.store, "ingest")
        if query.end <= query.start:
            refuse("end must be after start", "end", "a time after start")
        try:
            page = await store.ask(
                lambda reader: reader.trades(
                    query.symbol,
                    start=query.start,
                    end=query.end,
                    limit=query.limit,
                    cursor=query.cursor,
                    venue=query.provider,
                )
            )
        except (ValueError, OverflowError):
            refuse("cursor is none of ours", "cursor", "X-Next-Cursor of an earlier answer")
        return answer(page.trades, {"X-Next-Cursor": page.cursor} if page.cursor else None)

    return routes
