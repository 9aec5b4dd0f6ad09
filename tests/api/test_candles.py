"""Candles come exactly and whole: as one array, as pages that miss and repeat nothing, as a stream of any length."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api.candles import BATCH
from marketd.api.rows import EXTRA, KEYS
from marketd.api.views import Views
from marketd.model.series import CandleSeries
from tests.api.conftest import Stored, fill

RANGE = {"exchange": "bitfinex", "symbol": "BTCUSD", "timeframe": "1m"}
START = datetime(2024, 11, 14, 17, 30, tzinfo=UTC)


def at(minute: int) -> str:
    return (START + timedelta(minutes=minute)).isoformat()


async def ask(client: httpx.AsyncClient, **params: Any) -> httpx.Response:
    return await client.get("/candles", params={**RANGE, **{key: value for key, value in params.items() if value is not None}})


async def test_a_candle_has_exactly_ten_keys_and_the_venues_digits(client: httpx.AsyncClient) -> None:
    response = await ask(client, start=at(0), end=at(1))

    assert response.text == (
        '[{"exchange":"bitfinex","symbol":"BTCUSD","timeframe":"1m","open_time":"2024-11-14T17:30:00+00:00",'
        '"close_time":"2024-11-14T17:31:00+00:00","open":91000.000,"high":91001,"low":90999.90,"close":91000.50,'
        '"volume":1.123456789012345678}]'
    )
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-11-14T17:33:00", "2024-11-14T17:35:00"),
        ("2024-11-14T17:33:00Z", "2024-11-14T17:35:00+00:00"),
        ("2024-11-14T17:33", "2024-11-14 17:35"),
        ("1731605580", "1731605700"),
        ("1731605580000", "1731605700000"),
        ("2024-11-14T17:32:30", "2024-11-14T17:34:30"),
        ("2024-11-14T18:33:00+01:00", "2024-11-14T12:35:00-05:00"),
    ],
)
async def test_a_range_is_half_open_however_its_times_are_written(client: httpx.AsyncClient, start: str, end: str) -> None:
    found = (await ask(client, start=start, end=end)).json()

    assert [at(3), at(4)] == [one["open_time"] for one in found]


async def test_a_plus_that_became_a_space_is_a_plus(client: httpx.AsyncClient) -> None:
    url = "/candles?exchange=bitfinex&symbol=btcusd&tf=1m&start=2024-11-14T17:33:00+00:00&end=2024-11-14T17:34:00+00:00"

    assert [at(3)] == [one["open_time"] for one in (await client.get(url)).json()]


async def test_without_a_range_all_there_is_comes_oldest_first(client: httpx.AsyncClient) -> None:
    found = await ask(client)

    assert [at(minute) for minute in range(25)] == [one["open_time"] for one in found.json()]
    assert "x-next-cursor" not in found.headers


async def test_pages_follow_each_other_without_gap_or_repeat(client: httpx.AsyncClient) -> None:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        response = await ask(client, start=at(2), limit=10, cursor=cursor)
        found += [one["open_time"] for one in response.json()]
        cursor = response.headers.get("x-next-cursor")

    assert [at(minute) for minute in range(2, 25)] == found
    assert cursor is None


@pytest.mark.parametrize("more", [-1, 0, 1, 2 * BATCH])
async def test_a_long_range_is_never_cut(client: httpx.AsyncClient, views: Views, more: int) -> None:
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    await fill(archive, 25, BATCH + more)
    found = (await ask(client)).json()

    assert [at(minute) for minute in range(BATCH + more)] == [one["open_time"] for one in found]


async def test_more_keys_are_asked_for_by_name(client: httpx.AsyncClient) -> None:
    found = (await ask(client, include="source,closed,revision", limit=1)).json()[0]

    assert [*KEYS, *EXTRA] == list(found)
    assert (True, 0, "backfill") == (found["closed"], found["revision"], found["source"])


async def test_a_range_without_candles_is_an_empty_array(client: httpx.AsyncClient) -> None:
    assert (await ask(client, start="2020-01-01", end="2020-02-01")).json() == []


@pytest.mark.parametrize(
    ("params", "parameter", "allowed"),
    [
        ({"exchange": "nowhere"}, "exchange", ["bitfinex"]),
        ({"symbol": "NOPE"}, "symbol", ["BTCUSD", "ETHUSD"]),
        ({"timeframe": "7m"}, "timeframe", ["1m"]),
    ],
)
async def test_a_series_that_is_not_there_is_answered_with_those_that_are(
    client: httpx.AsyncClient, views: Views, params: dict[str, str], parameter: str, allowed: list[str]
) -> None:
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    await fill(archive, 0, 1, CandleSeries("bitfinex", "ETHUSD", "1m"))
    response = await ask(client, **params)

    assert (404, parameter, allowed) == (response.status_code, response.json()["parameter"], response.json()["allowed"])


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"exchange": ""}, "exchange"),
        ({"exchange": "Bit finex"}, "exchange"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "BTC/USD"}, "symbol"),
        ({"symbol": "B" * 41}, "symbol"),
        ({"timeframe": "1x"}, "timeframe"),
        ({"timeframe": "0m"}, "timeframe"),
        ({"timeframe": "99999m"}, "timeframe"),
        ({"timeframe": ""}, "timeframe"),
        ({"tf": "1m"}, "tf"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2024-02-30"}, "start"),
        ({"start": "-1"}, "start"),
        ({"end": "9999-01-01"}, "end"),
        ({"end": "1e9"}, "end"),
        ({"start": "2024-11-15", "end": "2024-11-14"}, "end"),
        ({"start": "2024-11-14", "end": "2024-11-14"}, "end"),
        ({"limit": "0"}, "limit"),
        ({"limit": "-5"}, "limit"),
        ({"limit": "10001"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"cursor": "1731605580000000000"}, "limit"),
        ({"cursor": "x", "limit": "5"}, "cursor"),
        ({"cursor": "", "limit": "5"}, "cursor"),
        ({"cursor": "5", "limit": "5", "start": "2024-11-14"}, "cursor"),
        ({"cursor": "9" * 41, "limit": "5"}, "cursor"),
        ({"include": "everything"}, "include"),
        ({"include": ""}, "include"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(client: httpx.AsyncClient, params: dict[str, str], parameter: str) -> None:
    response = await ask(client, **params)
    found = response.json()

    assert (400, parameter) == (response.status_code, found["parameter"])
    assert found["error"]
    assert found["allowed"]


@pytest.mark.parametrize("missing", ["exchange", "symbol", "timeframe"])
async def test_a_series_needs_its_three_names(client: httpx.AsyncClient, missing: str) -> None:
    response = await client.get("/candles", params={key: value for key, value in RANGE.items() if key != missing})

    assert (400, missing) == (response.status_code, response.json()["parameter"])


async def test_a_parameter_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("/candles?exchange=bitfinex&exchange=binance&symbol=BTCUSD&tf=1m")

    assert (400, "exchange") == (response.status_code, response.json()["parameter"])


async def test_where_no_candles_are_stored_there_is_no_such_path(client: httpx.AsyncClient, views: Views) -> None:
    assert isinstance(views.stored, Stored)
    views.stored.at = None
    response = await ask(client)

    assert (404, "role archive does not run here") == (response.status_code, response.json()["error"])


async def newest(client: httpx.AsyncClient, **params: Any) -> httpx.Response:
    return await client.get("/candles/latest", params={"symbol": "BTCUSD", "tf": "1m", **params})


async def test_the_newest_come_oldest_first(client: httpx.AsyncClient) -> None:
    found = await newest(client, limit=3, exchange="bitfinex")

    assert [at(22), at(23), at(24)] == [one["open_time"] for one in found.json()]
    assert "bitfinex" == found.headers["x-exchange"]


async def test_the_first_configured_venue_that_holds_the_series_answers(client: httpx.AsyncClient, views: Views) -> None:
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    for venue in ("alpaca", "bybit"):
        await fill(archive, 0, 2, CandleSeries(venue, "BTCUSDT", "1m"))
    found = await newest(client, symbol="BTCUSDT")  # configured: binance, which has nothing stored, and bybit

    assert (2, "bybit") == (len(found.json()), found.headers["x-exchange"])
    assert "bitfinex" == (await newest(client)).headers["x-exchange"]  # stored by someone, configured by nobody


async def test_the_newest_of_nothing_is_answered_with_what_there_is(client: httpx.AsyncClient) -> None:
    assert ["BTCUSD"] == (await newest(client, symbol="NOPE")).json()["allowed"]
    assert ["1m"] == (await newest(client, tf="1h")).json()["allowed"]
    assert ["bitfinex"] == (await newest(client, exchange="kraken")).json()["allowed"]


@pytest.mark.parametrize(
    ("params", "parameter"),
    [({"limit": "0"}, "limit"), ({"start": "1"}, "start"), ({"timeframe": "1m"}, "tf"), ({"tf": "x"}, "tf")],
)
async def test_the_newest_are_asked_for_as_strictly(client: httpx.AsyncClient, params: dict[str, str], parameter: str) -> None:
    response = await newest(client, **params)

    assert (400, parameter) == (response.status_code, response.json()["parameter"])


async def test_the_answer_on_the_page_is_of_the_form_that_is_sent(client: httpx.AsyncClient) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", (Path(__file__).parents[2] / "docs" / "api.md").read_text(), re.DOTALL)
    shown, sent = json.loads(text), (await ask(client, start=at(0), end=at(1))).json()

    assert [list(one) for one in shown] == [list(one) for one in sent]
    assert [one["open_time"] for one in shown] == [one["open_time"] for one in sent]
