"""Health is judged from the parts: required ones decide, optional ones degrade."""

import httpx
import pytest

from marketd.api.health import overall
from marketd.api.state import Component, Health
from tests.api.conftest import NOW, Parts


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], "ok"),
        ([("ok", True), ("ok", False)], "ok"),
        ([("ok", True), ("unhealthy", False)], "degraded"),
        ([("degraded", True)], "degraded"),
        ([("unhealthy", True), ("ok", False)], "unhealthy"),
    ],
)
def test_the_whole_follows_from_the_parts(parts: list[tuple[Health, bool]], whole: Health) -> None:
    components = {str(number): Component(status, required, "", NOW) for number, (status, required) in enumerate(parts)}

    assert overall(components) == whole


async def test_health_says_what_since_when_and_why(client: httpx.AsyncClient, parts: Parts) -> None:
    parts.now["sqlite"] = Component("unhealthy", False, "disk full", NOW)
    response = await client.get("/health")

    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "components": {
            "venues": {
                "status": "ok",
                "required": True,
                "reason": "2 of 2 with fresh data",
                "since": "2023-11-14T22:13:20+00:00",
            },
            "sqlite": {"status": "unhealthy", "required": False, "reason": "disk full", "since": "2023-11-14T22:13:20+00:00"},
        },
        "symbols": ["BTCUSDT"],
    }


async def test_an_unhealthy_daemon_is_not_ready_but_lives(client: httpx.AsyncClient, parts: Parts) -> None:
    parts.now["venues"] = Component("unhealthy", True, "no data for 20 s", NOW)
    answers = {path: (await client.get(path)).status_code for path in ("/health", "/readyz", "/livez")}

    assert answers == {"/health": 503, "/readyz": 503, "/livez": 200}
