"""What is published of a symbol can be asked for, and what it is made of."""

from pathlib import Path

import httpx
import pytest

from marketd.analysis.payloads import NAMES, Alert, Quality, Signal
from marketd.analysis.service import FeatureService
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views


async def test_the_features_are_those_that_were_published(client: httpx.AsyncClient, views: Views) -> None:
    found = (await client.get("/features/latest", params={"symbol": "btcusdt"})).json()

    assert {"symbol", "provider", "ts", "features", "quality"} == set(found)
    assert list(NAMES) == list(found["features"])
    assert ("BTCUSDT", "binance", 2, 100.0) == (
        found["symbol"],
        found["provider"],
        found["features"]["trade_count_10s"],
        round(found["features"]["mid"], 6),
    )


async def test_before_data_all_eleven_are_null(client: httpx.AsyncClient) -> None:
    response = await client.get("/features/latest", params={"symbol": "NEWUSDT"})

    assert (200, dict.fromkeys(NAMES), None) == (response.status_code, response.json()["features"], response.json()["provider"])


async def test_of_a_symbol_that_was_never_seen_the_quality_says_so_and_nothing_of_a_line(client: httpx.AsyncClient) -> None:
    quality = (await client.get("/features/latest", params={"symbol": "NEWUSDT"})).json()["quality"]

    assert (False, "unknown", ["nothing came of this symbol yet"]) == (quality["ok"], quality["line"], quality["causes"])


async def test_the_state_is_the_newest_trade_and_quote_with_the_venues_digits(client: httpx.AsyncClient) -> None:
    found = (await client.get("/state/latest", params={"symbol": "BTCUSDT"})).json()
    empty = (await client.get("/state/latest", params={"symbol": "NEWUSDT"})).json()

    assert ("BTCUSDT", "binance", "100.020", "99.90") == (
        found["symbol"],
        found["provider"],
        found["trade"]["price"],
        found["quote"]["bid"],
    )
    assert {"symbol": "NEWUSDT", "provider": None, "trade": None, "quote": None} == empty


@pytest.mark.parametrize("path", ["/features/latest", "/state/latest"])
async def test_another_provider_than_that_of_the_features_is_refused_with_the_one_there_is(
    client: httpx.AsyncClient, path: str
) -> None:
    same = await client.get(path, params={"symbol": "BTCUSDT", "provider": "binance"})
    other = await client.get(path, params={"symbol": "BTCUSDT", "provider": "kraken"})

    assert (200, 404, "provider", ["binance"]) == (
        same.status_code,
        other.status_code,
        other.json()["parameter"],
        other.json()["allowed"],
    )


@pytest.mark.parametrize("path", ["/features/latest", "/state/latest"])
async def test_a_symbol_is_needed_and_has_one_spelling(client: httpx.AsyncClient, path: str) -> None:
    missing = await client.get(path)
    wrong = await client.get(path, params={"symbol": "BTC-USDT"})

    assert (400, "symbol", 400, "symbol") == (
        missing.status_code,
        missing.json()["parameter"],
        wrong.status_code,
        wrong.json()["parameter"],
    )


async def test_tracked_symbols_and_counts_are_in_health_and_stats(client: httpx.AsyncClient) -> None:
    assert ["BTCUSDT"] == (await client.get("/health")).json()["symbols"]
    assert 3 == (await client.get("/stats")).json()["features"]["events_in"]


@pytest.mark.parametrize("path", ["/features/latest", "/state/latest"])
async def test_where_the_role_does_not_run_that_is_said(only: Views, tmp_path: Path, path: str) -> None:
    async with run_api(ApiConfig(port=0), only, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        response = await client.get(path, params={"symbol": "BTCUSDT"})

    assert (404, {"error": "role features does not run here"}) == (response.status_code, response.json())


async def test_signals_and_alerts_are_told_newest_first(client: httpx.AsyncClient, views: Views) -> None:
    service = views.features
    assert isinstance(service, FeatureService)
    service.publisher.alert(Alert("gap", "ETHUSDT", 5, "trades are missing"))
    service.publisher.signal(
        Signal("BTCUSDT", "binance", "long", 6, "momentum_long", "return_10s > 0.003", {"return_10s": 0.004}, Quality())
    )
    both = (await client.get("/features/signals")).json()
    one = (await client.get("/features/signals", params={"symbol": "ETHUSDT"})).json()

    assert ["signal", "gap"] == [row["kind"] for row in both]
    assert ("long", "momentum_long: return_10s > 0.003 (return_10s 0.004)") == (both[0]["direction"], both[0]["detail"])
    assert [("ETHUSDT", 5, "trades are missing")] == [(row["symbol"], row["ts"], row["detail"]) for row in one]
