"""`/health`, `/readyz`, `/livez`: whether the daemon does what it is for, judged by data and not by sockets."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from marketd.api.answers import answer
from marketd.api.parameters import NoQuery
from marketd.api.shapes import TEXT, answers, ref, shape
from marketd.api.state import Component, Health
from marketd.api.views import Views
from marketd.model.times import iso_of_ns


def overall(components: dict[str, Component]) -> Health:
    """A required part that is unhealthy makes the whole so; anything else that is not ok degrades it."""
    if any(one.required and one.status == "unhealthy" for one in components.values()):
        return "unhealthy"
    return "ok" if all(one.status == "ok" for one in components.values()) else "degraded"


def health_of(views: Views) -> tuple[Health, dict[str, Any]]:
    """Of the whole, and of each part."""
    components = views.health.components()
    status = overall(components)
    shown = {
        name: {"status": one.status, "required": one.required, "reason": one.reason, "since": iso_of_ns(one.since)}
        for name, one in components.items()
    }
    tracked = {} if views.features is None else {"symbols": sorted(views.features.symbols)}
    return status, {"status": status, "components": shown, **tracked}


def health_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["health"])
    well = answers(ref("HealthAnswer"))
    unhealthy = {**well, 503: {**well[200], "description": "a required part is unhealthy"}}

    async def health(_: Annotated[NoQuery, Query()]) -> Response:
        status, shown = health_of(views)
        return answer(shown, status=503 if status == "unhealthy" else 200)

    routes.add_api_route("/health", health, responses=unhealthy, summary="Health of every part")
    routes.add_api_route("/readyz", health, responses=unhealthy, summary="The same as /health")

    @routes.get("/livez", responses=answers(shape({"status": TEXT})), summary="The process runs")
    async def livez(_: Annotated[NoQuery, Query()]) -> Response:
        return answer({"status": "ok"})

    return routes
