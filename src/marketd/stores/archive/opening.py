"""Making a database ready: there, of our schema; at once, or by itself as soon as it can be reached."""

from pathlib import Path

from marketd.clock import Clock
from marketd.errors import DeliveryError, StartError
from marketd.stores.archive.address import Address, address_of
from marketd.stores.archive.database import Database
from marketd.stores.archive.upgrade import Upgraded, check_schema, upgrade_schema

UPGRADE_S = 6 * 3600.0  # a database taken over may hold a hundred million rows, and each is looked at
AGAIN_S = 1.0  # between two tries, however many ask


class Opening:
    """What has to be done once before a database is used."""

    def __init__(self, database: Database, clock: Clock, *, upgrade: bool) -> None:
        self._database, self._clock, self._upgrade = database, clock, upgrade
        self._is_done = False
        self._is_under_way = False
        self._why, self._again_s = "", float("-inf")

    async def done(self) -> None:
        """Do it, unless it is done. Raises DeliveryError where the database cannot do it now, StartError where it is not ours."""
        if self._is_done:
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
            self._is_done = True
        except (DeliveryError, StartError) as error:
            self._why, self._again_s = str(error), self._clock.monotonic() + AGAIN_S
            raise
        finally:
            self._is_under_way = False

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
