"""How long answers are sent: in chunks, compressed for those who take it, and not at all to those who have them already."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from email.utils import formatdate, parsedate_to_datetime
from hashlib import sha256
from typing import NamedTuple

import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from marketd.errors import DeliveryError
from marketd.model.timeframes import SECOND

GZIP_MIN = 1024  # bytes; less is not worth it
GZIP_LEVEL = 4
log = structlog.get_logger("api")


class Cut(Exception):
    """An answer that ends in the middle: said in the log already, and the connection breaks."""


class Validator(NamedTuple):
    """What a client may ask with next time, whether it still holds what is there."""

    tag: str  # without quotes
    modified: int  # ns


def tag_of(parts: Iterable[object]) -> str:
    digest = sha256()  # most processors have it built in
    for part in parts:
        digest.update(part if isinstance(part, bytes) else f"{part}\0".encode())
    return digest.hexdigest()[:24]


async def send(
    request: Request, body: bytes, media_type: str, headers: Mapping[str, str], validator: Validator | None
) -> Response:
    """An answer that is there already."""
    is_packed = len(body) >= GZIP_MIN and takes_gzip(request.headers.get("accept-encoding", ""))
    every = _headers(headers, validator, is_packed)
    if validator is not None and is_known(request, validator):
        return Response(None, 304, every)
    if is_packed:
        body = await asyncio.to_thread(gzip.compress, body, GZIP_LEVEL, mtime=0)
    return Response(body, 200, every, media_type=media_type)


def sent_events(head: bytes, rest: AsyncIterator[bytes]) -> Response:
    """Server-sent events whose head is there already: who asks has a place from the question on, not from the first event."""

    async def whole() -> AsyncIterator[bytes]:
        yield head
        async for one in rest:
            yield one

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(whole(), media_type="text/event-stream", headers=headers)


async def stream(
    request: Request, chunks: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str], validator: Validator | None
) -> Response:
    """An answer that is made while it is sent. Should its source fail, the connection breaks."""
    is_packed = takes_gzip(request.headers.get("accept-encoding", ""))
    every = _headers(headers, validator, is_packed)
    if validator is not None and is_known(request, validator):
        return Response(None, 304, every)
    chunks = _said(chunks, request.url.path)
    return StreamingResponse(_packed(chunks) if is_packed else chunks, 200, every, media_type=media_type)


PACKED = "-gzip"


def _headers(headers: Mapping[str, str], validator: Validator | None, is_packed: bool) -> dict[str, str]:
    found = {**headers, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    if is_packed:
        found["Content-Encoding"] = "gzip"
    if validator is not None:  # another form of bytes is another strong tag
        found["ETag"] = f'"{validator.tag}{PACKED if is_packed else ""}"'
        found["Last-Modified"] = formatdate(validator.modified // SECOND, usegmt=True)
    return found


def is_known(request: Request, validator: Validator) -> bool:
    """Whether the client has it, by its tag or, where it sends none, by its time."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        words = [word.strip().removeprefix("W/").strip('"').removesuffix(PACKED) for word in tags.split(",")]
        return validator.tag in words or words == ["*"]
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return validator.modified // SECOND <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):
        return False


def takes_gzip(header: str) -> bool:
    """By `Accept-Encoding`: gzip, or anything, unless its weight is nought."""
    found: dict[str, bool] = {}
    for word in header.lower().split(","):
        name, _, weight = word.replace(" ", "").partition(";")
        found[name] = not weight or weight.removeprefix("q=").strip("0.") != ""
    return found.get("gzip", found.get("*", False))


async def _packed(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=zlib.MAX_WBITS | 16)
    async for chunk in chunks:
        if packed := await asyncio.to_thread(packer.compress, chunk):
            yield packed
    yield packer.flush()


async def _said(chunks: AsyncIterator[bytes], path: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except DeliveryError as error:
        log.warning("api.cut", path=path, reason=str(error))
        raise Cut from error
