"""The venues' REST sides, one each: snapshots, repair, backfill and audits of a venue share one governor and one client."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.net.capture import Capture
from marketd.net.governor import Governor
from marketd.net.http import Http
from marketd.venues.rest import Rest
from marketd.venues.section import VenueConfig
from marketd.venues.venue import Venue


@asynccontextmanager
async def open_rests(
    venues: Mapping[str, Venue],
    configs: Mapping[str, VenueConfig],
    clock: Clock,
    metrics: Metrics,
    capture: Capture | None = None,
    agent: str = "marketd",
) -> AsyncIterator[dict[str, Rest]]:
    """By venue; whoever asks a venue, asks here. `agent` is how the venue sees us."""
    async with AsyncExitStack() as stack:
        rests: dict[str, Rest] = {}
        for name, venue in venues.items():
            http = await stack.enter_async_context(Http(user_agent=agent))
            governor = Governor(clock, venue.limits.rest, configs[name].rest_share)
            rests[name] = Rest(venue, configs[name].rest_url or venue.rest_url, http, governor, clock, metrics, capture)
        yield rests
