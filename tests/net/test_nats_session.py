"""One connection to a real server: what was sent is confirmed, or it is said that it was not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import Unreachable
from marketd.net import nats_session
from marketd.net.nats import NatsConfig, open_link
from marketd.net.nats_session import Session
from marketd.secrets import SecretUrl
from tests.daemons import eventually
from tests.nats_servers import NatsServer


@asynccontextmanager
async def session_to(server: NatsServer) -> AsyncIterator[Session]:
    async with open_link(NatsConfig(url=SecretUrl(server.url)), "marketd-test", SystemClock()) as link:
        yield link.session


async def sent_and_confirmed(session: Session, data: bytes) -> None:
    await session.send(data)
    await session.confirm()


async def test_what_is_confirmed_was_read_by_the_server_in_order(nats_server: NatsServer) -> None:
    async with session_to(nats_server) as theirs, session_to(nats_server) as ours:
        subscription = await theirs.client.subscribe("t.>")
        await theirs.confirm()
        for number in range(10):
            await ours.send(b"".join(b"PUB t.%d 2\r\nhi\r\n" % (number * 100 + at) for at in range(100)))
            await ours.confirm()
        got = [(await subscription.next_msg()).subject for _ in range(1000)]

    assert [f"t.{number}" for number in range(1000)] == got


async def test_a_killed_server_ends_whoever_waits_for_it_at_once(nats_server: NatsServer) -> None:
    async with session_to(nats_server) as session:
        nats_server.freeze()
        waiting = asyncio.gather(*(session.confirm() for _ in range(3)), return_exceptions=True)
        await asyncio.sleep(0)
        nats_server.kill()
        async with asyncio.timeout(nats_session.ANSWER_S / 2):
            answers = await waiting

        assert [Unreachable] * 3 == [type(one) for one in answers]
        with pytest.raises(Unreachable, match=f"nats: {nats_server.url}: the connection ended"):
            await session.send(b"PING\r\n")


async def test_a_server_that_hangs_is_given_up(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_session, "ANSWER_S", 0.3)
    async with session_to(nats_server) as session:
        nats_server.freeze()
        try:
            with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
                await session.confirm()

            assert session.gone.is_set()
        finally:
            nats_server.thaw()


async def test_a_server_that_reads_nothing_is_sent_no_more_than_the_socket_takes(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_session, "ANSWER_S", 0.3)
    data = b"PUB t 65000\r\n" + b"x" * 65000 + b"\r\n"
    sent = 0
    async with session_to(nats_server) as session:
        nats_server.freeze()
        try:
            for _ in range(10_000):
                try:
                    await session.send(data)
                except Unreachable:
                    break
                sent += 1
        finally:
            nats_server.thaw()

    assert sent * len(data) < 64 * 1024 * 1024


async def test_an_answer_that_nobody_waits_for_any_more_breaks_nothing(nats_server: NatsServer) -> None:
    async with session_to(nats_server) as session:
        nats_server.freeze()
        task = asyncio.ensure_future(session.confirm())
        await eventually(lambda: session.client._pongs)
        task.cancel()
        await asyncio.wait({task})
        nats_server.thaw()
        await session.confirm()

        assert not session.gone.is_set()


async def test_a_message_that_is_too_large_ends_the_session(nats_server: NatsServer) -> None:
    async with session_to(nats_server) as session:
        size = session.max_payload + 1
        data = b"PUB t %d\r\n%s\r\n" % (size, b"x" * size)
        with pytest.raises(Unreachable):
            await sent_and_confirmed(session, data)

        assert session.gone.is_set()


INFO = b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true,"proto":1}\r\n'


@asynccontextmanager
async def speaking(greeting: bytes, later: bytes = b"") -> AsyncIterator[str]:
    """A server that says just this: at first, and once it has let us in."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, EOFError):
            writer.write(greeting)
            await reader.readuntil(b"PING\r\n")
            writer.write(b"PONG\r\n" + later)
            await reader.read()
        writer.close()

    writers: list[asyncio.StreamWriter] = []

    server = await asyncio.start_server(lambda *them: serve(*them), "127.0.0.1", 0)
    try:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "later", [b"INFO {bad\r\n", b"INFO [1]\r\n", b'INFO {"connect_urls":["[::"]}\r\n', b"-ERR \r\n", b"MSG a b 5\r\n"]
)
async def test_a_server_that_speaks_garbage_later_is_left_and_tried_again(later: bytes) -> None:
    with capture_logs() as lines:
        async with (
            speaking(INFO, later) as url,
            open_link(NatsConfig(url=SecretUrl(url)), "marketd-test", SystemClock()) as link,
        ):
            await eventually(lambda: link.state.reconnects >= 1)
    said = {line["error"] for line in lines if line["event"] == "nats.error"}

    assert {nats_session.GARBLED} == said


async def test_a_port_that_says_nothing_as_of_another_kind_of_server_is_said_within_the_wait_of_a_start() -> None:
    """A server of HTTP waits for a question, as this one does."""
    async with speaking(b"") as url, open_link(NatsConfig(url=SecretUrl(url)), "marketd-test", SystemClock()) as link:
        at_once = link.state.reason
        await link.tried.wait()

        assert ["no answer of a NATS server within 3 s"] * 2 == [at_once, link.state.reason]


@pytest.mark.parametrize(
    "greeting",
    [
        b"INFO [1,2]\r\n",
        b'INFO {"connect_urls":["[::"]}\r\n',
        b'INFO {"max_payload":"abc"}\r\n',
        b'INFO {"a":"' + b"x" * 1_000_000,
        b"INFO " + b"[" * 50_000 + b"\r\n",
        b"\x00\xffHTTP/1.1 400\r\n",
    ],
    ids=["list", "urls", "payload", "huge", "deep", "http"],
)
async def test_a_greeting_that_is_none_is_said_in_words_of_ours(greeting: bytes) -> None:
    async with speaking(greeting) as url, open_link(NatsConfig(url=SecretUrl(url)), "marketd-test", SystemClock()) as link:
        await link.tried.wait()

        assert not link.state.connected
        assert "server" in link.state.reason or "INFO" in link.state.reason
        assert not any(word in link.state.reason for word in ("object", "IPv6", "Separator", "line is longer"))
