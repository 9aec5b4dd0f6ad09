"""The database behind the archive: its address, its connections, and what its troubles are called."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from marketd.errors import DeliveryError, words_of
from marketd.secrets import masked
from marketd.stores.archive.address import Address

CONNECT_S = 5.0  # until a server has taken a connection
COMMAND_S = 60.0  # for one statement
WAIT_S = 10.0  # for a free connection, or for another process to be done with the file
WRITERS, READERS = 4, 8  # connections at most; on SQLite one writes

TROUBLES = (sa.exc.SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.Error, OSError, TimeoutError)


class Database:
    """Connections to write and connections to read, apart, so that neither starves the other."""

    def __init__(
        self, address: Address, *, connect_s: float = CONNECT_S, command_s: float = COMMAND_S, wait_s: float = WAIT_S
    ) -> None:
        self.address = address
        self.kind = address.kind
        self._within_s = connect_s + command_s + wait_s
        self._connect_s = connect_s
        make: Callable[[int, bool], AsyncEngine]
        if address.kind == "sqlite":
            make = lambda size, writes: _sqlite(Path(address.url), size, wait_s, writes)  # noqa: E731
        else:
            make = lambda size, _: _postgresql(address.url, size, connect_s, command_s, wait_s)  # noqa: E731
        self.writers = make(1 if address.kind == "sqlite" else WRITERS, True)
        self.readers = make(READERS, False)

    def writing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that commits at the end or not at all. Raises DeliveryError within a bounded time."""
        return self._told(self.writers)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """The same, on a connection that only reads."""
        return self._told(self.readers)

    def asking(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """The same for a single question: no transaction is begun or ended for it."""
        return self._told(self.readers, begins=False)

    @asynccontextmanager
    async def _told(self, engine: AsyncEngine, begins: bool = True) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(self._within_s), engine.begin() if begins else engine.connect() as connection:
                yield connection
        except TROUBLES as error:
            if isinstance(error, sa.exc.StatementError) and not isinstance(error, sa.exc.DBAPIError):
                raise  # never reached the database: a mistake of ours, which another try does not mend
            raise DeliveryError(f"{self.address.shown}: {reason(error)}") from error

    @asynccontextmanager
    async def locked(self, number: int) -> AsyncIterator[bool]:
        """PostgreSQL: a lock of that number for as long as wanted, on a connection of its own, since it ends with it. False if
        someone else has it."""
        connection = None
        try:
            async with asyncio.timeout(self._connect_s + WAIT_S):
                connection = await _connect(self.address.url, self._connect_s, WAIT_S)
                is_ours = await connection.fetchval("SELECT pg_try_advisory_lock($1)", number)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            if connection is not None:
                connection.terminate()
            raise DeliveryError(f"{self.address.shown}: {reason(error)}") from error
        try:
            yield is_ours
        finally:
            connection.terminate()

    async def close(self) -> None:
        for engine in (self.readers, self.writers):
            await engine.dispose()


async def _connect(dsn: str, connect_s: float, command_s: float) -> Any:
    settings = {"timezone": "UTC", "application_name": "marketd"}
    return await asyncpg.connect(dsn, timeout=connect_s, command_timeout=command_s, server_settings=settings)


def _postgresql(dsn: str, size: int, connect_s: float, command_s: float, wait_s: float) -> AsyncEngine:
    async def connect() -> Any:
        return await _connect(dsn, connect_s, command_s)

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_s,
        pool_pre_ping=True,  # a server that was restarted is met by a new connection, not by an error
    )


def _sqlite(path: Path, size: int, wait_s: float, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": wait_s},
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_s,
    )

    @sa.event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, also before a change of schema
        cursor = connection.cursor()
        for word in ("journal_mode = WAL", "synchronous = NORMAL", "temp_store = MEMORY", "cache_size = -65536"):
            cursor.execute(f"PRAGMA {word}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def is_passing(error: DeliveryError) -> bool:
    """Whether the trouble may pass without anyone changing our settings: a server that is away or busy, a full disk."""
    cause: BaseException | None = error.__cause__
    if isinstance(cause, sa.exc.DBAPIError) and cause.orig is not None:
        cause = cause.orig.__cause__ or cause.orig
    if isinstance(cause, sqlite3.OperationalError):
        return any(word in str(cause) for word in ("locked", "full", "disk I/O"))
    return isinstance(
        cause,
        OSError | sa.exc.TimeoutError | asyncpg.PostgresConnectionError | asyncpg.CannotConnectNowError
        | asyncpg.InsufficientResourcesError | asyncpg.AdminShutdownError | asyncpg.CrashShutdownError,
    ) and not isinstance(cause, FileExistsError | NotADirectoryError | PermissionError)  # fmt: skip


def reason(error: BaseException) -> str:
    """One line for a person: what is wrong, in the words of whoever said so."""
    if isinstance(error, sa.exc.TimeoutError):
        return "every connection is busy"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, sa.exc.DBAPIError):
        cause: BaseException = error.orig.__cause__ or error.orig if error.orig is not None else error
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        error = cause
    if isinstance(error, ConnectionError):
        return f"no connection ({_words(error)})"
    if isinstance(error, asyncpg.DiskFullError):
        return f"the server's disk is full ({_words(error)})"
    return _words(error)


def _words(error: BaseException) -> str:
    return masked(words_of(error)).rstrip(".")
