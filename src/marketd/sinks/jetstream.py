"""Events into a JetStream stream: each on the subject of its type and symbol, once and in order, written when acknowledged.

A message is known by the identity of its event, so what is sent again, by this collector or by a second one on the same
symbols, is kept once within the stream's duplicate window.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import msgspec
import structlog

from marketd.bus import Full
from marketd.clock import Clock
from marketd.errors import DeliveryError, Unreachable
from marketd.metrics import Metrics
from marketd.model.events import EVENT_TYPES, BookDelta, BookL2, Candle, Event, Gap, Quote, Trade
from marketd.model.identity import identity
from marketd.model.marks import Mark, Series
from marketd.model.wire import decode, encode
from marketd.net.nats import NatsConfig, NatsLink
from marketd.net.nats_api import NoJetStream, latest
from marketd.net.nats_publish import Batches, Inbox, Line, Message, OneEach, message
from marketd.net.nats_session import Session
from marketd.net.nats_stream import Stream, differences, open_stream
from marketd.sinks.nats import subject_of

AGAIN_S = 0.02  # until what another collector is publishing at this moment is stored, or a new leader is elected
AGAIN_TRIES = 25  # without anything stored, before the write fails
SUBJECTS_MAX = 65_536  # remembered

log = structlog.get_logger("nats")


def message_id(event: Event) -> str:
    """What the stream knows an event by: its identity, but for what is no copy although its identity is the same.

    A forming candle has the identity of the closed one, whose place it must not take. Quotes and books that the venue
    neither numbers nor dates may come back to what they were, as may gaps of which no bound is known: those are told apart by
    the time at which they were received.
    """
    known = identity(event)
    match event:
        case Candle(closed=False):
            said = "|".join((event.open, event.high, event.low, event.close, event.volume)).encode()
            return f"{known}:open:{hashlib.blake2b(said, digest_size=8).hexdigest()}"
        case Quote(seq=None, ts_event=None) | BookL2(seq=None, ts_event=None) | BookDelta(seq=None, ts_event=None):
            return f"{known}:{event.ts_recv}"
        case Gap(from_id=None, from_ts=None) | Gap(to_id=None, to_ts=None):
            return f"{known}:{event.ts_recv}"
    return known


class JetStream:
    """Publishes over the process's one connection. Trades and closed candles wait in the spill while they are not taken."""

    name = "nats"
    full = Full.SPILL
    gather_s = 0.0

    def __init__(self, config: NatsConfig, link: NatsLink, clock: Clock, metrics: Metrics) -> None:
        self.capacity = config.capacity
        self.types: frozenset[type[Event]] | None = frozenset(EVENT_TYPES) - (frozenset() if config.deltas else {BookDelta})
        self._config, self._prefix = config.stream, config.subject_prefix
        self._link, self._clock, self._metrics = link, clock, metrics
        self._session: Session | None = None  # that the stream was opened over
        self._inbox: Inbox | None = None
        self._publisher: Batches | OneEach | None = None
        self._stream: Stream | None = None
        self._marks: dict[Series, Mark] = {}
        self._said: list[str] | str | None = None  # of the stream or of its absence
        self._size_max = 0  # bytes of a message
        self._subjects: dict[tuple[type[Event], str], bytes] = {}
        self._batch: Sequence[Event] | None = None  # offered last
        self._left: Iterable[Message] = ()  # of it, not yet acknowledged

    async def __aenter__(self) -> Self:
        await self._opened()
        assert self._stream is not None
        if not self._stream.config.get("allow_direct"):
            return self  # it does not allow such questions
        for last in await latest(self._link.session, self._stream.name, f"{self._prefix}.trade.*"):
            try:
                trade = decode(last.data)
            except (msgspec.DecodeError, UnicodeDecodeError):  # another program's
                continue
            if isinstance(trade, Trade):
                self._marks[trade.venue, trade.symbol] = Mark(trade.trade_id, trade.ts_event)
        return self

    def progress(self) -> Mapping[Series, Mark]:
        """The newest trade of each symbol in the stream as it was opened, whoever published it. Where several venues share a
        symbol, of the one that came last.
        """
        return self._marks

    async def write(self, batch: Sequence[Event]) -> None:
        if batch is not self._batch:
            self._left = (message(self._subject(event), message_id(event), encode(event)) for event in batch)
            self._batch = batch
        tries = 0
        while True:
            publisher = await self._opened()
            refused = self._refusals()
            try:
                line = Line(filter(self._fits, self._left))
                if not line.make(1):
                    break
                left = await publisher.store(line)
            except DeliveryError:
                self._left, self._publisher = line.after(0), None
                raise
            except BaseException:
                self._batch = None  # some may not be made any more: what is written again is made anew
                raise
            self._left = left.messages
            tries = 0 if len(left.messages) < len(line.made) else tries + 1
            if left.error is not None and tries > (AGAIN_TRIES if left.is_passing else 0):
                self._publisher = None  # the stream may have gone, or changed
                assert self._session is not None
                forbidden = self._refusals() > refused
                why = f"the server refuses: {self._session.refused}" if forbidden else left.error.description
                raise DeliveryError(f"nats: stream {self._config.name}: {why}")
            if left.messages:
                await self._clock.sleep(AGAIN_S)
        self._batch = None

    async def __aexit__(self, *_: object) -> None:
        if self._inbox is not None:
            await self._inbox.__aexit__()
        self._session = self._inbox = self._publisher = None

    async def _opened(self) -> Batches | OneEach:
        """How the stream of the moment is published to. Raises DeliveryError."""
        session = self._link.session
        if self._publisher is not None and session is self._session:
            return self._publisher
        try:
            stream, is_new = await open_stream(session, self._config, self._prefix)
        except NoJetStream as error:
            why = f"{error}, or set USE_JETSTREAM=false for plain subjects; until then events wait on disk"
            self._say_once(why)
            raise Unreachable(why) from None  # it has been said
        if is_new:
            log.info("stream.made", stream=stream.name, text=stream.said)
        differing = differences(stream, self._config, self._prefix)
        if differing and differing != self._said:
            log.warning("stream.differs", code="stream-differs", stream=stream.name, text="; ".join(differing))
        self._said = differing
        if self._inbox is None or session is not self._session:
            if self._inbox is not None:
                await self._inbox.__aexit__()
            self._inbox = await Inbox(session).__aenter__()
        limit = stream.config.get("max_msg_size") or -1
        self._size_max = min(session.max_payload, limit) if limit > 0 else session.max_payload
        self._session, self._stream = session, stream
        self._publisher = Batches(self._inbox) if stream.batched else OneEach(self._inbox)
        return self._publisher

    def _refusals(self) -> int:
        return 0 if self._session is None else self._session.refusals(self._prefix)

    def _fits(self, one: Message) -> bool:
        """What the server or the stream would never take must not hold up the rest."""
        if one.size <= self._size_max:
            return True
        subject = one.subject.decode()
        kind, _, symbol = subject[len(self._prefix) + 1 :].partition(".")
        self._metrics.dropped.labels(self.name, "too_large", kind).inc()
        log.error("nats.too_large", symbol=symbol, type=kind, bytes=one.size, allowed=self._size_max)
        return False

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            log.error("jetstream.off", code="jetstream-off", text=text)

    def _subject(self, event: Event) -> bytes:
        key = (event.__class__, event.symbol)
        try:
            return self._subjects[key]
        except KeyError:
            if len(self._subjects) >= SUBJECTS_MAX:
                self._subjects.clear()
            subject = self._subjects[key] = subject_of(self._prefix, event).encode()
            return subject
