"""`GET /features/latest` and `/state/latest`: the features as they were published, and the trade and quote behind them."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.analysis.payloads import NAMES, NEVER_SEEN, NOTHING, SAID_MAX, Alert, AlertKind, Direction, Signal
from marketd.api.answers import ERRORS, answer, refuse, require
from marketd.api.parameters import COUNT, SYMBOL, VENUE
from marketd.api.shapes import NS, ref
from marketd.api.views import FeaturesView, Views

Schema = dict[str, Any]


class FeaturesQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL
    provider: VENUE | None = None


class SignalsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL | None = Field(None, description="of this symbol only")
    limit: COUNT = Field(50, ge=1, le=SAID_MAX, description="how many, newest first")


def features_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["features"])

    @routes.get("/features/latest", responses=FEATURES, summary="The features of a symbol as published last")
    async def features_latest(query: Annotated[FeaturesQuery, Query()]) -> Response:
        view = require(views.features, "features")
        _check_provider(view, query)
        made = view.features(query.symbol)
        if made is None:
            return answer({"symbol": query.symbol, "provider": None, "ts": None, "features": NOTHING, "quality": NEVER_SEEN})
        return answer(made)

    @routes.get("/state/latest", responses=STATE, summary="The newest trade and quote that the features of a symbol are made of")
    async def state_latest(query: Annotated[FeaturesQuery, Query()]) -> Response:
        view = require(views.features, "features")
        _check_provider(view, query)
        venue, trade, quote = view.latest(query.symbol) or (None, None, None)
        return answer({"symbol": query.symbol, "provider": venue, "trade": trade, "quote": quote})

    @routes.get("/features/signals", responses=SAID, summary="The newest signals and alerts of the features, newest first")
    async def features_signals(query: Annotated[SignalsQuery, Query()]) -> Response:
        said = require(views.features, "features").said
        found = [one for one in reversed(said) if query.symbol is None or one.symbol == query.symbol]
        return answer([_told(one) for one in found[: query.limit]])

    return routes


def _told(one: Signal | Alert) -> dict[str, object]:
    """One row for both kinds."""
    if isinstance(one, Alert):
        return {"ts": one.ts, "symbol": one.symbol, "kind": one.kind, "provider": None, "direction": None, "detail": one.detail}
    inputs = ", ".join(f"{name} {value:.6g}" for name, value in one.inputs.items() if value is not None)
    detail = f"{one.rule}: {one.expression} ({inputs})"
    row = {"ts": one.ts, "symbol": one.symbol, "kind": "signal", "provider": one.venue}
    return {**row, "direction": one.direction, "detail": detail}


def _check_provider(view: FeaturesView, query: FeaturesQuery) -> None:
    """A symbol's features are of one venue at a time."""
    known = view.latest(query.symbol)
    if query.provider is not None and (known is None or known[0] != query.provider):
        allowed = [] if known is None else [known[0]]
        refuse(f"the features of {query.symbol} are not made of {query.provider}", "provider", allowed, status=404)


_TEXT: Schema = {"type": "string"}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _answers(schema: Schema) -> dict[int | str, dict[str, Any]]:
    return {**ERRORS, 200: {"description": "what is known", "content": {"application/json": {"schema": schema}}}}


_NUMBER: Schema = _maybe({"type": "number"})
_QUALITY = _object(
    {
        "ok": {"type": "boolean"}, "warming_up": {"type": "boolean"}, "covered_s": {"type": "number"}, "gap": {"type": "boolean"},
        "line": _TEXT, "switched_from": _maybe(_TEXT), "late": {"type": "integer"}, "duplicates": {"type": "integer"},
        "unusable": {"type": "integer"}, "causes": {"type": "array", "items": _TEXT},
    }
)  # fmt: skip
_SERIES = {"symbol": _TEXT, "provider": _maybe(_TEXT)}
FEATURES = _answers(
    _object({**_SERIES, "ts": _maybe(NS), "features": _object(dict.fromkeys(NAMES, _NUMBER)), "quality": _QUALITY})
)
STATE = _answers(ref("LatestAnswer"))
SAID = _answers(
    {
        "type": "array",
        "items": _object(
            {
                "ts": NS, "symbol": _TEXT, "kind": {"enum": ["signal", *get_args(AlertKind)]}, "provider": _maybe(_TEXT),
                "direction": _maybe({"enum": list(get_args(Direction))}), "detail": _TEXT,
            }
        ),
    }
)  # fmt: skip
