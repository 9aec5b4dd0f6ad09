"""Who may ask: Host and Origin on loopback, the token, and which web pages may read."""

import hmac
import re
from ipaddress import ip_address
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from marketd.api.answers import error_answer

OPEN_PATHS = frozenset({"/health", "/readyz", "/livez", "/metrics"})  # never need a token
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?")
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Forbidden(NamedTuple):
    """An answer that refuses."""

    status: int
    error: str
    parameter: str
    allowed: object


class Rules:
    """`token` is asked for where state changes, and with `reading` also for GETs. On loopback a request must name a local host,
    so that no web page reaches it through a name of its own (DNS rebinding), and its Origin, if it has one, must be allowed or
    the API's own.
    """

    def __init__(self, *, host: str, token: str, reading: bool, origins: tuple[str, ...]) -> None:
        self.token, self.reading = token.encode(), reading
        self._origins = origins
        self._local = is_loopback(host)
        self._hosts = LOCAL_HOSTS | {host.lower(), f"[{host.lower()}]"}

    def refuses(self, method: str, is_open: bool, headers: Headers) -> Forbidden | None:
        """Of a request; to read what is open needs no token."""
        forbidden = self._foreign_host(headers)
        if forbidden is not None:
            return forbidden
        if self._local and self._is_foreign(headers):
            return _foreign_origin()
        if method == "OPTIONS" or (method in READING and (is_open or not self.reading)):
            return None
        if not self.is_authorised(headers.get("authorization", "")):
            allowed = "Bearer and the token (MARKETD_API_TOKEN, or the file api-token)"
            return Forbidden(401, "a token is needed", "Authorization", allowed)
        return None

    def forbids(self, headers: Headers) -> Forbidden | None:
        """Of a WebSocket's handshake, whose token is another matter. No browser keeps a page from opening one to another
        origin, so the Origin counts wherever the API is bound.
        """
        forbidden = self._foreign_host(headers)
        if forbidden is not None:
            return forbidden
        return _foreign_origin() if self._is_foreign(headers) else None

    def is_authorised(self, authorization: str) -> bool:
        word, _, given = authorization.partition(" ")
        return word.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token)

    def allows(self, origin: str) -> bool:
        return LOCAL_ORIGIN.fullmatch(origin) is not None or origin in self._origins or "*" in self._origins

    def _is_foreign(self, headers: Headers) -> bool:
        """Of all Origins that are given none may be foreign: a browser sends one."""
        own = headers.get("host", "").lower()
        return any(
            not self.allows(origin) and origin.lower() not in (f"http://{own}", f"https://{own}")
            for origin in headers.getlist("origin")
        )

    def _foreign_host(self, headers: Headers) -> Forbidden | None:
        if not self._local or self._is_our_host(headers.get("host", "")):
            return None
        return Forbidden(403, "this Host is not served here", "Host", sorted(LOCAL_HOSTS))

    def _is_our_host(self, host: str) -> bool:
        name = host.lower()
        if not name.endswith("]"):
            before, colon, port = name.rpartition(":")
            name = before if colon and port.isdecimal() else name
        return name in self._hosts


def _foreign_origin() -> Forbidden:
    return Forbidden(403, "this Origin is not allowed", "Origin", "localhost, 127.0.0.1, or api.cors_origins")


class Guard:
    """An ASGI layer before all routes; `without_token` are paths that may be read without one, beside those that always may."""

    def __init__(self, app: ASGIApp, *, rules: Rules, without_token: frozenset[str] = frozenset()) -> None:
        self._app, self._rules = app, rules
        self._open = OPEN_PATHS | without_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._rules.refuses(scope["method"], scope["path"] in self._open, Headers(scope=scope))
        if refused is not None:
            await error_answer(*refused)(scope, receive, send)
            return
        await self._app(scope, receive, send)
