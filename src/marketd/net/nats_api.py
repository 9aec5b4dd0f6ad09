"""JetStream asked: its API, and single messages of a stream.

API: https://docs.nats.io/reference/reference-protocols/nats_api_reference; direct gets: ADR-31 of
https://github.com/nats-io/nats-architecture-and-design (read 2026-11-21).
"""

from base64 import b64decode
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from nats import errors

from marketd.errors import DeliveryError, Unreachable, words_of
from marketd.model.times import iso_of_ns, ns_of_iso
from marketd.net.nats_session import Session

ANSWER_S = 5.0  # a cluster that elects a leader gives none for a while
LAST_MAX = 512  # last messages asked for at a time; the server gives no more than twice as many
NAME_TAKEN, OVERLAP = 10058, 10065  # the server's codes: a stream of that name, of such subjects is there

_NO_JETSTREAM = (10039, 10076)  # not enabled for this account; not enabled
_NOT_FOUND = 404


class ApiError(msgspec.Struct):
    """What JetStream's API or a stream answers instead of what was asked for."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class NoJetStream(DeliveryError):
    """The server has no JetStream, or not for us."""


class NoAnswer(DeliveryError):
    """JetStream says nothing in time: it is busy, or does not let us ask."""


class NotTaken(DeliveryError):
    """JetStream declined; `error` is its own word."""

    def __init__(self, text: str, error: ApiError) -> None:
        super().__init__(text)
        self.error = error


class NotThere(NotTaken):
    """No such stream, consumer or message."""


class Stored(NamedTuple):
    """A message of a stream."""

    subject: str
    data: bytes
    sequence: int
    time_ns: int  # when it was stored
    pending: int = 0  # messages behind it, where a consumer reads
    ttl: str = ""  # as it was given, where the server lets the message go by itself


async def ask(session: Session, subject: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer of JetStream's API. Raises NoJetStream, NotThere, NotTaken with its word, NoAnswer."""
    body = b"" if question is None else msgspec.json.encode(question)
    try:
        async with session.at_most(ANSWER_S):
            message = await session.client.request(f"$JS.API.{subject}", body, timeout=ANSWER_S)
    except errors.NoRespondersError:
        raise _no_jetstream(session, "") from None
    except TimeoutError:  # nats-py's is one, too
        raise NoAnswer(f"nats: {session.server}: JetStream gives no answer within {ANSWER_S:g} s") from None
    except (errors.Error, OSError) as error:
        raise Unreachable(f"nats: {session.server}: {words_of(error)}") from None
    answer: dict[str, Any] = msgspec.json.decode(message.data)
    if "error" in answer:
        word = msgspec.convert(answer["error"], ApiError)
        if word.err_code in _NO_JETSTREAM:
            raise _no_jetstream(session, f" ({word.description})")
        asked = ".".join(subject.split(".")[:3])  # what follows may be of this question alone
        kind = NotThere if word.code == _NOT_FOUND else NotTaken
        raise kind(f"nats: {session.server}: JetStream: {word.description} ({asked})", word)
    return answer


async def stored_at(session: Session, stream: str, sequence: int, *, subject: str | None = None) -> Stored | None:
    """The message with this sequence; with `subject` the first from there on that fits it. None if there is none.

    Asks the stream's leader. Raises NoJetStream, DeliveryError.
    """
    question: dict[str, Any] = {"seq": sequence} | ({} if subject is None else {"next_by_subj": subject})
    try:
        said = (await ask(session, f"STREAM.MSG.GET.{stream}", question))["message"]
    except NotThere:
        return None
    return Stored(said["subject"], b64decode(said.get("data", "")), said["seq"], ns_of_iso(said["time"]))


async def latest(session: Session, stream: str, pattern: str, *, before_ns: int | None = None) -> list[Stored]:
    """The last message of each subject of this kind, oldest first; of those stored before `before_ns` if given.

    The stream must have `allow_direct`. Raises NoJetStream, DeliveryError.
    """
    answer = await ask(session, f"STREAM.INFO.{stream}", {"subjects_filter": pattern})
    names = sorted(answer["state"].get("subjects") or ())
    found: list[Stored] = []
    for first in range(0, len(names), LAST_MAX):
        found += await _latest(session, stream, names[first : first + LAST_MAX], before_ns)
    return sorted(found, key=lambda one: one.sequence)


async def _latest(session: Session, stream: str, subjects: Sequence[str], before_ns: int | None) -> list[Stored]:
    question: dict[str, Any] = {"multi_last": list(subjects)}
    if before_ns is not None:
        question["up_to_time"] = iso_of_ns(before_ns)
    found: list[Stored] = []
    client = session.client
    try:
        answers = await client.subscribe(inbox := client.new_inbox())
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(question), reply=inbox)
            while True:
                async with session.at_most(ANSWER_S):
                    message = await answers.next_msg(timeout=ANSWER_S)
                headers = message.headers or {}
                status = headers.get("Status")
                if status in ("204", "404"):  # the end; nothing there
                    return found
                if status is not None:
                    word = ApiError(int(status), 0, headers.get("Description", ""))
                    raise NotTaken(f"nats: stream {stream}: last messages: {status} {word.description}", word)
                sequence, time_ns = int(headers["Nats-Sequence"]), ns_of_iso(headers["Nats-Time-Stamp"])
                found.append(Stored(headers["Nats-Subject"], message.data, sequence, time_ns, ttl=headers.get("Nats-TTL", "")))
        finally:
            if not session.gone.is_set():
                await answers.unsubscribe()
    except TimeoutError:
        raise NoAnswer(f"nats: stream {stream} tells nothing of what it holds within {ANSWER_S:g} s") from None
    except (errors.Error, OSError) as error:
        raise Unreachable(f"nats: {session.server}: {words_of(error)}") from None


def _no_jetstream(session: Session, why: str) -> NoJetStream:
    return NoJetStream(f"nats: {session.server} has no JetStream{why}; start it with --js (nats-server --js)")
