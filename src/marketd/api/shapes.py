"""What live data looks like in the answers, for `/openapi.json`: made from the types that are sent, so that neither lies."""

from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from marketd.api.answers import ERRORS
from marketd.api.state import CacheRow, Changed, Health, IngestCounts, SubscriptionRow, VenueRow
from marketd.model.events import EVENT_TYPES, Candle

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

PLACE = "#/components/schemas/"
# Counts of nanoseconds since the epoch and numbers of a venue: beyond what a double holds exactly.
WIDE = frozenset({"ts_event", "ts_recv", "ts", "open_time", "close_time", "from_ts", "to_ts", "last_event", "seq", "prev_seq"})
RENAMED = {Candle.__name__: "CandleEvent"}  # a stored candle is another thing

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
TRUTH: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
NS: Schema = {"type": "integer", "format": "int64"}


def ref(name: str) -> Schema:
    return {"$ref": f"{PLACE}{name}"}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def shape(required: dict[str, Schema], more: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(more or {})}}


def answers(schema: Schema, description: str = "what is known", status: int = 200) -> Responses:
    return {**ERRORS, status: {"description": description, "content": {"application/json": {"schema": schema}}}}


def made_of(types: Iterable[type]) -> dict[str, Schema]:
    """The schemas of these types, by name."""
    _, found = msgspec.json.schema_components(types, ref_template=PLACE + "{name}")
    return {RENAMED.get(name, name): _plain(schema) for name, schema in found.items()}


def _plain(schema: Schema) -> Schema:
    """Without titles; wide integers said to be so; what has a default is always sent."""
    defaulted = [name for name, one in schema["properties"].items() if "default" in one]
    properties = {
        name: _wide(one) if name in WIDE else {key: value for key, value in one.items() if key != "default"}
        for name, one in schema["properties"].items()
    }
    kept = {key: value for key, value in schema.items() if key != "title"}
    return {**kept, "properties": properties, "required": [*schema.get("required", ()), *defaulted]}


def _wide(schema: Schema) -> Schema:
    return maybe(NS) if "anyOf" in schema else NS


# How far the figures of an analysis are to be believed.
QUALITY = shape({"ok": TRUTH, "reason": maybe(TEXT), "candles": WHOLE})
_HEALTH: Schema = {"type": "string", "enum": list(get_args(Health))}
_JOB = shape(
    {
        "id": WHOLE, "status": TEXT, "started_at": maybe(TIME), "completed_at": maybe(TIME), "candles_fetched": WHOLE,
        "last_error": maybe(TEXT),
    }
)  # fmt: skip
_QUEUE: dict[str, Schema] = {
    "queue_size": WHOLE, "queue_max": WHOLE, "fill_percent": NUMBER, "backpressure": TRUTH, "dropped": WHOLE,
}  # fmt: skip

COMPONENTS: dict[str, Schema] = {
    **made_of([*EVENT_TYPES, SubscriptionRow, VenueRow, CacheRow, IngestCounts, Changed]),
    "Component": shape({"status": _HEALTH, "required": TRUTH, "reason": TEXT, "since": TIME}),
    "HealthAnswer": shape(
        {"status": _HEALTH, "components": {"type": "object", "additionalProperties": ref("Component")}}, {"symbols": array(TEXT)}
    ),
    "Job": _JOB,
    "SeriesRow": shape(
        {
            "exchange": TEXT, "symbol": TEXT, "timeframe": TEXT, "first": maybe(TIME), "last": maybe(TIME), "count": WHOLE,
            "gaps": WHOLE, "missing": WHOLE, "unrecoverable": WHOLE, "known_empty": WHOLE, "last_job": maybe(ref("Job")),
            "lag_ms": maybe(WHOLE), "live": TRUTH, "reason": TEXT,
        }
    ),
    "StatusAnswer": shape(
        {
            "profile": TEXT, "roles": array(TEXT), "uptime_s": WHOLE, "series": array(ref("SeriesRow")),
            "subscriptions": array(ref("SubscriptionRow")), "venues": array(ref("VenueRow")),
        },
        {"series_error": TEXT, "cache": array(ref("CacheRow"))},
    ),
    "Drop": shape({"reason": TEXT, "type": TEXT, "count": WHOLE}),
    "Consumer": shape({"name": TEXT, "full": TEXT, **_QUEUE, "spilled": WHOLE, "taken": WHOLE, "drops": array(ref("Drop"))}),
    "BusAnswer": shape({**_QUEUE, "consumers": array(ref("Consumer"))}),
    "StatsAnswer": shape(
        {},
        {
            "publisher": shape({"publish_count": WHOLE, "error_count": WHOLE, "error_rate": NUMBER}),
            "ingest": ref("IngestCounts"), "pairs_count": WHOLE, "pairs_sample": array(TEXT), "events_per_second": NUMBER,
            "features": {"type": "object"}, "queue_size": WHOLE, "queue_fill_ratio": NUMBER, "drops": WHOLE,
        },
    ),
    "PairsAnswer": shape({"count": WHOLE, "pairs": array(TEXT)}),
    "LatestAnswer": shape(
        {"symbol": TEXT, "provider": maybe(TEXT), "trade": maybe(ref("Trade")), "quote": maybe(ref("Quote"))}
    ),
}  # fmt: skip
