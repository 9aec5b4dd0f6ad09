"""The application has every path of the contract, and describes itself; tests/hardening asks it all that it describes."""

import json

import httpx

from marketd.api.app import build_app, rules_of
from marketd.api.section import ApiConfig
from marketd.api.views import Views


async def test_every_path_of_the_contract_is_there(views: Views) -> None:
    paths = build_app(ApiConfig(), views, rules_of(ApiConfig(), "t")).openapi()["paths"]

    assert {"/", "/health", "/readyz", "/livez", "/status", "/latest", "/trades", "/bus-stats", "/stats", "/pairs"} <= set(paths)
    assert {"/metrics", "/docs", "/openapi.json", "/subscriptions", "/candles", "/candles/latest", "/gaps", "/symbols"} <= set(
        paths
    )
    assert {"/features/latest", "/state/latest"} <= set(paths)
    assert list(paths["/subscriptions"]) == ["put"]


async def test_the_schema_is_json_and_the_page_of_it_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    schema = json.loads((await client.get("/openapi.json")).content)
    page = (await client.get("/docs")).text

    assert schema["info"]["title"] == "marketd"
    assert "GET /trades" in page
    assert "src=" not in page
    assert "http://" not in page.replace("http-equiv", "")
