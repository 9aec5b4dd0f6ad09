"""Market data, complete, exact and accounted for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketd.venues.library import open_venue
    from marketd.venues.provider import MarketDataProvider

__version__ = "0.1.0"
__all__ = ["MarketDataProvider", "__version__", "open_venue"]


def __getattr__(name: str) -> Any:
    """The library's face, imported when first asked for so that the command line starts fast."""
    if name == "open_venue":
        from marketd.venues.library import open_venue

        return open_venue
    if name == "MarketDataProvider":
        from marketd.venues.provider import MarketDataProvider

        return MarketDataProvider
    raise AttributeError(f"module 'marketd' has no attribute {name!r}")
