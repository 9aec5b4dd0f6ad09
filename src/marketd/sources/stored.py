"""What a JetStream stream holds, read in order: each message once, whatever happens to the connection or the server.

Consumers and direct gets: ADR-13, ADR-15, ADR-31 of https://github.com/nats-io/nats-architecture-and-design
(read 2026-11-21).
"""

import asyncio
import secrets
from base64 import b64decode
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.model.times import iso_of_ns, ns_of_iso
from marketd.net.nats import NatsLink
from marketd.net.nats_session import Session

ANSWER_S = 3.0
BATCH = 256  # messages asked for at a time; half of it more is asked for before it ends
EXPIRES_S = 30.0  # a question for more; answered by then in any case
BEAT_S = 2.0  # while nothing comes the server says so; after three such silences the consumer is taken for dead
LAST_MAX = 512  # last messages asked for at a time; the server gives no more than twice as many
UNUSED_S = 30.0  # after which the server forgets a consumer that nobody reads
_GONE = ("404", "409", "503")
_HARMLESS = ("Batch Completed", "Message Size Exceeds MaxBytes")


class Stored(NamedTuple):
    """A message of a stream."""

    subject: str
    data: bytes
    sequence: int
    time_ns: int  # when it was stored
    pending: int  # messages behind it


class Ordered:
    """A stream's messages from somewhere on, those of some subjects."""

    def __init__(
        self,
        link: NatsLink,
        stream: str,
        subjects: Sequence[str],
        clock: Clock,
        *,
        after: int = 0,
        since_ns: int | None = None,
        batch: int = BATCH,
    ) -> None:
        """Those with a sequence above `after`; or, where `since_ns` is given, those stored from then on."""
        self._batch = batch
        self._link, self._stream, self._subjects, self._clock = link, stream, list(subjects), clock
        self.after, self._since_ns = after, since_ns
        self.pending: int | None = None  # messages that are not read yet, as of the last one; None before it is known
        self._session: Session | None = None
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._came: deque[Msg] = deque()
        self._waking = asyncio.Event()
        self._expected = 1  # the consumer's own number of the next message
        self._asked = 0  # messages asked for that have not come
        self._heard_s = 0.0

    async def next(self, wait_s: float) -> list[Stored]:
        """Those that are there, or the first within `wait_s`, or none. Raises DeliveryError: ask again, nothing is skipped."""
        if self._session is not None and self._session.gone.is_set():
            await self._forget()
        if self._subscription is None:
            await self._open()
        if self._asked <= self._batch // 2:
            await self._ask()
        if not self._came:
            self._waking.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._waking.wait()
        batch: list[Stored] = []
        while self._came:
            message = self._came.popleft()
            if message.headers and (status := message.headers.get("Status")):
                if await self._is_over(status, message.headers.get("Description", "")):
                    break
                continue
            stored, number = _read(message)
            if number != self._expected:  # something between was lost on the way
                await self._forget()
                break
            self._expected += 1
            self._asked -= 1
            self.after, self.pending = stored.sequence, stored.pending
            batch.append(stored)
        if self._clock.monotonic() - self._heard_s > 3 * BEAT_S:
            await self._forget()
        return batch

    async def close(self) -> None:
        """Let go of the server's part too. Never raises."""
        session, consumer = self._session, self._consumer
        await self._forget()
        if session is not None and not session.gone.is_set():
            with suppress(nats.errors.Error, OSError):
                await session.client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{consumer}", b"")

    async def _open(self) -> None:
        session = self._link.session
        config: dict[str, Any] = {
            "name": secrets.token_hex(6),
            "description": self._subjects[0],
            "ack_policy": "none",
            "filter_subjects": self._subjects,
            "inactive_threshold": int(UNUSED_S * 1e9),
            "mem_storage": True,
            "num_replicas": 1,
        }
        if self._since_ns is not None and not self.after:
            config |= {"deliver_policy": "by_start_time", "opt_start_time": iso_of_ns(self._since_ns)}
        elif self.after:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self.after + 1}
        else:
            config |= {"deliver_policy": "all"}
        made = await ask(
            session, f"CONSUMER.CREATE.{self._stream}.{config['name']}", {"stream_name": self._stream, "config": config}
        )
        inbox = session.client.new_inbox()
        try:
            self._subscription = await session.client.subscribe(inbox, cb=self._take)
        except nats.errors.Error as error:
            raise DeliveryError(f"nats stream {self._stream}: {error!r}") from error
        self._session, self._consumer, self._inbox = session, config["name"], inbox
        self._expected, self._asked = 1, 0
        self.pending = int(made["num_pending"])
        self._heard_s = self._clock.monotonic()

    async def _ask(self) -> None:
        assert self._session is not None
        body = {"batch": self._batch, "expires": int(EXPIRES_S * 1e9), "idle_heartbeat": int(BEAT_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        try:
            await self._session.client.publish(subject, msgspec.json.encode(body), reply=self._inbox)
        except nats.errors.Error as error:
            await self._forget()
            raise DeliveryError(f"nats stream {self._stream}: {error!r}") from error
        self._asked += self._batch

    async def _take(self, message: Msg) -> None:
        self._heard_s = self._clock.monotonic()
        self._came.append(message)
        self._waking.set()

    async def _is_over(self, status: str, words: str) -> bool:
        """What the server says instead of a message. True if this consumer is of no more use."""
        if status == "408" or (status == "409" and words in _HARMLESS):  # a question has expired
            self._asked = 0
        elif status in _GONE:
            await self._forget()
            return True
        return False

    async def _forget(self) -> None:
        subscription, self._subscription = self._subscription, None
        self._session = None
        self._came.clear()
        if subscription is not None:
            with suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()


async def ask(session: Session, question: str, body: Any) -> dict[str, Any]:
    """One question to JetStream's API. Raises DeliveryError with the server's words, `NotThere` if it has no such thing."""
    try:
        answer = await session.client.request(f"$JS.API.{question}", msgspec.json.encode(body), timeout=ANSWER_S)
    except nats.errors.NoRespondersError:
        raise Declined("nats: the server has no JetStream, which partitions need: start it with --js") from None
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise DeliveryError(f"nats: no answer to {question} ({error!r})") from error
    said: dict[str, Any] = msgspec.json.decode(answer.data)
    if (error_said := said.get("error")) is not None:
        kind = NotThere if error_said.get("code") == 404 else Declined
        raise kind(f"nats: {question}: {error_said.get('description')}", int(error_said.get("err_code", 0)))
    return said


class Declined(DeliveryError):
    """JetStream said no; `code` is the server's own."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class NotThere(Declined):
    """No such stream, consumer or message."""


async def latest(link: NatsLink, stream: str, subject: str, *, before_ns: int | None = None) -> list[Stored]:
    """The last message of each subject that there is of this kind, oldest first; of those stored before `before_ns` if given.

    Raises DeliveryError.
    """
    answer = await ask(link.session, f"STREAM.INFO.{stream}", {"subjects_filter": subject})
    names = sorted(answer["state"].get("subjects") or ())
    found: list[Stored] = []
    for first in range(0, len(names), LAST_MAX):
        found += await _latest(link.session, stream, names[first : first + LAST_MAX], before_ns)
    return sorted(found, key=lambda one: one.sequence)


async def _latest(session: Session, stream: str, subjects: Sequence[str], before_ns: int | None) -> list[Stored]:
    question: dict[str, Any] = {"multi_last": list(subjects)}
    if before_ns is not None:
        question["up_to_time"] = iso_of_ns(before_ns)
    found: list[Stored] = []
    client = session.client
    try:
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        try:
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(question), reply=inbox)
            while True:
                message = await answers.next_msg(timeout=ANSWER_S)
                headers = message.headers or {}
                status = headers.get("Status")
                if status in ("204", "404"):
                    return found
                if status is not None:
                    raise Declined(f"nats stream {stream}: last messages: {status} {headers.get('Description', '')}")
                sequence, time_ns = int(headers["Nats-Sequence"]), ns_of_iso(headers["Nats-Time-Stamp"])
                found.append(Stored(headers["Nats-Subject"], message.data, sequence, time_ns, 0))
        finally:
            await answers.unsubscribe()
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise DeliveryError(f"nats stream {stream}: last messages not read ({error!r})") from error


async def stored_at(link: NatsLink, stream: str, sequence: int) -> Stored | None:
    """The message with this sequence, None if it is no longer there. Asks the stream's leader. Raises DeliveryError."""
    try:
        said = (await ask(link.session, f"STREAM.MSG.GET.{stream}", {"seq": sequence}))["message"]
    except NotThere:
        return None
    return Stored(said["subject"], b64decode(said.get("data", "")), sequence, ns_of_iso(said["time"]), 0)


def _read(message: Msg) -> tuple[Stored, int]:
    """The message, and the consumer's own number of it."""
    parts = message.reply.split(".")
    _, sequence, number, time_ns, pending = map(int, parts[4:9] if len(parts) == 9 else parts[6:11])
    return Stored(message.subject, message.data, sequence, time_ns, pending), number
