"""Every answer tells a browser how little it may do with it, whoever made the answer."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from marketd.api import protocol
from marketd.api.hardened import HEADERS
from marketd.api.section import ApiConfig, StreamConfig
from marketd.api.server import run_api
from marketd.api.state import Component
from marketd.api.views import Views
from tests.api.test_protocol import Ends, opened


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
        ("DELETE", "/health", {}, 401),  # what might change something needs the token, wherever
        ("GET", "/ws", {}, 426),
        ("HEAD", "/status", {}, 200),
        ("OPTIONS", "/status", {"Origin": "http://localhost", "Access-Control-Request-Method": "GET"}, 200),
        ("OPTIONS", "/status", {"Origin": "http://localhost", "Access-Control-Request-Method": "PUT"}, 400),
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


async def test_a_mistake_of_ours_is_hardened_too(views: Views, tmp_path: Path) -> None:
    class Broken:
        def components(self) -> dict[str, Component]:
            raise RuntimeError("ours")

    async with (
        run_api(ApiConfig(port=0), replace(views, health=Broken()), tmp_path) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        answer = await client.get("/health")

    assert (500, {"error": "marketd could not answer this; its log says why"}) == (answer.status_code, answer.json())
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


UPGRADE = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
KEYS = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: ", 408),
        (f"{UPGRADE}\r\n".encode(), 400),
        (f"{UPGRADE}{KEYS}Origin: http://evil.example\r\n\r\n".encode(), 403),
        (f"{UPGRADE}{KEYS}Authorization: Bearer wrong\r\n\r\n".encode(), 401),
        (f"{UPGRADE}{KEYS}Authorization: Bearer right\r\n\r\n".encode(), 503),
    ],
)
async def test_what_the_connection_itself_answers_is_hardened_too(
    data: bytes, status: int, views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    config = ApiConfig.model_validate({"port": 0, "token": "right", "stream": StreamConfig(clients=1)})
    async with run_api(config, views, tmp_path) as url:
        held = await opened(url, f"{UPGRADE}{KEYS}Authorization: Bearer right\r\n\r\n".encode())
        assert b" 101 " in await held[0].readline()
        first, headers = await head_of(await opened(url, data))
        held[1].close()

    assert status == int(first.split()[1])
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS
    assert ("application/json", "close") == (headers["content-type"], headers["connection"])
    assert (status == 401) is ("www-authenticate" in headers)
    assert (status == 503) is ("retry-after" in headers)


async def head_of(ends: Ends) -> tuple[str, dict[str, str]]:
    first, *lines = (await ends[0].readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    ends[1].close()
    return first, dict(line.split(": ", 1) for line in lines)
