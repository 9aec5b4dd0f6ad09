"""The ranking as it was published can be asked for: sorted, cut, one coin of it, as JSON or CSV."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.analysis.indicators import Bollinger
from marketd.analysis.scan import Quality, Scan
from marketd.analysis.scanning import Ranking, Row
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views


def row(rank: int | None, symbol: str, rsi: float | None = None, reason: str | None = None) -> Row:
    scan = Scan(
        symbol, "made", "1h", Quality(reason is None, reason), 1_000, 2_000, "10.50", rsi=rsi, score=rsi, bollinger=Bollinger(3.0)
    )
    return Row(rank, symbol, "10.75", "2023-12-05T20:00:30+00:00", scan)


ROWS = (row(1, "AUSDT", 70.5), row(2, "BUSDT", 30.25), row(3, "CUSDT", 50.0), row(None, "DUSD", None, "39 closed candles"))
RANKING = Ranking("1h", "2023-12-05T20:00:31+00:00", ROWS)


@dataclass
class Shown:
    """ScannerView."""

    ranking: Ranking


@pytest.fixture
async def asking(only: Views, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        run_api(ApiConfig(port=0), replace(only, scanner=Shown(RANKING)), tmp_path) as url,
        httpx.AsyncClient(base_url=url) as one,
    ):
        yield one


async def test_the_ranking_is_the_one_that_was_published(asking: httpx.AsyncClient) -> None:
    found = (await asking.get("/scanner")).json()

    assert ("1h", "2023-12-05T20:00:31+00:00") == (found["timeframe"], found["timestamp"])
    assert ["AUSDT", "BUSDT", "CUSDT", "DUSD"] == [one["symbol"] for one in found["coins"]]
    assert (None, "39 closed candles") == (found["coins"][3]["rank"], found["coins"][3]["scan"]["quality"]["reason"])
    assert ("10.75", "10.50", 70.5) == (
        found["coins"][0]["price"],
        found["coins"][0]["scan"]["close"],
        found["coins"][0]["scan"]["rsi"],
    )


@pytest.mark.parametrize(
    ("parameters", "symbols"),
    [
        ({"limit": "2"}, ["AUSDT", "BUSDT"]),
        ({"symbol": "cusdt"}, ["CUSDT"]),
        ({"sort": "rsi"}, ["BUSDT", "CUSDT", "AUSDT", "DUSD"]),
        ({"sort": "-rsi", "limit": "2"}, ["AUSDT", "CUSDT"]),
        ({"sort": "-symbol"}, ["DUSD", "CUSDT", "BUSDT", "AUSDT"]),
        ({"sort": "percent_b"}, ["AUSDT", "BUSDT", "CUSDT", "DUSD"]),
    ],
)
async def test_it_can_be_sorted_and_cut(asking: httpx.AsyncClient, parameters: dict[str, str], symbols: list[str]) -> None:
    found = (await asking.get("/scanner", params=parameters)).json()

    assert symbols == [one["symbol"] for one in found["coins"]]


async def test_as_csv_it_has_a_line_a_coin(asking: httpx.AsyncClient) -> None:
    response = await asking.get("/scanner", params={"format": "csv", "sort": "rank"})
    lines = response.text.splitlines()

    assert "text/csv; charset=utf-8" == response.headers["content-type"]
    assert lines[0].startswith("symbol,provider,close_time,close,price,price_time,rank,score,rsi,vwap_day")
    assert "AUSDT,made,2000,10.50,10.75,2023-12-05T20:00:30+00:00,1,70.5,70.5,,,,3.0,,,,," == lines[1]
    assert lines[4].endswith(",39 closed candles")


@pytest.mark.parametrize(
    ("parameters", "status", "parameter"),
    [
        ({"symbol": "NOPE"}, 404, "symbol"),
        ({"limit": "0"}, 400, "limit"),
        ({"limit": "x"}, 400, "limit"),
        ({"sort": "luck"}, 400, "sort"),
        ({"format": "xml"}, 400, "format"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    asking: httpx.AsyncClient, parameters: dict[str, str], status: int, parameter: str
) -> None:
    response = await asking.get("/scanner", params=parameters)
    body: dict[str, Any] = response.json()

    assert (status, parameter) == (response.status_code, body["parameter"])
    assert body["allowed"]


async def test_without_its_role_the_path_says_so(only: Views, tmp_path: Path) -> None:
    async with run_api(ApiConfig(port=0), only, tmp_path) as url, httpx.AsyncClient(base_url=url) as one:
        response = await one.get("/scanner")

    assert (404, {"error": "role scanner does not run here"}) == (response.status_code, response.json())
