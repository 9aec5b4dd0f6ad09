"""Every answer tells a browser how little it may do with it, whoever made the answer."""

import httpx
import pytest

from marketd.api.hardened import HEADERS


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/health", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/status", {}, 200),
        ("GET", "/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m", {}, 200),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/trades", {}, 400),
        ("PUT", "/subscriptions", {}, 401),
        ("GET", "/status", {"Host": "evil.example"}, 403),
        ("GET", "/status", {"Origin": "http://evil.example"}, 403),
        ("DELETE", "/health", {}, 405),
    ],
)
async def test_an_answer_is_hardened(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await client.request(method, path, headers=headers)

    assert answer.status_code == status, answer.text
    assert {name: answer.headers.get_list(name) for name in HEADERS} == {name: [text] for name, text in HEADERS.items()}


@pytest.mark.parametrize("path", ["/", "/plain", "/docs"])
async def test_a_page_keeps_its_own_policy_which_runs_no_inline_script(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    policy = answer.headers.get_list("Content-Security-Policy")

    assert answer.status_code == 200
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "frame-ancestors 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "<script>" not in answer.text
