"""`PUT /subscriptions`: change what is collected while it runs."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import answer, refuse, require
from marketd.api.parameters import SYMBOL, VENUE, NoQuery
from marketd.api.shapes import answers, ref
from marketd.api.views import Views

NAMED_MAX = 10  # symbols that an answer repeats


class Symbols(BaseModel):
    """What is wanted from now on."""

    model_config = ConfigDict(extra="forbid")

    symbols: list[SYMBOL] = Field(min_length=1, max_length=1000, description="exactly these are collected")
    provider: VENUE | None = Field(None, description="from this venue only; default every venue that is no backup")


def subscriptions_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["live"])

    @routes.put("/subscriptions", responses=answers(ref("Changed")), summary="Change symbols live; needs the token")
    async def subscriptions(wanted: Annotated[Symbols, Body()], _: Annotated[NoQuery, Query()]) -> Response:
        feeds = require(views.feeds, "ingest")
        known = [venue.name for venue in feeds.venues()]
        if wanted.provider is not None and wanted.provider not in known:
            refuse(f"{wanted.provider} does not run here", "provider", known)
        symbols = list(dict.fromkeys(wanted.symbols))
        changed = await feeds.change(wanted.provider, symbols)
        if len(changed.unlisted) == len(symbols):
            named = ", ".join(symbols[:NAMED_MAX]) + (" and others" if len(symbols) > NAMED_MAX else "")
            where = wanted.provider or ", ".join(known)
            refuse(
                f"{where} lists none of {named}; {len(changed.symbols)} symbols are collected as before",
                "symbols",
                f"at least one symbol that is listed there; `marketd symbols --exchange {wanted.provider or 'NAME'}` shows them",
                422,
            )
        return answer(changed)

    return routes
