"""`/asyncapi.json` describes what really passes over `/ws`."""

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from marketd.api.stream.document import asyncapi
from marketd.api.views import Views
from marketd.model.events import Event, Gap, Status
from tests.api.stream.conftest import TRADES, Serve, listening
from tests.samples import book, candle, quote, trade


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(one) for one in node.values()))
    return set().union(*(references(one) for one in node)) if isinstance(node, list) else set()


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi("1")
    for reference in references(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]

        assert found


def matches(document: dict[str, Any], name: str, message: object) -> bool:
    schema = {"components": document["components"], "$ref": f"#/components/schemas/{name}"}
    return bool(jsonschema_rs.is_valid(schema, message))


async def test_what_passes_is_as_it_says(serve: Serve, views: Views) -> None:
    channels = [{**TRADES, "type": kind} for kind in ("trade", "quote", "book")] + [
        {**TRADES, "type": "candle", "timeframe": "1m"},
        {"type": "status", "provider": "binance"},
    ]
    events: list[Event] = [
        trade(1, raw="{}"), quote(1), book(1), candle(1),
        Gap("binance", "BTCUSDT", None, 5, "candle", "found", None, None, 1, 2, "test"),
        Status("binance", "__system__", None, 1, "connected", ""),
    ]  # fmt: skip
    names = {"trade": "Trade", "quote": "Quote", "book_l2": "BookL2", "candle": "CandleEvent", "gap": "Gap", "status": "Status"}
    from_feeds = {**TRADES, "type": "status"}
    async with serve(replace(views, feeds=None)) as served, listening(served.url) as client, served.http() as http:
        document = (await http.get("/asyncapi.json")).json()
        said = [await client.next()]
        for asked in ({"op": "ping", "id": 1}, {"op": "x"}, {"op": "auth", "token": "t"}):
            said.append(await client.ask(asked))
        for channel in channels:
            request = {"op": "subscribe", "id": "a", "channels": [channel]}

            assert matches(document, "Subscribe", request)
            said.append(await client.ask(request))
        served.bus.publish(events)
        got = await client.take(len(events))
        said.append(await client.ask({"op": "subscribe", "channels": [from_feeds]}))
        said.append(await client.ask({"op": "unsubscribe", "channels": [from_feeds]}))

    assert {one["op"] for one in said} == {"hello", "pong", "error", "authenticated", "subscribed", "unsubscribed"}
    for one in said:
        assert matches(document, one["op"].capitalize(), one), one
    for one in got:
        assert matches(document, names[one["type"]], one), one
        assert not matches(document, names[one["type"]], {**one, "pos": "1"})


@pytest.mark.parametrize("headers", [{}, {"Upgrade": "h2c", "Connection": "Upgrade"}])
async def test_plain_http_is_told_to_upgrade(headers: dict[str, str], serve: Serve) -> None:
    async with serve() as served, served.http() as http:
        answer = await http.get("/ws", headers=headers)

    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.json()["parameter"] == "Upgrade"
