"""An answer that is asked for again is the same one, until something in its series is written or a second is over."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api import hot
from marketd.api.hot import FRESH_S
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.views import Views
from marketd.clock import ManualClock
from marketd.model.series import CandleSeries
from marketd.stores.archive import Archive
from tests.api.conftest import Stored, fill

URL = "/candles?exchange=bitfinex&symbol=BTCUSD&timeframe=1m"


class Counted:
    """An archive that counts the questions for candles."""

    def __init__(self, archive: Archive) -> None:
        self._archive, self.asked = archive, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    async def candles(self, *question: Any, **more: Any) -> Any:
        self.asked += 1
        return await self._archive.candles(*question, **more)


@pytest.fixture
def counted(views: Views) -> Counted:
    assert isinstance(views.stored, Stored)
    assert views.stored.at is not None
    return Counted(views.stored.at)


@pytest.fixture
async def asking(views: Views, counted: Counted, clock: ManualClock, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    seen = replace(views, stored=Stored(counted), clock=clock)  # type: ignore[arg-type]
    async with run_api(ApiConfig(port=0), seen, tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def test_the_same_question_asks_the_archive_once(asking: httpx.AsyncClient, counted: Counted) -> None:
    first, again = [await asking.get(URL) for _ in range(2)]

    assert (1, first.content, first.headers["etag"]) == (counted.asked, again.content, again.headers["etag"])


async def test_a_write_to_the_series_makes_it_new_at_once(asking: httpx.AsyncClient, counted: Counted) -> None:
    counts = [len((await asking.get(URL)).json())]
    await fill(counted._archive, 25, 26)
    counts.append(len((await asking.get(URL)).json()))
    await fill(counted._archive, 0, 5, CandleSeries("bitfinex", "ETHUSD", "1m"))
    counts.append(len((await asking.get(URL)).json()))

    assert ([25, 26, 26], 2) == (counts, counted.asked)


async def test_what_another_process_writes_is_seen_after_a_second(
    asking: httpx.AsyncClient, counted: Counted, clock: ManualClock
) -> None:
    for delay_s in (0, FRESH_S / 2, FRESH_S / 2):
        await clock.advance(delay_s)
        await asking.get(URL)

    assert 2 == counted.asked


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": '"x"'}, {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Origin": "http://localhost"}]
)
async def test_whoever_asks_for_more_than_the_bytes_gets_an_answer_of_their_own(
    asking: httpx.AsyncClient, counted: Counted, headers: dict[str, str]
) -> None:
    for _ in range(2):
        assert 200 == (await asking.get(URL, headers=headers)).status_code

    assert 2 == counted.asked


async def test_packed_and_plain_bytes_are_two_answers(asking: httpx.AsyncClient) -> None:
    found = [await asking.get(URL, headers={"Accept-Encoding": one}) for one in ("gzip", "identity", "gzip", "identity")]

    assert ["gzip", None, "gzip", None] == [one.headers.get("content-encoding") for one in found]
    assert 1 == len({one.content for one in found})


async def test_refusals_are_not_kept(asking: httpx.AsyncClient, counted: Counted) -> None:
    url = URL.replace("BTCUSD", "ETHUSD")
    before = (await asking.get(url)).status_code
    await fill(counted._archive, 0, 5, CandleSeries("bitfinex", "ETHUSD", "1m"))

    assert [404, 200] == [before, (await asking.get(url)).status_code]


async def test_what_is_kept_is_bounded_and_the_least_asked_goes_first(
    asking: httpx.AsyncClient, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len((await asking.get(URL, headers={"Accept-Encoding": "identity"})).content)
    monkeypatch.setattr(hot, "BYTES_MAX", 2 * size)
    for one in ("", "&end=1800000000", "", "&end=1800000001", "", "&end=1800000000"):
        await asking.get(URL + one, headers={"Accept-Encoding": "identity"})

    assert 4 == counted.asked
    monkeypatch.setattr(hot, "ANSWER_MAX", 10)
    for _ in range(2):
        await asking.get(f"{URL}&end=1800000002")

    assert 6 == counted.asked


async def test_the_newest_are_kept_too(asking: httpx.AsyncClient, counted: Counted) -> None:
    for _ in range(2):
        await asking.get("/candles/latest?symbol=BTCUSD&tf=1m&exchange=bitfinex")

    assert 1 == counted.asked
