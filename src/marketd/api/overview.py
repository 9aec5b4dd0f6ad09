"""`GET /overview`: what runs in this process and how it is doing. Always 200: a page asks it first, and then what is there."""

from typing import Annotated, Literal, get_args

import msgspec
from fastapi import APIRouter, Query, Response

from marketd.api.answers import answer
from marketd.api.health import health_of
from marketd.api.parameters import NoQuery
from marketd.api.shapes import TEXT, TIME, WHOLE, answers, array, ref, shape
from marketd.api.views import Views
from marketd.errors import DeliveryError
from marketd.model.times import iso_of_ns

State = Literal["here", "away", "absent"]


class Part(msgspec.Struct, frozen=True):
    """A part of the API: `here` its paths answer; `away` they answer 503 now; `absent` 404, since its role does not run here."""

    state: State
    reason: str = ""


HERE, ABSENT = Part("here"), Part("absent")


def overview_routes(views: Views) -> APIRouter:
    routes = APIRouter(tags=["status"])

    @routes.get(
        "/overview", responses=OVERVIEW, summary="What runs here and how it is doing, in one small answer that is always 200"
    )
    async def overview(_: Annotated[NoQuery, Query()]) -> Response:
        health = health_of(views)[1]
        return answer(
            {
                "profile": views.profile,
                "roles": views.roles,
                "started": iso_of_ns(views.started),
                "uptime_s": (views.clock.now_ns() - views.started) // 1_000_000_000,
                "health": health,
                "parts": await parts_of(views),
                "venues": [] if views.feeds is None else views.feeds.venues(),
            }
        )

    return routes


async def parts_of(views: Views) -> dict[str, Part]:
    """Each part of the API by name."""
    return {
        "stream": _here(views.bus is not None and (views.feeds is not None or views.features is not None)),
        "bus": _here(views.bus is not None),
        "ingest": _here(views.feeds is not None),
        "latest": _here(views.feeds is not None or views.store is not None),
        "trades": _here(views.store is not None),
        "archive": await _archive(views),
        "features": _here(views.features is not None),
        "scanner": _here(views.scanner is not None),
        "ta": _here(views.studies is not None),
        "message_log": _message_log(views),
        "trader": _trader(views),
    }


def _here(is_here: bool) -> Part:
    return HERE if is_here else ABSENT


async def _archive(views: Views) -> Part:
    try:
        archive = None if views.stored is None else await views.stored.opened()
    except DeliveryError as error:
        return Part("away", str(error))
    return _here(archive is not None)


def _message_log(views: Views) -> Part:
    """The log is where the cache is: in Redis, or in this process."""
    redis = views.health.components().get("redis")
    if views.cache is not None and redis is not None and redis.status == "unhealthy":
        return Part("away", redis.reason)
    return _here(views.cache is not None)


def _trader(views: Views) -> Part:
    trader = views.paper
    if trader is not None and (trader.books is None or trader.kept is None):
        return Part("away", trader.state[1])
    return _here(trader is not None)


_PART = shape({"state": {"enum": list(get_args(State))}, "reason": TEXT})
NAMES = ("stream", "bus", "ingest", "latest", "trades", "archive", "features", "scanner", "ta", "message_log", "trader")
OVERVIEW = answers(
    shape(
        {
            "profile": TEXT, "roles": array(TEXT), "started": TIME, "uptime_s": WHOLE, "health": ref("HealthAnswer"),
            "parts": shape(dict.fromkeys(NAMES, _PART)), "venues": array(ref("VenueRow")),
        }
    )
)  # fmt: skip
