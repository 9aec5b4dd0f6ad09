"""The status as it changes, on a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketd.api import status_live
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.state import Component
from marketd.api.views import Views
from marketd.clock import SystemClock
from tests.api.conftest import NOW, Parts

WITHIN_S = 20.0


async def states(lines: AsyncIterator[str], count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN_S):
        async for line in lines:
            if line.startswith("data: {"):
                found.append(json.loads(line.removeprefix("data: ")))
                if len(found) == count:
                    break
    return found


async def test_a_change_is_told_and_nothing_twice(
    views: Views, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_live, "EVERY_S", 0.02)
    there = replace(views, clock=SystemClock())
    async with (
        run_api(ApiConfig(port=0), there, tmp_path) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
        http.stream("GET", "/status/live") as answer,
    ):
        lines = answer.aiter_lines()
        (first,) = await states(lines, 1)
        parts.now = {"venues": Component("unhealthy", True, "none with fresh data", NOW)}
        (second,) = await states(lines, 1)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert first["health"]["status"] == "ok"
    assert [one["name"] for one in first["venues"]] == ["binance", "bybit"]
    assert second["health"]["status"] == "unhealthy"
    assert second["health"]["components"]["venues"]["reason"] == "none with fresh data"


async def test_those_that_come_at_once_are_no_more_than_allowed(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_live, "FOLLOWERS_MAX", 2)
    there = replace(views, clock=SystemClock())

    async def ask(http: httpx.AsyncClient, all_there: asyncio.Barrier) -> int:
        async with http.stream("GET", "/status/live") as answer:
            await all_there.wait()
            return answer.status_code

    async with (
        run_api(ApiConfig(port=0), there, tmp_path) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
        asyncio.timeout(WITHIN_S),
    ):
        all_there = asyncio.Barrier(20)
        codes = await asyncio.gather(*(ask(http, all_there) for _ in range(20)))

    assert [200] * 2 + [503] * 18 == sorted(codes)


async def test_it_ends_with_the_daemon_and_too_many_are_refused(
    views: Views, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_live, "EVERY_S", 0.02)
    monkeypatch.setattr(status_live, "FOLLOWERS_MAX", 1)
    there = replace(views, clock=SystemClock())
    running = run_api(ApiConfig(port=0), there, tmp_path)
    url = await running.__aenter__()
    async with httpx.AsyncClient(base_url=url, timeout=20) as http, http.stream("GET", "/status/live") as answer:
        lines = answer.aiter_lines()
        await states(lines, 1)
        refused = await http.get("/status/live")
        ending = asyncio.ensure_future(running.__aexit__(None, None, None))
        rest = [line async for line in lines]
        await ending

    assert refused.status_code == 503
    assert "event: end" in rest
