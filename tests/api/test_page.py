"""The status page can be read by a person and asks nobody else for anything."""

import re

import httpx
import pytest

from marketd.api.page import duration


async def test_the_page_shows_the_state_of_everything(client: httpx.AsyncClient) -> None:
    page = (await client.get("/plain")).text

    assert 'marketd is <span class="ok">ok</span>' in page
    for word in ("live-ingest", "binance", "BTCUSDT", "refused", "standby", "sqlite", "1 min 5 s"):
        assert word in page


async def test_words_of_others_are_not_markup(client: httpx.AsyncClient) -> None:
    page = (await client.get("/plain")).text

    assert "&lt;b&gt;invalid&lt;/b&gt; symbol" in page


async def test_nothing_comes_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = (await client.get("/plain")).text

    assert re.findall(r"""(?:src|href)=["'](?!/|data:)""", page) == []
    assert "prefers-color-scheme" in page
    assert 'http-equiv="refresh"' in page


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (86_405, "1 d 5 s")]
)
def test_durations_have_two_units(seconds: int, text: str) -> None:
    assert duration(seconds) == text


async def test_where_no_dashboard_is_served_the_root_is_the_same_page(client: httpx.AsyncClient) -> None:
    page = await client.get("/")

    assert "marketd is" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
