"""A request that is too large is refused: its head, its body before it is read, or while it comes without a size."""

from collections.abc import AsyncIterator

import httpx
import pytest

from marketd.api.bounds import BODY_BYTES_MAX, HEAD_BYTES_MAX

TOO_LARGE = {"error": "the body is too large", "parameter": "body", "allowed": f"at most {BODY_BYTES_MAX:,} bytes"}


def authorised(client: httpx.AsyncClient) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}  # type: ignore[attr-defined]


async def pieces(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 4096 + 1):
        yield b" " * 4096


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
async def test_a_body_said_to_be_too_large_is_refused_unread(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/subscriptions", content=b" " * (BODY_BYTES_MAX + 1), headers=authorised(client))

    assert (413, TOO_LARGE) == (answer.status_code, answer.json())


async def test_a_body_without_an_end_is_refused_when_it_has_come_too_far(client: httpx.AsyncClient) -> None:
    answer = await client.put("/subscriptions", content=pieces(4 * BODY_BYTES_MAX), headers=authorised(client))

    assert (413, TOO_LARGE) == (answer.status_code, answer.json())


async def test_who_may_not_ask_is_told_that_first(client: httpx.AsyncClient) -> None:
    answer = await client.put("/subscriptions", content=b" " * (BODY_BYTES_MAX + 1))

    assert 401 == answer.status_code


async def test_a_large_body_within_bounds_is_read(client: httpx.AsyncClient) -> None:
    body = b'{"symbols": ["BTCUSDT"]}'.ljust(BODY_BYTES_MAX)

    assert 200 == (await client.put("/subscriptions", content=body, headers=authorised(client))).status_code


async def test_a_body_that_nobody_asked_for_harms_no_answer_that_goes_on(client: httpx.AsyncClient) -> None:
    request = client.build_request("GET", "/status/live", content=pieces(2 * BODY_BYTES_MAX))
    answer = await client.send(request, stream=True)
    await answer.aclose()

    assert 200 == answer.status_code
    assert 200 == (await client.get("/livez")).status_code


async def test_a_head_of_many_small_parts_is_refused_though_it_came_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.get("/livez", headers={f"X-{at}": "a" * 100 for at in range(HEAD_BYTES_MAX // 100)})

    assert (400, "request") == (answer.status_code, answer.json()["parameter"])
