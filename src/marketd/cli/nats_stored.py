"""What a NATS server's JetStream stores, asked without changing anything there.

API: https://docs.nats.io/reference/reference-protocols/nats_api_reference (read 2026-11-21).
"""

import asyncio
import base64
from typing import Any, NamedTuple

import msgspec
from nats import errors
from nats.aio.client import Client

from marketd.errors import StartError

WITHIN_S = 5.0
WIDER = 4  # so much more of a stream is looked through when a part of it held too few
NOT_FOUND = 404
OFF = (503, 10039, 10076)  # no JetStream: at all, for this account, in this cluster


class NoJetStream(StartError):
    """The server has none, or not for us."""


class Stored(NamedTuple):
    """One message of a stream."""

    subject: str
    data: bytes
    time: str


async def account(client: Client) -> dict[str, Any]:
    """What we have and may have there. Raises NoJetStream, StartError."""
    return await _ask(client, "INFO", {})


async def streams(client: Client, subject: str | None = None) -> list[dict[str, Any]]:
    """Config and state of every stream, or of those that take something of a subject. Raises NoJetStream, StartError."""
    found: list[dict[str, Any]] = []
    while True:
        page = await _ask(client, "STREAM.LIST", {"offset": len(found)} | ({"subject": subject} if subject else {}))
        found += page["streams"] or []
        if len(found) >= page["total"] or not page["streams"]:
            return found


async def held(client: Client, stream: str) -> dict[str, int]:
    """How many messages the stream holds of each subject, as far as the server says it at once."""
    about = await _ask(client, f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
    counts: dict[str, int] = about["state"].get("subjects") or {}
    return counts


async def last_of(client: Client, stream: dict[str, Any], subject: str, count: int) -> list[Stored]:
    """The newest messages of a subject, oldest first: read one by one, from ever further back until there are enough."""
    name, state = stream["config"]["name"], stream["state"]
    found: list[Stored] = []
    end, span = state["last_seq"] + 1, count
    while len(found) < count and end > state["first_seq"]:
        begin = max(state["first_seq"], end - span)
        found = await _between(client, name, subject, begin, end) + found
        end, span = begin, span * WIDER
    return found[-count:]


async def _between(client: Client, stream: str, subject: str, begin: int, end: int) -> list[Stored]:
    found: list[Stored] = []
    while begin < end:
        answer = await _ask(client, f"STREAM.MSG.GET.{stream}", {"seq": begin, "next_by_subj": subject}, missing=True)
        one = answer.get("message")
        if one is None or one["seq"] >= end:
            break
        found.append(Stored(one["subject"], base64.b64decode(one.get("data", "")), one["time"]))
        begin = one["seq"] + 1
    return found


async def _ask(client: Client, what: str, question: dict[str, Any], missing: bool = False) -> dict[str, Any]:
    """The answer; with `missing` an empty one where there is nothing of that kind."""
    try:
        async with asyncio.timeout(WITHIN_S):
            message = await client.request(f"$JS.API.{what}", msgspec.json.encode(question), timeout=WITHIN_S)
    except (errors.NoRespondersError, errors.TimeoutError, TimeoutError):
        raise NoJetStream("JetStream does not answer there; a server has it with --js") from None
    answer: dict[str, Any] = msgspec.json.decode(message.data)
    error = answer.get("error")
    if error is None:
        return answer
    if error.get("err_code") in OFF or error.get("code") in OFF:
        raise NoJetStream(f"JetStream: {error.get('description', error)}")
    if missing and error.get("code") == NOT_FOUND:
        return {}
    raise StartError(f"JetStream {what}: {error.get('description', error)}")
