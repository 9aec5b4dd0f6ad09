"""Messages into a JetStream stream, each acknowledged, in order whatever happens to the stream's leader.

Batches whose order the server watches: ADR-50, "fast ingest",
https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md (read 2026-11-21).
Why not plain publishing with many messages in flight: docs/decisions/jetstream-order.md.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from sys import maxsize
from typing import NamedTuple, Self

import msgspec
from nats import errors
from nats.aio.msg import Msg

from marketd.errors import Unreachable, words_of
from marketd.net.nats_api import ApiError
from marketd.net.nats_session import Session

FLOW = 2048  # messages that one acknowledgement may stand for, at most; the server says how many it does
OUTSTANDING = 2  # acknowledgements that may be missing while more is sent
PER_WRITE = 256
ANSWER_S = 1.0  # for the next acknowledgement; then the server is asked what it has
ASKED_MAX = 5  # times, before a batch is given up

_ASKED = ".4.$FI"  # ends the subject of an answer to such a question
_NO_ANSWER = ApiError(description="no acknowledgement")
_NOBODY = ApiError(503, 0, "no stream takes it just now")
_PASSING = (10158, 10167, 10208)  # another one with this id is on its way; too many requests; the batch is not known any more


class Message(NamedTuple):
    """As the protocol has it, around the subject that the answer goes to."""

    subject: bytes
    rest: bytes  # sizes, header and payload
    size: int  # of header and payload


def message(subject: bytes, message_id: str, payload: bytes) -> Message:
    """`message_id` is what the stream knows duplicates by."""
    if not message_id.isprintable():  # nothing that a venue says may end the header
        message_id = ascii(message_id)
    header = f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n\r\n".encode()
    size = len(header) + len(payload)
    return Message(subject, b"%d %d\r\n%s%s\r\n" % (len(header), size, header, payload), size)


class Line:
    """Messages in order, each made when its turn comes: the server works on the first ones while the next are made."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self.made: list[Message] = []
        self._coming = iter(messages)
        self._next = next(self._coming, None)

    @property
    def is_whole(self) -> bool:
        return self._next is None

    def make(self, count: int) -> int:
        """See to it that the first `count` are made, or as many as there are; says how many are."""
        if self._next is not None and count > len(self.made):
            self.made.append(self._next)
            self.made.extend(islice(self._coming, count - len(self.made)))
            self._next = next(self._coming, None)
        return len(self.made)

    def after(self, count: int) -> list[Message]:
        """All but the first `count`."""
        self.make(maxsize)
        return self.made[count:]


class Left(NamedTuple):
    """What is not in the stream yet, in order, and what the server said about the first of it."""

    messages: Sequence[Message]
    error: ApiError | None = None

    @property
    def is_passing(self) -> bool:
        """Whether trying again soon may do: a leader is elected, or another collector is publishing the same."""
        return self.error is None or self.error.code == 503 or self.error.err_code in _PASSING


class Answer(msgspec.Struct):
    """An acknowledgement: of part of a batch (`ack`), news about one (`gap`, `err`), or of a batch or a message as a whole."""

    type: str = ""
    seq: int = 0  # of an `ack`: so many of the batch are stored
    msgs: int = 0  # the next acknowledgement comes after so many
    count: int | None = None  # of a whole batch: so many of it are stored
    error: ApiError | None = None


class Inbox:
    """Where the server's answers come, under one subject; those to earlier messages are let go."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.subject = session.client.new_inbox()
        self._answers: deque[tuple[str, Answer]] = deque()
        self._came = asyncio.Event()
        self._topic = ""

    async def __aenter__(self) -> Self:
        client = self.session.client
        try:
            self._subscription = await client.subscribe(
                f"{self.subject}.>", cb=self._take, pending_msgs_limit=-1, pending_bytes_limit=-1
            )
            await client.flush()  # what is sent from here on goes its own way, and must not come first
        except (errors.Error, OSError) as error:
            raise Unreachable(f"nats: {self.session.server}: {words_of(error)}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.session.gone.is_set():
            with suppress(errors.Error, OSError):
                await self._subscription.unsubscribe()

    def topic(self) -> bytes:
        """A subject for answers to what is sent now; what else comes does not count any more."""
        self._topic = f"{self.subject}.{secrets.token_hex(6)}"
        self._answers.clear()
        return self._topic.encode()

    async def next(self) -> tuple[str, Answer]:
        """What the subject of the next answer ends with, and the answer. Raises TimeoutError, Unreachable."""
        while not self._answers:
            self._came.clear()
            async with self.session.at_most(ANSWER_S):
                await self._came.wait()
        return self._answers.popleft()

    async def _take(self, message: Msg) -> None:
        if not message.subject.startswith(self._topic):
            return
        answer = msgspec.json.decode(message.data, type=Answer) if message.data else Answer(error=_NOBODY)
        self._answers.append((message.subject[len(self._topic) + 1 :], answer))
        self._came.set()


class Batches:
    """A batch ends where something of it is missing: what the stream has of it is its beginning, without a hole.

    Two collectors that publish the same events leave each of them once and in order: whoever comes second with one is told
    that it is there, and none is stored before the ones that it follows.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def store(self, line: Line) -> Left:
        """Publish and wait for the acknowledgement. Raises Unreachable; then any number of the first ones may be stored."""
        sent, stored, every, asked = 0, 0, 0, 0
        said: ApiError | None = None
        topic = b"%s.%d.fail." % (self._inbox.topic(), FLOW)
        while True:
            # Nothing but the first goes out before the server has said how fast it takes the rest.
            sent = await self._send(line, sent, stored + every * OUTSTANDING if every else 1, topic)
            line.make(sent + PER_WRITE)  # while the answer is on its way
            try:
                about, answer = await self._inbox.next()
            except TimeoutError:
                about, answer = "", Answer("ack", stored, every)
            if answer.type == "ack":
                is_news = bool(about) and (answer.seq > stored or not every)
                if is_news:
                    asked = 0
                elif not about.endswith(_ASKED):
                    # No answer, or a new leader's first word: what the old one did not store is found when something follows.
                    asked += 1
                    if asked > ASKED_MAX or sent == 1:
                        return Left(line.after(stored), said or _NO_ANSWER)
                    ask = (line.made[0].subject, topic, sent)
                    await self._inbox.session.send(b"PUB %s %s%d.4.$FI 0\r\n\r\n" % ask)
                stored, every = max(stored, answer.seq), answer.msgs or every
            elif answer.type:
                said = answer.error or said
            elif answer.count is None:
                return Left(line.after(stored), answer.error or said or _NOBODY)
            else:
                left = line.after(max(stored, answer.count))
                return Left(left, answer.error or said if left else None)

    async def _send(self, line: Line, sent: int, until: int, topic: bytes) -> int:
        """Send those from the number `sent` on until so many are; says how many are."""
        while sent < until:
            wanted = min(until, sent + PER_WRITE)
            made = min(wanted, line.make(wanted))
            if made == sent:
                break
            last = len(line.made) if line.is_whole else 0
            parts: list[bytes] = []
            for number, (subject, rest, _) in enumerate(line.made[sent:made], sent + 1):
                what = 2 if number == last else 0 if number == 1 else 1  # ends it, begins it, belongs to it
                parts.append(b"HPUB %s %s%d.%d.$FI %s" % (subject, topic, number, what, rest))
            await self._inbox.session.send(b"".join(parts))
            await asyncio.sleep(0)  # it goes out now, and the server works on it while the next ones are made
            sent = made
        return sent


class OneEach:
    """For streams that take no batches: of each subject one message at a time, so that none can overtake another."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def store(self, line: Line) -> Left:
        """Publish and wait for the acknowledgements. Raises Unreachable; then any number of them may be stored."""
        messages = line.after(0)
        topic = self._inbox.topic()
        waiting: dict[bytes, deque[int]] = {}
        for at, one in enumerate(messages):
            waiting.setdefault(one.subject, deque()).append(at)
        missing = dict.fromkeys(range(len(messages)))
        ready = [queue[0] for queue in waiting.values()]
        error: ApiError | None = None
        in_flight = 0
        while ready or in_flight:
            if ready:
                in_flight += len(ready)
                parts = [b"HPUB %s %s.%d %s" % (messages[at].subject, topic, at, messages[at].rest) for at in ready]
                await self._inbox.session.send(b"".join(parts))
                ready = []
            try:
                name, answer = await self._inbox.next()
            except TimeoutError:
                error = error or _NO_ANSWER
                break
            in_flight -= 1
            at = int(name)
            if answer.error is not None:
                error = answer.error
                continue  # the others of this subject wait for it
            del missing[at]
            queue = waiting[messages[at].subject]
            queue.popleft()
            if queue and error is None:
                ready.append(queue[0])
        return Left([messages[at] for at in missing], error)
