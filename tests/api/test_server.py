"""The API runs in the daemon's loop, says what to change when it cannot, and lets go at once."""

import asyncio
from pathlib import Path

import httpx
import pytest
import structlog

from marketd.api.section import ApiConfig
from marketd.api.server import listen, run_api
from marketd.api.views import Views
from marketd.errors import StartError
from marketd.secrets import Secret


async def test_the_address_it_gives_is_where_it_answers(views: Views, tmp_path: Path) -> None:
    async with run_api(ApiConfig(port=0), views, tmp_path) as url, httpx.AsyncClient() as client:
        response = await client.get(f"{url}/livez")

    assert response.status_code == 200
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(f"{url}/livez")


async def test_a_busy_port_is_one_line_with_host_port_and_variable(views: Views, tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError) as error:
            async with run_api(ApiConfig(port=port), views, tmp_path):
                pass

    assert str(error.value) == f"api: 127.0.0.1:{port} is in use; change the port with HTTP_PORT or --port"


async def test_an_address_of_another_machine_is_named(views: Views, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="HTTP_HOST"):
        async with run_api(ApiConfig(host="192.0.2.1", port=0), views, tmp_path):
            pass


async def test_a_client_that_stays_connected_does_not_hold_up_the_end(views: Views, tmp_path: Path) -> None:
    async with asyncio.timeout(10), run_api(ApiConfig(port=0), views, tmp_path) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in await reader.readline()
    writer.close()


async def test_being_open_to_everyone_is_said_once_and_loud(views: Views, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as lines:
        async with run_api(ApiConfig(host="0.0.0.0", port=0), views, tmp_path):
            pass
        async with run_api(ApiConfig(host="0.0.0.0", port=0, token=Secret("t")), views, tmp_path):
            pass
        async with run_api(ApiConfig(port=0), views, tmp_path):
            pass

    assert [line["log_level"] for line in lines if line.get("code") == "api-open"] == ["warning"]
