"""Requests that are oversized, malformed or hostile: none is a 5xx, none is let in, none harms the others.

The suite asks the API of tests/api, the soak the whole daemon, and looks at its memory too.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

import httpx
import pytest

from marketd.api.protocol import CONNECTIONS_MAX
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.token import read_token
from marketd.api.views import Views
from tests.hardening.whole import run_whole

WITHIN_S = 60.0  # longer than a request may take
GROWTH_MIB_MAX = 64.0  # of the memory, by whatever is sent here
FEW, MANY, AT_ONCE = 100, 100_000, 100  # requests that dice have spoilt
HOST = b"Host: localhost\r\n"
END = b"\r\n"
LIVE = ("/status/live", "/api/redis/log/live")
SERIES = b"/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m&limit=1"


class Target(Protocol):
    address: str
    token: str


class Served(NamedTuple):
    address: str
    token: str


@pytest.fixture
async def served(views: Views, tmp_path: Path) -> AsyncIterator[Served]:
    async with run_api(ApiConfig(port=0), views, tmp_path) as url:
        yield Served(url, read_token(ApiConfig(), tmp_path))


def port_of(target: Target) -> int:
    return int(target.address.rpartition(":")[2])


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


LAST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"  # whoever comes after it is answered, or cut
WELL = b'{"status":"ok"}'


async def send(target: Target, data: bytes) -> list[Answer]:
    """All answers to what is sent, until the server closes. Behind it comes an orderly request; its answer is left out."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(target), limit=2**24)
    found: list[Answer] = []
    try:
        writer.write(data + LAST)
        async with asyncio.timeout(WITHIN_S):
            while (answer := await read(reader)) is not None:
                found.append(answer)
    except ConnectionError:
        pass  # it was closed before all of it was sent
    finally:
        writer.close()
    return found[:-1] if found and found[-1].body == WELL else found


async def read(reader: asyncio.StreamReader, is_head: bool = False) -> Answer | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    assert head.startswith(b"HTTP/1.1 "), head[:100]
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): text for name, text in (line.split(": ", 1) for line in lines)}
    size = int(headers.get("content-length", 0))
    if is_head or int(first.split()[1]) < 200:
        return Answer(int(first.split()[1]), headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        size = 0
        while size_of_chunk := int(await reader.readline(), 16):
            await reader.readexactly(size_of_chunk + 2)
        await reader.readline()
    return Answer(int(first.split()[1]), headers, await reader.readexactly(size))


def check(answers: list[Answer], expected: set[int]) -> None:
    """Nothing but these, each refusal in the form of all, with the headers of all."""
    assert {answer.status for answer in answers} <= expected, answers
    for answer in answers:
        if answer.status < 200:
            continue
        assert answer.headers["x-content-type-options"] == "nosniff"
        if answer.status >= 400 and answer.body:
            said = json.loads(answer.body)
            assert "error" in said
            assert set(said) <= {"error", "parameter", "allowed"}
            assert len(answer.body) < 200_000


def get(target: bytes, more: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (target, HOST, more)


def put(body: bytes, more: bytes = b"Content-Type: application/json\r\n", length: bytes | None = None) -> bytes:
    size = b"%d" % len(body) if length is None else length
    return b"PUT /subscriptions HTTP/1.1\r\n%sAuthorization: Bearer TOKEN\r\n%sContent-Length: %s\r\n\r\n%s" % (
        HOST,
        more,
        size,
        body,
    )


def chunked(body: bytes) -> bytes:
    head = b"PUT /subscriptions HTTP/1.1\r\n%sAuthorization: Bearer TOKEN\r\n" % HOST
    return head + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + body


# What is sent, and what alone may be answered.
HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "a path of 60 KiB": (get(b"/" + b"a" * 60_000), {404}),
    "a path of 1 MiB": (get(b"/" + b"a" * 2**20), {400}),
    "a query of 60 KiB": (get(b"/candles?symbol=" + b"A" * 60_000), {400}),
    "a header of 1 MiB": (get(b"/livez", b"X-A: " + b"a" * 2**20 + END), {400}),
    "ten thousand headers": (get(b"/livez", b"".join(b"X-%d: a\r\n" % n for n in range(10_000))), {400}),
    "ten thousand parameters": (get(b"/candles?" + b"&".join(b"a%d=1" % n for n in range(8000))), {400}),
    "one parameter ten thousand times": (get(b"/candles?" + b"&".join([b"a=1"] * 10_000)), {400}),
    "zero bytes in the path": (get(b"/livez%00"), {404}),
    "a raw zero byte": (get(b"/livez\0"), {400}),
    "no UTF-8 in the path": (get(b"/%ff%fe"), {404}),
    "no UTF-8 in a value": (get(b"/trades?symbol=%ff%fe%00"), {400, 404}),
    "no UTF-8 in a name": (get(b"/trades?%ff%fe=1"), {400}),
    "bytes beyond ASCII": (get("/trades?symbol=Ä".encode()), {400}),
    "out of the directory": (get(b"/../../../../etc/passwd"), {404}),
    "out of the directory, written otherwise": (get(b"/assets/..%2f..%2f..%2f..%2fetc%2fpasswd"), {404}),
    "two slashes": (get(b"//evil.example/status"), {404}),
    "an address for a path": (get(b"http://evil.example/status"), {404}),
    "a star for a path": (b"OPTIONS * HTTP/1.1\r\n" + HOST + END, {404, 405}),
    "a tunnel": (b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + END, {401, 404, 405}),
    "a trace": (b"TRACE /status HTTP/1.1\r\n" + HOST + END, {401, 405}),
    "an unknown method": (b"BREW /status HTTP/1.1\r\n" + HOST + END, {401, 405}),
    "HTTP of before": (b"GET /status\r\n\r\n", {400}),
    "HTTP/1.0 without a host": (b"GET /status HTTP/1.0\r\n\r\n", {403}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 403}),
    "HTTP/9.9": (b"GET /livez HTTP/9.9\r\n" + HOST + END, {200, 400}),
    "TLS": (bytes.fromhex("160301020001000001fc0303") + b"\r\n" * 4, {400}),
    "two hosts": (get(b"/status", b"Host: evil.example\r\n"), {400}),
    "an upgrade to HTTP/2": (get(b"/livez", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), {200}),
    "a folded header": (get(b"/livez", b"X-A: a\r\n b\r\n"), {200, 400}),
    "a header without a name": (get(b"/livez", b": a\r\n"), {400}),
    "a space before the colon": (get(b"/livez", b"X-A : a\r\n"), {400}),
    "ranges without end": (get(b"/openapi.json", b"Range: bytes=" + b"0-1," * 5000 + b"0-1\r\n"), {200}),
    "dates that are none": (get(SERIES, b"If-Modified-Since: \xff\xff\r\n"), {200}),
    "tags without end": (get(SERIES, b"If-None-Match: " + b'"a",' * 9000 + END), {200}),
    "weights that are none": (get(b"/openapi.json", b"Accept-Encoding: gzip;q=nan, *;q=1e999\r\n"), {200}),
    "an id that is none": (get(b"/api/redis/log/live", b"Last-Event-ID: " + b"9" * 49 + END), {400, 404}),
    "two lengths": (put(b"{}", b"Content-Length: 3\r\n"), {400}),
    "a negative length": (put(b"{}", length=b"-2"), {400}),
    "a length that is none": (put(b"{}", length=b"1e3"), {400}),
    "a length beyond all bounds": (put(b"{}", length=b"9" * 30), {400, 413}),
    "a length and chunks": (put(b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), {400}),
    "a length too small": (put(b'{"symbols": []}', length=b"5"), {400}),
    "a body of 1 MiB": (put(b" " * 2**20), {413}),
    "a chunk beyond all bounds": (chunked(b"f" * 16 + b"\r\n"), {400, 408, 413}),
    "a chunk's size that is none": (chunked(b"xyz\r\n"), {400}),
    "a chunk's extension of 1 MiB": (chunked(b"1;" + b"a" * 2**20 + b"\r\na\r\n"), {400}),
    "chunks without end": (chunked(b"1000\r\n" + b" " * 4096 + END) + (b"1000\r\n" + b" " * 4096 + END) * 100, {400, 413}),
    "trailers of 1 MiB": (chunked(b"0\r\nX-A: " + b"a" * 2**20 + b"\r\n\r\n"), {400}),
    "a transfer that nobody knows": (put(b"{}", b"Transfer-Encoding: gzip\r\n"), {400}),
    "no body": (put(b""), {400}),
    "no JSON": (put(b"{"), {400}),
    "JSON of another kind": (put(b"[1, 2]"), {400}),
    "not a number": (put(b'{"symbols": NaN}'), {400}),
    "a number without bounds": (put(b'{"symbols": [1e400]}'), {400}),
    "a whole number of 10,000 digits": (put(b'{"symbols": [' + b"9" * 10_000 + b"]}"), {400}),
    "half a character": (put(b'{"symbols": ["\\ud800"]}'), {400, 422}),
    "no UTF-8 in the body": (put(b'{"symbols": ["\xff\xfe"]}'), {400}),
    "a zero byte in a symbol": (put(b'{"symbols": ["BTC\\u0000USDT"]}'), {400, 422}),
    "a key twice": (put(b'{"symbols": ["NOPE1"], "symbols": ["NOPE2"]}'), {400, 422}),
    "a hundred thousand lists in each other": (put(b"[" * 100_000), {400}),
    "deep objects": (put(b'{"a":' * 40_000), {400}),
    "more symbols than may be": (put(json.dumps({"symbols": [f"A{n}" for n in range(1001)]}).encode()), {400}),
    "a symbol of 100 KiB": (put(json.dumps({"symbols": ["A" * 100_000]}).encode()), {400}),
    "a form": (put(b"symbols=BTCUSDT", b"Content-Type: application/x-www-form-urlencoded\r\n"), {400}),
    "packed": (put(b"\x1f\x8b\x08", b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n"), {400}),
    "a kind that is none": (put(b"{}", b"Content-Type: \xff/\xff\r\n"), {400}),
    "a token of 60 KiB": (get(b"/status", b"Authorization: Bearer " + b"a" * 60_000 + END), {200}),
    "a token that is no text": (put(b"{}").replace(b"TOKEN", b"\xff\xfe"), {401}),
    "a hundred requests at once": (get(b"/livez") * 100, {200}),
    "a request, then none": (get(b"/livez") + b"\0\1\2\r\n\r\n", {200, 400}),
    "a request in the body of another": (put(b'{"symbols": ["NOPE"]}' + get(b"/livez"), length=b"21"), {200, 422}),
}  # fmt: skip


async def is_refused(target: Target, name: str) -> str:
    """What is wrong with the answers, if anything."""
    data, expected = HOSTILE[name]
    try:
        answers = await send(target, data.replace(b"TOKEN", target.token.encode()))
        assert answers, "no answer"
        check(answers, expected)
    except (AssertionError, ValueError, KeyError, TimeoutError) as error:
        return f"{name}: {error!r}"
    return ""


async def refuse_all(target: Target) -> list[str]:
    return [wrong for wrong in await asyncio.gather(*(is_refused(target, name) for name in HOSTILE)) if wrong]


async def test_what_is_hostile_is_refused_in_words(served: Served) -> None:
    assert await refuse_all(served) == []


VALUES = (
    "", " ", "\0", "\x80", "\ud83d", "%", "'", "<script>", "../..", "-1", "+1", "0", "1.5", "1e400", "-1e400", "NaN", "inf",
    "\u0661\u0662", "\uff11", "9" * 19, "9" * 400, "9" * 5000, str(2**63), str(-(2**63) - 1), "true", "null", "[]", "{}",
    "A" * 41, "A" * 5000, "1970-01-01", "2262-04-12", "9999-12-31T23:59:60Z", "2024-02-30", "0000-00-00", "1M", "0m", "-5m",
    "99999999999999999999d", "closed,closed", ",",
)  # fmt: skip
GOOD_VALUES = {"symbol": "BTCUSDT", "exchange": "binance", "timeframe": "1m"}


async def ask_all_values(target: Target) -> tuple[int, list[object]]:
    """Each parameter of each path, as the schema names them, with each value, beside good ones and twice."""
    async with httpx.AsyncClient(base_url=target.address) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    asked: list[tuple[str, str, bool]] = []
    for path, methods in paths.items():
        if "get" not in methods:
            continue
        names = [one["name"] for one in methods["get"].get("parameters", []) if one["in"] == "query"]
        for name in [*names, "never-heard-of"]:
            for value in VALUES:
                pairs = [*{**{one: text for one, text in GOOD_VALUES.items() if one in names}, name: value}.items()]
                for query in (pairs, [*pairs, (name, value)]) if value == VALUES[0] else (pairs,):
                    text = "&".join(f"{quote(one)}={quote(its.encode('utf-8', 'surrogatepass'))}" for one, its in query)
                    asked.append((path, text, len(query) > len(pairs)))
    wrong: list[object] = []
    for at in range(0, len(asked), AT_ONCE):
        some = asked[at : at + AT_ONCE]
        heads = [b"HEAD" if path in LIVE else b"GET" for path, _, _ in some]
        sent = [b"%s %s?%s HTTP/1.1\r\n%s\r\n" % (head, path.encode(), text.encode(), HOST)
                for head, (path, text, _) in zip(heads, some, strict=True)]  # fmt: skip
        answers = await pipelined(target, sent)
        for (path, text, is_twice), answer in zip(some, answers, strict=True):
            if answer.status >= 500 or (is_twice and answer.status not in (400, 426)):
                wrong.append((path, text, answer.status))
    return len(asked), wrong


async def pipelined(target: Target, requests: Sequence[bytes]) -> list[Answer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(target), limit=2**24)
    answers = []
    async with asyncio.timeout(WITHIN_S):
        for request in requests:
            writer.write(request)
            answer = await read(reader, request.startswith(b"HEAD"))
            assert answer is not None, request
            answers.append(answer)
    writer.close()
    return answers


async def test_no_value_of_any_parameter_is_more_than_a_refusal(served: Served) -> None:
    asked, wrong = await ask_all_values(served)

    assert wrong == []
    assert asked > 2000


GOOD = [data for name, (data, _) in HOSTILE.items() if len(data) < 2000] + [
    get(SERIES), get(b"/trades?symbol=BTCUSDT&limit=1"), get(b"/latest?symbol=BTCUSDT", b"Origin: http://localhost\r\n"),
    get(b"/api/redis/log?limit=1"), put(b'{"symbols": ["NOPE"]}'), chunked(b"5\r\n{\"sym\r\n2\r\n\"}\r\n0\r\n\r\n"),
]  # fmt: skip


def spoilt(dice: random.Random) -> bytes:
    """One of these with a few bytes changed, cut out, doubled or put in."""
    data = bytearray(dice.choice(GOOD))
    for _ in range(dice.randint(1, 4)):
        at, to = sorted((dice.randrange(len(data) + 1), dice.randrange(len(data) + 1)))
        kind = dice.randrange(5)
        if kind == 0 and at < len(data):
            data[at] = dice.randrange(256)
        elif kind == 1:
            del data[at : min(to, at + 8)]
        elif kind == 2:
            data[at:at] = data[at : min(to, at + 200)] * dice.randint(1, 3)
        elif kind == 3:
            data[at:at] = dice.choice(
                [b"\r\n", b"\0", b"%00", b"%ff", b"&", b"9" * 30, b": ", b" ", b"\n", b"Content-Length: 5\r\n"]
            )
        elif data:
            data = bytearray(dice.choice(GOOD)) + data
    return bytes(data)


async def spoil(target: Target, seed: int) -> None:
    """Refused or answered, but never failed, and never let in without the token."""
    data = spoilt(random.Random(seed)).replace(b"TOKEN", b"wrong")
    for answer in await send(target, data):
        assert answer.status < 500 or answer.status == 503, f"seed {seed}: {data!r} got {answer}"


async def spoil_all(target: Target, seeds: Sequence[int]) -> None:
    """Some at once, since what never ends is waited for."""
    for at in range(0, len(seeds), AT_ONCE):
        async with asyncio.TaskGroup() as group:
            for seed in seeds[at : at + AT_ONCE]:
                group.create_task(spoil(target, seed))


async def test_requests_that_dice_have_spoilt_are_answered(served: Served) -> None:
    await spoil_all(served, range(FEW))

    assert (await pipelined(served, [get(b"/livez")]))[0].status == 200


async def hold_connections(target: Target) -> None:
    """More than may be, each with a request that never ends."""
    held = [await asyncio.open_connection("127.0.0.1", port_of(target)) for _ in range(CONNECTIONS_MAX + 50)]
    for _, writer in held:
        writer.write(b"GET /livez HTTP/1.1\r\nX-Slow: ")
    async with asyncio.timeout(WITHIN_S):
        firsts = [await first_line(reader) for reader, _ in held]
    for _, writer in held:
        writer.close()

    assert {first.split()[1] for first in firsts if first} == {b"408", b"503"}
    assert sum(not first or b" 503 " in first for first in firsts) >= 50


async def first_line(reader: asyncio.StreamReader) -> bytes:
    """Nothing where the refusal was lost because we still wrote when it came."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


async def read_nothing(target: Target) -> None:
    """Ask for much and take none of it."""
    deaf = [await asyncio.open_connection("127.0.0.1", port_of(target), limit=1) for _ in range(50)]
    for _, writer in deaf:
        writer.write(get(b"/openapi.json", b"Accept-Encoding: identity\r\n") * 50)
    for _ in range(20):
        assert (await pipelined(target, [get(b"/livez")]))[0].status == 200
    for _, writer in deaf:
        writer.transport.abort()


@pytest.mark.soak
async def test_the_whole_daemon_stays_well_and_small_whatever_is_sent(tmp_path: Path) -> None:
    with run_whole(tmp_path) as whole:
        before_mib = whole.resident_mib()
        asked, wrong = await ask_all_values(whole)
        wrong += await refuse_all(whole)
        await read_nothing(whole)
        await hold_connections(whole)
        first = random.SystemRandom().randrange(2**32)
        await spoil_all(whole, range(first, first + MANY))

        assert wrong == []
        assert asked > 2000
        assert whole.mistakes() == []
        assert whole.resident_mib() - before_mib < GROWTH_MIB_MAX
        assert (await pipelined(whole, [get(b"/livez")]))[0].status == 200
