"""The built dashboard at `/`: files of ours, read once, with headers that let no page of others in and nothing out."""

import gzip
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from marketd.api.page import PAGE_HEADERS

BUILT = Path(__file__).resolve().parent.parent / "web"
CSP = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ]
)  # fmt: skip
HEADERS = {**PAGE_HEADERS, "Content-Security-Policy": CSP, "Vary": "Accept-Encoding"}
FOR_EVER = "public, max-age=31536000, immutable"  # a file under /assets has its hash in its name
GZIP_MIN = 1024
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class File:
    """One built file, as it is and compressed."""

    body: bytes
    packed: bytes | None
    media_type: str
    tag: str
    caching: str

    def answer(self, asked: Headers) -> Response:
        headers = {**HEADERS, "Cache-Control": self.caching, "ETag": self.tag}
        if self.tag in asked.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if self.packed is not None and "gzip" in asked.get("accept-encoding", ""):
            return Response(self.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)


class Dashboard:
    """An ASGI layer inside the guard, which asks for no token here: the files hold no data, and the page asks for it itself.

    Where nothing is built, `/` is the plain status page, which is also at `/plain`.
    """

    def __init__(self, app: ASGIApp, *, files: Mapping[str, File]) -> None:
        self._app, self._files = app, files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and (file := self._files.get(scope["path"])):
            response = file.answer(Headers(scope=scope))
            if scope["method"] == "HEAD":
                response.body = b""
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def files_of(directory: Path = BUILT) -> Mapping[str, File]:
    """The files of a build by the path they are served at; none where nothing is built."""
    if not (directory / "index.html").is_file():
        return {}
    found = {f"/{path.relative_to(directory).as_posix()}": _file(path) for path in directory.rglob("*") if path.is_file()}
    return {**found, "/": found["/index.html"]}


def _file(path: Path) -> File:
    body = path.read_bytes()
    packed = gzip.compress(body, mtime=0) if len(body) >= GZIP_MIN else None
    media_type = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(
        body, packed, media_type, f'"{sha256(body).hexdigest()[:16]}"', FOR_EVER if path.parent.name == "assets" else "no-cache"
    )
