"""A client connection against a real server, a polite one and rude ones."""

import asyncio
import base64
import gc
import hashlib
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from marketd.errors import Disconnected, Refused
from marketd.net import websocket

WITHIN_S = 5.0
TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9
Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(kind: int, data: bytes, *, final: bool = True) -> bytes:
    """One frame as a server sends it."""
    head = bytes([(0x80 if final else 0) | kind])
    if len(data) < 126:
        return head + bytes([len(data)]) + data
    if len(data) < 1 << 16:
        return head + b"\x7e" + struct.pack("!H", len(data)) + data
    return head + b"\x7f" + struct.pack("!Q", len(data)) + data


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One short masked frame as a client sends it: its kind and what it says."""
    head = await reader.readexactly(2)
    mask = await reader.readexactly(4)
    data = await reader.readexactly(head[1] & 0x7F)
    return head[0] & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


@asynccontextmanager
async def listening(serve: Serving) -> AsyncIterator[str]:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(client, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"


def speaking(*data: bytes, then: Serving | None = None) -> Serving:
    """Shake hands, send these bytes, do what comes then (else wait until the client leaves)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in asked.splitlines() if line.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
        writer.write(f"{upgrade}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        for part in data:
            writer.write(part)
        if then is None:
            await reader.read()
        else:
            await then(reader, writer)

    return serve


def answering(answer: bytes) -> Serving:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return serve


async def ending_of(socket: websocket.Socket) -> str:
    async with asyncio.timeout(WITHIN_S):
        return await socket.closed()


async def heard_from(*data: bytes) -> tuple[list[bytes], str]:
    """What a client hears until the server's goodbye, and why it ended."""
    heard: list[bytes] = []
    async with listening(speaking(*data, frame(CLOSE, struct.pack("!H", 1000) + b"done"))) as url:
        socket = await websocket.connect(url, heard.append)
        return heard, await ending_of(socket)


async def test_messages_come_whole_and_in_order_text_or_binary() -> None:
    heard, why = await heard_from(frame(TEXT, b"one"), frame(BINARY, b"\x00\xff"), frame(TEXT, b""), frame(TEXT, b"x" * 70_000))

    assert heard == [b"one", b"\x00\xff", b"", b"x" * 70_000]
    assert why == "the venue closed it: 1000 done"


async def test_messages_of_every_length_around_the_longest_control_frame_are_told_from_it() -> None:
    lengths = (124, 125, 126, 127)
    sent = [part for size in lengths for part in (frame(PING, b"p" * min(size, 125)), frame(TEXT, b"x" * size))]
    heard, _ = await heard_from(*sent)

    assert heard == [b"x" * size for size in lengths]


async def test_a_message_in_parts_is_joined_even_with_a_ping_between() -> None:
    parts = [frame(TEXT, b"a", final=False), frame(PING, b"?"), frame(CONTINUATION, b"b", final=False), frame(CONTINUATION, b"c")]
    heard, _ = await heard_from(*parts, frame(TEXT, b"next"), *parts)

    assert heard == [b"abc", b"next", b"abc"]


@pytest.mark.parametrize(
    ("goodbye", "words"),
    [
        (struct.pack("!H", 1008) + b"too slow", "the venue closed it: 1008 too slow"),
        (struct.pack("!H", 4003) + b"no such key", "the venue closed it: 4003 no such key"),
        (struct.pack("!H", 1001), "the venue closed it: 1001"),
        (b"", "the venue closed it without a word"),
    ],
)
async def test_a_goodbye_is_told_with_code_and_words(goodbye: bytes, words: str) -> None:
    async with listening(speaking(frame(CLOSE, goodbye))) as url:
        socket = await websocket.connect(url, lambda _: None)

        assert await ending_of(socket) == words
        assert not socket.is_open


async def test_a_goodbye_is_answered_with_its_code() -> None:
    answers: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.put_nowait(await read_frame(reader))

    async with listening(speaking(frame(CLOSE, struct.pack("!H", 1001)), then=hear)) as url:
        await ending_of(await websocket.connect(url, lambda _: None))
        async with asyncio.timeout(WITHIN_S):
            kind, data = await answers.get()

    assert (kind, struct.unpack("!H", data[:2])[0]) == (CLOSE, 1001)


async def test_a_line_cut_without_a_goodbye_is_said() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with listening(speaking(then=cut)) as url:
        assert await ending_of(await websocket.connect(url, lambda _: None)) == "the connection broke"


async def test_what_we_send_arrives_masked_as_text_and_nothing_after_our_goodbye() -> None:
    heard: list[tuple[int, bytes]] = []
    ended = asyncio.Event()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heard.append(await read_frame(reader))
        finally:
            ended.set()

    async with listening(speaking(then=hear)) as url:
        socket = await websocket.connect(url, lambda _: None)
        socket.send(b'{"op":"subscribe"}')
        socket.close()
        socket.close()
        socket.send(b"too late")
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()

        assert await ending_of(socket) == "closed by us"
        assert heard[0] == (TEXT, b'{"op":"subscribe"}')
        assert [kind for kind, _ in heard] == [TEXT, CLOSE]


async def test_nothing_is_read_after_our_own_goodbye() -> None:
    heard: list[bytes] = []
    sockets: list[websocket.Socket] = []

    def on_message(data: bytes) -> None:
        heard.append(data)
        sockets[0].close()

    async def wait_and_speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        writer.write(frame(TEXT, b"first") + frame(TEXT, b"second"))
        await reader.read()

    async with listening(speaking(then=wait_and_speak)) as url:
        sockets.append(await websocket.connect(url, on_message))
        sockets[0].send(b"go")
        await ending_of(sockets[0])

    assert heard == [b"first"]


@pytest.mark.parametrize("parts", [1, 4])
async def test_a_message_too_large_ends_the_connection_and_says_so(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MESSAGE_BYTES_MAX", 100_000)
    each = b"x" * (120_000 // parts)
    frames = [frame(TEXT if at == 0 else CONTINUATION, each, final=at == parts - 1) for at in range(parts)]
    heard: list[bytes] = []
    async with listening(speaking(*frames)) as url:
        why = await ending_of(await websocket.connect(url, heard.append))

    assert heard == []
    assert "larger than 100,000 bytes" in why


async def test_a_message_of_endless_empty_parts_ends_the_connection_and_says_so() -> None:
    endless = frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * websocket.PARTS_MAX
    heard: list[bytes] = []
    async with listening(speaking(endless)) as url:
        socket = await websocket.connect(url, heard.append)

        assert await ending_of(socket) == f"closed by us: a message has more than {websocket.PARTS_MAX:,} parts"
        assert (socket.close_code, socket.broke_protocol, heard) == (1009, True, [])


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"\x83\x00", 1002, "opcode"),
        (b"\x81\x81" + b"1234a", 1002, "masked"),
        (b"\x81\x7f" + struct.pack("!Q", 1 << 40), 1009, "max allowed size"),
        (frame(CLOSE, struct.pack("!H", 999)), 1002, "close code: 999"),
        (frame(CLOSE, struct.pack("!H", 3002) + b"\xff"), 1007, "UTF-8"),
        (frame(CONTINUATION, b"x"), 1002, "without having begun"),
        (frame(TEXT, b"a", final=False) + frame(TEXT, b"b"), 1002, "inside another"),
    ],
)
async def test_a_broken_protocol_is_told_with_its_code_and_no_trace_of_the_library(
    data: bytes, code: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(speaking(data)) as url:
        socket = await websocket.connect(url, lambda _: None)
        why = await ending_of(socket)

        assert words in why
        assert (socket.close_code, socket.broke_protocol) == (code, True)
        del socket
        gc.collect()
        await asyncio.sleep(0)
    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING] == []


async def test_the_code_of_a_goodbye_is_kept_and_breaks_no_protocol() -> None:
    async with listening(speaking(frame(CLOSE, struct.pack("!H", 1012) + b"restart"))) as url:
        socket = await websocket.connect(url, lambda _: None)
        await ending_of(socket)

        assert (socket.close_code, socket.broke_protocol) == (1012, False)


@pytest.mark.parametrize(
    ("answer", "status", "wait_s", "permanent"),
    [
        (b"HTTP/1.1 429 Too Many\r\nRetry-After: 17\r\nContent-Length: 9\r\n\r\nslow down", 429, 17.0, False),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, 0.0, False),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 0.5\r\nContent-Length: 0\r\n\r\n", 503, 0.5, False),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n", 503, 0.0, False),
        (b"HTTP/1.1 451 Not Here\r\nContent-Length: 0\r\n\r\n", 451, 0.0, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, 0.0, False),
    ],
)
async def test_a_refused_handshake_says_how_and_for_how_long(answer: bytes, status: int, wait_s: float, permanent: bool) -> None:
    async with listening(answering(answer)) as url:
        with pytest.raises(Refused, match=f"answered {status}") as refused:
            await websocket.connect(f"{url}?key=secret", lambda _: None)

    assert (refused.value.status, refused.value.retry_after_s, refused.value.permanent) == (status, wait_s, permanent)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("answer", [b"", b"\x00garbage\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
async def test_a_handshake_that_is_none_is_a_disconnect(answer: bytes) -> None:
    async with listening(answering(answer)) as url:
        with pytest.raises((Disconnected, Refused)) as failed:
            await websocket.connect(f"{url}?key=secret", lambda _: None)

    assert url in str(failed.value)
    assert "secret" not in str(failed.value)


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(wait) as url:
        with pytest.raises(Disconnected, match="no answer in time"):
            await websocket.connect(url, lambda _: None, within_s=0.1)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/", "http://127.0.0.1/", "no address", "ws://"])
async def test_an_address_where_nobody_is_is_a_disconnect(url: str) -> None:
    with pytest.raises(Disconnected):
        await websocket.connect(url, lambda _: None, within_s=1.0)
