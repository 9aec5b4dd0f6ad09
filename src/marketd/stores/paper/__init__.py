"""The books of paper trading, in the archive's database: every step in one transaction, nothing in them twice."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from marketd.stores.paper.store import Kept, Overtaken, PaperStore, open_paper

__all__ = ["Kept", "Overtaken", "PaperStore", "open_paper"]


def __getattr__(name: str) -> Any:
    """The database's libraries take a third of a second to load: they come when they are first asked for."""
    if name in __all__:
        return getattr(import_module(f"{__name__}.store"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
