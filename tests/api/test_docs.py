"""The page of the API names every path with its parameters."""

import re

import httpx


async def test_each_parameter_is_explained(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    for word in ("GET /trades", "cursor", "X-Next-Cursor", "PUT /subscriptions", "symbols", "required"):
        assert word in page


async def test_how_to_ask_is_shown_and_no_default_is_a_riddle(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    assert "9223372036854775807" not in page
    for word in ("curl -X PUT", "api-token", "Content-Type: application/json"):
        assert word in page


async def test_every_parameter_has_a_meaning_and_candles_have_an_example(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    assert [] == re.findall(r"<code>(\w+)</code></td><td>[^<]*</td><td></td>", page)
    assert "required, by this name or as tf" in page
    assert "/candles?exchange=binance&amp;symbol=BTCUSDT&amp;timeframe=1m" in page
