"""`GET /scanner`: every coin of the candle cache as it was ranked last, with what the rank is made of."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import ERRORS, answer, refuse, require
from marketd.api.parameters import COUNT, SYMBOL
from marketd.api.shapes import NS, NUMBER, QUALITY, TEXT, WHOLE, array, maybe, shape
from marketd.api.views import Views

if TYPE_CHECKING:
    from marketd.analysis.scanning import Row

LIMIT_MAX = 2_000

# What a coin can be sorted by, and the columns of CSV.
FIGURES: "dict[str, Callable[[Row], float | None]]" = {
    "rank": lambda row: row.rank,
    "score": lambda row: row.scan.score,
    "rsi": lambda row: row.scan.rsi,
    "vwap_day": lambda row: row.scan.vwap_day,
    "vwap_rolling": lambda row: row.scan.vwap_rolling,
    "vwap_distance": lambda row: row.scan.vwap_distance,
    "bollinger_upper": lambda row: row.scan.bollinger.upper,
    "bollinger_middle": lambda row: row.scan.bollinger.middle,
    "bollinger_lower": lambda row: row.scan.bollinger.lower,
    "percent_b": lambda row: row.scan.bollinger.percent_b,
    "bandwidth": lambda row: row.scan.bollinger.bandwidth,
}
Sort = Literal[
    "rank", "-rank", "symbol", "-symbol", "score", "-score", "rsi", "-rsi", "vwap_distance", "-vwap_distance",
    "percent_b", "-percent_b", "bandwidth", "-bandwidth",
]  # fmt: skip


class ScannerQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: COUNT | None = Field(None, ge=1, le=LIMIT_MAX, description="so many coins at most; all without")
    symbol: SYMBOL | None = None
    sort: Sort = Field("rank", description="a figure, rising; with - before it falling; coins without it come last")
    format: Literal["json", "csv"] = Field("json", description="json, or csv: a line a coin")


def scanner_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["analysis"])

    @routes.get("/scanner", responses=SCANNER, summary="The coins of the candle cache, ranked")
    async def scanner(query: Annotated[ScannerQuery, Query()]) -> Response:
        ranking = require(views.scanner, "scanner").ranking
        rows = _sorted(ranking.coins, query.sort)
        if query.symbol is not None:
            rows = [row for row in rows if row.symbol == query.symbol]
            if not rows:
                known = sorted(row.symbol for row in ranking.coins)
                refuse(f"{query.symbol} is not among the coins that were scanned", "symbol", known, status=404)
        rows = rows[: query.limit]
        if query.format == "csv":
            return Response(_csv(rows), media_type="text/csv")
        return answer({"timeframe": ranking.timeframe, "timestamp": ranking.timestamp, "coins": rows})

    return routes


def _sorted(rows: "Sequence[Row]", sort: Sort) -> "list[Row]":
    name, falls = sort.removeprefix("-"), sort.startswith("-")
    if name == "symbol":
        return sorted(rows, key=lambda row: row.symbol, reverse=falls)
    figure = FIGURES[name]
    valued = sorted(((value, row) for row in rows if (value := figure(row)) is not None), key=lambda one: one[0], reverse=falls)
    return [row for _, row in valued] + [row for row in rows if figure(row) is None]


def _csv(rows: "Sequence[Row]") -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["symbol", "provider", "close_time", "close", "price", "price_time", *FIGURES, "reason"])
    for row in rows:
        its = row.scan
        figures = ["" if (value := figure(row)) is None else repr(value) for figure in FIGURES.values()]
        known = [row.symbol, its.venue, its.close_time, its.close, row.price, row.price_time]
        writer.writerow(["" if one is None else one for one in [*known, *figures, its.quality.reason]])
    return out.getvalue()


_FIGURE = maybe(NUMBER)
_SCAN = shape(
    {
        "symbol": TEXT, "provider": TEXT, "timeframe": TEXT, "quality": QUALITY, "open_time": maybe(NS), "close_time": maybe(NS),
        "close": maybe(TEXT), "rsi": _FIGURE, "vwap_day": _FIGURE, "vwap_rolling": _FIGURE, "vwap_distance": _FIGURE,
        "bollinger": shape(dict.fromkeys(("upper", "middle", "lower", "percent_b", "bandwidth"), _FIGURE)),
        "score": _FIGURE, "parts": shape(dict.fromkeys(("rsi", "bollinger", "vwap"), _FIGURE)),
    }
)  # fmt: skip
_ROW = shape({"rank": maybe(WHOLE), "symbol": TEXT, "price": maybe(TEXT), "price_time": maybe(TEXT), "scan": _SCAN})
_RANKING = shape({"timeframe": TEXT, "timestamp": maybe(TEXT), "coins": array(_ROW)})
SCANNER: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {
        "description": "the last ranking",
        "content": {"application/json": {"schema": _RANKING}, "text/csv": {"schema": {"type": "string"}}},
    },
}
