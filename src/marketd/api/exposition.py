"""`GET /metrics`, for Prometheus."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from marketd.api.answers import ERRORS
from marketd.api.parameters import NoQuery
from marketd.api.views import Views


def metrics_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", responses=ERRORS, summary="Metrics in the Prometheus text format", response_class=PlainTextResponse)
    async def metrics(_: Annotated[NoQuery, Query()]) -> Response:
        return Response(views.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes
