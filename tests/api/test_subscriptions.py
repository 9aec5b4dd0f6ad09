"""Symbols change while the daemon runs."""

import httpx

from tests.api.conftest import Parts


async def test_a_body_that_is_not_said_to_be_json_is_answered_with_the_header(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/x-www-form-urlencoded"}  # type: ignore[attr-defined]
    response = await client.put("/subscriptions", content='{"symbols": ["BTCUSDT"]}', headers=headers)

    assert response.status_code == 400
    assert response.json() == {
        "error": "the body is not said to be JSON: Content-Type is application/x-www-form-urlencoded",
        "parameter": "body",
        "allowed": "Content-Type: application/json",
    }


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
