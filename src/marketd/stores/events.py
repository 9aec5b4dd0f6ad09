"""The event store: `market_data.db`, a sink that can also be asked. One writer; a batch and its ledger in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import structlog
from pydantic import Field

from marketd.bus import Full
from marketd.clock import Clock
from marketd.errors import DeliveryError, words_of
from marketd.model.events import BookL2, Candle, Event, Gap, Quote, Status, Trade
from marketd.model.marks import Mark, Series
from marketd.section import Section
from marketd.stores.housekeeping import Retention
from marketd.stores.ledger import Proofs
from marketd.stores.reading import Reader
from marketd.stores.writing import Writer
from marketd.worker import Worker

log = structlog.get_logger("sqlite")

T = TypeVar("T")


class EventStoreConfig(Section):
    enabled: bool = True
    """Record events in SQLite."""
    path: Path = Path("market_data.db")
    """The database file; a relative path starts in the data directory."""
    keep_days: float | None = Field(None, gt=0)
    """Events older than this are removed; unset: keep all. The ledger stays."""
    keep_bytes: int | None = Field(None, ge=0)
    """The oldest events are removed while the database is larger; unset: keep all."""
    capacity: int = Field(65_536, ge=16)
    """Events that wait in memory before they spill to disk."""


class EventStore:
    """The database: written by a thread of its own, read by another."""

    name = "sqlite"
    full = Full.SPILL
    gather_s = 0.001
    types: frozenset[type[Event]] | None = frozenset({Trade, Quote, BookL2, Candle, Gap, Status})

    def __init__(self, config: EventStoreConfig, data_dir: Path, clock: Clock, proofs: Proofs | None = None) -> None:
        """`proofs` gives the ledger the word for how completeness is shown, by (venue, channel)."""
        self.capacity = config.capacity
        self.path = data_dir / config.path
        self._clock = clock
        retention = Retention(config.keep_days, config.keep_bytes)
        self._writer = Writer(self.path, proofs or {}, retention)
        self._reader = Reader(self.path)
        self._writing: Worker | None = None
        self._reading: Worker | None = None

    async def __aenter__(self) -> Self:
        """Raises StartError if the file is from a newer version; any other trouble is said, and met again when writing."""
        self._writing, self._reading = Worker("sqlite-write"), Worker("sqlite-read")
        try:
            await self._writing.run(self._writer.open)
        except DeliveryError as error:
            log.error("sqlite.cannot_open", code="sink-retrying", error=words_of(error))
        except BaseException:
            self._stop()
            raise
        return self

    async def write(self, batch: Sequence[Event]) -> None:
        assert self._writing is not None, "opened before it is written to"
        now = self._clock.now_ns()
        await self._writing.run(lambda: self._writer.write(batch, now))

    async def __aexit__(self, *_: object) -> None:
        assert self._writing is not None
        assert self._reading is not None
        try:
            await self._reading.run(self._reader.close)
            await self._writing.run(self._writer.close)
        finally:
            self._stop()

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """The answer of the reader, e.g. `await store.ask(lambda reader: reader.counts())`."""
        assert self._reading is not None, "opened before it is asked"
        return await self._reading.run(lambda: question(self._reader))

    def progress(self) -> Mapping[Series, Mark]:
        return self._writer.marks

    def open_gaps(self) -> list[Gap]:
        """What is missing as far as the ledger knows, as gaps found: for repair to resume after a restart."""
        return self._writer.open_gaps

    def _stop(self) -> None:
        for worker in (self._writing, self._reading):
            if worker is not None:
                worker.stop()
        self._writing = self._reading = None
