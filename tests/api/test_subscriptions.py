"""Symbols change while the daemon runs."""

import httpx

from tests.api.conftest import Parts


async def test_the_answer_says_what_changed(client: httpx.AsyncClient, parts: Parts) -> None:
    headers = {"Authorization": f"Bearer {client.token}"}  # type: ignore[attr-defined]
    response = await client.put("/subscriptions", json={"symbols": ["ethusdt", "SOLUSDT", "SOLUSDT"]}, headers=headers)

    assert response.json() == {"symbols": ["ETHUSDT", "SOLUSDT"], "added": ["SOLUSDT"], "removed": ["BTCUSDT"], "unlisted": []}
    assert parts.wanted == ["ETHUSDT", "SOLUSDT"]
