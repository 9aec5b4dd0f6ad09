"""`/asyncapi.json`: `/ws` for programs, made of the types that are sent and read; and what `/ws` says to plain HTTP."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from marketd.api.answers import ERROR_SCHEMA, ERRORS, answer, error_answer
from marketd.api.parameters import NoQuery
from marketd.api.shapes import NS, PLACE, TRUTH, WHOLE, Schema, made_of, ref
from marketd.api.stream import wire
from marketd.model.events import BookL2, Candle, Gap, Quote, Status, Trade

ASKED = (wire.Subscribe, wire.Unsubscribe, wire.Ping, wire.Auth)
SAID = (wire.Hello, wire.Subscribed, wire.Unsubscribed, wire.Pong, wire.Authenticated, wire.Error)
EVENTS = (Trade, Quote, BookL2, Candle, Gap, Status)
_MESSAGE = "#/components/messages/"


def asyncapi(version: str) -> dict[str, Any]:
    """AsyncAPI 3.0, from the server's side: it receives requests, and sends answers and events."""
    schemas = _schemas()
    events = [name for name in schemas if "pos" in schemas[name]["properties"] and "type" in schemas[name]["required"]]
    asked, said = [one.__name__ for one in ASKED], [*(one.__name__ for one in SAID), *events]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "marketd live events",
            "version": version,
            "description": "Subscribe, get the newest, then what follows; docs/streaming.md says what is promised.",
        },
        "servers": {
            "local": {"host": "127.0.0.1:8100", "protocol": "ws", "security": [{"$ref": "#/components/securitySchemes/token"}]}
        },
        "defaultContentType": "application/json",
        "channels": {
            "live": {
                "address": "/ws",
                "messages": {name: {"$ref": f"{_MESSAGE}{name}"} for name in [*asked, *said]},
                "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": {"token": {"type": "string"}}}}},
            }
        },
        "operations": {
            "ask": {"action": "receive", "channel": {"$ref": "#/channels/live"}, "messages": _among(asked)},
            "tell": {"action": "send", "channel": {"$ref": "#/channels/live"}, "messages": _among(said)},
        },
        "components": {
            "messages": {name: {"name": name, "payload": ref(name)} for name in [*asked, *said]},
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _among(names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/live/messages/{name}"} for name in names]


def _schemas() -> dict[str, Schema]:
    """Requests may leave out what has a default; what is sent has every key."""
    _, asked = msgspec.json.schema_components(ASKED, ref_template=PLACE + "{name}")
    events = made_of(EVENTS)
    for name, schema in events.items():
        more: dict[str, Schema] = {"pos": WHOLE, "snapshot": TRUTH}
        if name == Gap.__name__:
            more["timeframe"] = {"type": "string", "description": "of the candles among which it stands"}
        schema["properties"] = {**{key: one for key, one in schema["properties"].items() if key != "raw"}, **more}
        schema["required"] = [*schema["required"], "pos"]
    said = made_of(SAID)
    said["Pong"]["properties"]["ts"] = NS
    said["Error"]["properties"]["allowed"] = ERROR_SCHEMA["properties"]["allowed"]  # type: ignore[index]
    return {**asked, **said, **events}


def stream_routes(version: str) -> APIRouter:
    routes = APIRouter(tags=["live"])
    document = asyncapi(version)

    @routes.get("/asyncapi.json", responses=ERRORS, summary="/ws as AsyncAPI", tags=["documentation"])
    async def described(_: Annotated[NoQuery, Query()]) -> Response:
        return answer(document)

    @routes.get("/ws", responses=UPGRADE, status_code=426, summary="Live events, by WebSocket: see /asyncapi.json")
    async def live() -> Response:
        response = error_answer(426, "this is a WebSocket: ask with Upgrade", "Upgrade", "websocket")
        response.headers["Upgrade"] = "websocket"
        return response

    return routes


_ERROR = {"description": "what is wrong", "content": {"application/json": {"schema": ERROR_SCHEMA}}}
UPGRADE: dict[int | str, dict[str, Any]] = {**ERRORS, 426: _ERROR}
