"""Symbols change while the daemon runs."""

import httpx

from tests.api.conftest import Parts


async def test_the_answer_says_what_changed(client: httpx.AsyncClient, parts: Parts) -> None:
    headers = {"Authorization": f"Bearer {client.token}"}  # type: ignore[attr-defined]
    response = await client.put("/subscriptions", json={"symbols": ["ethusdt", "SOLUSDT", "SOLUSDT"]}, headers=headers)

    assert response.json() == {"symbols": ["ETHUSDT", "SOLUSDT"], "added": ["SOLUSDT"], "removed": ["BTCUSDT"], "unlisted": []}
    assert parts.wanted == ["ETHUSDT", "SOLUSDT"]


async def test_symbols_that_nobody_lists_are_refused_and_the_old_ones_stay(client: httpx.AsyncClient, parts: Parts) -> None:
    headers = {"Authorization": f"Bearer {client.token}"}  # type: ignore[attr-defined]
    response = await client.put("/subscriptions", json={"symbols": ["NOPE", "NOPE2"], "provider": "binance"}, headers=headers)
    body = response.json()

    assert (response.status_code, body["parameter"]) == (422, "symbols")
    assert body["error"] == "binance lists none of NOPE, NOPE2; 2 symbols are collected as before"
    assert "marketd symbols --exchange binance" in body["allowed"]
    assert parts.wanted == ["BTCUSDT", "ETHUSDT"]
