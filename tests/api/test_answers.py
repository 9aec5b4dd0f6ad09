"""What bad requests get: 4xx with the parameter and what is allowed, never 500."""

from pathlib import Path

import httpx
import pytest

from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views


async def test_what_is_allowed_is_said_in_plain_words(client: httpx.AsyncClient) -> None:
    missing = (await client.get("/latest")).json()
    no_number = (await client.get("/trades?symbol=BTCUSDT&limit=many")).json()
    spelled = (await client.get("/latest?symbol=BTC/USDT")).json()

    assert missing == {"error": "symbol is required", "parameter": "symbol", "allowed": "as BTCUSDT"}
    assert no_number == {"error": "limit: many is not allowed", "parameter": "limit", "allowed": "a whole number"}
    assert "did you mean BTCUSDT?" in spelled["allowed"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/trades", "symbol"),
        ("/trades?symbol=", "symbol"),
        ("/trades?symbol=BTC/USDT", "symbol"),
        ("/trades?symbol=%00", "symbol"),
        ("/trades?symbol=BTCUSDT&limit=0", "limit"),
        ("/trades?symbol=BTCUSDT&limit=10001", "limit"),
        ("/trades?symbol=BTCUSDT&limit=many", "limit"),
        ("/trades?symbol=BTCUSDT&limit=1e400", "limit"),
        ("/trades?symbol=BTCUSDT&start=yesterday", "start"),
        ("/trades?symbol=BTCUSDT&start=2024-02-31", "start"),
        ("/trades?symbol=BTCUSDT&start=-1", "start"),
        ("/trades?symbol=BTCUSDT&start=9999-12-31", "start"),
        ("/trades?symbol=BTCUSDT&end=99999999999999999999", "end"),
        ("/trades?symbol=BTCUSDT&start=2&end=1", "end"),
        ("/trades?symbol=BTCUSDT&cursor=abc", "cursor"),
        ("/trades?symbol=BTCUSDT&cursor=", "cursor"),
        ("/trades?symbol=BTCUSDT&provider=Binance!", "provider"),
        ("/trades?symbol=BTCUSDT&simbol=1", "simbol"),
        ("/trades?symbol=A&symbol=B", "symbol"),
        ("/latest", "symbol"),
        ("/latest?symbol=BTCUSDT&provider=coinbase", "provider"),
        ("/latest?symbol=NOPE", "symbol"),
        ("/health?verbose=1", "verbose"),
        ("/pairs?x=1", "x"),
        ("/metrics?x", "x"),
        ("/?x=1", "x"),
    ],
)
async def test_a_bad_parameter_is_named_with_what_is_allowed(client: httpx.AsyncClient, path: str, parameter: str) -> None:
    response = await client.get(path)
    body = response.json()

    assert response.status_code in {400, 404}, response.text
    assert body["parameter"] == parameter, body
    assert body["error"]
    assert "allowed" in body


@pytest.mark.parametrize("path", ["/health?verbose=1", "/pairs?x=1", "/metrics?x", "/?x=1", "/status?x=1"])
async def test_a_path_without_parameters_says_that_it_takes_none(client: httpx.AsyncClient, path: str) -> None:
    body = (await client.get(path)).json()

    assert body["allowed"] == "none: this path takes no parameters"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b"{}", "symbols"),
        (b'{"symbols": []}', "symbols"),
        (b'{"symbols": "BTCUSDT"}', "symbols"),
        (b'{"symbols": ["BTC/USDT"]}', "symbols.0"),
        (b'{"symbols": [1]}', "symbols.0"),
        (b'{"symbols": ["A"], "venue": "x"}', "venue"),
        (b'{"symbols": ["A"], "provider": "kraken"}', "provider"),
    ],
)
async def test_a_bad_body_is_named_too(client: httpx.AsyncClient, body: bytes, parameter: str) -> None:
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}  # type: ignore[attr-defined]
    response = await client.put("/subscriptions", content=body, headers=headers)

    assert response.status_code == 400, response.text
    assert response.json()["parameter"] == parameter, response.text


async def test_paths_and_methods_that_do_not_exist(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {client.token}"}  # type: ignore[attr-defined]
    missing = await client.get("/nowhere")
    method = await client.delete("/trades", headers=headers)

    assert (missing.status_code, missing.json()) == (404, {"error": "there is no /nowhere here; see /docs"})
    assert (method.status_code, method.json()["allowed"], method.headers["Allow"]) == (405, ["GET"], "GET")


async def test_paths_of_roles_that_do_not_run(only: Views, tmp_path: Path) -> None:
    async with run_api(ApiConfig(port=0), only, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        found = {path: await client.get(path) for path in ("/trades?symbol=A", "/latest?symbol=A", "/pairs", "/bus-stats")}

    assert {path: (one.status_code, one.json()) for path, one in found.items()} == dict.fromkeys(
        found, (404, {"error": "role ingest does not run here"})
    )
