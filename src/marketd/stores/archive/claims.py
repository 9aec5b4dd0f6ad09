"""Whose job it is to fill a series: one program's at a time, by locks that end with the program that holds them."""

import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import blake2b
from typing import BinaryIO

from marketd.errors import DeliveryError
from marketd.model.series import CandleSeries
from marketd.stores.archive.database import Database

LOCKS = ".locks"  # what the file of locks is called after the archive's


class Claims:
    """The series that this program fills."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: set[CandleSeries] = set()
        self._file: BinaryIO | None = None  # one for all: a process loses its locks on a file when it closes any other it has

    @asynccontextmanager
    async def claim(self, series: CandleSeries) -> AsyncIterator[bool]:
        """Whether nobody else fills the series; then nobody else does until left. Does not wait for whoever does. Raises
        DeliveryError where the database cannot be asked. A server that dies meanwhile forgets the claim."""
        if series in self._held:
            yield False
            return
        self._held.add(series)
        try:
            if self._database.kind == "sqlite":
                with self._locked(_number(series, 4)) as is_free:
                    yield is_free
            else:
                async with self._database.locked(_number(series, 8)) as is_free:
                    yield is_free
        finally:
            self._held.discard(series)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @contextmanager
    def _locked(self, at: int) -> Iterator[bool]:
        try:
            if self._file is None:
                self._file = open(self._database.address.url + LOCKS, "ab")  # noqa: SIM115 (as long as the archive)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except (BlockingIOError, PermissionError) as error:
            if self._file is None:
                raise DeliveryError(f"{self._database.address.shown}: {error.strerror}") from error
            yield False
            return
        except OSError as error:
            raise DeliveryError(f"{self._database.address.shown}: {error.strerror}") from error
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, at)


def _number(series: CandleSeries, size: int) -> int:
    """Of the lock: not that of the lock which writers of the series take. Beyond 31 bits only where there is room for it."""
    found = int.from_bytes(blake2b("\0".join(("fill", *series)).encode(), digest_size=size).digest(), "big")
    return found >> 1
