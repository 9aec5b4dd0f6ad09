"""The technical analysis as it was published can be asked for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import msgspec
import pytest

from marketd.analysis.closed import of_stored
from marketd.analysis.section import AnalysisConfig
from marketd.analysis.technical import Reading, analyse
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.model.signals import Signal, SignalQuality
from tests.analysis.candles import SERIES, walk

READING = analyse(of_stored(SERIES, walk(500)).window(), AnalysisConfig())


@dataclass
class Shown:
    """StudiesView."""

    timeframes: tuple[str, ...] = ("5m", "1h")
    symbols: tuple[str, ...] = ("BTCUSDT",)

    said: tuple[Signal, ...] = ()

    def reading(self, symbol: str, timeframe: str) -> Reading | None:
        return READING if (symbol, timeframe) == ("BTCUSDT", "1h") else None


@pytest.fixture
async def asking(only: Views, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        run_api(ApiConfig(port=0), replace(only, studies=Shown()), tmp_path) as url,
        httpx.AsyncClient(base_url=url) as one,
    ):
        yield one


async def test_the_reading_is_the_one_that_was_published(asking: httpx.AsyncClient) -> None:
    response = await asking.get("/analysis", params={"symbol": "btcusdt", "timeframe": "1h"})

    assert msgspec.json.encode(READING) == response.content


@pytest.mark.parametrize(
    ("parameters", "status", "parameter", "allowed"),
    [
        ({"symbol": "BTCUSDT", "timeframe": "5m"}, 404, "symbol", ["BTCUSDT"]),
        ({"symbol": "NOPE", "timeframe": "1h"}, 404, "symbol", ["BTCUSDT"]),
        ({"symbol": "BTCUSDT", "timeframe": "1d"}, 404, "timeframe", ["5m", "1h"]),
        ({"symbol": "BTCUSDT"}, 400, "timeframe", None),
        ({"timeframe": "1h"}, 400, "symbol", None),
        ({"symbol": "BTCUSDT", "timeframe": "soon"}, 400, "timeframe", None),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    asking: httpx.AsyncClient, parameters: dict[str, str], status: int, parameter: str, allowed: list[str] | None
) -> None:
    response = await asking.get("/analysis", params=parameters)
    body = response.json()

    assert (status, parameter) == (response.status_code, body["parameter"])
    assert body["allowed"] == allowed if allowed else body["allowed"]


def signal(minute: int, symbol: str, timeframe: str) -> Signal:
    at = minute * 60 * 10**9
    return Signal(
        symbol, "binance_us", timeframe, "long", "ribbon_up", ("because",), "1.50", at, at, at, SignalQuality(True, None, 500)
    )


async def test_the_newest_signals_come_first_and_are_those_asked_for(only: Views, tmp_path: Path) -> None:
    said = (signal(1, "BTCUSDT", "1h"), signal(2, "ETHUSDT", "1h"), signal(3, "BTCUSDT", "5m"), signal(4, "BTCUSDT", "1h"))
    views = replace(only, studies=Shown(said=said))
    async with run_api(ApiConfig(port=0), views, tmp_path) as url, httpx.AsyncClient(base_url=url) as one:
        everything = (await one.get("/analysis/signals")).content
        of_symbol = (await one.get("/analysis/signals", params={"symbol": "BTCUSDT", "timeframe": "1h"})).content
        newest = (await one.get("/analysis/signals", params={"limit": "1"})).content

    assert msgspec.json.encode(said[::-1]) == everything
    assert msgspec.json.encode([said[3], said[0]]) == of_symbol
    assert msgspec.json.encode([said[3]]) == newest


async def test_without_its_role_the_path_says_so(only: Views, tmp_path: Path) -> None:
    async with run_api(ApiConfig(port=0), only, tmp_path) as url, httpx.AsyncClient(base_url=url) as one:
        response = await one.get("/analysis", params={"symbol": "BTCUSDT", "timeframe": "1h"})

    assert (404, {"error": "role ta does not run here"}) == (response.status_code, response.json())
