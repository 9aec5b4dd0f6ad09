"""The HTTP API over the parts that run: routes, guard, errors."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from marketd.api.analysis import analysis_routes
from marketd.api.answers import RequestError, error_answer, on_http_error, on_invalid, on_request_error, on_store_away
from marketd.api.bounds import Bounds
from marketd.api.candles import candles_routes
from marketd.api.dashboard import Dashboard, files_of
from marketd.api.docs import docs_routes
from marketd.api.exposition import metrics_routes
from marketd.api.features import features_routes
from marketd.api.gaps import gaps_routes
from marketd.api.guard import LOCAL_ORIGIN, OPEN_PATHS, READING, Guard, Rules
from marketd.api.hardened import Hardened
from marketd.api.heads import Heads
from marketd.api.health import health_routes
from marketd.api.hot import Hot
from marketd.api.latest import latest_routes
from marketd.api.ledger import ledger_routes
from marketd.api.lines import lines_routes
from marketd.api.message_log import message_log_routes
from marketd.api.overview import overview_routes
from marketd.api.page import page_routes
from marketd.api.paper import paper_routes
from marketd.api.parameters import given_once
from marketd.api.preflight import Preflight
from marketd.api.scanner import scanner_routes
from marketd.api.section import ApiConfig
from marketd.api.sending import Cut
from marketd.api.shapes import COMPONENTS
from marketd.api.status import status_routes
from marketd.api.status_live import status_live_routes
from marketd.api.stream.document import stream_routes
from marketd.api.subscriptions import subscriptions_routes
from marketd.api.symbols import symbols_routes
from marketd.api.trades import trades_routes
from marketd.api.views import Views
from marketd.errors import DeliveryError

log = structlog.get_logger("api")

TOPICS = (
    page_routes,
    health_routes,
    status_routes,
    status_live_routes,
    overview_routes,
    lines_routes,
    latest_routes,
    features_routes,
    scanner_routes,
    analysis_routes,
    trades_routes,
    candles_routes,
    gaps_routes,
    ledger_routes,
    symbols_routes,
    subscriptions_routes,
    message_log_routes,
    paper_routes,
    metrics_routes,
)


def rules_of(config: ApiConfig, token: str) -> Rules:
    """Who may ask; `token` is what changing state needs."""
    return Rules(host=config.host, token=token, reading=config.token is not None, origins=config.cors_origins)


def build_app(config: ApiConfig, views: Views, rules: Rules) -> FastAPI:
    """The application."""
    app = Described(
        title="marketd",
        version=installed_version(),
        description="Market data: what runs here, how it is doing, and what it has stored.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(given_once)],
    )
    app.state.stopping = asyncio.Event()  # an answer without an end ends when it is set
    for topic in TOPICS:
        app.include_router(topic(views))
    app.include_router(docs_routes(app))
    app.include_router(stream_routes(app.version))
    app.add_exception_handler(RequestError, on_request_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(DeliveryError, on_store_away)
    app.add_exception_handler(Exception, _on_mistake)
    app.add_middleware(
        Preflight,
        allow_origins=list(config.cors_origins),
        allow_origin_regex=LOCAL_ORIGIN.pattern,
        allow_methods=["GET"],
        allow_headers=["Authorization"],
        expose_headers=["X-Next-Cursor", "X-Exchange", "ETag", "Last-Modified"],
    )
    app.add_middleware(Hot, clock=views.clock)
    app.add_middleware(Heads)
    app.add_middleware(Bounds)
    files = files_of() if views.dashboard else {}
    if files:
        app.add_middleware(Dashboard, files=files)
    app.add_middleware(Guard, rules=rules, without_token=frozenset(files))
    return app


class Described(FastAPI):
    """Its schema also holds the shapes that no route's model brings; and no answer leaves unhardened, a 500 neither."""

    def build_middleware_stack(self) -> ASGIApp:
        return Hardened(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        schema["components"]["schemas"].update(COMPONENTS)
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, methods in schema["paths"].items():
            for method, operation in methods.items():
                operation["security"] = _security(method.upper(), path)
        return schema


def _security(method: str, path: str) -> list[dict[str, list[str]]]:
    """What a request needs, as OpenAPI says it: either of these."""
    if path in OPEN_PATHS:
        return []
    return [{"token": []}] if method not in READING else [{}, {"token": []}]


def installed_version() -> str:
    try:
        return version("marketd")
    except PackageNotFoundError:
        return "0"


async def _on_mistake(request: Request, error: Exception) -> Response:
    """Our own mistake: the log has the details, the client none of them."""
    if isinstance(error, Cut):  # said already; what is left is to break the connection
        return Response()
    log.error("api.failed", path=request.url.path, error=repr(error), exc_info=error)
    return error_answer(500, "marketd could not answer this; its log says why")
