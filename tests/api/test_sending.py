"""What a client has is not sent again, what it takes compressed is; and an answer that breaks is seen to be broken."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from marketd.api.candles import BATCH
from marketd.api.sending import takes_gzip
from marketd.api.views import Views
from marketd.errors import DeliveryError
from marketd.model.timeframes import MINUTE
from marketd.stores.archive import Archive, Page, Row
from tests.api.conftest import FIRST, SERIES, Interval, candle, fill

URL = "/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m"
LONG = BATCH + 10


async def archive_of(views: Views) -> Archive:
    assert views.stored is not None
    found = await views.stored.opened()
    assert found is not None
    return found


async def put(views: Views, minute: int, *, closed: bool = True, close: str = "91000.50") -> None:
    opens = FIRST + minute * MINUTE
    page = Page(SERIES, Interval(opens, opens + MINUTE), [candle(minute, closed=closed, close=close)], [], "live")
    await (await archive_of(views)).put(page)


@pytest.mark.parametrize("count", [25, LONG])
@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
async def test_a_closed_range_is_not_sent_twice(client: httpx.AsyncClient, views: Views, count: int, form: str) -> None:
    if count > 25:
        await fill(await archive_of(views), 25, count)
    first = await client.get(f"{URL}&format={form}")
    again = await client.get(f"{URL}&format={form}", headers={"If-None-Match": first.headers["etag"]})
    by_time = await client.get(f"{URL}&format={form}", headers={"If-Modified-Since": first.headers["last-modified"]})

    assert [(200, True), (304, False), (304, False)] == [(one.status_code, bool(one.content)) for one in (first, again, by_time)]
    assert first.headers["etag"] == again.headers["etag"]


@pytest.mark.parametrize("count", [25, LONG])
async def test_a_correction_changes_the_tag(client: httpx.AsyncClient, views: Views, count: int) -> None:
    await fill(await archive_of(views), 25, count)
    before = await client.get(URL)
    await put(views, 7, close="90999.95")
    after = await client.get(URL, headers={"If-None-Match": before.headers["etag"]})

    assert 200 == after.status_code
    assert before.headers["etag"] != after.headers["etag"]
    assert 90999.95 == after.json()[7]["close"]


@pytest.mark.parametrize("count", [25, LONG])
async def test_a_range_with_a_forming_candle_has_no_validator(client: httpx.AsyncClient, views: Views, count: int) -> None:
    await fill(await archive_of(views), 25, count)
    await put(views, count, closed=False)
    found = await client.get(URL)

    assert (200, count + 1) == (found.status_code, len(found.json()))
    assert not {"etag", "last-modified"} & set(found.headers)


async def test_the_tag_is_that_of_the_form_and_of_the_range(client: httpx.AsyncClient, views: Views) -> None:
    await fill(await archive_of(views), 25, LONG)
    urls = [URL, f"{URL}&format=csv", f"{URL}&numbers=string", f"{URL}&include=source", f"{URL}&start=1", f"{URL}&limit=9"]
    tags = [(await client.get(url)).headers["etag"] for url in urls]
    plain = (await client.get(URL, headers={"Accept-Encoding": "identity"})).headers["etag"]

    assert len(set(tags)) == len(urls)
    assert plain != tags[0]  # other bytes


async def test_tags_come_in_lists_and_as_a_star(client: httpx.AsyncClient) -> None:
    tag = (await client.get(URL)).headers["etag"]
    asked = [f'"x", W/{tag}', "*", '"x"', "x" * 50]
    found = [(await client.get(URL, headers={"If-None-Match": one})).status_code for one in asked]

    assert [304, 304, 200, 200] == found


@pytest.mark.parametrize("since", ["Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "", "Thu, 99 Jan 1970 00:00:00 GMT"])
async def test_an_old_or_unreadable_time_gets_the_answer(client: httpx.AsyncClient, since: str) -> None:
    assert 200 == (await client.get(URL, headers={"If-Modified-Since": since})).status_code


@pytest.mark.parametrize("count", [25, LONG])
async def test_gzip_is_for_those_who_take_it(client: httpx.AsyncClient, views: Views, count: int) -> None:
    await fill(await archive_of(views), 25, count)
    async with client.stream("GET", URL, headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join([chunk async for chunk in packed.aiter_raw()])
    plain = await client.get(URL, headers={"Accept-Encoding": "identity"})

    assert "gzip" == packed.headers["content-encoding"]
    assert "content-encoding" not in plain.headers
    assert plain.content == gzip.decompress(raw)
    assert all("Accept-Encoding" in one.headers["vary"] for one in (packed, plain))


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("br", False),
    ],
)
def test_the_header_is_read_as_it_is_meant(header: str, takes: bool) -> None:
    assert takes == takes_gzip(header)


async def test_an_answer_that_breaks_is_seen_to_be_broken(
    client: httpx.AsyncClient, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> AsyncIterator[list[Row]]:
        raise DeliveryError("archive: no connection")
        yield []

    archive = await archive_of(views)
    await fill(archive, 25, LONG)
    monkeypatch.setattr(archive, "stream", broken)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(URL)

    assert 200 == (await client.get(f"{URL}&limit=1")).status_code


async def test_a_database_that_does_not_answer_is_a_503_that_says_when_to_come_back(
    client: httpx.AsyncClient, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> list[Row]:
        raise DeliveryError("archive: no connection")

    monkeypatch.setattr(await archive_of(views), "candles", broken)
    found = await client.get(URL)

    assert (503, "2") == (found.status_code, found.headers["retry-after"])
    assert "no connection" in found.json()["error"]
