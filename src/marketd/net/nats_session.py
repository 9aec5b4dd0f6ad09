"""One connection to a NATS server, from signing in to its end: what is sent over it, and what the server has read of that.

Built on nats-py's client, of which one is used for one connection only: it signs in, reads and answers pings.
Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol (read 2026-11-21).
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.protocol.parser import Parser

from marketd.errors import Unreachable, words_of

ANSWER_S = 10.0  # a server that answers nothing for so long is given up
REFUSED_MAX = 1024  # subjects remembered

_REFUSED = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)


GARBLED = "the server sent something that cannot be understood; the connection was ended"


class _Reading(Parser):
    """Whatever nats-py cannot make sense of ends the connection; nats-py would stop reading and leave it seemingly open."""

    async def parse(self, data: bytes = b"") -> None:
        try:
            await super().parse(data)
        except OSError:
            raise
        except Exception as error:
            raise ConnectionAbortedError(GARBLED) from error


class OneConnection(Client):
    """nats-py's client, which here ends with its connection, and tells no secret in the clear where TLS was asked for."""

    def __init__(self, *, secure: bool) -> None:
        super().__init__()
        self._secure = secure
        self._ps = _Reading(self)
        self.gone = asyncio.Event()  # it has ended, for good
        self.waiting: set[asyncio.Timeout] = set()  # for the server; they end with the connection

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._secure:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise errors.Error("the server offers no TLS, and the address says tls://")
            info["tls_required"] = True  # where it is offered, it is used
        if not _is_size(info.get("max_payload", 1)):
            raise errors.Error("the server's max_payload is no number of bytes")
        await super()._process_info(info, initial_connection)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self.abort()  # a server that reads nothing would make us wait for what is still to be sent
        try:
            await super()._close(status, do_cbs)
        except (OSError, RuntimeError):
            pass  # what nats-py had not sent yet cannot be sent now
        finally:
            self._end()

    def abort(self) -> None:
        """Let go of the socket."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _end(self) -> None:
        self.gone.set()
        now = asyncio.get_running_loop().time()
        for one in tuple(self.waiting):
            with suppress(RuntimeError):  # it ends already
                one.reschedule(now)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class Session:
    """What a sink writes to. `client` is nats-py's, for subscriptions, requests and JetStream."""

    def __init__(self, client: OneConnection, server: str) -> None:
        """`server` is its address without a secret."""
        self.client, self.server = client, server
        self.refused = ""  # what the server said last about what we may not publish
        self._refusals: Counter[str] = Counter()  # by subject
        self.why = ""  # it ended

    @property
    def gone(self) -> asyncio.Event:
        """Set when the connection has ended. It does not come back: ask the link for another session."""
        return self.client.gone

    @property
    def max_payload(self) -> int:
        """Bytes that one message may have."""
        return self.client.max_payload

    def note(self, words: str) -> None:
        """The server reported an error in these words."""
        if (found := _REFUSED.search(words)) is not None:
            self.refused = words
            if len(self._refusals) >= REFUSED_MAX:
                self._refusals.clear()
            self._refusals[found[1].lower()] += 1

    def refusals(self, prefix: str) -> int:
        """How often the server said that we may not publish on a subject under `prefix`."""
        return sum(count for subject, count in self._refusals.items() if subject.startswith(f"{prefix.lower()}."))

    async def send(self, data: bytes) -> None:
        """Write bytes of the protocol as they are; waits while the socket takes no more. Raises Unreachable."""
        async with self._within():
            transport = self._transport()
            transport.write(data)
            await transport.drain()

    async def confirm(self) -> None:
        """Returns when the server has read all that was sent before. Raises Unreachable when it did not say so."""
        await self.deliver(())

    async def deliver(self, parts: Iterable[bytes]) -> None:
        """Send each of `parts` and return when the server has read them all. Raises Unreachable when it did not say so."""
        async with self._within():
            transport = self._transport()
            for part in parts:
                transport.write(part)
                await transport.drain()
                await asyncio.sleep(0)  # it goes out now, and the server reads it while the next one is made
            self._write_what_is_held_back(transport)
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self.client._pongs.append(answer)
            transport.write(b"PING\r\n")
            await transport.drain()
            await asyncio.shield(answer)  # the answer may come when nobody waits for it any more

    def _write_what_is_held_back(self, transport: Any) -> None:
        """nats-py gathers what others asked of it, such as a subscription: the server is to have read that too."""
        held, self.client._pending, self.client._pending_data_size = self.client._pending, [], 0
        if held:
            transport.writelines(held)

    def _transport(self) -> Any:
        transport = self.client._transport
        if transport is None or not self.client.is_connected:
            raise self._ended()
        return transport

    def _ended(self) -> Unreachable:
        return Unreachable(f"nats: {self.server}: {self.why or 'the connection ended'}")

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[None]:
        """Waiting ends with the connection, too. Raises TimeoutError, Unreachable."""
        if self.gone.is_set():
            raise self._ended()
        try:
            async with asyncio.timeout(seconds) as within:
                self.client.waiting.add(within)
                try:
                    yield
                finally:
                    self.client.waiting.discard(within)
        except TimeoutError:
            if self.gone.is_set():
                raise self._ended() from None
            raise

    @asynccontextmanager
    async def _within(self) -> AsyncIterator[None]:
        """Waiting ends with the connection; and the connection ends where the server gives no answer in time."""
        try:
            async with self.at_most(ANSWER_S):
                yield
        except (OSError, RuntimeError) as error:  # a TimeoutError is an OSError
            if not self.gone.is_set():
                self.why = f"no answer within {ANSWER_S:g} s" if isinstance(error, TimeoutError) else words_of(error)
                await self.client.close()
            raise self._ended() from None
