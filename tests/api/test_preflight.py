"""What a browser asks before a page's question: allowed pages may read, and a refusal says which part of it was wrong."""

import httpx
import pytest

ASKING = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}


async def test_an_allowed_page_may_read_with_a_token(client: httpx.AsyncClient) -> None:
    answer = await client.options("/status", headers={**ASKING, "Access-Control-Request-Headers": "authorization"})

    assert (200, "http://localhost:3000") == (answer.status_code, answer.headers["access-control-allow-origin"])


@pytest.mark.parametrize(
    ("more", "status", "parameter"),
    [
        ({"Access-Control-Request-Method": "PUT"}, 400, "Access-Control-Request-Method"),
        ({"Access-Control-Request-Headers": "x-own"}, 400, "Access-Control-Request-Headers"),
        ({"Origin": "https://evil.example"}, 403, "Origin"),
    ],
)
async def test_a_refusal_has_the_form_of_every_refusal(
    client: httpx.AsyncClient, more: dict[str, str], status: int, parameter: str
) -> None:
    answer = await client.options("/subscriptions", headers={**ASKING, **more})

    assert (status, parameter) == (answer.status_code, answer.json()["parameter"])
    assert set(answer.json()) == {"error", "parameter", "allowed"}
    assert "access-control-allow-origin" not in answer.headers or status == 400
