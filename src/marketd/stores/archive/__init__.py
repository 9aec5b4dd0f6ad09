"""The candle archive: candles, their ledger, gaps, revisions and jobs, in PostgreSQL or SQLite."""

from marketd.stores.archive.archive import Archive, open_archive, upgrade_archive
from marketd.stores.archive.rows import GapRow, JobRow, Page, Row, SeriesSummary, Source, Written

__all__ = ["Archive", "GapRow", "JobRow", "Page", "Row", "SeriesSummary", "Source", "Written", "open_archive", "upgrade_archive"]
