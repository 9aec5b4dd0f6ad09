"""HEAD answers as GET does, without the body."""

import httpx
import pytest

from marketd.api.views import Views
from tests.api.conftest import fill

CANDLES = "/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m"


@pytest.fixture(autouse=True)
async def filled(views: Views) -> None:
    assert views.stored is not None
    archive = await views.stored.opened()
    assert archive is not None
    await fill(archive, 0, 4500)


@pytest.mark.parametrize(
    "path", [CANDLES + "&limit=5", CANDLES, "/candles/latest?symbol=BTCUSD&tf=1m", "/gaps", "/status", "/docs"]
)
async def test_the_headers_are_those_of_get_and_the_body_is_empty(client: httpx.AsyncClient, path: str) -> None:
    got, headed = await client.get(path), await client.head(path)
    headers = ("content-type", "etag", "last-modified", "x-next-cursor", "x-exchange")

    assert (got.status_code, b"") == (headed.status_code, headed.content)
    assert [got.headers.get(name) for name in headers] == [headed.headers.get(name) for name in headers]
    assert got.content == (await client.get(path)).content or path == "/status"


async def test_what_is_refused_is_refused_to_both(client: httpx.AsyncClient) -> None:
    assert [400, 404] == [(await client.head(path)).status_code for path in ("/candles?symbol=BTCUSD", "/nothing")]
