"""Stored trades come exactly, in pages that miss and repeat nothing."""

import httpx
import msgspec
import pytest

from marketd.model.events import Trade
from tests.api.conftest import NOW, trade


async def test_trades_are_events_with_the_venues_digits(client: httpx.AsyncClient) -> None:
    found = (await client.get("/trades", params={"symbol": "btcusdt", "limit": 1})).json()

    assert found == [
        {
            "type": "trade",
            "provider": "binance",
            "symbol": "BTCUSDT",
            "ts_event": NOW,
            "ts_recv": NOW + 1,
            "price": "100.000",
            "size": "0.5000",
            "side": "buy",
            "trade_id": "0",
            "repaired": False,
        }
    ]


async def test_pages_follow_each_other_without_gap_or_repeat(client: httpx.AsyncClient) -> None:
    found: list[Trade] = []
    params: dict[str, str | int] = {"symbol": "BTCUSDT", "limit": 10}
    for _ in range(3):
        response = await client.get("/trades", params=params)
        found += msgspec.json.decode(response.content, type=list[Trade])
        params["cursor"] = response.headers.get("x-next-cursor", "")

    assert found == [trade(number) for number in range(25)]
    assert params["cursor"] == ""


async def test_a_range_is_half_open(client: httpx.AsyncClient) -> None:
    response = await client.get("/trades", params={"symbol": "BTCUSDT", "start": str(NOW + 3), "end": str(NOW + 5)})

    assert [one["trade_id"] for one in response.json()] == ["3", "4"]


async def test_what_is_not_stored_is_an_empty_list(client: httpx.AsyncClient) -> None:
    assert (await client.get("/trades", params={"symbol": "NOPE"})).json() == []


@pytest.mark.parametrize("limit", ["1_0", "+5", " 5", "5.0", "٥", "0x5", ""])
async def test_a_limit_is_written_in_plain_digits(client: httpx.AsyncClient, limit: str) -> None:
    said = await client.get("/trades", params={"symbol": "BTCUSDT", "limit": limit})

    assert (400, "limit") == (said.status_code, said.json()["parameter"])
