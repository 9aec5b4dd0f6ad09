"""One connection, against a server that says what the test wants."""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from marketd.client.errors import BadAnswer, Unreachable
from marketd.client.inbox import MESSAGE_BYTES_MAX, connected

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
AGREED = b"permessage-deflate; client_no_context_takeover"
WITHIN_S = 20.0


@asynccontextmanager
async def saying(*frames: bytes, extension: bytes | None = AGREED) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers each handshake, then sends these; the heads that were asked with."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        key = next(line.split(b": ")[1] for line in head.splitlines() if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        more = b"" if extension is None else b"Sec-WebSocket-Extensions: %s\r\n" % extension
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: %s\r\n%s\r\n%s" % (accept, more, b"".join(frames)))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def framed(first: int, payload: bytes) -> bytes:
    size = len(payload)
    return bytes((first, size)) + payload if size < 126 else bytes((first, 126)) + size.to_bytes(2, "big") + payload


def packed(*messages: bytes) -> list[bytes]:
    """Each refers to those before."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return [(packer.compress(one) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4] for one in messages]


async def test_packed_messages_come_unpacked_between_plain_ones_and_in_parts() -> None:
    one, two, three = packed(b"hello hello", b"hello hello again", b"hello once more")
    frames = [framed(0xC1, one), framed(0x81, b"plain"), framed(0xC1, two), framed(0x41, three[:3]), framed(0x80, three[3:])]
    async with saying(*frames) as (url, heads), asyncio.timeout(WITHIN_S):
        inbox = await connected(url, "secret")
        got = [await inbox.take() for _ in range(4)]
        inbox.close()

    assert got == [b"hello hello", b"plain", b"hello hello again", b"hello once more"]
    assert b"Sec-WebSocket-Extensions: permessage-deflate\r\n" in heads[0]
    assert b"Authorization: Bearer secret\r\n" in heads[0]


@pytest.mark.parametrize(
    ("frame", "extension", "words"),
    [
        (framed(0xC1, b"\xff\xff\xff"), AGREED, "does not unpack"),
        (framed(0xC1, packed(b"x" * (MESSAGE_BYTES_MAX + 1))[0]), AGREED, "larger than"),
        (framed(0xC1, packed(b"x")[0]), None, "not agreed on"),
    ],
)
async def test_what_does_not_unpack_ends_the_connection_with_the_reason(
    frame: bytes, extension: bytes | None, words: str
) -> None:
    async with saying(frame, extension=extension) as (url, _), asyncio.timeout(WITHIN_S):
        inbox = await connected(url, None)
        with pytest.raises(Unreachable, match=words):
            await inbox.take()


async def test_a_server_may_agree_to_nothing() -> None:
    async with saying(framed(0x81, b"plain"), extension=None) as (url, _), asyncio.timeout(WITHIN_S):
        inbox = await connected(url, None)

        assert (inbox.extension, await inbox.take()) == (None, b"plain")
        inbox.close()


async def test_what_was_not_asked_for_is_not_agreed_to() -> None:
    async with saying(extension=b"x-other") as (url, _), asyncio.timeout(WITHIN_S):
        with pytest.raises(BadAnswer, match="x-other"):
            await connected(url, None)
