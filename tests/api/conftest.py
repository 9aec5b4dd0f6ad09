"""A real server on a free port over parts that tests move by hand."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from marketd.analysis.features import Engine
from marketd.analysis.publishing import Publisher
from marketd.analysis.section import FeaturesConfig
from marketd.analysis.service import FeatureService
from marketd.api.latest import Latest
from marketd.api.section import ApiConfig
from marketd.api.server import run_api
from marketd.api.state import Changed, Component, IngestCounts, SubscriptionRow, VenueRow
from marketd.api.token import read_token
from marketd.api.views import Views
from marketd.bus import Bus, Full
from marketd.clock import ManualClock
from marketd.metrics import Metrics
from marketd.model.events import Candle, Quote, Trade
from marketd.model.intervals import Interval
from marketd.model.ledger import Stretch
from marketd.model.series import CandleSeries
from marketd.model.timeframes import MINUTE, SECOND
from marketd.stores.archive import Archive, Page, open_archive
from marketd.stores.events import EventStore, EventStoreConfig

NOW = 1_700_000_000_000_000_000


def trade(number: int, symbol: str = "BTCUSDT", venue: str = "binance") -> Trade:
    return Trade(venue, symbol, NOW + number, NOW + number + 1, f"100.{number:02d}0", "0.5000", "buy", str(number))


SERIES = CandleSeries("bitfinex", "BTCUSD", "1m")
FIRST = 1_731_605_400 * SECOND  # 2024-11-14T17:30:00Z


def candle(minute: int, series: CandleSeries = SERIES, closed: bool = True, close: str = "91000.50") -> Candle:
    opens = FIRST + minute * MINUTE
    numbers = (f"91000.{minute % 100:02d}0", "91001", "90999.90", close, "1.123456789012345678")
    return Candle(*series[:2], None, opens + MINUTE, series[2], opens, opens + MINUTE, *numbers, closed)


async def fill(archive: Archive, start: int, stop: int, series: CandleSeries = SERIES) -> None:
    """Closed candles of these minutes."""
    span = Interval(FIRST + start * MINUTE, FIRST + stop * MINUTE)
    candles = [candle(minute, series) for minute in range(start, stop)]
    await archive.put(Page(series, span, candles, [Stretch(span.start, span.stop, "have", "", FIRST)], "backfill"))


@dataclass
class Stored:
    """StoredView."""

    at: Archive | None

    async def opened(self) -> Archive | None:
        return self.at


@dataclass
class Parts:
    """HealthView and FeedsView."""

    now: dict[str, Component] = field(default_factory=lambda: {"venues": Component("ok", True, "2 of 2 with fresh data", NOW)})
    wanted: list[str] = field(default_factory=lambda: ["BTCUSDT", "ETHUSDT"])
    active: list[str] = field(default_factory=lambda: ["binance", "bybit"])

    def components(self) -> dict[str, Component]:
        return self.now

    def subscriptions(self) -> Sequence[SubscriptionRow]:
        return [SubscriptionRow("binance", symbol, "trade", None, "live", "", NOW, 3.5, 1, 0) for symbol in self.wanted] + [
            SubscriptionRow("bybit", "NOPE", "book", None, "refused", "<b>invalid</b> symbol", None, None, 0)
        ]

    def venues(self) -> Sequence[VenueRow]:
        return [
            VenueRow("binance", "connected", "", 1, 12.5, 3.0, 9.0, 0),
            VenueRow("bybit", "standby", "", 1, 0.0, None, None, 0),
        ]

    def counts(self) -> IngestCounts:
        return IngestCounts(2, 1000, 1, 0)

    def pairs(self) -> Sequence[str]:
        return self.wanted

    def configured(self) -> Mapping[str, Sequence[str]]:
        return dict.fromkeys(self.active, self.wanted)

    def listed(self, venue: str) -> Sequence[str] | None:
        return {"binance": ["SOLUSDT", *self.wanted], "bybit": None}[venue]

    def order(self, symbol: str) -> Sequence[str]:
        return self.active if symbol in self.wanted else []

    async def change(self, venue: str | None, symbols: Sequence[str]) -> Changed:
        if all(one.startswith("NOPE") for one in symbols):
            return Changed(self.wanted, [], [], list(symbols))
        before, self.wanted = self.wanted, list(symbols)
        return Changed(
            self.wanted, [one for one in symbols if one not in before], [one for one in before if one not in symbols], []
        )


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def featuring(metrics: Metrics, clock: ManualClock) -> FeatureService:
    """The features of BTCUSDT, of two trades and a quote."""
    service = FeatureService(Engine(FeaturesConfig()), Publisher(None, clock, metrics), clock, metrics)
    await service.write([trade(1), trade(2), Quote("binance", "BTCUSDT", None, NOW + 2, "99.90", "1.0", "100.10", "2.0")])
    return service


@asynccontextmanager
async def seen(parts: Parts, directory: Path, clock: ManualClock) -> AsyncIterator[Views]:
    """Views of the parts and of a store with 25 trades."""
    metrics = Metrics()
    url = f"sqlite:///{directory / 'archive.db'}"
    async with EventStore(EventStoreConfig(), directory, clock) as store, open_archive(url, clock) as archive:
        await store.write([trade(number) for number in range(25)])
        await fill(archive, 0, 25)
        yield Views(
            "live-ingest", ("ingest",), NOW - 65 * 10**9, clock, metrics, parts, Bus(metrics), None, parts, Latest(), store,
            features=await featuring(metrics, clock), stored=Stored(archive),
        )  # fmt: skip


@pytest.fixture
async def views(parts: Parts, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Views]:
    async with seen(parts, tmp_path, clock) as found:
        yield found


@pytest.fixture
def only(views: Views) -> Views:
    """A process that collects nothing and stores nothing."""
    return replace(views, feeds=None, latest=None, store=None, bus=None, features=None, stored=None)


@pytest.fixture
async def client(views: Views, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the API, with the token of its data directory in `client.token`."""
    assert views.bus is not None
    with views.bus.subscribe("sqlite", full=Full.SHED, capacity=100):
        async with run_api(ApiConfig(port=0), views, tmp_path) as url, httpx.AsyncClient(base_url=url) as asking:
            asking.token = read_token(ApiConfig(), tmp_path)  # type: ignore[attr-defined]
            yield asking
