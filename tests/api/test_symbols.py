"""Symbols are those that a venue lists, or those that are asked of each."""

from dataclasses import replace
from pathlib import Path

import httpx

from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views


async def test_without_exchange_the_configured_ones_are_told(client: httpx.AsyncClient) -> None:
    assert {"binance": ["BTCUSDT", "ETHUSDT"], "bybit": ["BTCUSDT", "ETHUSDT"]} == (await client.get("/symbols")).json()


async def test_with_exchange_the_venues_own_list_is_told(client: httpx.AsyncClient) -> None:
    found = await client.get("/symbols", params={"exchange": "binance"})

    assert {"binance": ["BTCUSDT", "ETHUSDT", "SOLUSDT"]} == found.json()


async def test_a_list_that_has_not_come_is_no_empty_list(client: httpx.AsyncClient) -> None:
    assert 503 == (await client.get("/symbols", params={"exchange": "bybit"})).status_code


async def test_a_venue_that_does_not_run_here_is_answered_with_those_that_do(client: httpx.AsyncClient) -> None:
    found = await client.get("/symbols", params={"exchange": "kraken"})

    assert (404, "exchange", ["binance", "bybit"]) == (found.status_code, found.json()["parameter"], found.json()["allowed"])


async def test_bad_parameters_are_refused(client: httpx.AsyncClient) -> None:
    for params in ({"exchange": "no such"}, {"symbol": "BTCUSDT"}):
        assert 400 == (await client.get("/symbols", params=params)).status_code


async def test_a_process_that_asks_no_venue_tells_what_is_stored(views: Views, tmp_path: Path) -> None:
    only = replace(views, feeds=None)
    async with run_api(ApiConfig(port=0), only, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        assert {"bitfinex": ["BTCUSD"]} == (await client.get("/symbols")).json()
        assert {"bitfinex": ["BTCUSD"]} == (await client.get("/symbols?exchange=bitfinex")).json()
        assert 404 == (await client.get("/symbols?exchange=binance")).status_code
