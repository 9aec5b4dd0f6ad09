"""Who may ask: Host and Origin on loopback, the token, and which web pages may read."""

import hmac
import re
from ipaddress import ip_address

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


class Guard:
    """An ASGI layer before all routes.

    `token` is asked for where state changes, and with `reading` also for GETs. On loopback a request must name a local host,
    so that no web page reaches it through a name of its own (DNS rebinding), and its Origin, if it has one, must be allowed.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str, reading: bool, origins: tuple[str, ...]) -> None:
        self._app = app
        self._token, self._reading, self._origins = token.encode(), reading, origins
        self._local = is_loopback(host)
        self._hosts = LOCAL_HOSTS | {host.lower(), f"[{host.lower()}]"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refusal(scope["method"], scope["path"], headers)
        if refused is not None:
            status, error, parameter, allowed = refused
            await error_answer(status, error, parameter, allowed)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str, str, object] | None:
        if self._local and not self._is_our_host(headers.get("host", "")):
            return 403, "this Host is not served here", "Host", sorted(LOCAL_HOSTS)
        origin = headers.get("origin")
        if self._local and origin is not None and not self.allows(origin):
            return 403, "this Origin is not allowed", "Origin", "localhost, 127.0.0.1, or api.cors_origins"
        if path in OPEN_PATHS or method == "OPTIONS" or (method in READING and not self._reading):
            return None
        word, _, given = headers.get("authorization", "").partition(" ")
        if word.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            return 401, "a token is needed", "Authorization", "Bearer and the token (MARKETD_API_TOKEN, or the file api-token)"
        return None

    def _is_our_host(self, host: str) -> bool:
        name = host.lower()
        if not name.endswith("]"):
            before, colon, port = name.rpartition(":")
            name = before if colon and port.isdecimal() else name
        return name in self._hosts

    def allows(self, origin: str) -> bool:
        return LOCAL_ORIGIN.fullmatch(origin) is not None or origin in self._origins or "*" in self._origins
