"""Who may ask."""

import stat
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from marketd.api.guard import is_loopback
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.secrets import Secret

CHANGE = {"symbols": ["BTCUSDT"]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_reading_is_open_without_a_configured_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/status")).status_code == 200


async def test_changing_always_needs_the_token(client: httpx.AsyncClient) -> None:
    without = await client.put("/subscriptions", json=CHANGE)
    wrong = await client.put("/subscriptions", json=CHANGE, headers=bearer("wrong"))
    right = await client.put("/subscriptions", json=CHANGE, headers=bearer(client.token))  # type: ignore[attr-defined]

    assert (without.status_code, wrong.status_code, right.status_code) == (401, 401, 200)
    assert without.json()["parameter"] == "Authorization"


async def test_the_token_made_is_for_its_owner_only(client: httpx.AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "api-token"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text().strip()) >= 32


async def test_a_configured_token_is_for_reading_too_but_health_and_metrics(views: Views, tmp_path: Path) -> None:
    config = ApiConfig(port=0, token=Secret("tell-nobody"))
    async with run_api(config, views, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        answers = {
            path: (await client.get(path)).status_code for path in ("/health", "/readyz", "/livez", "/metrics", "/status", "/")
        }
        allowed = await client.get("/status", headers=bearer("tell-nobody"))

    assert answers == {"/health": 200, "/readyz": 200, "/livez": 200, "/metrics": 200, "/status": 401, "/": 401}
    assert allowed.status_code == 200
    assert not (tmp_path / "api-token").exists()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8100", "127.0.0.1.evil.example", "", "localhost:8100@evil.example"]
)
async def test_on_loopback_only_local_names_are_served(client: httpx.AsyncClient, host: str) -> None:
    response = await client.get("/status", headers={"Host": host})

    assert response.status_code in {400, 403}


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:80", "[::1]:8100", "LOCALHOST"])
async def test_local_names_are_served(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/status", headers={"Host": host})).status_code == 200


async def test_pages_from_elsewhere_are_refused_and_local_ones_may_read(client: httpx.AsyncClient) -> None:
    foreign = await client.get("/status", headers={"Origin": "https://evil.example"})
    local = await client.get("/status", headers={"Origin": "http://localhost:3000"})

    assert foreign.status_code == 403
    assert local.status_code == 200
    assert local.headers["access-control-allow-origin"] == "http://localhost:3000"


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
async def test_a_page_of_the_api_itself_may_change_what_it_shows(host: str, views: Views, tmp_path: Path) -> None:
    config = ApiConfig(port=0, host=host, token=Secret("t"))
    async with run_api(config, views, tmp_path) as url, httpx.AsyncClient(base_url=url, headers=bearer("t")) as client:
        own = await client.put("/subscriptions", json=CHANGE, headers={"Origin": url})
        foreign = await client.put("/subscriptions", json=CHANGE, headers={"Origin": f"{url}0"})

    assert (200, 403) == (own.status_code, foreign.status_code)


async def test_of_two_origins_none_may_be_foreign(client: httpx.AsyncClient) -> None:
    two = [("Origin", "http://localhost"), ("Origin", "http://evil.example")]

    assert 403 == (await client.get("/status", headers=two)).status_code


async def test_a_configured_page_may_read_and_not_write(views: Views, tmp_path: Path) -> None:
    page = {"Origin": "https://desk.example"}
    async with (
        run_api(ApiConfig(port=0, cors_origins=("https://desk.example",)), views, tmp_path) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        reading = await client.get("/status", headers=page)
        preflight = await client.options("/subscriptions", headers={**page, "Access-Control-Request-Method": "PUT"})

    assert reading.headers["access-control-allow-origin"] == "https://desk.example"
    assert preflight.status_code == 400


def test_which_hosts_are_loopback() -> None:
    assert [host for host in ("127.0.0.1", "localhost", "::1", "127.9.9.9") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "192.168.0.1", "example.com", "::") if is_loopback(host)] == []


async def test_a_process_without_feeds_cannot_change_them(views: Views, tmp_path: Path) -> None:
    config = ApiConfig(port=0, token=Secret("t"))
    async with run_api(config, replace(views, feeds=None), tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        response = await client.put("/subscriptions", json=CHANGE, headers=bearer("t"))

    assert (response.status_code, response.json()) == (404, {"error": "role ingest does not run here"})
