"""Frames on `/ws` that are oversized, malformed or hostile: who sends them is told or let go, and nobody else notices."""

import asyncio
import json
import random
import struct
from collections.abc import Sequence

import pytest

from tests.api.conftest import trade
from tests.api.stream.conftest import TRADES, Listener, Serve, listening, serve  # noqa: F401  # a fixture
from tests.api.stream.test_socket import HANDSHAKE, WITHIN_S, Raw, opened
from tests.daemons import eventually

FEW, MANY = 150, 50_000  # connections that dice spoil
LARGE = 256 * 1024
SUBSCRIBE = b'{"op":"subscribe","channels":[%s]}'
CHANNEL = b'{"type":"trade","provider":"binance","symbol":"BTCUSDT"}'


def masked(payload: bytes, first: int = 0x81) -> bytes:
    """A frame as a client sends it, its length in as few bytes as may be."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + b"\0\0\0\0" + payload
    head = struct.pack("!BBH", first, 0xFE, size) if size < 65_536 else struct.pack("!BBQ", first, 0xFF, size)
    return head + b"\0\0\0\0" + payload


PING = masked(b'{"op":"ping","id":"after"}')
GONE = "the connection was cut"


def unknown(number: int) -> bytes:
    return b'{"type":"trade","symbol":"A%d"}' % number


# What is sent, and what comes of it: close codes, or "answered" where the connection goes on and answers the next ping.
HOSTILE: dict[str, tuple[bytes, set[int | str]]] = {
    "a message beyond the bound": (masked(b"x" * (LARGE + 1)), {1009}),
    "a frame that says it is endless": (struct.pack("!BBQ", 0x81, 0xFF, 2**63 - 1) + b"\0" * 8, {1002, 1009, GONE}),
    "a length that may not be said": (struct.pack("!BBQ", 0x81, 0xFF, 2**64 - 1) + b"\0" * 8, {1002, 1009, GONE}),
    "a length in more bytes than it needs": (struct.pack("!BBQ", 0x81, 0xFF, 2) + b"\0\0\0\0{}", {1002, "answered", GONE}),
    "parts beyond the bound": (masked(b"x" * 200_000, 0x01) + masked(b"x" * 200_000, 0x80), {1009}),
    "parts without end": (masked(b"", 0x01) + masked(b"", 0x00) * 2000, {1009}),
    "a part of nothing": (masked(b"x", 0x80), {1002}),
    "a message in a message": (masked(b"x", 0x01) + masked(b"x", 0x81), {1002}),
    "no UTF-8": (masked(b'{"op":"\xff\xfe"}'), {1007, "answered"}),
    "half a character": (masked(b'{"op":"\\ud800"}'), {1007, "answered"}),
    "zero bytes": (masked(b"\0" * 100), {"answered"}),
    "nothing": (masked(b""), {"answered"}),
    "a binary message": (masked(b"\x00\x01\x02", 0x82), {1003, "answered"}),
    "said to be compressed": (masked(b"\x78\x9c\x01", 0xC1), {1002, GONE}),
    "a bit that nobody knows": (masked(b"{}", 0xA1), {1002, GONE}),
    "another bit that nobody knows": (masked(b"{}", 0x91), {1002, GONE}),
    "a kind of data that nobody knows": (masked(b"{}", 0x83), {1002, GONE}),
    "a kind of control that nobody knows": (masked(b"{}", 0x8B), {1002, GONE}),
    "a ping that is too long": (masked(b"x" * 200, 0x89), {1002, GONE}),
    "a ping in parts": (masked(b"x", 0x09), {1002, GONE}),
    "not masked": (b"\x81\x02{}", {1002, GONE}),
    "a goodbye of one byte": (masked(b"x", 0x88), {1000, 1002, GONE}),
    "a goodbye with a code that is none": (masked(b"\0\0", 0x88), {1000, 1002, GONE}),
    "a goodbye, then more": (masked(b"\x03\xe8", 0x88) + masked(b"{}") * 10, {1000, GONE}),
    "no JSON": (masked(b"{"), {"answered"}),
    "JSON of another kind": (masked(b"[1,2]"), {"answered"}),
    "lists in each other": (masked(b"[" * 100_000), {"answered"}),
    "objects in each other": (masked(b'{"a":' * 40_000), {"answered"}),
    "a value in each other": (masked(b'{"op":"subscribe","channels":' + b"[" * 100_000), {"answered"}),
    "numbers without bounds": (masked(b'{"op":"ping","id":' + b"9" * 10_000 + b"}"), {"answered"}),
    "a pace without bounds": (masked(SUBSCRIBE % CHANNEL.replace(b"}", b',"max_hz":1e400}')), {"answered"}),
    "a pace that is not a number": (masked(SUBSCRIBE % CHANNEL.replace(b"}", b',"max_hz":NaN}')), {"answered"}),
    "a position below nought": (masked(SUBSCRIBE % CHANNEL.replace(b"}", b',"epoch":"x","after":-1}')), {"answered"}),
    "a position beyond all": (masked(SUBSCRIBE % CHANNEL.replace(b"}", b',"epoch":"x","after":%s}' % (b"9" * 99))), {"answered"}),
    "five thousand channels": (masked(SUBSCRIBE % b",".join(map(unknown, range(5000)))), {"answered"}),
    "ten thousand channels": (masked(SUBSCRIBE % b",".join(map(unknown, range(10_000)))), {1009}),
    "a thousand unknown ones": (masked(SUBSCRIBE % b",".join(map(unknown, range(1000)))), {"answered"}),
    "one channel a thousand times": (masked(SUBSCRIBE % b",".join([CHANNEL] * 1000)), {"answered"}),
    "a symbol of 100 KiB": (masked(SUBSCRIBE % (b'{"type":"trade","symbol":"%s"}' % (b"A" * 100_000))), {"answered"}),
    "a key of 100 KiB": (masked(b'{"%s":1}' % (b"a" * 100_000)), {"answered"}),
    "a flood of messages": (masked(b'{"op":"ping"}') * 5000, {1008, GONE}),
    "a flood of nonsense": (masked(b"x") * 5000, {1008, GONE}),
    "a flood of pings": (masked(b"x" * 100, 0x89) * 2000, {"answered", 1008}),
    "HTTP once more": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", {1002, GONE}),
    "another handshake": (HANDSHAKE, {1002, GONE}),
}  # fmt: skip


async def outcome(raw: Raw) -> int | str:
    """What comes of it, whatever is said before."""
    try:
        while True:
            first, body = await raw.frame()
            if first == 0x88:
                return int.from_bytes(body[:2], "big") if body else 1000
            if first == 0x81 and json.loads(body).get("id") == "after":
                return "answered"
    except (asyncio.IncompleteReadError, ConnectionError):
        return GONE


async def heard(watcher: Listener, serving: object, number: int) -> None:
    """Everybody else is served as before."""
    serving.bus.publish([trade(number)])  # type: ignore[attr-defined]
    while (await watcher.next()).get("trade_id") != str(number):
        pass


@pytest.mark.parametrize("name", HOSTILE)
async def test_who_sends_what_is_hostile_harms_nobody_else(name: str, serve: Serve) -> None:  # noqa: F811
    data, expected = HOSTILE[name]
    async with serve() as served, listening(served.url) as watcher:
        await watcher.subscribe(TRADES)
        raw = await opened(served.url)
        raw.writer.write(data + PING)
        found = await outcome(raw)
        await heard(watcher, served, 1)
        raw.writer.transport.abort()
        await eventually(lambda: served.views.metrics.stream_clients._value.get() == 1)

        assert found in expected


async def spoil(url: str, seed: int) -> None:
    """One of these, with some bytes changed, cut out or doubled."""
    dice = random.Random(seed)
    data = bytearray(dice.choice([one for one, _ in HOSTILE.values() if len(one) < 5000]) + PING)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data))
        kind = dice.randrange(3)
        if kind == 0:
            data[at] = dice.randrange(256)
        elif kind == 1 and len(data) > 10:
            del data[at : at + dice.randint(1, 8)]
        else:
            data[at:at] = data[at : at + 60]
    raw = await opened(url, more=bytes(data))
    raw.writer.write_eof()
    async with asyncio.timeout(WITHIN_S):
        while await raw.reader.read(65_536):
            pass
    raw.writer.transport.abort()


async def spoil_all(serve: Serve, seeds: Sequence[int]) -> None:  # noqa: F811
    async with serve() as served, listening(served.url) as watcher:
        await watcher.subscribe(TRADES)
        for seed in seeds:
            try:
                await spoil(served.url, seed)
            except ConnectionError:
                pass  # cut before all of it was sent
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
        await heard(watcher, served, 1)
        await eventually(lambda: served.views.metrics.stream_clients._value.get() == 1)


async def test_frames_that_dice_have_spoilt_harm_nobody_else(serve: Serve) -> None:  # noqa: F811
    await spoil_all(serve, range(FEW))


@pytest.mark.soak
async def test_frames_that_dice_have_spoilt_harm_nobody_else_however_many(serve: Serve) -> None:  # noqa: F811
    first = random.SystemRandom().randrange(2**32)
    await spoil_all(serve, range(first, first + MANY))
