"""Making a database ready: there, of our schema; at once, or by itself as soon as it can be reached."""

import asyncio
import os
from pathlib import Path

import structlog

from marketd.clock import Clock
from marketd.errors import DeliveryError, StartError
from marketd.stores.archive.address import Address, address_of
from marketd.stores.archive.database import Database
from marketd.stores.archive.upgrade import Upgraded, check_schema, schema_there, upgrade_schema

UPGRADE_S = 6 * 3600.0  # a database taken over may hold a hundred million rows, and each is looked at
AGAIN_S = 1.0  # between two tries, however many ask
Inode = tuple[int, int]
log = structlog.get_logger("archive")


class Opening:
    """What has to be done once before a database is used."""

    def __init__(self, database: Database, clock: Clock, *, upgrade: bool) -> None:
        self._database, self._clock, self._upgrade = database, clock, upgrade
        self._is_done = False
        self._is_under_way = False
        self._why, self._again_s = "", float("-inf")
        self._path = Path(database.address.url) if database.kind == "sqlite" else None
        self._wal = None if self._path is None else Path(f"{self._path}-wal")
        self._opened: tuple[Inode | None, Inode | None] = None, None  # the file and its log, once they are ours

    async def done(self) -> None:
        """Do it, unless it is done. Raises DeliveryError where the database cannot do it now, StartError where it is not ours."""
        if self._is_done:
            await self._still_there()
            return
        if self._is_under_way:
            raise DeliveryError(f"{self._database.address.shown}: is being opened")
        if self._clock.monotonic() < self._again_s:
            raise DeliveryError(self._why)
        self._is_under_way = True
        try:
            if self._upgrade:
                await _upgrade(self._database.address, self._clock)
            await check_schema(self._database)
            self._opened = _inode(self._path), _inode(self._wal)
            self._is_done = True
        except (DeliveryError, StartError) as error:
            self._why, self._again_s = str(error), self._clock.monotonic() + AGAIN_S
            raise
        finally:
            self._is_under_way = False

    async def _still_there(self) -> None:
        """A file that was deleted or replaced still takes what is written to it, and shows it to nobody: such a one is let go."""
        file, wal = self._opened
        if self._path is None or _inode(self._path) == file:
            return
        self._is_done = False
        self._why = f"{self._database.address.shown}: was removed or replaced by another program; it is opened anew"
        self._again_s = self._clock.monotonic() + AGAIN_S
        log.error("archive.replaced", path=self._database.address.shown)
        await self._database.close()
        if self._wal is not None and wal is not None and _inode(self._wal) == wal:
            self._wal.unlink()  # SQLite would apply the lost file's log to the one that took its place
        raise DeliveryError(self._why)

    async def passed(self) -> None:
        """The same for those who found it started: whatever is wrong may be mended."""
        try:
            await self.done()
        except StartError as error:
            raise DeliveryError(str(error)) from error


async def upgrade_archive(url: str, clock: Clock) -> Upgraded:
    """Bring the database to the current schema and say what was done. Raises as `open_archive`; then nothing was changed."""
    try:
        return await _upgrade(address_of(url), clock)
    except DeliveryError as error:
        raise not_opened(error) from error


async def ask_database(url: str, *, within_s: float) -> str:
    """What a daemon will find at this address: words for a person. Nothing is made or changed. Raises ConfigError for an address
    that is none, StartError where a daemon would wait or end."""
    address = address_of(url)
    if address.kind == "sqlite" and not await asyncio.to_thread(Path(address.url).exists):
        if hindered := await asyncio.to_thread(_hindered, Path(address.url)):
            raise StartError(f"{address.url}: {hindered}")
        return "no archive there yet; the role archive makes it"
    database = Database(address, connect_s=within_s, command_s=within_s, wait_s=within_s)
    try:
        before, current = await schema_there(database)
    except DeliveryError as error:
        raise StartError(str(error)) from error
    finally:
        await database.close()
    if before == current:
        return "answers"
    return f"answers; schema {before or 'none'}, the role archive brings it to {current}"


def _inode(path: Path | None) -> Inode | None:
    try:
        return None if path is None else ((there := path.stat()).st_dev, there.st_ino)
    except OSError:
        return None


def _hindered(path: Path) -> str:
    """Why a file cannot be made there; empty if it can."""
    there = next(one for one in path.absolute().parents if one.exists())
    if not there.is_dir():
        return f"{there} is no directory"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} is not writable"


def not_opened(error: DeliveryError) -> StartError:
    return StartError(f"the candle archive cannot be opened: {error}")


async def _upgrade(address: Address, clock: Clock) -> Upgraded:
    database = Database(address, command_s=UPGRADE_S)
    try:
        if address.kind == "sqlite":
            Path(address.url).parent.mkdir(parents=True, exist_ok=True)
        return await upgrade_schema(database, clock.now_ns())
    except OSError as error:
        raise DeliveryError(str(error)) from error
    finally:
        await database.close()
