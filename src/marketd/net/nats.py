"""The connection to NATS by our rules: it never gives up, says once that it is away, and holds nothing back in a buffer."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import structlog
from nats import errors
from pydantic import Field, field_validator, model_validator

from marketd.clock import Clock
from marketd.errors import Unreachable, words_of
from marketd.metrics import Metrics
from marketd.net.backoff import Backoff
from marketd.net.nats_session import OneConnection, Session
from marketd.net.nats_stream import StreamConfig
from marketd.rooms import room
from marketd.secrets import SecretUrl, masked
from marketd.section import Section

CONNECT_S = 3.0  # for TCP, for the server's greeting and for its answer to ours, each
PING_S = 10  # a connection over which nothing comes back is found dead after two more of these
FIRST_S = 3.0  # a start waits so long for the first try
NO_ANSWER = f"no answer of a NATS server within {CONNECT_S:g} s"
CLOSE_S = 2.0
DELAY_S_MIN, DELAY_S_MAX = 0.25, 10.0
STEADY_S = 1.0  # a connection that held so long resets the delay; one that is thrown out at once does not
DISCOVERED_MAX = 64
NOT_TRIED = "not tried yet"
SAID_MAX = 3  # different words of a server that are told while it is away

# What nats-py fails with on a greeting of another form.
_NO_GREETING = (AttributeError, TypeError, ValueError, LookupError, RecursionError, asyncio.LimitOverrunError)
log = structlog.get_logger("nats")


class NatsConfig(Section):
    """NATS in and out."""

    url: SecretUrl = Field(
        SecretUrl("nats://localhost:4222"),
        description="server, or several of one cluster with commas; `nats://` or `tls://`, with `user:password@` or `token@` "
        "where it asks for that (special characters percent-encoded; secrets only from the environment)",
    )
    enabled: bool | None = Field(
        False, description="publish events to NATS; `auto`: from when the server is first reachable on, quietly until then"
    )
    subject_prefix: str = Field("md.events", description="first part of every subject")
    jetstream: bool = Field(False, description="durable streams instead of plain subjects")
    stream: StreamConfig = StreamConfig()
    deltas: bool = Field(False, description="also publish book_delta events")
    capacity: int = Field(65_536, ge=16, description="events that wait in memory before they spill to disk")
    ca_file: Path | None = Field(None, description="certificates that the server's own is checked with; unset: the system's")
    cert_file: Path | None = Field(None, description="our certificate, where the server asks for one")
    key_file: Path | None = Field(None, description="the key of our certificate")

    @field_validator("enabled", mode="before")
    @classmethod
    def _auto(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        word = value.strip().lower()
        if word not in ("auto", "true", "false", "yes", "no", "on", "off", "1", "0"):
            raise ValueError("expected true, false or auto")
        return None if word == "auto" else word

    @field_validator("url")
    @classmethod
    def _readable(cls, url: SecretUrl) -> SecretUrl:
        addresses_of(url)
        return url

    @field_validator("subject_prefix")
    @classmethod
    def _subject(cls, prefix: str) -> str:
        if any(token(part) != part for part in prefix.split(".")) or prefix.startswith(("$", "_INBOX")):
            raise ValueError("expected words with dots between them, as md.events: no spaces, `*` or `>`, not `$...`")
        return prefix

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file: found one of them, expected both")
        return self

    @property
    def shown_url(self) -> str:
        """The address without anything secret."""
        return str(self.url)


_FORBIDDEN = dict.fromkeys([*range(0x21), *map(ord, ".*>"), 0x7F], "_")


def token(text: str) -> str:
    """The text as one token of a subject: what NATS forbids there becomes `_`."""
    return text.translate(_FORBIDDEN) or "_"


@dataclass(frozen=True)
class Address:
    """One server of an address line."""

    server: str  # nothing secret in it
    host: str
    secure: bool  # TLS or nothing
    user: str | None = None  # alone it is a token
    password: str | None = None


def addresses_of(url: SecretUrl) -> list[Address]:
    """Raises ValueError that says what was expected, without the secret."""
    wrong = ValueError("expected nats://host:4222 or tls://host:4222, several with commas")
    found: list[Address] = []
    for text in filter(None, map(str.strip, url.get_secret_value().split(","))):
        try:
            parts = urlsplit(text if "://" in text else f"nats://{text}")
            host, port = parts.hostname, parts.port or 4222
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("nats", "tls") or not host or parts.path.strip("/") or parts.query:
            raise wrong
        user, password = (None if one is None else unquote(one) for one in (parts.username, parts.password))
        shown = f"[{host}]" if ":" in host else host
        found.append(Address(f"{parts.scheme}://{shown}:{port}", host, parts.scheme == "tls", user, password))
    if not found:
        raise wrong
    return found


@dataclass
class LinkState:
    """How the connection is doing, for /health."""

    url: str  # nothing secret in it
    since: int  # ns, when it came or went
    is_optional: bool  # used where it is, not missed where it is not
    connected: bool = False
    was_connected: bool = False  # at least once
    reason: str = NOT_TRIED  # where it is connected, or why it is not
    reconnects: int = 0


class NatsLink:
    """Whoever needs NATS asks here for the session of the moment; all share one connection."""

    def __init__(self, config: NatsConfig, name: str, clock: Clock, metrics: Metrics | None = None) -> None:
        """`name` is how the server's monitoring shows us. `metrics` where this is the process's own connection."""
        self.state = LinkState(config.shown_url, clock.now_ns(), config.enabled is None)
        self.tried = asyncio.Event()  # it came, or the first try failed
        self.listeners: list[Callable[[Exception], None]] = []  # told what nats-py reports, such as a slow consumer
        self._config, self._name, self._clock, self._metrics = config, name, clock, metrics
        self._configured = addresses_of(config.url)
        self._discovered: list[Address] = []  # the rest of the cluster, as its servers told
        self._backoff = Backoff(DELAY_S_MIN, DELAY_S_MAX)
        self._session: Session | None = None
        self._came = asyncio.Event()
        self._said: set[str] = set()  # while it is away

    @property
    def session(self) -> Session:
        """The connection of the moment. Raises Unreachable, a DeliveryError, while there is none."""
        if self._session is None or self._session.gone.is_set():
            raise Unreachable(f"nats: {self.state.url}: {self.state.reason}")
        return self._session

    @property
    def client(self) -> OneConnection:
        """nats-py's client of the moment; it ends with its connection, and its subscriptions with it. Raises Unreachable."""
        return self.session.client

    async def opened(self) -> Session:
        """The connection of the moment; waits until there is one, however long."""
        while self._session is None or self._session.gone.is_set():
            self._came.clear()
            await self._came.wait()
        return self._session

    async def run(self) -> None:
        """Connect, again and again."""
        while True:
            session = await self._connect()
            if session is not None:
                started_s = self._clock.monotonic()
                try:
                    await session.gone.wait()
                finally:
                    await self._leave(session)
                if self._clock.monotonic() - started_s >= STEADY_S:
                    self._backoff.reset()
                self._is_away(session.why or _words(session.client.last_error) or "the server closed the connection")
            await self._clock.sleep(self._backoff.next_s())

    async def _connect(self) -> Session | None:
        """Ask one server after the other, in any order. None if none let us in, which has been said."""
        candidates = [*self._configured, *self._discovered]
        random.shuffle(candidates)
        why = ""
        for address in candidates:
            client = OneConnection(secure=address.secure)
            session = Session(client, address.server)
            try:
                async with asyncio.timeout(3 * CONNECT_S):
                    why = await self._sign_in(client, address, session)
            except TimeoutError:
                why = NO_ANSWER
            except BaseException:
                await self._leave(session)
                raise
            if not why:
                self._is_there(session, client)
                return session
            await self._leave(session)
            why = f"{address.server}: {why}" if len(candidates) > 1 else why
        self._is_away(why)
        return None

    async def _sign_in(self, client: OneConnection, address: Address, session: Session) -> str:
        """Why it did not work, empty if it did."""
        told: list[Exception] = []

        async def on_error(error: Exception) -> None:
            told.append(error)
            if session is self._session:
                self._on_error(session, error)
            del told[:-1]

        signing = next((one for one in (address, *self._configured) if one.user is not None), address)
        options: dict[str, Any] = {}
        if signing.password is not None:
            options = {"user": signing.user, "password": signing.password}
        elif signing.user is not None:
            options = {"token": signing.user}
        try:
            if address.secure or self._config.ca_file or self._config.cert_file:
                options |= {"tls": self._tls(), "tls_hostname": self._tls_hostname(address)}
            await client.connect(
                address.server,
                name=self._name,
                error_cb=on_error,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(CONNECT_S),
                ping_interval=PING_S,
                **options,
            )
        except OSError as error:  # a wrong certificate is a ValueError, too
            return NO_ANSWER if isinstance(error, TimeoutError) else self._hidden(_words(error))
        except _NO_GREETING:
            return "the server's greeting cannot be understood: expected INFO with its settings, as a NATS server sends it"
        except Exception as error:
            error = told[-1] if isinstance(error, errors.NoServersError) and told else error
            return NO_ANSWER if isinstance(error, TimeoutError) else self._hidden(_words(error))
        return ""

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._config.ca_file)
        if self._config.cert_file is not None:
            context.load_cert_chain(self._config.cert_file, self._config.key_file)
        return context

    def _tls_hostname(self, address: Address) -> str:
        """A server that another one told us of comes by its number; its certificate has the name that we were given."""
        return self._configured[0].host if address in self._discovered else address.host

    def _is_there(self, session: Session, client: OneConnection) -> None:
        state = self.state
        if state.was_connected:
            state.reconnects += 1
        state.connected = state.was_connected = True
        state.reason, state.since = f"connected to {session.server}", self._clock.now_ns()
        known = {one.server for one in self._configured}
        scheme, secure = ("tls", True) if self._configured[0].secure else ("nats", False)
        urls = [(f"{scheme}://{one.netloc}", one.hostname or "") for one in client.discovered_servers]
        self._discovered = [Address(url, host, secure) for url, host in dict(urls).items() if url not in known][:DISCOVERED_MAX]
        if self._metrics is not None:
            self._metrics.nats_connected.set(1)
            self._metrics.nats_reconnects.inc(int(state.reconnects > 0))
        self._said.clear()
        self._session = session
        self._came.set()
        self.tried.set()
        log.info("nats.connected", url=session.server, reconnects=state.reconnects)

    def _is_away(self, why: str) -> None:
        state = self.state
        if state.connected or not self._said:
            state.since = self._clock.now_ns()
        is_told = bool(self._said) and (not why.startswith("nats:") or why in self._said or len(self._said) >= SAID_MAX)
        self._session, state.connected, state.reason = None, False, why
        if self._metrics is not None:
            self._metrics.nats_connected.set(0)
        self._said.add(why)
        self.tried.set()
        if is_told:
            log.debug("nats.away", url=state.url, error=why)
        elif self._config.enabled is None and not state.was_connected:
            log.info("nats.not_there", url=state.url, error=why, text="nothing is published there until it answers")
        else:
            log.warning("nats.error", url=state.url, error=why)

    def _on_error(self, session: Session, error: Exception) -> None:
        """What nats-py reports while connected."""
        session.note(self._hidden(str(error)))
        words = self._hidden(_words(error))
        if not isinstance(error, errors.UnexpectedEOF | OSError):  # the end of the connection is said by itself
            log.warning("nats.error", url=self.state.url, error=words)
        for listener in self.listeners:
            listener(error)

    async def _leave(self, session: Session) -> None:
        """Give what others published a moment to go out, and let go of the connection."""
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                if session is self._session and not session.gone.is_set():
                    await session.client.flush()
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                await session.client.close()
        session.client.abort()
        session.gone.set()

    def _hidden(self, text: str) -> str:
        secrets = [one.password or one.user or "" for one in self._configured]
        return masked(text, [one for one in secrets if len(one) >= 4])  # a shorter one stands in any text


@asynccontextmanager
async def open_link(config: NatsConfig, name: str, clock: Clock, metrics: Metrics | None = None) -> AsyncIterator[NatsLink]:
    """A link that connects until left. Waits for the first try, a few seconds at most, not for a connection."""
    link = NatsLink(config, name, clock, metrics)
    async with room("nats") as here:
        here.start("link", link.run())
        try:
            async with asyncio.timeout(FIRST_S):
                await link.tried.wait()
        except TimeoutError:
            link.state.reason = NO_ANSWER if link.state.reason == NOT_TRIED else link.state.reason
        yield link


def _words(error: Exception | None) -> str:
    if error is None:
        return ""
    return "the server closed the connection" if isinstance(error, errors.UnexpectedEOF) else words_of(error)
