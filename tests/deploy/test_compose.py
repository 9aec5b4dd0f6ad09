"""compose.yaml: each service of ours by its own command, behind servers started by theirs, until its health check passes."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from marketd.config.sources import profile_names, read_profile
from tests.cli.conftest import Start
from tests.deploy import image
from tests.deploy.containers import Container, run
from tests.deploy.health_checks import WITHIN_S, is_healthy
from tests.deploy.servers import ComposedNats, ComposedRedis, tool
from tests.deploy.units import UNITS, Unit
from tests.postgres import PostgresServer

TEXT = (image.ROOT / "compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "marketd"}
PROFILES = sorted({profile for service in OURS.values() for profile in service["profiles"]})
QUICK = {"MARKETD__DAEMON__BACKFILL_DAYS": "1"}  # a year of candles is not what is asked here


@pytest.fixture
def all_venues(start: Start) -> dict[str, str]:
    program = start("sim", "--venue", "all", "--port", "0", "--rate", "50")
    program.wait_for("COINGECKO_URL")
    return dict(line.removeprefix("export ").split("=", 1) for line in program.said["out"])


@pytest.fixture
def servers(postgres_url: str) -> Iterator[dict[str, str]]:
    """Where the file's `name:port` is here."""
    with ExitStack() as running:
        redis = running.enter_context(ComposedRedis(SERVICES["redis"]["command"]))
        nats = running.enter_context(ComposedNats(SERVICES["nats"]["command"]))
        yield {"redis://redis:6379/0": redis.url, "nats://nats:4222": nats.url, "postgres": postgres_url}


@pytest.mark.parametrize("name", ["redis", "nats"])
def test_the_health_check_of_a_server_follows_the_server(name: str) -> None:
    made = {"redis": ComposedRedis, "nats": ComposedNats}[name](SERVICES[name]["command"])
    check = SERVICES[name]["healthcheck"]["test"]
    with made as server:
        port = server.port if isinstance(server, ComposedRedis) else int(server.monitor_url.rsplit(":", 1)[1])
        served = is_healthy(check, port)
        server.kill()

        assert (served, is_healthy(check, port)) == (True, False)


def test_the_health_check_of_the_database_follows_the_database() -> None:
    check = SERVICES["postgres"]["healthcheck"]["test"]
    with PostgresServer() as server:
        served = is_healthy(check, server.port)
        server.kill()

        assert (served, is_healthy(check, server.port)) == (True, False)


def test_every_server_has_a_health_check_that_is_answered_in_time() -> None:
    checks = {name: service["healthcheck"] for name, service in SERVICES.items() if name not in OURS}

    assert set(checks) == {"postgres", "redis", "nats", "prometheus", "grafana"}
    assert {check["timeout"] for check in checks.values()} == {f"{WITHIN_S:.0f}s"}


def test_a_service_of_ours_has_as_long_to_stop_as_systemd_gives_it() -> None:
    assert {service["stop_grace_period"] for service in OURS.values()} == {
        f"{Unit(UNITS / 'marketd@.service').one('TimeoutStopSec')}s"
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_every_service_of_a_profile_becomes_healthy(
    start: Start, all_venues: dict[str, str], servers: dict[str, str], tmp_path: Path, profile: str
) -> None:
    running: dict[str, Container] = {}
    for name, service in OURS.items():
        if profile in service["profiles"]:
            environ = {**all_venues, **QUICK, **here(service["environment"], servers)}
            running[name] = run(start, service["command"], tmp_path / name, environ)
    for container in running.values():
        container.until_healthy()

    codes = {name: container.stop() for name, container in running.items()}

    assert codes == dict.fromkeys(running, 0), {
        name: running[name].program.said["err"][-5:] for name, code in codes.items() if code
    }


def here(environ: dict[str, str], servers: dict[str, str]) -> dict[str, str]:
    found = {name: servers.get(text, text) for name, text in environ.items()}
    if "@postgres:5432/" in found.get("DATABASE_URL", ""):
        found["DATABASE_URL"] = servers["postgres"]

    assert not any(re.search(r"//(redis|nats)\b|@postgres\b", text) for text in found.values()), found
    return found


def test_every_profile_has_a_service_with_its_old_port() -> None:
    started = {service["command"][-1]: service for service in OURS.values()}
    ports = {name: str(read_profile(name)["api"]["port"]) for name in started}

    assert set(started) == set(profile_names()) - {"api"}  # the archive's own process answers for it
    assert {name: service["environment"]["HTTP_PORT"] for name, service in started.items()} == ports


def test_ports_are_published_on_loopback_only_and_each_once() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    outside = [port.rsplit(":", 1)[0] for port in published]

    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    assert sorted(outside) == sorted(set(outside))
    assert all(service["ports"][0].endswith(f":{service['environment']['HTTP_PORT']}") for service in OURS.values()), (
        "what is published is what the daemon listens on"
    )


def test_what_has_a_server_waits_for_it_and_servers_reach_nobody_outside() -> None:
    file = yaml.safe_load(TEXT)
    waits = {name: set(service.get("depends_on", {})) for name, service in OURS.items()}
    wanted = {
        name: {server for server in ("redis", "nats", "postgres") if re.search(rf"[/@]{server}:", str(service["environment"]))}
        for name, service in OURS.items()
    }

    assert waits == wanted
    assert file["networks"]["servers"] == {"internal": True}
    assert all(SERVICES[name]["networks"] == ["servers"] for name in ("redis", "nats", "postgres"))


def test_containers_of_ours_have_no_more_than_they_need() -> None:
    for service in OURS.values():
        assert (service["read_only"], service["cap_drop"], service["init"]) == (True, ["ALL"], True)
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [volume.split(":")[1] for volume in service["volumes"]] == ["/data"]


def test_images_are_pinned_to_a_version_and_name_no_host() -> None:
    images = {service["image"] for service in SERVICES.values()} - {"marketd"}

    assert [name for name in images if not re.fullmatch(r"[a-z]+(/[a-z]+)?:v?\d[\w.-]*", name)] == []


def test_what_is_mounted_is_there() -> None:
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"] if volume.startswith("./")]

    assert [path for path in mounted if not (image.ROOT / path).exists()] == []


def test_it_is_what_the_specification_of_compose_calls_a_file() -> None:
    checked = subprocess.run(
        [tool("check-jsonschema") or "check-jsonschema", "--builtin-schema", "vendor.compose-spec", image.ROOT / "compose.yaml"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert checked.returncode == 0, checked.stdout + checked.stderr


if (compose := tool("docker-compose")) is not None:  # where compose itself is: it needs no engine to judge a file

    def test_compose_accepts_the_file() -> None:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("COMPOSE_")}
        checked = subprocess.run(
            [compose, "--file", image.ROOT / "compose.yaml", "--profile", "*", "config", "--quiet"],
            env=environ, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

        assert (checked.returncode, checked.stderr) == (0, "")
