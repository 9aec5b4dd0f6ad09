"""What runs here, in one answer that is 200 whatever it says."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api.overview import NAMES, parts_of
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.state import Component
from marketd.api.views import Views
from marketd.errors import DeliveryError
from marketd.model.times import iso_of_ns
from marketd.stores.cache import Cache
from tests.api.conftest import NOW, Parts


class Away:
    """A StoredView whose database does not answer."""

    async def opened(self) -> None:
        raise DeliveryError("postgresql://db: Connection refused")


@dataclass
class Trader:
    """A PaperView whose books are not read yet."""

    books: Any = None
    kept: Any = None
    store: Any = None
    state: Any = ("ok", "waits for the store")


@pytest.fixture
async def http(views: Views, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with run_api(ApiConfig(port=0), views, tmp_path) as url, httpx.AsyncClient(base_url=url, timeout=20) as found:
        yield found


async def test_what_is_unhealthy_is_said_with_status_200(http: httpx.AsyncClient, views: Views, parts: Parts) -> None:
    parts.now = {"venues": Component("unhealthy", True, "none with fresh data", NOW)}

    answer = await http.get("/overview")
    found = answer.json()

    assert answer.status_code == 200
    assert (await http.get("/health")).json() == found["health"]
    assert found["roles"] == ["ingest"]
    assert found["started"] == iso_of_ns(views.started)
    assert [one["name"] for one in found["venues"]] == ["binance", "bybit"]


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("bus", "/bus-stats"),
        ("ingest", "/pairs"),
        ("latest", "/latest?symbol=BTCUSDT"),
        ("trades", "/trades?symbol=BTCUSDT"),
        ("archive", "/symbols?exchange=binance"),
        ("features", "/features/signals"),
        ("scanner", "/scanner"),
        ("ta", "/analysis?symbol=BTCUSDT&timeframe=5m"),
        ("message_log", "/api/redis/log"),
        ("trader", "/paper"),
    ],
)
async def test_a_part_is_absent_exactly_where_its_path_answers_404(http: httpx.AsyncClient, part: str, path: str) -> None:
    state = (await http.get("/overview")).json()["parts"][part]["state"]

    assert state == ("absent" if (await http.get(path)).status_code == 404 else "here")


async def test_every_part_of_a_process_that_does_nothing_is_absent(only: Views) -> None:
    parts = await parts_of(only)

    assert set(NAMES) == set(parts)
    assert {part.state for part in parts.values()} == {"absent"}


async def test_what_does_not_answer_now_is_away_with_the_reason(only: Views, parts: Parts) -> None:
    parts.now = {"redis": Component("unhealthy", True, "redis://x: Connection refused", NOW)}
    cache: Cache = object()  # type: ignore[assignment]  # nobody asks it
    found = await parts_of(replace(only, stored=Away(), paper=Trader(), cache=cache, health=parts))

    assert (found["archive"].state, found["archive"].reason) == ("away", "postgresql://db: Connection refused")
    assert (found["trader"].state, found["trader"].reason) == ("away", "waits for the store")
    assert (found["message_log"].state, found["message_log"].reason) == ("away", "redis://x: Connection refused")
