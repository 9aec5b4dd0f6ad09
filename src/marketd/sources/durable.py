"""Events from JetStream into the bus, acknowledged once they are processed: what a member that died had in hand comes again.

A durable pull consumer on the stream that holds our subjects. Whoever is there already is left as it is.
Pull consumers: https://docs.nats.io/nats-concepts/jetstream/consumers (read 2026-11-21).
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime

import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from marketd.clock import Clock
from marketd.errors import Unreachable, words_of
from marketd.net.nats import NatsLink
from marketd.net.nats_session import Session
from marketd.rooms import Room, room
from marketd.sources.nats import QUEUE_GROUP, Intake, State

BATCH = 1024  # messages asked for at a time
EXPIRES_S = 5.0  # a request for messages ends after so long, and another one follows
ACK_WAIT_S = 10.0  # then the server gives what was not acknowledged out again; well within a window
PENDING_MAX = 16 * BATCH  # messages not acknowledged
START_S = 60.0  # a new consumer begins so long ago: a window
RETRY_S = 2.0
ACK, WORKING = b"+ACK", b"+WPI"
log = structlog.get_logger("sources")


class Ended(Exception):
    """The consumer is gone or cannot be asked now; the text says why."""


class DurableSource:
    """Asks for messages, hands them to the bus, waits until they are processed, acknowledges."""

    def __init__(
        self, link: NatsLink, prefix: str, intake: Intake, settled: Callable[[], Coroutine[None, None, None]], clock: Clock
    ) -> None:
        """`settled` returns when all that was published before is processed."""
        self.subject = f"{prefix}.>"
        self.stream: str | None = None
        self._link, self._intake, self._settled, self._clock = link, intake, settled, clock
        self._waiting: list[Msg] = []  # not yet handed over
        self._unacknowledged: list[str] = []  # where to answer, of what was handed over
        self._handed = asyncio.Event()
        self._wanted = 0  # messages that the request may still bring
        self._done = asyncio.Event()  # the request has ended
        self._why: str | None = None  # it ended for good
        self._is_reading = False
        self._idle_s = clock.monotonic()  # since when it does not read
        self._reason = ""  # why nothing is read now
        self._said = ""

    @property
    def state(self) -> tuple[State, str]:
        """For /health."""
        if not self._link.state.connected:
            return "unhealthy", f"NATS is away: {self._link.state.reason}"
        if self._reason:
            return "unhealthy", self._reason
        if not self._is_reading:
            since_s = self._clock.monotonic() - self._idle_s
            return "unhealthy", f"looking for the stream of {self.subject} for {since_s:.0f} s, nothing is read yet"
        return "ok", f"reads {self.subject} from stream {self.stream} as {QUEUE_GROUP}, {self._intake.received:,} messages so far"

    async def run(self) -> None:
        """Read until cancelled; after a lost connection or consumer, again."""
        while True:
            session = await self._link.opened()
            try:
                await self._read(session)
            except Exception as error:
                self._drop()
                if isinstance(error, Unreachable) or session.gone.is_set():
                    continue  # the link says so
                self._reason = _words(error, self.subject)
                if self._reason != self._said:
                    log.error("source.waiting", reason=self._reason, subject=self.subject)
                    self._said = self._reason
                await self._clock.sleep(RETRY_S)

    async def _read(self, session: Session) -> None:
        """Until the connection or the consumer ends."""
        stream = await self._consumer(session.client.jetstream())
        self._reason = self._said = ""
        self.stream = stream
        inbox = session.client.new_inbox()
        subscription = await session.client.subscribe(inbox, cb=self._take)
        await session.client.flush()  # the server knows it before it is asked for anything
        self._is_reading = True
        try:
            async with room("durable source") as here:
                here.start("ends", _ends(session))
                here.start("acknowledge", self._acknowledge(session, here))
                while True:
                    await self._request(session, stream, inbox)
        finally:
            self._is_reading, self._idle_s = False, self._clock.monotonic()
            if not session.gone.is_set():
                await subscription.unsubscribe()

    async def _consumer(self, jetstream: JetStreamContext) -> str:
        """The stream's name; our consumer is there."""
        stream = await jetstream.find_stream_name_by_subject(self.subject)
        try:
            info = await jetstream.consumer_info(stream, QUEUE_GROUP)
        except js_errors.NotFoundError:
            config = ConsumerConfig(
                durable_name=QUEUE_GROUP,
                deliver_policy=DeliverPolicy.BY_START_TIME,
                opt_start_time=datetime.fromtimestamp(self._clock.now_ns() / 1e9 - START_S, UTC),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=PENDING_MAX,
                filter_subject=self.subject,
            )
            info = await jetstream.add_consumer(stream, config)
        if info.config.ack_policy == AckPolicy.NONE or info.config.deliver_subject:
            raise Ended(f"consumer {QUEUE_GROUP} of stream {stream} is not a pull consumer with acknowledgements; delete it")
        return stream

    async def _request(self, session: Session, stream: str, inbox: str) -> None:
        """Ask for a batch; returns when it has come or the request has expired. Raises Ended, Unreachable."""
        self._wanted = BATCH
        self._done.clear()
        asked = json.dumps({"batch": BATCH, "expires": int(EXPIRES_S * 1e9)}).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{QUEUE_GROUP}"
        await session.send(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), inbox.encode(), len(asked), asked))
        try:
            async with asyncio.timeout(EXPIRES_S * 2):
                await self._done.wait()
        except TimeoutError:
            raise Ended(f"stream {stream} gives no answer") from None
        if self._why is not None:
            why, self._why = self._why, None
            raise Ended(why)

    async def _take(self, message: Msg) -> None:
        """nats-py's callback."""
        headers = message.headers
        if headers is not None and "Status" in headers and not message.data:
            self._on_status(headers["Status"], headers.get("Description", ""))
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._waiting.append(message)
        self._wanted -= 1
        if self._wanted == 0:
            self._done.set()

    def _on_status(self, status: str, words: str) -> None:
        """https://docs.nats.io/reference/reference-protocols/nats_api_reference: 408 it expired, 404 there is nothing."""
        if status == "100":
            return
        lowered = words.lower()
        if status == "503" or "deleted" in lowered:
            self._why = f"the consumer is gone: {words or 'nobody answers'}"
        self._done.set()

    def _hand_over(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._intake.take(waiting)
        self._unacknowledged += [message.reply for message in waiting]
        if waiting:
            self._handed.set()

    async def _acknowledge(self, session: Session, here: Room) -> None:
        """As soon as what was handed over is processed; while that lasts, the server is told that it goes on."""
        while True:
            await self._handed.wait()
            self._handed.clear()
            replies, self._unacknowledged = self._unacknowledged, []
            processed = here.start("settled", self._settled())
            while not (await asyncio.wait({processed}, timeout=ACK_WAIT_S / 3))[0]:
                await session.send(_answers(replies, WORKING))
            await session.send(_answers(replies, ACK))

    def _drop(self) -> None:
        """What was in hand when the connection ended comes again."""
        self._waiting, self._unacknowledged = [], []
        self._handed.clear()
        self._why = None


async def _ends(session: Session) -> None:
    await session.gone.wait()
    raise Unreachable(f"nats: {session.server}: {session.why or 'the connection ended'}")


def _answers(replies: list[str], word: bytes) -> bytes:
    return b"".join([b"PUB %s %d\r\n%s\r\n" % (reply.encode(), len(word), word) for reply in replies])


def _words(error: Exception, subject: str) -> str:
    if isinstance(error, js_errors.NotFoundError):
        return f"no stream holds {subject}: start a collector with USE_JETSTREAM=true, or make one"
    if isinstance(error, js_errors.ServiceUnavailableError):
        return "the NATS server has no JetStream: start it with --js, or set USE_JETSTREAM=false"
    return words_of(error)
