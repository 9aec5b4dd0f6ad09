"""`GET /symbols`: what a venue lists, or what is asked of each."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from marketd.api.answers import answer, refuse
from marketd.api.candles import opened
from marketd.api.parameters import VENUE
from marketd.api.schemas import SYMBOLS
from marketd.api.views import Views


class SymbolsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    exchange: VENUE | None = None


def symbols_routes(views: Views) -> APIRouter:
    """A process that asks no venue knows what is stored."""
    routes = APIRouter(tags=["stored"])

    @routes.get("/symbols", responses=SYMBOLS, summary="With exchange what it lists; without, what is collected from each")
    async def symbols(query: Annotated[SymbolsQuery, Query()]) -> Response:
        if views.feeds is None:
            found: dict[str, list[str]] = {}
            for one in await (await opened(views)).series():
                found.setdefault(one.venue, []).append(one.symbol)
            known = {venue: sorted(set(its)) for venue, its in found.items()}
        else:
            known = {venue: sorted(its) for venue, its in views.feeds.configured().items()}
        if query.exchange is None:
            return answer(known)
        if query.exchange not in known:
            refuse(f"{query.exchange} does not run here", "exchange", sorted(known), status=404)
        if views.feeds is None:
            return answer({query.exchange: known[query.exchange]})
        listed = views.feeds.listed(query.exchange)
        if listed is None:
            refuse(f"{query.exchange} has not sent its list yet", "exchange", "the same again in a few seconds", status=503)
        return answer({query.exchange: sorted(listed)})

    return routes
