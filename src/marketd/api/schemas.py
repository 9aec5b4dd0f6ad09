"""What the answers about candles look like, for `/openapi.json`."""

from typing import Any

from marketd.api.answers import ERRORS
from marketd.api.rows import KEYS, NUMBERS

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

_TIME: Schema = {"type": "string", "format": "date-time"}
_TEXT: Schema = {"type": "string"}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(required: dict[str, Schema], more: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(more or {})},
        "additionalProperties": False,
    }


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_NUMBER: Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[0-9.]+$"}]}
_CANDLE = _object(
    {name: _TIME if name.endswith("_time") else _NUMBER if name in NUMBERS else _TEXT for name in KEYS},
    {"closed": {"type": "boolean"}, "revision": {"type": "integer"}, "source": _maybe(_TEXT)},
)
_GAP = _object(
    {
        "exchange": _TEXT, "symbol": _TEXT, "timeframe": _TEXT, "gap_start": _TIME, "gap_end": _TIME,
        "detected_at": _maybe(_TIME), "repaired_at": _maybe(_TIME), "state": _TEXT, "cause": _maybe(_TEXT),
    }
)  # fmt: skip


def _answers(schema: Schema, more: dict[str, Schema] | None = None) -> Responses:
    content: dict[str, Any] = {
        "application/json": {"schema": schema},
        **{name: {"schema": one} for name, one in (more or {}).items()},
    }
    return {**ERRORS, 200: {"description": "what was asked for", "content": content}}


CANDLES: Responses = {
    **_answers(
        _array(_CANDLE), {"text/csv": _TEXT, "application/vnd.apache.arrow.stream": {"type": "string", "format": "binary"}}
    ),
    304: {"description": "what the client has is what there is"},
}
GAPS = _answers(_array(_GAP))
SYMBOLS = _answers({"type": "object", "additionalProperties": _array(_TEXT)})
