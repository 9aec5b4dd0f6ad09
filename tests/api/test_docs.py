"""The page of the API names every path with its parameters."""

import httpx


async def test_each_parameter_is_explained(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    for word in ("GET /trades", "cursor", "X-Next-Cursor", "PUT /subscriptions", "symbols", "required"):
        assert word in page
