"""Whatever the schema allows or forbids, no request is answered with 5xx."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import httpx
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from marketd.api.app import build_app, rules_of
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.token import read_token
from marketd.api.views import Views
from marketd.clock import ManualClock
from tests.api.conftest import Parts, seen

EXAMPLES = 15  # requests for each operation
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


async def test_every_path_of_the_contract_is_there(views: Views) -> None:
    paths = build_app(ApiConfig(), views, rules_of(ApiConfig(), "t")).openapi()["paths"]

    assert {"/", "/health", "/readyz", "/livez", "/status", "/latest", "/trades", "/bus-stats", "/stats", "/pairs"} <= set(paths)
    assert {"/metrics", "/docs", "/openapi.json", "/subscriptions", "/candles", "/candles/latest", "/gaps", "/symbols"} <= set(
        paths
    )
    assert {"/features/latest", "/state/latest"} <= set(paths)
    assert list(paths["/subscriptions"]) == ["put"]


@pytest.fixture
def address(parts: Parts, tmp_path: Path) -> Iterator[str]:
    """A server in a thread of its own: the requests below are made without a loop."""
    ready, addresses, loop = Event(), [], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with seen(parts, tmp_path, ManualClock()) as views, run_api(ApiConfig(port=0), views, tmp_path) as url:
            addresses.append(url)
            ready.set()
            await stop.wait()

    thread = Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield addresses[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_no_request_that_the_schema_suggests_fails_the_server(address: str, tmp_path: Path) -> None:
    schema = schemathesis.openapi.from_dict(httpx.get(f"{address}/openapi.json").json())
    token = read_token(ApiConfig(), tmp_path)
    asked: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            response = case.call(base_url=address, headers={"Authorization": f"Bearer {token}"})
            case.validate_response(response, checks=CHECKS)
            asked.append(f"{case.method} {case.path}")

        ask()

    assert len(set(asked)) >= 20


async def test_the_schema_is_json_and_the_page_of_it_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    schema = json.loads((await client.get("/openapi.json")).content)
    page = (await client.get("/docs")).text

    assert schema["info"]["title"] == "marketd"
    assert "GET /trades" in page
    assert "src=" not in page
    assert "http://" not in page.replace("http-equiv", "")
