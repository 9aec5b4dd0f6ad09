"""What happened to the lines, newest first, from memory and from the store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from marketd.api.latest import Latest
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.model.events import SYSTEM, Status
from tests.api.conftest import NOW


def status(number: int, state: str = "connected", symbol: str = SYSTEM, venue: str = "binance") -> Status:
    return Status(venue, symbol, None, NOW + number, state, f"because of {number}")  # type: ignore[arg-type]


@pytest.fixture
async def http(views: Views, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    latest = Latest()
    latest.take([status(2), status(3, "switched", venue="bybit"), status(4, "stale", symbol="BTCUSDT")])
    await views.store.write([status(1, "disconnected"), status(2)])  # type: ignore[union-attr]
    async with (
        run_api(ApiConfig(port=0), replace(views, latest=latest), tmp_path) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as found,
    ):
        yield found


async def test_what_was_before_the_start_and_what_was_just_said_are_one_list(http: httpx.AsyncClient) -> None:
    found = (await http.get("/lines")).json()

    assert [(one["ts"] - NOW, one["provider"], one["state"]) for one in found] == [
        (3, "bybit", "switched"),
        (2, "binance", "connected"),
        (1, "binance", "disconnected"),
    ]
    assert found[0]["reason"] == "because of 3"
    assert found[0]["symbol"] is None


async def test_it_is_filtered_by_venue_time_and_number(http: httpx.AsyncClient) -> None:
    of_venue = (await http.get("/lines", params={"provider": "binance", "limit": 1})).json()
    older = (await http.get("/lines", params={"before": str(NOW + 2)})).json()
    all_of_them = (await http.get("/lines", params={"symbols": "true"})).json()

    assert [one["ts"] - NOW for one in of_venue] == [2]
    assert [one["ts"] - NOW for one in older] == [1]
    assert [one["symbol"] for one in all_of_them] == ["BTCUSDT", None, None, None]


async def test_without_a_store_it_is_what_was_said_since_the_start(views: Views, tmp_path: Path) -> None:
    latest = Latest()
    latest.take([status(2)])
    there = replace(views, latest=latest, store=None)
    async with run_api(ApiConfig(port=0), there, tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        found = (await http.get("/lines")).json()

    assert [one["ts"] - NOW for one in found] == [2]


async def test_a_process_that_neither_collects_nor_stores_has_none(only: Views, tmp_path: Path) -> None:
    async with run_api(ApiConfig(port=0), only, tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        answer = await http.get("/lines")

    assert answer.status_code == 404
