"""Clients that open too much, send too slowly or send what is no HTTP, against the real server."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import structlog

from marketd.api import protocol
from marketd.api.protocol import QUIET
from marketd.api.section import ApiConfig
from marketd.api.sending import Cut
from marketd.api.server import run_api
from marketd.api.views import Views

WITHIN_S = 10.0
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def opened(url: str, data: bytes = b"") -> Ends:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(data)
    return reader, writer


async def answered(ends: Ends) -> tuple[int, dict[str, object]]:
    """What the server says before it closes."""
    reader, writer = ends
    async with asyncio.timeout(WITHIN_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)


def refused(views: Views, reason: str) -> float:
    return float(views.metrics.api_refused.labels(reason)._value.get())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"PUT /subscriptions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HTTP/1.1\r\n",
    ],
)
async def test_a_request_that_does_not_arrive_in_time_is_answered_and_let_go(
    data: bytes, views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    async with run_api(ApiConfig(port=0), views, tmp_path) as url:
        reader, writer = await opened(url, data)
        if data.endswith(b"\r\n\r\nGET /livez HTTP/1.1\r\n"):
            async with asyncio.timeout(WITHIN_S):
                assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
                await reader.readuntil(b"}")
            writer.write(b"X-Slow: ")
        status, body = await answered((reader, writer))

    assert status == 408
    assert body == {
        "error": "the request did not arrive within 0.2 s", "parameter": "request", "allowed": "head and body within 0.2 s",
    }  # fmt: skip
    assert refused(views, "too slow") == 1


async def test_a_body_that_does_not_arrive_in_time_is_let_go_too(
    views: Views, client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    head = f"PUT /subscriptions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {client.token}\r\n"  # type: ignore[attr-defined]
    url = str(client.base_url).rstrip("/")
    ends = await opened(url, f"{head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{".encode())
    status, _ = await answered(ends)

    assert status == 408


async def test_drops_of_a_head_do_not_prolong_its_time(views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.3)
    async with run_api(ApiConfig(port=0), views, tmp_path) as url:
        reader, writer = await opened(url, b"GET /livez HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                writer.write(b"X-A: b\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        async with asyncio.timeout(WITHIN_S):
            first = await reader.readline()
        dripping.cancel()
        writer.close()

    assert b" 408 " in first


async def test_connections_beyond_the_limit_are_refused_and_those_within_are_served(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 3)
    with structlog.testing.capture_logs() as lines:
        async with run_api(ApiConfig(port=0), views, tmp_path) as url:
            held = [await opened(url) for _ in range(3)]
            status, body = await answered(await opened(url))
            held[0][1].write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(WITHIN_S):
                served = await held[0][0].readline()
            for _, writer in held:
                writer.close()

    assert (status, body["error"], body["allowed"]) == (503, "too many connections at once", 3)
    assert b" 200 " in served
    assert refused(views, "connections") == 1
    assert [line["log_level"] for line in lines if line["event"] == "api.refused"] == ["warning"]


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET /livez HTTP/1.1\r\nA: " + b"x" * 66_000])
async def test_what_is_no_request_is_answered_as_every_bad_one(data: bytes, views: Views, tmp_path: Path) -> None:
    async with run_api(ApiConfig(port=0), views, tmp_path) as url:
        status, body = await answered(await opened(url, data))

    assert (status, body["parameter"]) == (400, "request")
    assert refused(views, "unreadable") == 1


async def test_a_client_that_keeps_its_connection_is_not_hurried_between_requests(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.2)
    async with run_api(ApiConfig(port=0), views, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        for _ in range(3):
            assert (await client.get("/livez")).status_code == 200
            await asyncio.sleep(0.3)

    assert refused(views, "too slow") == 0


@pytest.mark.parametrize(("error", "lines"), [(asyncio.CancelledError(), 0), (Cut(), 0), (ValueError("ours"), 1)])
def test_an_answer_that_was_cut_or_given_up_at_the_end_is_no_stack_trace(
    caplog: pytest.LogCaptureFixture, error: BaseException, lines: int
) -> None:
    QUIET.error("Exception in ASGI application\n", exc_info=error)

    assert lines == len(caplog.records)
