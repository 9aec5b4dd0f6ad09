"""`GET /candles`: stored candles of a series, oldest first, in pages or as one stream of any length."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from marketd.api.answers import ERRORS, refuse, require
from marketd.api.parameters import NS_MAX, SYMBOL, TIME, TIMEFRAME, TIMES, VENUE, one_timeframe
from marketd.api.rows import EXTRA, json_rows
from marketd.api.views import Views
from marketd.model.series import CandleSeries
from marketd.stores.archive import Row

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

LIMIT_MAX = 10_000
BATCH = 2000  # rows that are read and encoded at once; the loop waits that long


def _include(text: str) -> str:
    if unknown := [word for word in text.split(",") if word not in EXTRA]:
        raise ValueError(f"some of {', '.join(EXTRA)}, with commas between them; {', '.join(unknown) or 'nothing'} is none")
    return text


class Shape(BaseModel):
    """How candles are to look."""

    model_config = ConfigDict(extra="forbid")

    include: Annotated[str, AfterValidator(_include)] | None = Field(None, description=f"more keys: {', '.join(EXTRA)}")


class CandlesQuery(Shape):
    exchange: VENUE
    symbol: SYMBOL
    timeframe: TIMEFRAME | None = None
    tf: TIMEFRAME | None = Field(None, description="another name of timeframe")
    start: TIME = Field(0, description=f"from here on, inclusive: {TIMES}")
    end: TIME = Field(NS_MAX, description="up to here, exclusive")
    limit: int | None = Field(None, ge=1, le=LIMIT_MAX, description="candles in one answer; default the whole range")
    cursor: str | None = Field(None, max_length=40, description="X-Next-Cursor of the answer before; needs limit")


def candles_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["stored"])

    @routes.get("/candles", responses=ERRORS, summary="Stored candles, oldest first; a page's next cursor is in X-Next-Cursor")
    async def candles(request: Request, query: Annotated[CandlesQuery, Query()]) -> Response:
        archive = await stored(views)
        series = CandleSeries(query.exchange, query.symbol, one_timeframe(query.timeframe, query.tf))
        start, end = _range(query)
        include = query.include.split(",") if query.include else []
        if query.limit is not None:
            found = await archive.candles(series, start, end, limit=query.limit + 1)
            rows = found[: query.limit]
            headers = {"X-Next-Cursor": str(found[query.limit].open_time)} if len(found) > len(rows) else None
        else:
            rows = await archive.candles(series, start, end, limit=BATCH)
            headers = None
        if not rows:
            await known(archive, series)
        if query.limit is None and len(rows) == BATCH:
            return StreamingResponse(_whole(archive, series, rows, end, include), 200, headers, media_type="application/json")
        return Response(b"[%b]" % json_rows(series, rows, include), 200, headers, media_type="application/json")

    return routes


async def stored(views: Views) -> "Archive":
    return require(None if views.stored is None else await views.stored.opened(), "archive")


def _range(query: CandlesQuery) -> tuple[int, int]:
    if query.end <= query.start:
        refuse("end must be after start", "end", "a time after start")
    if query.cursor is None:
        return query.start, query.end
    if query.limit is None:
        refuse("cursor needs a limit", "limit", f"1 to {LIMIT_MAX}")
    if not (query.cursor.isascii() and query.cursor.isdecimal() and query.start <= int(query.cursor) < query.end):
        refuse("cursor is none of ours for this range", "cursor", "X-Next-Cursor of an earlier answer to the same range")
    return int(query.cursor), query.end


async def known(archive: "Archive", series: CandleSeries) -> None:
    """Nothing in the range is an answer; nothing of such a series at all is a 404 that says what there is."""
    there = await archive.series()
    if series in there:
        return
    for place, name in enumerate(("exchange", "symbol", "timeframe")):
        others = sorted({one[place] for one in there if one[:place] == series[:place]})
        if series[place] not in others:
            refuse(f"nothing is stored of {series}", name, others, status=404)


async def _whole(
    archive: "Archive", series: CandleSeries, rows: Sequence[Row], end: int, include: Sequence[str]
) -> AsyncIterator[bytes]:
    """Where the store fails on the way the connection breaks: an array that looks whole is whole."""
    yield b"[" + json_rows(series, rows, include)
    async for batch in archive.stream(series, rows[-1].open_time + 1, end, batch=BATCH):
        yield b"," + json_rows(series, batch, include)
    yield b"]"
