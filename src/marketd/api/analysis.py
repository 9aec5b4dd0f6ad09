"""`GET /analysis`: the technical analysis of a coin as it was published last; `/analysis/signals`: what it said so far."""

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import ERRORS, answer, refuse, require
from marketd.api.parameters import COUNT, SYMBOL, TIMEFRAME
from marketd.api.shapes import NS, NUMBER, QUALITY, TEXT, TRUTH, WHOLE, array, maybe, shape
from marketd.api.views import Views
from marketd.model.signals import Direction


class AnalysisQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL
    timeframe: TIMEFRAME


class SignalsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL | None = Field(None, description="of this symbol only")
    timeframe: TIMEFRAME | None = Field(None, description="of this timeframe only")
    limit: COUNT = Field(100, ge=1, le=1000, description="how many, newest first")


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

    @routes.get("/analysis/signals", responses=SIGNALS, summary="The newest signals of the technical analysis, newest first")
    async def signals(query: Annotated[SignalsQuery, Query()]) -> Response:
        said = require(views.studies, "ta").said
        asked = [one for one in said if query.symbol in (None, one.symbol) and query.timeframe in (None, one.timeframe)]
        return answer(asked[: -query.limit - 1 : -1])

    return routes


_FIGURE, _COUNT = maybe(NUMBER), maybe(WHOLE)
_ORDER = maybe({"enum": ["up", "down", "mixed"]})
_CROSSING = shape({"fast": WHOLE, "slow": WHOLE, "direction": TEXT})
_RIBBON = shape(
    {
        "periods": array(WHOLE), "values": array(_FIGURE), "order": _ORDER, "order_before": _ORDER, "width": _FIGURE,
        "crossings": array(_CROSSING),
    }
)  # fmt: skip
_SQUEEZE = shape(
    {
        "on": maybe(TRUTH), "candles": _COUNT, "candles_before": _COUNT, "bollinger": _FIGURE, "keltner": _FIGURE,
        "momentum": _FIGURE, "momentum_before": _FIGURE,
    }
)  # fmt: skip
_SIGNAL = shape(
    {
        "symbol": TEXT, "provider": TEXT, "timeframe": TEXT, "direction": {"enum": list(get_args(Direction))}, "rule": TEXT,
        "reasons": array(TEXT), "price": TEXT, "open_time": NS, "close_time": NS, "ts": NS, "quality": QUALITY,
    }
)  # fmt: skip
_READING = shape(
    {
        "symbol": TEXT, "provider": TEXT, "timeframe": TEXT, "quality": QUALITY, "open_time": maybe(NS), "close_time": maybe(NS),
        "close": maybe(TEXT), "ribbon": maybe(_RIBBON), "squeeze": maybe(_SQUEEZE),
        "stochastic_rsi": maybe(shape(dict.fromkeys(("rsi", "k", "d", "k_before", "d_before"), _FIGURE))),
        "signals": array(_SIGNAL),
    }
)  # fmt: skip
ANALYSIS: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {"description": "the last reading", "content": {"application/json": {"schema": _READING}}},
}
SIGNALS: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {"description": "signals", "content": {"application/json": {"schema": array(_SIGNAL)}}},
}
