"""The newest of a symbol is that of one venue, which is named."""

import asyncio
from dataclasses import replace

import httpx

from marketd.api.latest import Latest, run_latest
from marketd.api.views import Views
from marketd.bus import Bus
from marketd.metrics import Metrics
from marketd.model.events import Quote
from tests.api.conftest import NOW, Parts, trade


def quote(venue: str, bid: str = "99.90") -> Quote:
    return Quote(venue, "BTCUSDT", None, NOW, bid, "1.0", "100.10", "2.0")


async def test_the_first_venue_with_data_answers(client: httpx.AsyncClient, views: Views) -> None:
    assert isinstance(views.latest, Latest)
    views.latest.take([trade(90, venue="bybit"), quote("bybit")])
    views.latest.take([trade(91)])
    found = (await client.get("/latest", params={"symbol": "BTCUSDT"})).json()

    assert (found["provider"], found["trade"]["trade_id"], found["quote"]) == ("binance", "91", None)


async def test_the_active_venue_answers_under_failover(client: httpx.AsyncClient, views: Views, parts: Parts) -> None:
    assert isinstance(views.latest, Latest)
    views.latest.take([trade(90, venue="bybit"), quote("bybit")])
    parts.active = ["bybit", "binance"]
    found = (await client.get("/latest", params={"symbol": "BTCUSDT"})).json()

    assert (found["provider"], found["trade"]["trade_id"], found["quote"]["bid"]) == ("bybit", "90", "99.90")


async def test_another_venue_can_be_asked_for(client: httpx.AsyncClient, views: Views) -> None:
    assert isinstance(views.latest, Latest)
    views.latest.take([trade(90, venue="bybit")])
    found = (await client.get("/latest", params={"symbol": "BTCUSDT", "provider": "bybit"})).json()

    assert found["provider"] == "bybit"


async def test_after_a_restart_the_store_answers(client: httpx.AsyncClient) -> None:
    found = (await client.get("/latest", params={"symbol": "BTCUSDT"})).json()

    assert (found["provider"], found["trade"]["trade_id"]) == ("binance", "24")


async def test_a_symbol_without_data_yet_is_no_error(client: httpx.AsyncClient) -> None:
    response = await client.get("/latest", params={"symbol": "ETHUSDT"})

    assert response.status_code == 200
    assert response.json() == {"symbol": "ETHUSDT", "provider": "binance", "trade": None, "quote": None}


def test_a_late_repair_does_not_replace_a_newer_trade() -> None:
    latest = Latest()
    latest.take([trade(5), replaced(trade(3)), replaced(trade(6))])

    assert latest.trade("binance", "BTCUSDT") == replaced(trade(6))


def replaced(one):  # type: ignore[no-untyped-def]
    import msgspec

    return msgspec.structs.replace(one, repaired=True)


async def test_it_follows_the_bus(views: Views) -> None:
    bus = Bus(Metrics())
    async with run_latest(bus) as latest:
        bus.publish([trade(1), quote("binance")])
        for _ in range(10):  # turns of the loop, for the task that takes
            await asyncio.sleep(0)

    assert latest.quote("binance", "BTCUSDT") == quote("binance")
    assert replace(views, latest=latest).latest is latest
