"""`GET /ledger`: every stretch of a series, what is there and what is empty too; `POST /repair`: look at it at once."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import answer, refuse, require
from marketd.api.candles import known, opened
from marketd.api.parameters import NS_MAX, SYMBOL, TIME, TIMEFRAME, TIMES, VENUE, NoQuery
from marketd.api.shapes import TEXT, answers, array, shape
from marketd.api.shapes import TIME as MOMENT
from marketd.api.views import Views
from marketd.model.intervals import Interval
from marketd.model.ledger import STATES
from marketd.model.series import CandleSeries
from marketd.model.times import iso_of_ns


class LedgerQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    exchange: VENUE
    symbol: SYMBOL
    timeframe: TIMEFRAME
    start: TIME = Field(0, description=f"from here on, inclusive: {TIMES}")
    end: TIME = Field(NS_MAX, description="up to here, exclusive")


class Series(BaseModel):
    """One series that is kept."""

    model_config = ConfigDict(extra="forbid")

    exchange: VENUE
    symbol: SYMBOL
    timeframe: TIMEFRAME


def ledger_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["stored"])

    @routes.get("/ledger", responses=LEDGER, summary="A series stretch by stretch: have, missing, known empty, and why")
    async def ledger(query: Annotated[LedgerQuery, Query()]) -> Response:
        if query.end <= query.start:
            refuse("end must be after start", "end", "a time after start")
        archive = await opened(views)
        series = CandleSeries(query.exchange, query.symbol, query.timeframe)
        span = Interval(query.start, query.end)
        found = await archive.ledger(series, query.start, query.end)
        if not found:
            await known(views, archive, series)
        return answer(
            [
                {
                    "start": iso_of_ns(part.start),
                    "end": iso_of_ns(part.stop),
                    "state": part.state,
                    "cause": part.cause,
                    "since": iso_of_ns(part.since),
                }
                for part in (one.within(span) for one in found)
            ]
        )

    @routes.post("/repair", responses=REPAIR, status_code=202, summary="Look for what a series lacks at once; needs the token")
    async def repair(wanted: Annotated[Series, Body()], _: Annotated[NoQuery, Query()]) -> Response:
        keeper = require(views.archive, "archive").keeper
        series = CandleSeries(wanted.exchange, wanted.symbol, wanted.timeframe)
        kept = [one.series for one in keeper.kept]
        if series not in kept:
            refuse(f"{' '.join(series)} is not kept here", "exchange", sorted({one.venue for one in kept}), status=404)
        keeper.repair_soon(series)
        return answer(
            {"exchange": series.venue, "symbol": series.symbol, "timeframe": series.timeframe, "state": "asked"}, status=202
        )

    return routes


LEDGER = answers(array(shape({"start": MOMENT, "end": MOMENT, "state": {"enum": list(STATES)}, "cause": TEXT, "since": MOMENT})))
REPAIR = answers(shape(dict.fromkeys(("exchange", "symbol", "timeframe", "state"), TEXT)), "it is looked at now", 202)
