"""`GET /candles` and `/candles/latest`: stored candles of a series, oldest first, in pages or as one stream of any length."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from marketd.api.answers import refuse, require
from marketd.api.forms import Form, FormName, form_of
from marketd.api.hot import KEY, Source
from marketd.api.parameters import COUNT, NS_MAX, SYMBOL, TIME, TIMEFRAME, TIMEFRAMES, TIMES, VENUE, one_timeframe
from marketd.api.rows import EXTRA
from marketd.api.schemas import CANDLES
from marketd.api.sending import Validator, send, stream, tag_of
from marketd.api.views import Views
from marketd.model.series import CandleSeries
from marketd.stores.archive import Row

if TYPE_CHECKING:
    from marketd.stores.archive import Archive

LIMIT_MAX = 10_000
LATEST = 100
BATCH = 2000  # rows that are read and encoded at once; the loop waits that long


def _include(text: str) -> str:
    if unknown := [word for word in text.split(",") if word not in EXTRA]:
        raise ValueError(f"some of {', '.join(EXTRA)}, with commas between them; {', '.join(unknown) or 'nothing'} is none")
    return text


class Shape(BaseModel):
    """Which series, and how its candles are to look."""

    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL
    timeframe: TIMEFRAME | None = Field(None, description=f"required, by this name or as tf; as 1m: {TIMEFRAMES}")
    tf: TIMEFRAME | None = Field(None, description="another name of timeframe")
    format: FormName = Field("json", description="json, csv or arrow (a stream of record batches)")
    numbers: Literal["string"] | None = Field(None, description="string: numbers in quotes; default JSON number literals")
    include: Annotated[str, AfterValidator(_include)] | None = Field(None, description=f"more keys: {', '.join(EXTRA)}")

    def form(self, series: CandleSeries) -> Form:
        return form_of(self.format, series, self.include.split(",") if self.include else [], self.numbers == "string")


class CandlesQuery(Shape):
    exchange: VENUE
    start: TIME = Field(0, description=f"from here on, inclusive: {TIMES}")
    end: TIME = Field(NS_MAX, description="up to here, exclusive")
    limit: COUNT | None = Field(None, ge=1, le=LIMIT_MAX, description="candles in one answer; default the whole range")
    cursor: str | None = Field(None, max_length=40, description="X-Next-Cursor of the answer before; needs limit")


class LatestQuery(Shape):
    exchange: VENUE | None = Field(None, description="default the first configured one that holds the series")
    limit: COUNT = Field(LATEST, ge=1, le=LIMIT_MAX, description="so many of the newest candles")


def candles_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["stored"])

    @routes.get("/candles", responses=CANDLES, summary="Stored candles, oldest first; a page's next cursor is in X-Next-Cursor")
    async def candles(request: Request, query: Annotated[CandlesQuery, Query()]) -> Response:
        series = CandleSeries(query.exchange, query.symbol, one_timeframe(query.timeframe, query.tf))
        start, end = _range(query)
        archive = await opened(views)
        form = query.form(series)
        source = Source(archive, series, archive.version(series))
        found = await archive.candles(series, start, end, limit=BATCH if query.limit is None else query.limit + 1)
        if not found:
            await known(views, archive, series)
        if query.limit is None and len(found) == BATCH:
            validator = await _validator_of_range(archive, series, query)
            return await stream(request, _whole(archive, series, found, end, form), form.media_type, {}, validator)
        rows = found[: query.limit]
        headers = {"X-Next-Cursor": str(found[-1].open_time)} if len(found) > len(rows) else {}
        request.scope[KEY] = source
        return await _answer(request, rows, form, headers)

    @routes.get(
        "/candles/latest", responses=CANDLES, summary="The newest candles, oldest first; of the first venue that has them"
    )
    async def latest(request: Request, query: Annotated[LatestQuery, Query()]) -> Response:
        frame = one_timeframe(query.timeframe, query.tf)
        archive = await opened(views)
        venues = [query.exchange] if query.exchange is not None else await _venues(views, archive, query.symbol)
        for venue in venues:
            series = CandleSeries(venue, query.symbol, frame)
            source = Source(archive, series, archive.version(series))
            if rows := await archive.candles(series, 0, NS_MAX, limit=query.limit, newest=True):
                request.scope[KEY] = source
                return await _answer(request, rows, query.form(series), {"X-Exchange": venue})
        await known(views, archive, CandleSeries(venues[0], query.symbol, frame))
        return await _answer(request, [], query.form(CandleSeries(venues[0], query.symbol, frame)), {})

    return routes


async def opened(views: Views) -> "Archive":
    """The archive, or 404 where there is none."""
    return require(None if views.stored is None else await views.stored.opened(), "archive")


async def known(views: Views, archive: "Archive", series: CandleSeries) -> None:
    """Nothing in the range is an answer; nothing of such a series at all is a 404 that says what there is."""
    await stored(views, archive, dict(zip(("exchange", "symbol", "timeframe"), series, strict=True)))


async def stored(views: Views, archive: "Archive", names: Mapping[str, str | None]) -> None:
    """404 that says what there is, for the first name that nothing is stored of beside those before it; None is any."""
    kept = [] if views.archive is None else [one.series for one in views.archive.keeper.kept]
    left = {*await archive.series(), *kept}
    for place, (parameter, name) in enumerate(names.items()):
        if name is None:
            continue
        others = sorted({one[place] for one in left})
        if name not in others:
            refuse(f"nothing is stored of {' '.join(filter(None, names.values()))}", parameter, others, status=404)
        left = {one for one in left if one[place] == name}


async def _venues(views: Views, archive: "Archive", symbol: str) -> list[str]:
    """Who may answer for a symbol: the configured ones in their order, then who else is stored."""
    first = list(views.feeds.order(symbol)) if views.feeds is not None else []
    there = await archive.series()
    others = sorted({one.venue for one in there if one.symbol == symbol})
    found = list(dict.fromkeys([*first, *others]))
    if not found:
        refuse(f"nothing is stored of {symbol}", "symbol", sorted({one.symbol for one in there}), status=404)
    return found


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


async def _answer(request: Request, rows: Sequence[Row], form: Form, headers: dict[str, str]) -> Response:
    """What still forms has no validator: it changes without a revision."""
    body = form.head() + form.rows(rows) + form.tail()
    validator = None
    if rows and all(row.closed for row in rows):
        changed = max([row.ts_recv or row.close_time for row in rows])
        validator = Validator(tag_of([body, *headers.values()]), changed)
    return await send(request, body, form.media_type, headers, validator)


async def _validator_of_range(archive: "Archive", series: CandleSeries, query: CandlesQuery) -> Validator | None:
    """Without reading the range twice: any candle more, corrected or confirmed changes what is counted."""
    summed = await archive.summed(series, query.start, query.end)
    if summed.forming:
        return None
    return Validator(tag_of([query.model_dump_json(), *summed]), summed.changed or 0)


async def _whole(archive: "Archive", series: CandleSeries, rows: Sequence[Row], end: int, form: Form) -> AsyncIterator[bytes]:
    """An answer that looks whole is whole: where the store fails on the way, the connection breaks before the tail."""
    yield form.head() + form.rows(rows)
    async for batch in archive.stream(series, rows[-1].open_time + 1, end, batch=BATCH):
        yield form.rows(batch)
    yield form.tail()
