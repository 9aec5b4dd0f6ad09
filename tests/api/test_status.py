"""Numbers about the daemon have the shapes that existing readers expect."""

from dataclasses import replace
from types import SimpleNamespace

import httpx
from prometheus_client.parser import text_string_to_metric_families

from marketd.api.status import bus_statistics, statistics
from marketd.api.views import Views
from marketd.bus import Bus, Full
from marketd.metrics import Metrics
from marketd.sinks.sink import SinkState
from tests.api.conftest import trade


async def test_status_lists_every_subscription(client: httpx.AsyncClient) -> None:
    found = (await client.get("/status")).json()

    assert [one["symbol"] for one in found["series"]] == ["BTCUSD"]
    assert [(one["provider"], one["symbol"], one["channel"], one["state"]) for one in found["subscriptions"]] == [
        ("binance", "BTCUSDT", "trade", "live"),
        ("binance", "ETHUSDT", "trade", "live"),
        ("bybit", "NOPE", "book", "refused"),
    ]
    assert {"last_event", "lag_ms", "gaps"} <= set(found["subscriptions"][0])


async def test_stats_have_the_parts_of_the_role(client: httpx.AsyncClient) -> None:
    found = (await client.get("/stats")).json()

    assert found["ingest"] == {"active_connections": 2, "total_messages": 1000, "error_messages": 1, "connection_errors": 0}
    assert (found["pairs_count"], found["pairs_sample"]) == (2, ["BTCUSDT", "ETHUSDT"])
    assert (found["queue_size"], found["queue_fill_ratio"], found["drops"]) == (0, 0.0, 0)
    assert found["events_per_second"] == 12.5
    assert "publisher" not in found


def test_published_is_what_sinks_took_that_keep_it_or_hand_it_on(views: Views) -> None:
    bus = Bus(Metrics())
    with bus.subscribe("redis", full=Full.SHED, capacity=10) as one:
        states = [
            SinkState("redis", True, 0, one, delivered=90, retries=10),
            SinkState("console", False, 0, one, delivered=500, retries=3),
        ]
        found = statistics(replace(views, sinks=SimpleNamespace(states=states)))

    assert found["publisher"] == {"publish_count": 90, "error_count": 10, "error_rate": 0.1}


async def test_pairs_are_counted_and_named(client: httpx.AsyncClient) -> None:
    assert (await client.get("/pairs")).json() == {"count": 2, "pairs": ["BTCUSDT", "ETHUSDT"]}


def test_the_fullest_consumer_stands_at_the_top() -> None:
    bus = Bus(Metrics())
    with bus.subscribe("wide", full=Full.SHED, capacity=1000), bus.subscribe("narrow", full=Full.SHED, capacity=10):
        bus.publish([trade(number) for number in range(12)])
        found = bus_statistics(bus)

    assert {key: found[key] for key in ("queue_size", "queue_max", "fill_percent", "backpressure", "dropped")} == {
        "queue_size": 10,
        "queue_max": 10,
        "fill_percent": 100.0,
        "backpressure": True,
        "dropped": 2,
    }
    assert [one["name"] for one in found["consumers"]] == ["wide", "narrow"]
    assert found["consumers"][1]["drops"] == [{"reason": "full", "type": "trade", "count": 2}]


def test_without_consumers_all_is_nought() -> None:
    assert bus_statistics(Bus(Metrics()))["queue_max"] == 0


def test_a_process_without_roles_has_no_statistics(only: Views) -> None:
    assert statistics(only) == {}


async def test_metrics_can_be_scraped(client: httpx.AsyncClient, views: Views) -> None:
    views.metrics.events.labels("binance", "trade", "BTCUSDT").inc(3)
    response = await client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}

    assert response.headers["content-type"].startswith("text/plain")
    assert families["market_events"].samples[0].value == 3
