"""`GET /status`, `/stats`, `/bus-stats` and `/pairs`: how the daemon is doing, in numbers."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from marketd.api.answers import answer, require
from marketd.api.parameters import NoQuery
from marketd.api.series import SeriesStatus
from marketd.api.shapes import answers, ref
from marketd.api.views import Views
from marketd.bus import Bus, Subscription
from marketd.errors import DeliveryError

SAMPLE = 10  # pairs in /stats
PRESSURE = 0.8  # fill from which a queue sheds


def status_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["status"])
    series = SeriesStatus(views)

    @routes.get(
        "/status",
        responses=answers(ref("StatusAnswer")),
        summary="Every series of candles, every subscription, every key of the cache: how far, how late, what is missing",
    )
    async def status(_: Annotated[NoQuery, Query()]) -> Response:
        feeds = views.feeds
        rows: list[dict[str, Any]] = []
        problem = {}
        try:
            rows = await series.rows()
        except DeliveryError as error:
            problem = {"series_error": str(error)}
        return answer(
            {
                "profile": views.profile,
                "roles": views.roles,
                "uptime_s": (views.clock.now_ns() - views.started) // 1_000_000_000,
                "series": rows,
                **problem,
                "subscriptions": [] if feeds is None else feeds.subscriptions(),
                "venues": [] if feeds is None else feeds.venues(),
                **({} if views.polling is None else {"cache": views.polling.rows()}),
            }
        )

    @routes.get("/bus-stats", responses=answers(ref("BusAnswer")), summary="Every consumer's queue; the top level is the fullest")
    async def bus_stats(_: Annotated[NoQuery, Query()]) -> Response:
        return answer(bus_statistics(require(views.bus, "ingest")))

    @routes.get("/stats", responses=answers(ref("StatsAnswer")), summary="Counts since the start")
    async def stats(_: Annotated[NoQuery, Query()]) -> Response:
        return answer(statistics(views))

    @routes.get("/pairs", responses=answers(ref("PairsAnswer")), summary="The symbols that are collected")
    async def pairs(_: Annotated[NoQuery, Query()]) -> Response:
        collected = sorted(require(views.feeds, "ingest").pairs())
        return answer({"count": len(collected), "pairs": collected})

    return routes


def bus_statistics(bus: Bus) -> dict[str, Any]:
    """Of all consumers, and of the fullest one at the top."""
    consumers = [_consumer(one) for one in bus.subscriptions]
    empty = {"queue_size": 0, "queue_max": 0, "fill_percent": 0.0, "backpressure": False, "dropped": 0}
    fullest: Mapping[str, Any] = max(consumers, key=lambda one: one["fill_percent"], default=empty)
    return {**{key: fullest[key] for key in empty}, "consumers": consumers}


def _consumer(one: Subscription) -> dict[str, Any]:
    return {
        "name": one.name,
        "full": one.full.value,
        "queue_size": len(one),
        "queue_max": one.capacity,
        "fill_percent": round(100 * one.fill, 2),
        "backpressure": one.fill >= PRESSURE,
        "spilled": 0 if one.spill is None else len(one.spill),
        "taken": one.taken,
        "dropped": sum(one.dropped.values()),
        "drops": [{"reason": reason, "type": kind, "count": count} for (reason, kind), count in sorted(one.dropped.items())],
    }


def statistics(views: Views) -> dict[str, Any]:
    """Each part where its role runs."""
    found: dict[str, Any] = {}
    if views.sinks is not None:
        keeping = [sink for sink in views.sinks.states if sink.durable]  # console and metrics publish nothing
        published = sum(sink.delivered for sink in keeping)
        errors = sum(sink.retries for sink in keeping)
        rate = errors / (published + errors) if published + errors else 0.0
        found["publisher"] = {"publish_count": published, "error_count": errors, "error_rate": round(rate, 6)}
    if views.feeds is not None:
        collected = sorted(views.feeds.pairs())
        found["ingest"] = views.feeds.counts()
        found["pairs_count"] = len(collected)
        found["pairs_sample"] = collected[:SAMPLE]
        found["events_per_second"] = round(sum(venue.events_per_s for venue in views.feeds.venues()), 3)
    if views.features is not None:
        found["features"] = views.features.statistics()
    if views.bus is not None:
        statistics = bus_statistics(views.bus)
        found["queue_size"] = statistics["queue_size"]
        found["queue_fill_ratio"] = round(statistics["fill_percent"] / 100, 4)
        found["drops"] = sum(consumer["dropped"] for consumer in statistics["consumers"])
    return found
