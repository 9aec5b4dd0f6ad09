"""The twin without asyncio has the same methods and gets the same."""

import asyncio
import inspect
from datetime import UTC, datetime

import pytest

from marketd.client import MarketDataClient, NotFound, Retry, SyncMarketDataClient, Unreachable
from tests.api.conftest import SERIES
from tests.client.conftest import Script, Served, answer

START, END = datetime(2024, 11, 14, tzinfo=UTC), datetime(2024, 11, 15, tzinfo=UTC)


def face(of: type) -> dict[str, list[str]]:
    methods = inspect.getmembers(of, inspect.isfunction)
    return {name: [*inspect.signature(method).parameters] for name, method in methods if not name.startswith("_")}


def test_the_twins_have_one_face() -> None:
    asynchronous = face(MarketDataClient)
    del asynchronous["stream"]  # what goes on for ever is for a loop

    assert asynchronous == face(SyncMarketDataClient)
    assert [*inspect.signature(MarketDataClient).parameters] == [*inspect.signature(SyncMarketDataClient).parameters]


async def test_the_twins_get_the_same(served: Served) -> None:
    def ask() -> list[object]:
        with SyncMarketDataClient(served.url) as client:
            return [
                client.get_candles(*SERIES, START, END),
                list(client.iter_candles(*SERIES, START, END, page=7)),
                client.latest("BTCUSD", "1m", 3),
                client.gaps(),
                client.symbols(),
                client.status().series,
                client.get_frame(*SERIES, START, END).shape,
            ]

    found = await asyncio.to_thread(ask)
    async with MarketDataClient(served.url) as client:
        candles = await client.get_candles(*SERIES, START, END)

        assert [candles, candles, candles[-3:], [], await client.symbols(), (await client.status()).series, (25, 10)] == found


async def test_it_raises_and_retries_alike(scripted: Script) -> None:
    waited: list[float] = []

    def ask(url: str) -> dict[str, list[str]]:
        with SyncMarketDataClient(url, retry=Retry(attempts=2), wait=waited.append) as client:
            return client.symbols()

    async with scripted(answer(503, "{}", "retry-after: 1"), answer(200, "{}")) as server:
        assert {} == await asyncio.to_thread(ask, server.url)
    async with scripted(b"") as server:
        with pytest.raises(Unreachable):
            await asyncio.to_thread(ask, server.url)
    async with scripted(answer(404, '{"error":"no such thing"}')) as server:
        with pytest.raises(NotFound, match="no such thing"):
            await asyncio.to_thread(ask, server.url)

    assert [True, True] == [waited[0] == 1, waited[1] < 1]
