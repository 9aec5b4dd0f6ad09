"""The candle archive: candles, their ledger, gaps, revisions and jobs, in PostgreSQL or SQLite.

The database's libraries take a third of a second to load. Whoever opens no archive does not wait for them: the names that
need them come when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from marketd.stores.archive.rows import GapRow, JobRow, Page, Row, SeriesSummary, Source, Summed, Written

if TYPE_CHECKING:
    from marketd.stores.archive.archive import Archive, open_archive
    from marketd.stores.archive.looking import Looker, open_archive_looker
    from marketd.stores.archive.opening import ask_database, upgrade_archive

__all__ = [
    "Archive",
    "GapRow",
    "JobRow",
    "Looker",
    "Page",
    "Row",
    "SeriesSummary",
    "Source",
    "Summed",
    "Written",
    "ask_database",
    "open_archive",
    "open_archive_looker",
    "upgrade_archive",
]
_LATER = {  # all others are in `archive`
    "Looker": "looking",
    "open_archive_looker": "looking",
    "ask_database": "opening",
    "upgrade_archive": "opening",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__name__}.{_LATER.get(name, 'archive')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
