"""Redis by our rules: where it is, how it is doing, and a connection when one can be had. It is said once that it is away."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from pydantic import Field, field_validator

from marketd.clock import Clock
from marketd.errors import Disconnected, Unreachable, words_of
from marketd.net.redis_wire import Address, RedisWire, Word, open_wire
from marketd.secrets import SecretUrl, masked
from marketd.section import Section

PING_S = 2.0  # an answer that takes longer is none for /health; what was sent is still waited for
EVERY_S = 1.0
TRADES_WAIT = "trades wait, in memory and then on disk"
log = structlog.get_logger("redis")


class RedisConfig(Section):
    """Redis, wherever it is used."""

    url: SecretUrl = Field(
        SecretUrl("redis://localhost:6379/0"),
        description="server: `redis://`, `rediss://` (TLS) or `unix://`, with `user:password@` where it asks for that "
        "(special characters percent-encoded; a password only from the environment)",
    )
    enabled: bool = Field(False, description="publish trades to Redis Streams")
    stream_maxlen: int = Field(10_000, ge=1, description="entries kept in a stream, approximately")
    stream_max_age_s: float | None = Field(
        None, gt=0, description="entries older than this go too; unset: only their number counts"
    )
    capacity: int = Field(65_536, ge=16, description="trades that wait in memory before they spill to disk")
    ca_file: Path | None = Field(None, description="certificates that the server's own is checked with; unset: the system's")

    @field_validator("url")
    @classmethod
    def _readable(cls, url: SecretUrl) -> SecretUrl:
        address_of(url)
        return url

    @property
    def shown_url(self) -> str:
        """The address without anything secret."""
        return str(self.url)


def address_of(url: SecretUrl, ca_file: Path | None = None) -> Address:
    """Raises ValueError that says what was expected, without the secret."""
    wrong = ValueError("expected redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/redis.sock")
    try:
        parts = urlsplit(url.get_secret_value().strip())
        host, port, options = parts.hostname, parts.port or 6379, dict(parse_qsl(parts.query))
    except ValueError:
        raise wrong from None
    is_socket = parts.scheme == "unix"
    db = options.get("db") or ("0" if is_socket else parts.path.strip("/") or "0")
    if parts.scheme not in ("redis", "rediss", "unix") or not db.isdecimal() or not (parts.path if is_socket else host):
        raise wrong
    username, password = (None if word is None else unquote(word) for word in (parts.username, parts.password))
    return Address(
        host=host or "",
        port=port,
        path=unquote(parts.path) if is_socket else None,
        db=int(db),
        username=username or options.get("username"),
        password=password or options.get("password"),
        tls=_tls(options, ca_file) if parts.scheme == "rediss" else None,
    )


def _tls(options: dict[str, str], ca_file: Path | None) -> ssl.SSLContext:
    """With what stands in the address, in redis-py's words."""
    context = ssl.create_default_context()
    try:
        if file := ca_file or options.get("ssl_ca_certs"):
            context.load_verify_locations(file)
        if file := options.get("ssl_certfile"):
            context.load_cert_chain(file, options.get("ssl_keyfile"))
    except OSError as error:
        raise ValueError(f"a certificate cannot be read: {words_of(error)}") from None
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif options.get("ssl_check_hostname", "").lower() in ("false", "0", "no"):
        context.check_hostname = False
    return context


@dataclass
class LinkState:
    """How the server is doing, for /health."""

    url: str  # nothing secret in it
    since: int  # ns, when it came or went
    connected: bool = False
    reason: str = "not tried yet"  # where it is connected, or why it is not


class RedisLink:
    """The way to one server. Whoever writes opens a wire here; beside it `run` asks once a second whether the server answers."""

    def __init__(self, config: RedisConfig, name: str, clock: Clock, meanwhile: str = TRADES_WAIT) -> None:
        """`name` is how CLIENT LIST shows us; `meanwhile` is what happens while the server is away, in words."""
        self.state = LinkState(config.shown_url, clock.now_ns())
        self.name = name
        self._address = address_of(config.url, config.ca_file)
        self._clock, self._meanwhile = clock, meanwhile
        self._is_said = False  # that it is away

    async def open(self, use: str) -> RedisWire:
        """A connection that answers. Raises Unreachable, which has been said."""
        try:
            wire = await open_wire(self._address, f"{self.name}-{use}")
        except Disconnected as error:
            raise self.lost(str(error)) from error
        self._is_there()
        return wire

    def lost(self, why: str) -> Unreachable:
        """The server went away or never came: the error to raise. Said once, until it is back."""
        why = masked(why, [word for word in (self._address.password,) if word and len(word) >= 4])
        state = self.state
        if state.connected or not self._is_said:
            self._is_said = True
            state.since = self._clock.now_ns()
            log.warning("redis.away", url=state.url, reason=why, text=f"{self._meanwhile}; tried until it is back")
        state.connected, state.reason = False, why
        return Unreachable(f"redis: {state.url}: {why}")

    async def run(self) -> None:
        """Know whether it answers, also while nothing is written. Until cancelled."""
        wire: RedisWire | None = None
        try:
            while True:
                try:
                    if wire is None or not wire.is_open:
                        wire = await self.open("watch")
                    await wire.ask(("PING",), within_s=PING_S)
                    self._is_there()
                except Unreachable:
                    pass
                except Disconnected as error:
                    self.lost(str(error))
                await self._clock.sleep(EVERY_S)
        finally:
            if wire is not None:
                await wire.close("closed")

    def _is_there(self) -> None:
        state = self.state
        if not state.connected:
            if self._is_said:
                log.info("redis.back", url=state.url, after_s=round((self._clock.now_ns() - state.since) / 1e9, 1))
            self._is_said = False
            state.connected, state.reason, state.since = True, f"answers at {state.url}", self._clock.now_ns()


async def asked(link: RedisLink, wire: RedisWire, *commands: tuple[Word, ...], within_s: float) -> list[object]:
    """Answers over a wire of this link. Raises Unreachable."""
    try:
        return await wire.ask(*commands, within_s=within_s)
    except Disconnected as error:
        raise link.lost(str(error)) from error
