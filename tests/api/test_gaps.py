"""Gaps are told with state and cause, and found by what they are."""

from typing import Any

import httpx
import pytest

from marketd.api.views import Views
from marketd.model.ledger import Stretch
from marketd.model.timeframes import MINUTE
from tests.api.conftest import FIRST, SERIES, fill

KEYS = ["exchange", "symbol", "timeframe", "gap_start", "gap_end", "detected_at", "repaired_at", "state", "cause"]


@pytest.fixture(autouse=True)
async def gaps(views: Views) -> None:
    """Minutes 30 to 32 repaired, 40 to 45 missing, 50 lost."""
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    parts = [
        Stretch(FIRST + start * MINUTE, FIRST + stop * MINUTE, state, cause, FIRST)
        for start, stop, state, cause in [
            (30, 32, "missing", "fetch failed"),
            (40, 45, "missing", "fetch failed"),
            (50, 51, "unrecoverable", "beyond the venue's reach"),
        ]
    ]  # fmt: skip
    await archive.settle(SERIES, parts)  # type: ignore[arg-type]
    await fill(archive, 30, 32)


async def ask(client: httpx.AsyncClient, **params: Any) -> list[str]:
    found = (await client.get("/gaps", params=params)).json()

    assert all(KEYS == list(one) for one in found)
    return [f"{one['gap_start'][11:16]} {one['state']}" for one in found]


async def test_every_gap_is_told_with_its_cause(client: httpx.AsyncClient) -> None:
    first, second, third = (await client.get("/gaps")).json()

    assert ("2024-11-14T18:00:00+00:00", "2024-11-14T18:02:00+00:00") == (first["gap_start"], first["gap_end"])
    assert ("have", True) == (first["state"], first["repaired_at"] is not None)
    assert ("missing", "fetch failed", None) == (second["state"], second["cause"], second["repaired_at"])
    assert "unrecoverable" == third["state"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"open": "true"}, ["18:10 missing", "18:20 unrecoverable"]),
        ({"state": "have"}, ["18:00 have"]),
        ({"exchange": "Bitfinex", "symbol": "btcusd", "tf": "1m", "open": "true", "state": "missing"}, ["18:10 missing"]),
        ({"start": "2024-11-14T18:12:00Z"}, ["18:10 missing", "18:20 unrecoverable"]),
        ({"end": "2024-11-14T18:10:00Z"}, ["18:00 have"]),
    ],
)
async def test_filters_leave_what_was_asked_for(client: httpx.AsyncClient, params: dict[str, str], found: list[str]) -> None:
    assert found == await ask(client, **params)


@pytest.mark.parametrize(
    ("params", "parameter", "allowed"),
    [
        ({"exchange": "binance"}, "exchange", ["bitfinex"]),
        ({"symbol": "ETHUSD", "exchange": "bitfinex"}, "symbol", ["BTCUSD"]),
        ({"timeframe": "5m"}, "timeframe", ["1m"]),
    ],
)
async def test_what_nothing_is_stored_of_is_404_and_what_there_is(
    client: httpx.AsyncClient, params: dict[str, str], parameter: str, allowed: list[str]
) -> None:
    response = await client.get("/gaps", params=params)

    assert (404, parameter) == (response.status_code, response.json()["parameter"])
    assert allowed == response.json()["allowed"]


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"state": "lost"}, "state"),
        ({"open": "perhaps"}, "open"),
        ({"timeframe": "1m", "tf": "1m"}, "tf"),
        ({"timeframe": "soon"}, "timeframe"),
        ({"exchange": "BITFINEX!"}, "exchange"),
        ({"start": "2024-11-15", "end": "2024-11-14"}, "end"),
        ({"limit": "5"}, "limit"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(client: httpx.AsyncClient, params: dict[str, str], parameter: str) -> None:
    response = await client.get("/gaps", params=params)

    assert (400, parameter) == (response.status_code, response.json()["parameter"])
    assert response.json()["allowed"]


async def test_a_venues_name_that_is_none_is_told_in_words(client: httpx.AsyncClient) -> None:
    said = (await client.get("/gaps", params={"exchange": "bit finex"})).json()

    assert "the name of a venue, as binance: letters, digits and _" == said["allowed"]
