"""Every route of the API x token x Origin x Host: who is let in, and what the others are told. The routes are the app's own."""

import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.types import ASGIApp, Message

from marketd.api import app as api
from marketd.api import dashboard
from marketd.api.app import build_app, rules_of
from marketd.api.hardened import HEADERS
from marketd.api.section import ApiConfig
from marketd.api.views import Views
from marketd.secrets import Secret
from tests.api.stream.conftest import Serve, serve  # noqa: F401  # a fixture
from tests.api.stream.test_serving import handshake
from tests.hardening.conftest import Parts

TOKEN, MADE, OLD = "the-token-that-is-set", "the-token-that-was-made", "a-token-of-before"
PAGE = "https://desk.example"  # api.cors_origins
WITHOUT_TOKEN = {"/health", "/readyz", "/livez", "/metrics"}  # contracts: never need one
READING = {"GET", "HEAD", "OPTIONS"}
METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE", "TRACE", "QUERY")


class Bound(NamedTuple):
    """Where the API listens, what it calls itself there, and whether a token is set."""

    host: str
    own: str
    is_local: bool
    has_token: bool

    @property
    def config(self) -> ApiConfig:
        return ApiConfig(host=self.host, token=Secret(TOKEN) if self.has_token else None, cors_origins=(PAGE,))

    @property
    def token(self) -> str:
        return TOKEN if self.has_token else MADE


BOUND = [Bound(*where, has_token) for where in (("127.0.0.1", "127.0.0.1:8100", True), ("::1", "[::1]:8100", True),
         ("0.0.0.0", "box.example:8100", False)) for has_token in (False, True)]  # fmt: skip
ids = {"ids": lambda bound: f"{bound.host}-{'token' if bound.has_token else 'no-token'}"}

# What is sent as a token: the Authorization header, and what is asked with the query.
TOKENS: dict[str, tuple[str | None, str]] = {
    "none": (None, ""),
    "wrong": ("Bearer wrong", ""),
    "right": ("Bearer {token}", ""),
    "in the query": (None, "token={token}"),
    "of before": (f"Bearer {OLD}", ""),
    "another kind": ("Basic {token}", ""),
    "cut": ("Bearer {token:.5}", ""),
    "longer": ("Bearer {token}x", ""),
    "bare": ("{token}", ""),
    "empty": ("Bearer ", ""),
    "twice": ("Bearer {token}, Bearer {token}", ""),
}

# Origin and Host, `{own}` being the address that the API has.
PLACES: dict[str, tuple[str | None, str]] = {
    "a program": (None, "{own}"),
    "its own page": ("http://{own}", "{own}"),
    "an allowed page": (PAGE, "{own}"),
    "a local page": ("http://localhost:5173", "{own}"),
    "a foreign page": ("https://evil.example", "{own}"),
    "a page with the allowed name in front": (f"{PAGE}.evil.example", "{own}"),
    "a page like a local one": ("http://localhost.evil.example", "{own}"),
    "a sandboxed page": ("null", "{own}"),
    "a page that got here by its own name": ("http://evil.example:8100", "evil.example:8100"),
    "a program by a foreign name": (None, "evil.example"),
    "nobody": (None, ""),
}
WELCOME = {"a program", "its own page", "an allowed page", "a local page"}
BY_NAME = {"a page that got here by its own name", "a program by a foreign name", "nobody"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(app: ASGIApp, method: str, path: str, query: str, headers: Sequence[tuple[str, str]]) -> Answer:
    """Straight at the app; an answer without an end ends, since whoever asked is gone when all is asked."""
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http", "state": {},
        "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8100),
    }  # fmt: skip
    came = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}]
    seen: list[Message] = []

    async def receive() -> Message:
        return came.pop() if len(came) > 1 else came[0]

    async def send(message: Message) -> None:
        seen.append(message)

    await app(scope, receive, send)
    found = {name.decode().lower(): text.decode() for name, text in seen[0]["headers"]}
    return Answer(seen[0]["status"], found, b"".join(one.get("body", b"") for one in seen[1:]))


def routes_of(router: Any) -> Iterator[tuple[str, set[str]]]:
    """Path and methods of each route that is mounted, however deep, whether the schema names it or not."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner)
        else:
            yield route.path, set(route.methods)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A built dashboard, and the paths that are its files."""
    (tmp_path / "web" / "assets").mkdir(parents=True)
    (tmp_path / "web" / "index.html").write_text("<!doctype html>")
    (tmp_path / "web" / "assets" / "index-abc.js").write_text("1;")
    monkeypatch.setattr(api, "files_of", lambda: dashboard.files_of(tmp_path / "web"))
    return {"/", "/index.html", "/assets/index-abc.js"}


def expected(bound: Bound, method: str, is_open: bool, token: str, place: str) -> tuple[int, str] | None:
    """Who is refused, with which status and for which header; None is let in."""
    if bound.is_local and place in BY_NAME:
        return 403, "Host"
    if bound.is_local and place not in WELCOME:
        return 403, "Origin"
    if method == "OPTIONS" or token == "right" or (method in READING and (is_open or not bound.has_token)):
        return None
    return 401, "Authorization"


@pytest.mark.parametrize("bound", [one for one in BOUND if one.host != "::1"], **ids)
async def test_who_is_let_in_on_every_route(bound: Bound, views: Views, parts: Parts, files: set[str]) -> None:
    app = build_app(bound.config, replace(views, dashboard=True), rules_of(bound.config, bound.token))
    mounted, open_paths = dict(routes_of(app)), WITHOUT_TOKEN | files
    assert len(mounted) >= 34
    assert set(mounted) >= set(app.openapi()["paths"])

    combined = [*product(("none", "right"), PLACES), *((token, "a program") for token in TOKENS)]
    for path in sorted({*mounted, *files, "/nowhere", "/assets/other.js"}):
        for token, place in combined:
            # With the methods that are there, and, with some of the combinations, also with those that are not.
            methods = (
                METHODS if place in ("a program", "a foreign page") and token in ("none", "right") else mounted.get(path, "")
            )
            for method in methods:
                await check(app, bound, (method, path, token, place), expected(bound, method, path in open_paths, token, place))

    assert parts.changes == 0  # no body was sent: whoever was let in was told so, and nobody else came as far


async def check(app: ASGIApp, bound: Bound, case: tuple[str, str, str, str], wanted: tuple[int, str] | None) -> None:
    method, path, token, place = case
    given, query = TOKENS[token]
    origin, host = PLACES[place]
    sent = [("Host", host.format(own=bound.own))]
    sent += [] if origin is None else [("Origin", origin.format(own=bound.own))]
    sent += [] if given is None else [("Authorization", given.format(token=bound.token))]
    answer = await ask(app, method, path, query.format(token=bound.token), sent)

    if wanted is None:
        assert answer.status not in (401, 403), case
        assert answer.status < 500 or answer.status == 503, case
    else:
        status, header = wanted
        said = json.loads(answer.body)
        assert (status, header, {"error", "parameter", "allowed"}) == (answer.status, said["parameter"], set(said)), case
        assert answer.headers["content-type"] == "application/json", case
        assert (answer.headers.get("www-authenticate") == "Bearer") is (status == 401), case
    assert set(HEADERS) <= {name for name in HEADERS if name.lower() in answer.headers}, case
    assert not any(bound.token in text for text in (*answer.headers.values(), answer.body.decode())), case
    assert "set-cookie" not in answer.headers, case
    shared = answer.headers.get("access-control-allow-origin")
    assert shared is None or (place in ("an allowed page", "a local page", "its own page") and shared == sent[1][1]), case


@pytest.mark.parametrize("bound", BOUND, **ids)
@pytest.mark.parametrize("place", PLACES)
async def test_no_preflight_lets_a_page_change_anything(bound: Bound, place: str, views: Views) -> None:
    app = build_app(bound.config, views, rules_of(bound.config, bound.token))
    origin, host = PLACES[place]
    for method in METHODS:
        asked = [("Host", host.format(own=bound.own)), ("Access-Control-Request-Method", method)]
        asked += [("Origin", (origin or "null").format(own=bound.own)), ("Access-Control-Request-Headers", "authorization")]
        answer = await ask(app, "OPTIONS", "/subscriptions", "", asked)

        assert (answer.status == 200) <= (method == "GET"), (method, answer)
        assert method in ("GET",) or method not in answer.headers.get("access-control-allow-methods", ""), (method, answer)


@pytest.mark.parametrize("bound", [one for one in BOUND if one.host != "::1"], **ids)
async def test_who_may_open_a_stream(bound: Bound, serve: Serve) -> None:  # noqa: F811
    """As for every route, but an Origin counts wherever the API is bound, and a token may also be in the query or come later."""
    token = TOKEN if bound.has_token else None
    wrong: list[object] = []
    async with serve(host=bound.host, token=token, origins=[PAGE]) as served:
        own = served.url.removeprefix("http://")
        for name, place in product(TOKENS, PLACES):
            given, query = TOKENS[name]
            origin, host = PLACES[place]
            sent = {"Host": host.format(own=own)}
            sent |= {} if origin is None else {"Origin": origin.format(own=own)}
            sent |= {} if given is None else {"Authorization": given.format(token=TOKEN)}
            status = await handshake(served.url, f"?{query.format(token=TOKEN)}", **sent)
            is_known = not bound.has_token or name in ("none", "right", "in the query")
            wanted = None if is_known else 401
            if place not in WELCOME and not (not bound.is_local and place in BY_NAME):
                wanted = 403
            if wanted != status:
                wrong.append((name, place, wanted, status))

    assert wrong == []


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: bool(compared.append((one, other))))
    rules = rules_of(ApiConfig(), TOKEN)

    assert not rules.is_authorised(f"Bearer {TOKEN}")
    assert compared == [(TOKEN.encode(), TOKEN.encode())]
