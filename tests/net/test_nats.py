"""The connection to NATS, to real servers: it comes, goes and comes back, and says so once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError
from structlog.testing import capture_logs

from marketd.clock import SystemClock
from marketd.errors import DeliveryError
from marketd.metrics import Metrics
from marketd.net.nats import NatsConfig, NatsLink, addresses_of, open_link, token
from marketd.secrets import SecretUrl
from tests.daemons import eventually
from tests.nats_servers import NatsCluster, NatsServer
from tests.server_process import LOOPBACK, free_ports


def config(url: str, **more: object) -> NatsConfig:
    return NatsConfig.model_validate({"url": url, "enabled": True, **more})


@asynccontextmanager
async def linked(url: str, **more: object) -> AsyncIterator[NatsLink]:
    async with open_link(config(url, **more), "marketd-test", SystemClock()) as link:
        yield link


def words(lines: list[dict[str, object]], level: str) -> list[object]:
    return [line["event"] for line in lines if line["log_level"] == level]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("BTCUSDT", "BTCUSDT"), ("BRK.B", "BRK_B"), ("a b*c>d\t\r\n", "a_b_c_d___"), ("", "_"), ("__system__", "__system__")],
)
def test_what_a_subject_may_not_hold_becomes_an_underscore(text: str, expected: str) -> None:
    assert token(text) == expected


def test_an_address_line_may_name_users_tokens_and_several_servers() -> None:
    found = addresses_of(SecretUrl("nats://me:p%40ss@a:1, tls://t0ken@b ,[::1]:3"))

    assert [(one.server, one.secure, one.user, one.password) for one in found] == [
        ("nats://a:1", False, "me", "p@ss"),
        ("tls://b:4222", True, "t0ken", None),
        ("nats://[::1]:3", False, None, None),
    ]


@pytest.mark.parametrize("url", ["http://me:hunter2@host", "nats://", "", "nats://me:hunter2@host:x", "nats://h/hunter2?a=1"])
def test_an_address_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValidationError, match="expected nats://host:4222 or tls://") as refused:
        config(url)

    assert "hunter2" not in refused.value.errors(include_input=False)[0]["msg"]


def test_the_defaults_are_those_that_were_promised() -> None:
    found = NatsConfig()

    assert ("nats://localhost:4222", "md.events", False) == (found.url.get_secret_value(), found.subject_prefix, found.jetstream)
    assert [NatsConfig.model_validate({"enabled": one}).enabled for one in ("auto", None, "true", False)] == [
        None,
        None,
        True,
        False,
    ]


def test_whether_it_is_on_is_one_of_three_words() -> None:
    with pytest.raises(ValidationError, match="expected true, false or auto"):
        NatsConfig.model_validate({"enabled": "maybe"})


@pytest.mark.parametrize("prefix", ["", "md..events", "md.*", "md.>", "$SYS.x", "a b", ".md"])
def test_a_prefix_that_is_no_subject_is_refused(prefix: str) -> None:
    with pytest.raises(ValidationError, match="expected words with dots"):
        NatsConfig(subject_prefix=prefix)


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected both"):
        NatsConfig(cert_file=Path("x"))


async def test_it_connects_under_its_name(nats_server: NatsServer) -> None:
    async with linked(nats_server.url) as link:
        state = link.state
        answered = await link.client.request("$SYS.REQ.USER.INFO", b"")

    assert (True, True, f"connected to {nats_server.url}") == (state.connected, state.was_connected, state.reason)
    assert b'"server"' in answered.data
    assert "marketd-test" not in nats_server.log  # and says nothing there


async def test_a_server_that_is_not_there_is_said_once_and_found_later(nats_server: NatsServer) -> None:
    nats_server.kill()
    with capture_logs() as lines:
        async with linked(nats_server.url) as link:
            assert not link.state.connected
            with pytest.raises(DeliveryError, match=f"nats: {nats_server.url}: .*refused"):
                _ = link.client
            await eventually(lambda: words(lines, "debug").count("nats.away") >= 3)  # tries of which nobody wants to hear
            nats_server.start()
            session = await link.opened()

            assert session is link.session

    assert words(lines, "warning") == ["nats.error"]
    assert words(lines, "info") == ["nats.connected"]
    assert [line["error"] for line in lines if line["log_level"] == "warning"] != [""]


async def test_where_it_is_only_welcome_its_absence_is_no_warning(nats_server: NatsServer) -> None:
    nats_server.kill()
    with capture_logs() as lines:
        async with linked(nats_server.url, enabled=None) as link:
            nats_server.start()
            await link.opened()
            nats_server.restart()  # it was there: now its end is worth a warning
            await eventually(lambda: link.state.reconnects == 1)

    assert words(lines, "warning") == ["nats.error"]
    assert words(lines, "info") == ["nats.not_there", "nats.connected", "nats.connected"]


async def test_the_metrics_say_whether_it_is_connected_and_how_often_it_had_to_connect_again(nats_server: NatsServer) -> None:
    metrics = Metrics()

    def values() -> list[float | None]:
        return [metrics.registry.get_sample_value(f"marketd_nats_{one}") for one in ("connected", "reconnects_total")]

    async with open_link(config(nats_server.url), "marketd-test", SystemClock(), metrics) as link:
        found = [values()]
        nats_server.kill()
        await eventually(lambda: not link.state.connected)
        found.append(values())
        nats_server.start()
        await link.opened()
        found.append(values())

    assert [[1, 0], [0, 0], [1, 1]] == found


async def test_a_restart_ends_the_session_and_gives_another(nats_server: NatsServer) -> None:
    with capture_logs() as lines:
        async with linked(nats_server.url) as link:
            for number in range(1, 4):
                old = link.session
                nats_server.kill()
                await old.gone.wait()
                nats_server.start()
                new = await link.opened()

                assert new is not old
                assert number == link.state.reconnects

    assert words(lines, "warning") == ["nats.error"] * 3
    assert words(lines, "info") == ["nats.connected"] * 4


async def test_a_server_that_hangs_at_sign_in_does_not_hold_the_start(nats_server: NatsServer) -> None:
    nats_server.freeze()
    try:
        async with asyncio.timeout(8), linked(nats_server.url) as link:
            assert not link.state.connected
    finally:
        nats_server.thaw()


AUTHORIZED = 'authorization {user: "me", password: "p@ss/word"}'


@pytest.mark.parametrize(
    ("rules", "who"),
    [(AUTHORIZED, "me:p%40ss%2Fword@"), ('authorization {token: "t0ken!"}', "t0ken%21@")],
    ids=["user", "token"],
)
async def test_it_signs_in_with_what_the_address_says(rules: str, who: str) -> None:
    with NatsServer(rules) as server:
        async with linked(server.url.replace("://", f"://{who}")) as link:
            await link.client.flush()

            assert link.state.connected
            assert who not in link.state.url


async def test_a_wrong_password_is_said_in_the_servers_words_and_not_shown() -> None:
    with NatsServer(AUTHORIZED) as server, capture_logs() as lines:
        async with linked(server.url.replace("://", "://me:hunter22@")) as link:
            assert "Authorization Violation" in link.state.reason
            await eventually(lambda: words(lines, "debug").count("nats.away") >= 2)

    assert words(lines, "warning") == ["nats.error"]
    assert "hunter22" not in str(lines)


async def test_what_the_server_forbids_is_counted_and_said() -> None:
    rules = 'authorization {users: [{user: a, password: b, permissions: {publish: {deny: "md.>"}}}]}'
    with NatsServer(rules) as server, capture_logs() as lines:
        async with linked(server.url.replace("://", "://a:b@")) as link:
            await link.session.send(b"PUB md.events.trade.X 0\r\n\r\n")
            await link.session.confirm()

            assert (1, 0) == (link.session.refusals("md.events"), link.session.refusals("md.event"))
            assert "permissions violation for publish" in link.session.refused

    assert words(lines, "warning") == ["nats.error"]


async def test_the_rest_of_a_cluster_is_found_through_one_of_it(nats_cluster: NatsCluster) -> None:
    first = nats_cluster.servers[0]
    async with linked(first.url) as link:
        first.kill()
        await eventually(lambda: link.state.reconnects == 1)

        assert first.url not in link.state.reason


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate for loopback, its key, and whose word it is."""
    home = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(home / "ca.pem")
    made = authority.issue_cert(LOOPBACK, "localhost")
    made.private_key_pem.write_to_path(home / "key.pem")
    made.cert_chain_pems[0].write_to_path(home / "cert.pem")
    return home


async def test_it_speaks_tls_and_checks_the_certificate(certificate: Path) -> None:
    with NatsServer(f'tls {{cert_file: "{certificate}/cert.pem", key_file: "{certificate}/key.pem"}}\n{AUTHORIZED}') as server:
        url = server.url.replace("nats://", "tls://me:p%40ss%2Fword@")
        async with linked(url, ca_file=certificate / "ca.pem") as link:
            await link.session.send(b"PUB x 2\r\nhi\r\n")
            await link.session.confirm()

            assert link.state.connected
        async with linked(url) as link:
            assert "certificate verify failed" in link.state.reason


async def test_a_certificate_of_ours_is_shown_where_it_is_asked_for(certificate: Path) -> None:
    pem = f'cert_file: "{certificate}/cert.pem", key_file: "{certificate}/key.pem", ca_file: "{certificate}/ca.pem", verify: true'
    with NatsServer(f"tls {{{pem}}}") as server:
        ours = {"cert_file": certificate / "cert.pem", "key_file": certificate / "key.pem"}
        async with linked(server.url.replace("nats:", "tls:"), ca_file=certificate / "ca.pem", **ours) as link:
            assert link.state.connected
        async with linked(server.url.replace("nats:", "tls:"), ca_file=certificate / "ca.pem") as link:
            assert not link.state.connected


async def test_no_password_goes_in_the_clear_where_tls_was_asked_for() -> None:
    with NatsServer(AUTHORIZED + "\ntrace: true\ndebug: true") as server:
        async with linked(server.url.replace("nats://", "tls://me:p%40ss%2Fword@")) as link:
            assert "offers no TLS" in link.state.reason

        assert "CONNECT" not in server.log


async def test_a_file_of_certificates_that_is_not_there_is_said() -> None:
    async with linked(f"tls://{LOOPBACK}:{free_ports(1)[0]}", ca_file=Path("nonesuch.pem")) as link:
        assert "No such file" in link.state.reason
