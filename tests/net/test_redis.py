"""The way to Redis: its address, and that it goes away and comes back, which is said once each."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pydantic import ValidationError
from redis.asyncio import Redis
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import Unreachable
from marketd.net.redis import RedisConfig, RedisLink, address_of
from marketd.rooms import room
from marketd.secrets import SecretUrl
from tests.daemons import eventually
from tests.redis_server import RedisServer


def link_to(url: str) -> RedisLink:
    return RedisLink(RedisConfig(url=SecretUrl(url)), "marketd-test", SystemClock())


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[RedisLink]:
    link = link_to(url)
    async with room("test") as here:
        here.start("watch", link.run())
        yield link


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that signs itself, for loopback."""
    home = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", home / "key.pem", "-out", home / "cert.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return home


@asynccontextmanager
async def behind_tls(server: RedisServer, certificate: Path) -> AsyncIterator[int]:
    """The port where the server, whose wheel knows no TLS, is spoken to in TLS."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


def test_the_defaults_are_those_that_were_promised() -> None:
    config = RedisConfig()

    assert ("redis://localhost:6379/0", 10_000, False) == (config.url.get_secret_value(), config.stream_maxlen, config.enabled)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost:6379/0", ("localhost", 6379, None, 0, None, None)),
        ("redis://h", ("h", 6379, None, 0, None, None)),
        ("redis://:p%40ss@h:1/3", ("h", 1, None, 3, None, "p@ss")),
        ("redis://me:secret@[::1]:7", ("::1", 7, None, 0, "me", "secret")),
        ("unix:///run/redis.sock?db=2", ("", 6379, "/run/redis.sock", 2, None, None)),
    ],
)
def test_an_address_is_read_as_redis_py_reads_it(url: str, expected: tuple[object, ...]) -> None:
    found = address_of(SecretUrl(url))

    assert expected == (found.host, found.port, found.path, found.db, found.username, found.password)


@pytest.mark.parametrize("url", ["http://:hunter2@h", "redis://:hunter2@h:x", "redis://", "redis://h/hunter2", "unix://", ""])
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="expected redis://host:6379/0") as refused:
        RedisConfig(url=SecretUrl(url))

    assert "hunter2" not in refused.value.errors(include_input=False)[0]["msg"]


def test_a_secure_address_is_checked_unless_it_says_otherwise() -> None:
    checked, trusting = (address_of(SecretUrl(url)).tls for url in ("rediss://h", "rediss://h?ssl_cert_reqs=none"))
    assert checked is not None
    assert trusting is not None

    assert (ssl.CERT_REQUIRED, True) == (checked.verify_mode, checked.check_hostname)
    assert (ssl.CERT_NONE, False) == (trusting.verify_mode, trusting.check_hostname)


def test_a_certificate_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="certificate cannot be read"):
        RedisConfig(url=SecretUrl(f"rediss://h?ssl_ca_certs={tmp_path}/none.pem"))


async def test_a_server_that_is_away_is_said_once_and_that_it_came_too() -> None:
    server = RedisServer()
    with capture_logs() as lines:
        async with watched(server.url) as link:
            await eventually(lambda: link.state.reason == "Connection refused")
            for _ in range(3):
                with pytest.raises(Unreachable, match="Connection refused"):
                    await link.open("test")
            with server:
                await eventually(lambda: link.state.connected)

    assert ["redis.away", "redis.back"] == [line["event"] for line in lines]


async def test_a_server_that_is_killed_and_back_is_noticed_though_nothing_is_written() -> None:
    with RedisServer() as server:
        async with watched(server.url) as link:
            await eventually(lambda: link.state.connected)
            server.kill()
            await eventually(lambda: not link.state.connected)
            server.start()
            await eventually(lambda: link.state.connected)


async def test_a_server_that_is_frozen_is_away_until_it_answers() -> None:
    with RedisServer() as server:
        async with watched(server.url) as link:
            await eventually(lambda: link.state.connected)
            server.freeze()
            await eventually(lambda: "no answer within" in link.state.reason)
            server.thaw()
            await eventually(lambda: link.state.connected)


async def test_the_password_is_shown_nowhere() -> None:
    with RedisServer(requirepass="opensesame") as server, capture_logs() as lines:
        wrong = link_to(f"redis://:hunter2@127.0.0.1:{server.port}")
        with pytest.raises(Unreachable) as refused:
            await wrong.open("test")
        right = link_to(server.url)
        await (await right.open("test")).close("closed")

    shown = f"{lines} {refused.value} {wrong.state} {right.state}"
    assert "opensesame" not in shown
    assert "hunter2" not in shown


async def test_tls_is_spoken_and_a_stranger_is_not_trusted(redis_server: RedisServer, certificate: Path) -> None:
    async with behind_tls(redis_server, certificate) as port:
        trusted = link_to(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate / 'cert.pem'}")
        stranger = link_to(f"rediss://127.0.0.1:{port}")
        async with await trusted.open("test") as wire:
            answers = await wire.ask(("PING",), within_s=5)
        with pytest.raises(Unreachable, match="TLS"):
            await stranger.open("test")

    assert [b"PONG"] == answers


async def test_redis_pys_client_finds_the_same_server(redis_server: RedisServer) -> None:
    client = Redis.from_url(RedisConfig(url=SecretUrl(redis_server.url)).url.get_secret_value())
    try:
        async with asyncio.timeout(10):
            answer = await client.ping()
    finally:
        await client.aclose()

    assert answer
