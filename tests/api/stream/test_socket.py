"""What comes over a real connection that is no good: broken frames, too large ones, half a handshake, a client that leaves."""

import asyncio
import os
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketd.api.stream.socket import MESSAGE_BYTES_MAX
from tests.api.conftest import trade
from tests.api.stream.conftest import TRADES, WITHIN_S, Serve, listening
from tests.daemons import eventually

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Raw:
    """Bytes in, bytes out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(WITHIN_S):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            return first, await self.reader.readexactly(size)

    async def end(self) -> tuple[int, str]:
        """Code and words of the close frame; whatever comes before is let go."""
        while (found := await self.frame())[0] != 0x88:
            pass
        return int.from_bytes(found[1][:2], "big"), found[1][2:].decode()


async def opened(url: str, head: bytes = HANDSHAKE, more: bytes = b"", extension: str | None = None) -> Raw:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(head + more)
    async with asyncio.timeout(WITHIN_S):
        answer = await reader.readuntil(b"\r\n\r\n")

    assert b" 101 " in answer
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
    named = [line.partition(": ")[2] for line in answer.decode().splitlines() if "Extensions" in line]
    assert named == ([] if extension is None else [extension])
    return Raw(reader, writer)


def masked(payload: bytes, first: int = 0x81) -> bytes:
    size = len(payload)
    head = bytes((first, 0x80 | size)) if size < 126 else struct.pack("!BBQ", first, 0xFF, size)
    return head + b"\0\0\0\0" + payload


async def test_what_comes_with_the_handshake_is_heard(serve: Serve) -> None:
    async with serve() as served:
        raw = await opened(served.url, more=masked(b'{"op":"ping","id":1}'))
        hello, pong = await raw.frame(), await raw.frame()
        raw.writer.close()

    assert b"hello" in hello[1]
    assert b"pong" in pong[1]


async def test_a_message_may_come_in_parts_with_a_ping_between(serve: Serve) -> None:
    async with serve() as served:
        raw = await opened(served.url)
        await raw.frame()
        raw.writer.write(masked(b'{"op":', 0x01) + masked(b"hi", 0x89) + masked(b'"ping"', 0x00) + masked(b"}", 0x80))
        pong, answer = await raw.frame(), await raw.frame()
        raw.writer.close()

    assert pong == (0x8A, b"hi")
    assert b'"op":"pong"' in answer[1]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(b"x" * (MESSAGE_BYTES_MAX + 1)), 1009),
        (masked(b"x" * 200_000, 0x01) + masked(b"x" * 200_000, 0x80), 1009),
        (masked(b"x", 0x01) + masked(b"x", 0x00) * 2000, 1009),
        (masked(b"x", 0x80), 1002),
        (masked(b"x", 0x01) + masked(b"x", 0x81), 1002),
        (b"\x81\x01x", 1002),
        (masked(b"x", 0xC1), 1002),
        (masked(b"x", 0xA1), 1002),
        (masked(b"x", 0x99), 1002),
    ],
)
async def test_who_breaks_the_protocol_is_told_and_let_go(data: bytes, code: int, serve: Serve) -> None:
    async with serve() as served:
        raw = await opened(served.url)
        raw.writer.write(data)

        assert (await raw.end())[0] == code
        raw.writer.close()


OFFERED = HANDSHAKE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
AGREED = "permessage-deflate; client_no_context_takeover"


def packed(payload: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def test_a_packed_message_is_heard_also_in_parts_and_beside_plain_ones(serve: Serve) -> None:
    whole = packed(b'{"op":"ping","id":1}')
    async with serve() as served:
        raw = await opened(served.url, OFFERED, extension=AGREED)
        await raw.frame()
        raw.writer.write(masked(whole, 0xC1) + masked(b'{"op":"ping","id":2}'))
        raw.writer.write(masked(whole[:5], 0x41) + masked(b"hi", 0x89) + masked(whole[5:], 0x80))
        heard = [await raw.frame() for _ in range(4)]
        raw.writer.close()

    assert [first for first, _ in heard] == [0x81, 0x81, 0x8A, 0x81]
    assert [b'"id":1' in heard[0][1], b'"id":2' in heard[1][1], b'"id":1' in heard[3][1]] == [True] * 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(packed(b"x" * 100_000_000), 0xC1), 1009),
        (masked(b"\xff\xff\xff", 0xC1), 1007),
        (masked(b"x", 0xE1), 1002),
        (masked(packed(b"x"), 0xC9), 1002),
        (masked(packed(b"x"), 0x41) + masked(b"x", 0xC0), 1002),
    ],
)
async def test_who_breaks_what_was_agreed_on_is_told_and_let_go(data: bytes, code: int, serve: Serve) -> None:
    async with serve() as served:
        raw = await opened(served.url, OFFERED, extension=AGREED)
        raw.writer.write(data)

        assert (await raw.end())[0] == code
        raw.writer.close()


async def test_nothing_is_agreed_on_where_it_is_switched_off(serve: Serve) -> None:
    async with serve(deflate=False) as served:
        raw = await opened(served.url, OFFERED)
        raw.writer.close()


async def test_offers_may_be_spread_over_headers(serve: Serve) -> None:
    first = HANDSHAKE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
    async with serve() as served:
        raw = await opened(served.url, first + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", extension=AGREED)
        raw.writer.close()


async def test_a_large_message_within_bounds_is_answered(serve: Serve) -> None:
    async with serve() as served, listening(served.url) as client:
        await client.next()
        answer = await client.ask(b'{"op":"' + b"x" * 200_000 + b'"}')

    assert (answer["op"], answer["field"]) == ("error", "op")


@pytest.mark.parametrize(
    "head", [HANDSHAKE.replace(b"Version: 13", b"Version: 8"), HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X-Key")]
)
async def test_a_handshake_that_is_none_is_refused(head: bytes, serve: Serve) -> None:
    async with serve() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(served.url.rpartition(":")[2]))
        writer.write(head)
        async with asyncio.timeout(WITHIN_S):
            answer = await reader.read()
        writer.close()

    assert answer.split()[1] == b"400"
    assert b'"parameter":"Sec-WebSocket-' in answer


async def test_a_client_that_leaves_is_forgotten(serve: Serve) -> None:
    async with serve() as served, listening(served.url) as stays:
        await stays.next()
        clients = served.views.metrics.stream_clients._value
        async with listening(served.url) as leaves:
            await leaves.next()
            await leaves.subscribe(TRADES)

            assert clients.get() == 2
        raw = await opened(served.url)
        raw.writer.transport.abort()
        await eventually(lambda: clients.get() == 1)
        served.bus.publish([trade(1)])
        assert (await stays.ask({"op": "ping"}))["op"] == "pong"


GARBAGE = st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(masked), max_size=5).map(b"".join)


@given(streams=st.lists(GARBAGE, min_size=10, max_size=10))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_garbage_harms_nobody_else(streams: list[bytes], serve: Serve) -> None:
    async with serve() as served, listening(served.url) as client:
        await client.next()
        for data in streams:
            raw = await opened(served.url, more=data)
            raw.writer.write(os.urandom(200))

            assert (await client.ask({"op": "ping", "id": 1}))["op"] == "pong"
            raw.writer.transport.abort()
