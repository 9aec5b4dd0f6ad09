"""The archive for a process that only looks: another one fills it, and may not have begun to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marketd.clock import Clock
from marketd.errors import DeliveryError, StartError
from marketd.stores import archive as archives
from marketd.stores.archive.address import address_of

if TYPE_CHECKING:
    from marketd.stores.archive.archive import Archive


class Looker:
    """Opens the archive with the first question, and again with the next while it is not there."""

    def __init__(self, url: str, clock: Clock, rooms: AsyncExitStack) -> None:
        self._url, self._clock, self._rooms = url, clock, rooms
        self._address = address_of(url)
        self._archive: Archive | None = None
        self._opening = asyncio.Lock()

    async def opened(self) -> "Archive | None":
        """None while there is no database. Raises DeliveryError when it cannot be reached or has another schema than ours."""
        async with self._opening:
            if self._archive is None and self._is_there():
                try:
                    opening = archives.open_archive(self._url, self._clock, upgrade=False)
                    self._archive = await self._rooms.enter_async_context(opening)
                except StartError as error:
                    raise DeliveryError(str(error)) from error
        return self._archive

    def _is_there(self) -> bool:
        return self._address.kind != "sqlite" or Path(self._address.url).exists()


@asynccontextmanager
async def open_archive_looker(url: str, clock: Clock) -> AsyncIterator[Looker]:
    """A reader of the archive at `url`, which need not exist yet. Raises ConfigError for an address that is none."""
    async with AsyncExitStack() as rooms:
        yield Looker(url, clock, rooms)
