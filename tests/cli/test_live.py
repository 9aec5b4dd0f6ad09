"""The status line has a row for each venue."""

import asyncio
import io

from rich.console import Console

from marketd.api.state import VenueRow
from marketd.api.views import FeedsView, Views
from marketd.bus import Bus
from marketd.cli.live import show_live, table
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from tests.api.conftest import NOW, Parts


class Seen(Parts):
    def venues(self) -> list[VenueRow]:
        return [VenueRow("binance", "connected", "", 2, 1234.5, 3.25, 12.0, 7, 1, 2)]


def seen(feeds: FeedsView | None) -> Views:
    metrics = Metrics()
    return Views("live-ingest", (), NOW, ManualClock(), metrics, Parts(), Bus(metrics), feeds=feeds)


def shown(views: Views) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(table(views, "http://127.0.0.1:8100"))
    return out.getvalue()


def test_rates_lags_and_drops_are_shown() -> None:
    text = shown(seen(Seen()))

    for word in ("http://127.0.0.1:8100", "binance", "connected", "1,234", "3.2", "12.0", "7"):
        assert word in text


def test_without_feeds_there_is_no_row() -> None:
    assert "binance" not in shown(seen(None))


async def test_it_ends_with_the_daemon() -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(5):
        await show_live(seen(Seen()), "http://x", stop)
