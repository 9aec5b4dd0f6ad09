"""/metrics answers in the format that its content type names."""

import httpx


async def test_the_content_type_is_that_of_the_format(client: httpx.AsyncClient) -> None:
    response = await client.get("/metrics")

    assert "version=" in response.headers["content-type"]
    assert "market_events_total" in response.text or "market_events" in response.text
    assert "_created" not in response.text
