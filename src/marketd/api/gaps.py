"""`GET /gaps`: what is missing or was, and why; what the venue itself has no candle for is no gap."""

from typing import Annotated, get_args

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import answer, refuse
from marketd.api.candles import opened, stored
from marketd.api.parameters import NS_MAX, SYMBOL, TIME, TIMEFRAME, TIMEFRAMES, TIMES, VENUE, one_timeframe
from marketd.api.schemas import GAPS
from marketd.api.views import Views
from marketd.model.ledger import State
from marketd.model.times import iso_of_ns
from marketd.stores.archive import GapRow

STATES = f"one of {', '.join(get_args(State))}; have: repaired since; known_empty: the venue was down, or had nothing after all"


class GapsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    exchange: VENUE | None = Field(None, description="of this venue only")
    symbol: SYMBOL | None = Field(None, description="of this symbol only")
    timeframe: TIMEFRAME | None = Field(None, description=f"of this timeframe only, as 1m: {TIMEFRAMES}")
    tf: TIMEFRAME | None = Field(None, description="another name of timeframe")
    state: State | None = Field(None, description=STATES)
    open: bool = Field(False, description="true: only what is neither repaired nor the venue's own emptiness")
    start: TIME = Field(0, description=f"gaps that touch the time from here on: {TIMES}")
    end: TIME = Field(NS_MAX, description="and up to here, exclusive")


def gaps_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["stored"])

    @routes.get(
        "/gaps",
        responses=GAPS,
        summary="What is missing, cannot be had, or was and is repaired, with its cause; intervals without trades are no gaps",
    )
    async def gaps(query: Annotated[GapsQuery, Query()]) -> Response:
        if query.end <= query.start:
            refuse("end must be after start", "end", "a time after start")
        frame = one_timeframe(query.timeframe, query.tf) if query.timeframe or query.tf else None
        archive = await opened(views)
        found = await archive.gaps(query.exchange, query.symbol, frame, query.open)
        if not found:
            await stored(views, archive, {"exchange": query.exchange, "symbol": query.symbol, "timeframe": frame})
        return answer(
            [
                _row(one)
                for one in found
                if one.gap_start < query.end and one.gap_end > query.start and query.state in (None, one.state)
            ]
        )

    return routes


def _row(one: GapRow) -> dict[str, str | None]:
    return {
        "exchange": one.exchange,
        "symbol": one.symbol,
        "timeframe": one.timeframe,
        "gap_start": iso_of_ns(one.gap_start),
        "gap_end": iso_of_ns(one.gap_end),
        "detected_at": _time(one.detected_at),
        "repaired_at": _time(one.repaired_at),
        "state": one.state,
        "cause": one.cause,
    }


def _time(ts: int | None) -> str | None:
    return None if ts is None else iso_of_ns(ts)
