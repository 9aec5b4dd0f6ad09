"""The candle archive: candles, their ledger, gaps, revisions and jobs, in PostgreSQL or SQLite."""

from marketd.stores.archive.archive import Archive, open_archive, upgrade_archive
from marketd.stores.archive.looking import Looker, open_archive_looker
from marketd.stores.archive.rows import GapRow, JobRow, Page, Row, SeriesSummary, Source, Written

__all__ = [
    "Archive",
    "GapRow",
    "JobRow",
    "Looker",
    "Page",
    "Row",
    "SeriesSummary",
    "Source",
    "Written",
    "open_archive",
    "open_archive_looker",
    "upgrade_archive",
]
