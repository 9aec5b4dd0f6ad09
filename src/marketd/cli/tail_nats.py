"""What is said on NATS subjects, and the last of it where a stream keeps it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats import errors
from nats.aio.msg import Msg

from marketd.cli.entries import Output
from marketd.cli.nats_stored import last_of, streams
from marketd.clock import SystemClock
from marketd.errors import ConfigError, DeliveryError, StartError
from marketd.log import LoggingConfig, configure
from marketd.net.nats import NatsConfig, NatsLink, open_link
from marketd.net.nats_api import NoAnswer, NoJetStream, Stored

NAME = "marketd-tail"
GATHER_S = 0.05
BATCH = 1000
WAITING_MAX = 100_000  # messages that the output may be behind


async def tail_nats(config: NatsConfig, subject: str, count: int, group: str | None) -> None:
    """What is published on a subject; with a count, the last that a stream keeps of it, or else the next that come.

    A member of a group shares what comes with the other members. Raises ConfigError for what is no subject, StartError where
    the server does not answer. Following outlives the server's restarts.
    """
    _must_be_subject(subject)
    out = Output()
    async with open_server(config) as link:
        if count and group is None and await _show_stored(link, out, subject, count):
            return
        await _Listener(link, out, subject, count, group).run()


@asynccontextmanager
async def open_server(config: NatsConfig) -> AsyncIterator[NatsLink]:
    """A link that has connected. Raises StartError."""
    configure(LoggingConfig(level="error", format="text"))  # what the link has to say, the command says itself
    try:
        async with open_link(config, NAME, SystemClock()) as link:
            if not link.state.connected:
                raise StartError(f"nats at {link.state.url} does not answer: {link.state.reason}; NATS_URL says where it is")
            try:
                yield link
            except DeliveryError as error:
                raise StartError(str(error)) from None
            except errors.Error as error:
                raise StartError(f"nats at {link.state.url}: {error or link.state.reason}") from None
    except BaseExceptionGroup as group:
        raise group.exceptions[0] if len(group.exceptions) == 1 else group from None


def _must_be_subject(subject: str) -> None:
    tokens = subject.split(".")
    if not all(tokens) or ">" in tokens[:-1] or any(one.isspace() for one in subject):
        allowed = "md.events.trade.BTCUSDT, md.events.> or md.events.*.BTCUSDT"
        raise ConfigError(f"tail nats:{subject}: is no subject; expected one as {allowed}")


async def _show_stored(link: NatsLink, out: Output, subject: str, count: int) -> bool:
    """Whether there was something."""
    stored: list[Stored] = []
    try:
        for stream in await streams(link.session, subject):
            stored += await last_of(link.session, stream, subject, count)
    except NoJetStream:
        return False
    except NoAnswer as error:  # where we may not ask, too
        sys.stderr.write(f"{error}; what comes from now on is shown\n")
        return False
    for one in sorted(stored, key=lambda one: one.time_ns)[-count:]:
        out.message(one.subject, one.data)
    out.flush()
    return bool(stored)


class _Listener:
    """Subscribes anew on every connection, says what it may have missed, and shows what comes in batches."""

    def __init__(self, link: NatsLink, out: Output, subject: str, count: int, group: str | None) -> None:
        self._link, self._out, self._subject, self._group = link, out, subject, group
        self._left = count or None  # None: no end
        self._waiting: asyncio.Queue[Msg] = asyncio.Queue(BATCH)
        self._lost = 0  # for want of room
        self._refused = ""

    async def run(self) -> None:
        link = self._link
        link.listeners.append(self._told)
        while self._left is None or self._left > 0:
            session = await link.opened()
            await session.client.subscribe(
                self._subject, self._group or "", cb=self._waiting.put, pending_msgs_limit=WAITING_MAX, pending_bytes_limit=-1
            )
            while not session.gone.is_set() and self._left != 0:
                await self._show()
            if self._left != 0:
                await self._show()
                sys.stderr.write(f"nats at {link.state.url}: the connection ended; what is said until it is back is not heard\n")
                await link.opened()
                sys.stderr.write(f"nats at {link.state.url} answers again\n")

    def _told(self, error: Exception) -> None:
        if isinstance(error, errors.SlowConsumerError):
            self._lost += 1
        elif "permissions violation for subscription" in str(error).lower():
            self._refused = str(error)

    async def _show(self) -> None:
        """All that waits, or what comes within a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                self._one(await self._waiting.get())
        while self._left != 0 and not self._waiting.empty():
            self._one(self._waiting.get_nowait())
        self._out.flush()
        if self._lost:
            sys.stderr.write(
                f"nats {self._subject}: {self._lost:,} messages were lost: they came faster than they could be shown\n"
            )
            self._lost = 0
        if self._refused:
            raise StartError(f"nats {self._subject}: {self._refused}")

    def _one(self, message: Msg) -> None:
        self._out.message(message.subject, message.data)
        if self._left is not None:
            self._left -= 1
