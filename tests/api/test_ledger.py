"""The ledger is told stretch by stretch, and a repair is asked for with the token only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.token import read_token
from marketd.api.views import Views
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE
from tests.api.conftest import FIRST, SERIES

NAMES = {"exchange": "bitfinex", "symbol": "BTCUSD", "timeframe": "1m"}


async def test_every_stretch_is_told_with_state_and_cause(client: httpx.AsyncClient, views: Views) -> None:
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    parts = [
        Stretch(FIRST + 30 * MINUTE, FIRST + 40 * MINUTE, "known_empty", "no trades", FIRST),
        Stretch(FIRST + 40 * MINUTE, FIRST + 45 * MINUTE, "missing", "fetch failed", FIRST),
    ]
    await archive.settle(SERIES, parts)
    found = (await client.get("/ledger", params={**NAMES, "end": "2024-11-14T18:12:00Z"})).json()

    assert [
        ("17:30", "17:55", "have", ""),
        ("18:00", "18:10", "known_empty", "no trades"),
        ("18:10", "18:12", "missing", "fetch failed"),
    ] == [(one["start"][11:16], one["end"][11:16], one["state"], one["cause"]) for one in found]


async def test_a_series_that_is_not_there_is_said_to_be_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ledger", params={**NAMES, "symbol": "NOPE"})

    assert (404, "symbol") == (answer.status_code, answer.json()["parameter"])


@dataclass
class Keeper:
    """Of an ArchivingView, what is asked here."""

    kept: list[Any]
    asked: list[CandleSeries]

    def repair_soon(self, series: CandleSeries) -> None:
        self.asked.append(series)


@dataclass
class One:
    """Of what is kept, its series."""

    series: CandleSeries


@dataclass
class Archiving:
    keeper: Keeper


@pytest.mark.parametrize(
    ("token", "symbol", "status", "asked"),
    [(True, "BTCUSD", 202, [SERIES]), (False, "BTCUSD", 401, []), (True, "NOPE", 404, [])],
)
async def test_a_repair_needs_the_token_and_a_series_that_is_kept(
    only: Views, tmp_path: Path, token: bool, symbol: str, status: int, asked: list[CandleSeries]
) -> None:
    keeper = Keeper([One(SERIES)], [])
    views = replace(only, archive=Archiving(keeper))  # type: ignore[arg-type]
    async with run_api(ApiConfig(port=0), views, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        headers = {"Authorization": f"Bearer {read_token(ApiConfig(), tmp_path)}"} if token else {}
        answer = await client.post("/repair", json={**NAMES, "symbol": symbol}, headers=headers)

    assert (status, asked) == (answer.status_code, keeper.asked)


async def test_where_nothing_is_archived_nothing_is_repaired(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {client.token}"}  # type: ignore[attr-defined]
    answer = await client.post("/repair", json=NAMES, headers=headers)

    assert (404, {"error": "role archive does not run here"}) == (answer.status_code, answer.json())
