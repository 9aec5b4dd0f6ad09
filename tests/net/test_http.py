"""GETs against a real server that behaves, and against ones that do not."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from marketd.errors import Disconnected
from marketd.net import http
from marketd.net.http import Http

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: bytes | Answering) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers each request with these bytes and closes; its address and what it was asked."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heard


def response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("status", [200, 301, 404, 418, 429, 500, 503])
async def test_every_status_is_an_answer_with_headers_in_lower_case(status: int) -> None:
    async with server(response(f"{status} Whatever", b'{"a":1}', "Retry-After: 7", "Location: /x")) as (url, _), Http() as client:
        got, headers, body = await client.get(url)

        assert (got, headers["retry-after"], body) == (status, "7", b'{"a":1}')


async def test_parameters_and_headers_reach_the_server() -> None:
    async with server(response("200 OK", b"")) as (url, heard), Http() as client:
        await client.get(f"{url}/path", {"symbol": "A&B", "limit": "5"}, {"X-Key": "k"})

        assert heard[0].startswith("GET /path?symbol=A%26B&limit=5 HTTP/1.1\r\n")
        assert "x-key: k" in heard[0].lower()
        assert "user-agent: marketd" in heard[0].lower()


async def test_a_packed_body_comes_unpacked() -> None:
    packed = gzip.compress(b"[1,2,3]")
    async with server(response("200 OK", packed, "Content-Encoding: gzip")) as (url, _), Http() as client:
        assert (await client.get(url))[2] == b"[1,2,3]"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01 garbage \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        response("200 OK", b"not gzip", "Content-Encoding: gzip"),
    ],
    ids=["nothing", "garbage", "cut short", "bad chunks", "bad packing"],
)
async def test_what_is_no_whole_answer_is_a_disconnect_that_names_the_address(answer: bytes) -> None:
    async with server(answer) as (url, _), Http() as client:
        with pytest.raises(Disconnected, match=f"{url}/x: .+"):
            await client.get(f"{url}/x", {"key": "secret"})


async def test_nobody_listening_is_a_disconnect() -> None:
    async with server(b"") as (url, _):
        pass
    async with Http() as client:
        with pytest.raises(Disconnected, match=url):
            await client.get(url)


@pytest.mark.parametrize("url", ["http://", "no url at all", "http://127.0.0.1:notaport/", "ftp://127.0.0.1/"])
async def test_an_address_that_is_none_is_a_disconnect(url: str) -> None:
    async with Http() as client:
        with pytest.raises(Disconnected):
            await client.get(url)


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(wait) as (url, _), Http(within_s=0.1) as client:
        with pytest.raises(Disconnected, match=url):
            await client.get(url)


async def test_a_server_that_answers_drop_by_drop_is_given_up_too() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        left = asyncio.ensure_future(reader.read())
        while not left.done():
            writer.write(b"x")
            await asyncio.wait({left}, timeout=0.02)

    async with server(drip) as (url, _), Http(within_s=0.2) as client:
        async with asyncio.timeout(5.0):
            with pytest.raises(Disconnected, match="no whole answer"):
                await client.get(url)


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_BYTES_MAX", 10_000)
    async with server(response("200 OK", b"x" * 10_001)) as (url, _), Http() as client:
        with pytest.raises(Disconnected, match="larger than 10,000 bytes"):
            await client.get(url)
    async with server(response("200 OK", b"x" * 501)) as (url, _), Http(bytes_max=500) as client:
        with pytest.raises(Disconnected, match="larger than 500 bytes"):
            await client.get(url)
