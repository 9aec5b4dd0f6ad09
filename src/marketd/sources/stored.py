"""What a JetStream stream holds, read in order: each message once, whatever happens to the connection or the server.

Consumers: ADR-13, ADR-15 of https://github.com/nats-io/nats-architecture-and-design
(read 2026-11-21).
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.model.times import iso_of_ns
from marketd.net.nats import NatsLink
from marketd.net.nats_api import Stored, ask
from marketd.net.nats_session import Session

BATCH = 256  # messages asked for at a time; half of it more is asked for before it ends
EXPIRES_S = 30.0  # a question for more; answered by then in any case
BEAT_S = 2.0  # while nothing comes the server says so; after three such silences the consumer is taken for dead
UNUSED_S = 30.0  # after which the server forgets a consumer that nobody reads
_GONE = ("404", "409", "503")
_HARMLESS = ("Batch Completed", "Message Size Exceeds MaxBytes")


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


def _read(message: Msg) -> tuple[Stored, int]:
    """The message, and the consumer's own number of it."""
    parts = message.reply.split(".")
    _, sequence, number, time_ns, pending = map(int, parts[4:9] if len(parts) == 9 else parts[6:11])
    return Stored(message.subject, message.data, sequence, time_ns, pending), number
