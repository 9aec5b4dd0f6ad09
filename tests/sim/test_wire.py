"""HTTP and WebSocket on one port."""

import asyncio

import httpx
from hypothesis import given
from hypothesis import strategies as st

from marketd.sim.wire import Request, Response, Socket, encode_frame, listen, parse_request, take_frame


class EchoPeer:
    def opened(self, socket: Socket) -> None:
        self.socket = socket

    def heard(self, text: bytes) -> None:
        self.socket.send(text)

    def ponged(self) -> None: ...

    def closed(self) -> None: ...


class EchoApp:
    def rest(self, request: Request) -> Response:
        return Response(f"{request.path} {dict(request.query)}".encode(), delay_s=float(request.query.get("delay", 0)))

    def accept(self, request: Request) -> EchoPeer | Response:
        return Response(b"no", 403, {"Retry-After": "7"}) if request.path == "/no" else EchoPeer()


def masked(payload: bytes, opcode: int = 1, final: bool = True) -> bytes:
    frame = bytearray(encode_frame(payload, opcode))
    frame[0] = (0x80 if final else 0) | opcode
    frame[1] |= 0x80
    head = len(frame) - len(payload)
    key = b"\x01\x02\x03\x04"
    body = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return bytes(frame[:head]) + key + body


@given(st.lists(st.binary(max_size=70_000), max_size=4), st.integers(1, 5000))
def test_client_frames_are_read_however_they_are_cut(payloads: list[bytes], piece: int) -> None:
    stream = b"".join(map(masked, payloads))
    buffer, found = bytearray(), []
    for at in range(0, len(stream), piece):
        buffer += stream[at : at + piece]
        while (frame := take_frame(buffer)) is not None:
            found.append(frame)

    assert [(True, 1, payload) for payload in payloads] == found
    assert not buffer


def test_what_is_not_http_is_not_a_request() -> None:
    assert parse_request(b"hello") is None
    assert parse_request(b"GET / HTTP/1.1\r\ncontent-length: many") is None


async def test_rest_keeps_the_connection_and_decodes_path_and_query() -> None:
    port = await listen(EchoApp(), "127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.port}") as client:
        first = await client.get("/a%3Ab", params={"q": "1 2"})
        late = await client.get("/late", params={"delay": "0.01"})
        await asyncio.gather(*(client.get(f"/{i}") for i in range(20)))

        assert first.text == "/a:b {'q': '1 2'}"
        assert late.status_code == 200
    await port.close()


async def test_text_comes_back_whatever_its_length(connect) -> None:  # type: ignore[no-untyped-def]
    port = await listen(EchoApp(), "127.0.0.1", 0)
    async with connect(f"ws://127.0.0.1:{port.port}/x") as client:
        for size in (0, 1, 125, 126, 65_535, 65_536, 300_000):
            assert "a" * size == await client.ask("a" * size)
    await port.close()


async def test_a_refused_handshake_carries_its_headers() -> None:
    port = await listen(EchoApp(), "127.0.0.1", 0)
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port.port}/no", headers=headers)

        assert (answer.status_code, answer.headers["Retry-After"]) == (403, "7")
    await port.close()
