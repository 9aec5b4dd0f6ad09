"""marketd from another program: its archive, exact and typed; for the message log see `marketd.client.message_log`."""

from marketd.client.asynchronous import MarketDataClient
from marketd.client.errors import (
    BadAddress,
    BadAnswer,
    BadRequest,
    ClientError,
    LibraryMissing,
    NotAllowed,
    NotFound,
    ServerFailed,
    TryLater,
    Unreachable,
)
from marketd.client.live import Broken, Channel, Connected, Missed, Streamed
from marketd.client.retrying import Retry
from marketd.client.shapes import Candle, Gap, Job, Page, Series, Status
from marketd.client.synchronous import SyncMarketDataClient

__all__ = [
    "BadAddress",
    "BadAnswer",
    "BadRequest",
    "Broken",
    "Candle",
    "Channel",
    "ClientError",
    "Connected",
    "Gap",
    "Job",
    "LibraryMissing",
    "MarketDataClient",
    "Missed",
    "NotAllowed",
    "NotFound",
    "Page",
    "Retry",
    "Series",
    "ServerFailed",
    "Status",
    "Streamed",
    "SyncMarketDataClient",
    "TryLater",
    "Unreachable",
]
