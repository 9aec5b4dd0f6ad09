"""What the routes need to see of the running daemon. A part that does not run here is None, and its paths answer 404."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from marketd.analysis.payloads import Alert, Features, Signal
from marketd.api.state import CacheRow, Changed, Component, Health, IngestCounts, SubscriptionRow, VenueRow
from marketd.bus import Bus
from marketd.candles.live import LiveCandles
from marketd.clock import Clock
from marketd.history.keeping import Keeper
from marketd.metrics import Metrics
from marketd.model.events import Quote, Status, Trade

if TYPE_CHECKING:
    from marketd.analysis.scanning import Ranking
    from marketd.analysis.technical import Reading
    from marketd.model.signals import Signal as Advice
    from marketd.paper.books import Books
    from marketd.stores.archive import Archive
    from marketd.stores.cache import Cache
    from marketd.stores.paper import Kept, PaperStore

T = TypeVar("T")


class HealthView(Protocol):
    def components(self) -> dict[str, Component]: ...


class FeedsView(Protocol):
    """The live feeds."""

    def subscriptions(self) -> Sequence[SubscriptionRow]: ...

    def venues(self) -> Sequence[VenueRow]: ...

    def counts(self) -> IngestCounts: ...

    def pairs(self) -> Sequence[str]:
        """The symbols that are collected, each once."""
        ...

    def configured(self) -> Mapping[str, Sequence[str]]:
        """The symbols that are asked of each venue."""
        ...

    def listed(self, venue: str) -> Sequence[str] | None:
        """The venue's own list; None while it has not come. Raises KeyError for a venue that does not run here."""
        ...

    def order(self, symbol: str) -> Sequence[str]:
        """Venues in the order in which they answer for this symbol: the active one under failover, then config order."""
        ...

    async def change(self, venue: str | None, symbols: Sequence[str]) -> Changed:
        """Collect exactly these symbols from `venue` (None: from every venue that is no backup), without a reconnect.

        Where none of them is listed, nothing changes: all are in `unlisted`.
        """
        ...


class LatestView(Protocol):
    """The newest events since the start."""

    def trade(self, venue: str, symbol: str) -> Trade | None: ...

    def quote(self, venue: str, symbol: str) -> Quote | None: ...

    @property
    def statuses(self) -> Sequence[Status]:
        """The newest of what the venues' lines said, oldest first."""
        ...


class TradesPage(Protocol):
    @property
    def trades(self) -> list[Trade]: ...

    @property
    def cursor(self) -> str | None: ...


class Questions(Protocol):
    """What the event store answers, in a thread of its own."""

    def latest_trade(self, symbol: str, venue: str) -> Trade | None: ...

    def latest_quote(self, symbol: str, venue: str) -> Quote | None: ...

    def venues_of(self, symbol: str) -> list[str]: ...

    def trades(self, symbol: str, *, start: int, end: int, limit: int, cursor: str | None, venue: str | None) -> TradesPage:
        """Raises ValueError if `cursor` is none of its own."""
        ...

    def statuses(self, venue: str | None, *, before: int, limit: int, lines: bool) -> list[Status]:
        """What happened to the venues' lines before `before` (ns), newest first; `lines`: not what concerns one symbol."""
        ...


class StoreView(Protocol):
    """The event store."""

    async def ask(self, question: Callable[[Questions], T]) -> T: ...


class SinkRow(Protocol):
    """How a sink is doing."""

    name: str
    durable: bool  # what it is given is kept or handed on; otherwise it only shows
    healthy: bool
    reason: str
    delivered: int
    retries: int
    given_up: int


class SinksView(Protocol):
    @property
    def states(self) -> Sequence[SinkRow]: ...


class ArchivingView(Protocol):
    """The candle archive and who keeps it."""

    @property
    def archive(self) -> "Archive": ...

    @property
    def keeper(self) -> Keeper: ...

    @property
    def live(self) -> LiveCandles: ...


class StoredView(Protocol):
    """The stored candles, whoever stores them."""

    async def opened(self) -> "Archive | None":
        """None while there is none. Raises DeliveryError when it cannot be reached."""
        ...


class FeaturesView(Protocol):
    """The features of this process."""

    @property
    def symbols(self) -> Sequence[str]:
        """Those that something is known of."""
        ...

    def features(self, symbol: str) -> Features | None:
        """As published last; None before that."""
        ...

    def latest(self, symbol: str) -> tuple[str, Trade | None, Quote | None] | None:
        """The venue of a symbol and its newest trade and quote; None for one that nothing came of."""
        ...

    @property
    def said(self) -> Sequence[Signal | Alert]:
        """The newest signals and alerts, oldest first."""
        ...

    def statistics(self) -> Mapping[str, object]: ...


class ScannerView(Protocol):
    """The scanner of this process."""

    @property
    def ranking(self) -> "Ranking":
        """As published last; without coins before that."""
        ...


class StudiesView(Protocol):
    """The technical analysis of this process."""

    @property
    def timeframes(self) -> Sequence[str]: ...

    @property
    def symbols(self) -> Sequence[str]:
        """Those that something was read of."""
        ...

    def reading(self, symbol: str, timeframe: str) -> "Reading | None":
        """As published last; None before that."""
        ...

    @property
    def said(self) -> "Sequence[Advice]":
        """The newest signals, oldest first."""
        ...


class PollingView(Protocol):
    """The cache's poller."""

    def rows(self) -> Sequence[CacheRow]: ...


class PaperView(Protocol):
    """The paper trader of this process."""

    @property
    def books(self) -> "Books | None":
        """None while they cannot be read."""
        ...

    @property
    def kept(self) -> "Kept | None": ...

    @property
    def store(self) -> "PaperStore": ...

    @property
    def state(self) -> tuple[Health, str]: ...


@dataclass(frozen=True)
class Views:
    """Everything the API shows."""

    profile: str
    roles: tuple[str, ...]
    started: int  # ns
    clock: Clock
    metrics: Metrics
    health: HealthView
    bus: Bus | None = None
    sinks: SinksView | None = None
    feeds: FeedsView | None = None  # role ingest
    latest: LatestView | None = None  # role ingest
    store: StoreView | None = None
    archive: ArchivingView | None = None  # role archive
    features: FeaturesView | None = None  # role features
    polling: PollingView | None = None  # role cache
    scanner: ScannerView | None = None  # role scanner
    studies: StudiesView | None = None  # role ta
    cache: "Cache | None" = None  # roles cache, scanner, ta, trader
    paper: PaperView | None = None  # role trader
    dashboard: bool = False  # serve it, where it is built
    stored: StoredView | None = None  # candles: with the role archive, or where its database is there
