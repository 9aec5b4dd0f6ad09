"""What a NATS server's JetStream stores, asked without changing anything there."""

from typing import Any

from marketd.net.nats_api import Stored, ask, stored_at
from marketd.net.nats_session import Session

WIDER = 4  # so much more of a stream is looked through when a part of it held too few


async def account(session: Session) -> dict[str, Any]:
    """What we have and may have there. Raises NoJetStream, DeliveryError."""
    return await ask(session, "INFO")


async def streams(session: Session, subject: str | None = None) -> list[dict[str, Any]]:
    """Config and state of every stream, or of those that take something of a subject. Raises NoJetStream, DeliveryError."""
    found: list[dict[str, Any]] = []
    while True:
        page = await ask(session, "STREAM.LIST", {"offset": len(found)} | ({"subject": subject} if subject else {}))
        found += page["streams"] or []
        if len(found) >= page["total"] or not page["streams"]:
            return found


async def held(session: Session, stream: str) -> dict[str, int]:
    """How many messages the stream holds of each subject, as far as the server says it at once."""
    about = await ask(session, f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
    counts: dict[str, int] = about["state"].get("subjects") or {}
    return counts


async def last_of(session: Session, stream: dict[str, Any], subject: str, count: int) -> list[Stored]:
    """The newest messages of a subject, oldest first: read one by one, from ever further back until there are enough."""
    name, state = stream["config"]["name"], stream["state"]
    found: list[Stored] = []
    end, span = state["last_seq"] + 1, count
    while len(found) < count and end > state["first_seq"]:
        begin = max(state["first_seq"], end - span)
        found = await _between(session, name, subject, begin, end) + found
        end, span = begin, span * WIDER
    return found[-count:]


async def _between(session: Session, stream: str, subject: str, begin: int, end: int) -> list[Stored]:
    found: list[Stored] = []
    while begin < end:
        one = await stored_at(session, stream, begin, subject=subject)
        if one is None or one.sequence >= end:
            break
        found.append(one)
        begin = one.sequence + 1
    return found
