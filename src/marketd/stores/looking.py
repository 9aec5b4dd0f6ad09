"""The event store for a process that only looks: another one may be writing."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from marketd.stores.reading import Reader
from marketd.worker import Worker

T = TypeVar("T")


class Looker:
    """Answers questions from a thread of its own; never writes, and asks for no lock that a writer would wait for."""

    def __init__(self, path: Path) -> None:
        self._reader, self._worker = Reader(path), Worker("sqlite-look")

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """The answer of the reader; empty answers until there is a database."""
        return await self._worker.run(lambda: question(self._reader))

    async def close(self) -> None:
        await self._worker.run(self._reader.close)
        self._worker.stop()


@asynccontextmanager
async def open_looker(path: Path) -> AsyncIterator[Looker]:
    """A reader of the database at `path`, which need not exist yet."""
    looker = Looker(path)
    try:
        yield looker
    finally:
        await looker.close()
