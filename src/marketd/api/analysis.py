"""`GET /analysis`: the technical analysis of a coin and timeframe as it was published last, its signals included."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from marketd.api.answers import ERRORS, answer, refuse, require
from marketd.api.parameters import SYMBOL, TIMEFRAME
from marketd.api.views import Views


class AnalysisQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL
    timeframe: TIMEFRAME


def analysis_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["analysis"])

    @routes.get("/analysis", responses=ANALYSIS, summary="The technical analysis of a coin as published last")
    async def analysis(query: Annotated[AnalysisQuery, Query()]) -> Response:
        studies = require(views.studies, "ta")
        if query.timeframe not in studies.timeframes:
            allowed = list(studies.timeframes)
            refuse(f"timeframe {query.timeframe} is not analysed here", "timeframe", allowed, status=404)
        reading = studies.reading(query.symbol, query.timeframe)
        if reading is None:
            known = sorted(studies.symbols)
            refuse(f"nothing was read of {query.symbol} {query.timeframe} yet", "symbol", known, status=404)
        return answer(reading)

    return routes


_READING: dict[str, Any] = {
    "type": "object",
    "required": [
        "symbol", "provider", "timeframe", "quality", "open_time", "close_time", "close", "ribbon", "squeeze", "stochastic_rsi",
        "signals",
    ],
    "properties": {
        "symbol": {"type": "string"},
        "provider": {"type": "string"},
        "timeframe": {"type": "string"},
        "quality": {"type": "object"},
        "signals": {"type": "array", "items": {"type": "object"}},
    },
}  # fmt: skip
ANALYSIS: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {"description": "the last reading", "content": {"application/json": {"schema": _READING}}},
}
