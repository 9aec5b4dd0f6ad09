"""The newest trade and quote of every venue and symbol, and what the lines said, from the bus; and `GET /latest`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from marketd.api.answers import answer, refuse, require
from marketd.api.parameters import SYMBOL, VENUE
from marketd.api.shapes import answers, ref
from marketd.api.views import StoreView, Views
from marketd.bus import Bus, Closed, Full, Subscription
from marketd.model.events import Event, Quote, Status, Trade
from marketd.rooms import room

CAPACITY = 16_384
STATUSES_KEPT = 1000


class Latest:
    """A LatestView. Quotes may be conflated on the way here; the newest always arrives."""

    def __init__(self) -> None:
        self._trades: dict[tuple[str, str], Trade] = {}
        self._quotes: dict[tuple[str, str], Quote] = {}
        self.statuses: deque[Status] = deque(maxlen=STATUSES_KEPT)  # oldest first

    def trade(self, venue: str, symbol: str) -> Trade | None:
        return self._trades.get((venue, symbol))

    def quote(self, venue: str, symbol: str) -> Quote | None:
        return self._quotes.get((venue, symbol))

    def take(self, events: Iterable[Event]) -> None:
        """Remember these; a late repair never replaces a newer trade."""
        for event in events:
            if event.__class__ is Quote:
                self._quotes[event.venue, event.symbol] = event
            elif event.__class__ is Status:
                self.statuses.append(event)
            elif isinstance(event, Trade):
                known = self._trades.get((event.venue, event.symbol))
                if known is None or not event.repaired or (event.ts_event or 0) >= (known.ts_event or 0):
                    self._trades[event.venue, event.symbol] = event


@asynccontextmanager
async def run_latest(bus: Bus) -> AsyncIterator[Latest]:
    """Keep the newest of what is published from now on."""
    latest = Latest()
    async with room("latest") as here:
        with bus.subscribe("latest", full=Full.SHED, capacity=CAPACITY, types=frozenset({Trade, Quote, Status})) as subscription:
            here.start("take", _take(subscription, latest))
            yield latest


async def _take(subscription: Subscription, latest: Latest) -> None:
    while True:
        try:
            latest.take(await subscription.take(CAPACITY))
        except Closed:
            return
        await asyncio.sleep(0)


class LatestQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: SYMBOL
    provider: VENUE | None = None


def latest_routes(views: Views) -> APIRouter:
    """`GET /latest`: the newest trade and quote of one venue."""
    routes = APIRouter()

    @routes.get(
        "/latest", responses=answers(ref("LatestAnswer")), summary="The newest trade and quote of a symbol", tags=["live"]
    )
    async def latest(query: Annotated[LatestQuery, Query()]) -> Response:
        if views.feeds is None and views.store is None:
            require(views.feeds, "ingest")
        symbol = query.symbol
        ordered = list(views.feeds.order(symbol)) if views.feeds is not None else []
        if views.store is not None:
            stored = await views.store.ask(lambda reader: reader.venues_of(symbol))
            ordered += [venue for venue in stored if venue not in ordered]
        if query.provider is not None:
            if query.provider not in ordered:
                refuse(f"{query.provider} has nothing of {symbol}", "provider", ordered, status=404)
            ordered = [query.provider]
        for venue in ordered:
            trade = views.latest.trade(venue, symbol) if views.latest is not None else None
            quote = views.latest.quote(venue, symbol) if views.latest is not None else None
            if views.store is not None and (trade is None or quote is None):
                old_trade, old_quote = await _stored(views.store, symbol, venue)
                trade, quote = trade or old_trade, quote or old_quote
            if trade is not None or quote is not None:
                return answer({"symbol": symbol, "provider": venue, "trade": trade, "quote": quote})
        pairs = sorted(views.feeds.pairs()) if views.feeds is not None else []
        if symbol in pairs or ordered:
            return answer({"symbol": symbol, "provider": ordered[0] if ordered else None, "trade": None, "quote": None})
        return refuse(f"nothing is collected or stored of {symbol}", "symbol", pairs, status=404)

    return routes


async def _stored(store: StoreView, symbol: str, venue: str) -> tuple[Trade | None, Quote | None]:
    """After a restart, what was stored last."""
    return await store.ask(lambda reader: (reader.latest_trade(symbol, venue), reader.latest_quote(symbol, venue)))
