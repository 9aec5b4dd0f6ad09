"""Features, signals and alerts to NATS: what cannot be sent now is counted and given up, since later it would be of no use."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from marketd.analysis.payloads import SAID_MAX, Alert, Features, Signal
from marketd.clock import Clock
from marketd.errors import DeliveryError
from marketd.metrics import SYMBOLS_MAX, Few, Metrics
from marketd.net.nats import NatsLink, token

FEATURES, SIGNALS, ALERTS = "senpai.features", "senpai.signals", "senpai.alerts"
WAITING_MAX = 10_000  # signals and alerts that wait for the socket; features wait as their latest value only
SAY_EVERY_S = 10.0
FLUSH_S = 1.0
log = structlog.get_logger("features")
_encode = msgspec.json.Encoder().encode


class Publisher:
    """`features`, `signal` and `alert` never wait and never fail; `run` sends. Without a link nothing is sent."""

    def __init__(
        self, link: NatsLink | None, clock: Clock, metrics: Metrics, *, may_publish: Callable[[], bool] = lambda: True
    ) -> None:
        """`may_publish` is asked right before anything is sent: who lost its share of the symbols says nothing of them."""
        self.said: deque[Signal | Alert] = deque(maxlen=SAID_MAX)  # oldest first
        self.published = self.errors = self.withheld = 0
        self._may_publish = may_publish
        self._link, self._clock, self._metrics = link, clock, metrics
        self._latest: dict[str, tuple[str, bytes]] = {}  # by symbol: subject, payload
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._said_s = -SAY_EVERY_S
        self._symbols, self._subjects = Few(SYMBOLS_MAX), Few(2 * SYMBOLS_MAX)

    def features(self, made: Features) -> None:
        """One that is not sent yet gives way to its successor."""
        if not self._is_off:
            self._latest[made.symbol] = f"{FEATURES}.{token(made.symbol)}", _encode(made)
            self._wake.set()

    def signal(self, made: Signal) -> None:
        self._metrics.signals.labels(self._symbols.named(made.symbol), made.direction).inc()
        log.info("features.signal", symbol=made.symbol, direction=made.direction, rule=made.rule, venue=made.venue, ts=made.ts)
        self.said.append(made)
        self._put(f"{SIGNALS}.{token(made.symbol)}", _encode(made))

    def alert(self, made: Alert) -> None:
        self._metrics.alerts.labels(made.kind).inc()
        log.warning("features.alert", kind=made.kind, symbol=made.symbol, reason=made.detail)
        self.said.append(made)
        self._put(ALERTS, _encode(made))

    async def run(self) -> None:
        """Send what there is, packed, until cancelled."""
        if self._link is None:
            return
        while True:
            await self._wake.wait()
            await self._send(self._link)

    async def flush(self) -> None:
        """Send what is left, if that can be done at once."""
        if self._link is not None and (self._latest or self._waiting):
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await self._send(self._link)

    async def _send(self, link: NatsLink) -> None:
        self._wake.clear()
        latest, self._latest = self._latest, {}
        waiting, self._waiting = self._waiting, deque()
        if not self._may_publish():
            self.withheld += len(latest) + len(waiting)
            return
        messages = [*latest.values(), *waiting]
        try:
            session = link.session
            size_max = session.max_payload
            if refused := [subject for subject, payload in messages if len(payload) > size_max]:
                self._lost(refused, f"larger than {size_max:,} bytes, the server's max_payload")
                messages = [message for message in messages if len(message[1]) <= size_max]
            await session.send(_packed(messages))  # with one too large the server would throw us out
        except DeliveryError as error:
            self._lost([subject for subject, _ in messages], str(error))
        else:
            self.published += len(messages)
            for symbol, (_, payload) in latest.items():
                if len(payload) <= size_max:
                    self._metrics.features_published.labels(self._symbols.named(symbol)).inc()

    @property
    def _is_off(self) -> bool:
        """There is nobody to tell: NATS is off, or only welcome and was never there."""
        return self._link is None or (self._link.state.is_optional and not self._link.state.was_connected)

    def _put(self, subject: str, payload: bytes) -> None:
        if self._is_off:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._lost([self._waiting.popleft()[0]], f"{WAITING_MAX:,} messages wait already")
        self._waiting.append((subject, payload))
        self._wake.set()

    def _lost(self, subjects: list[str], why: str) -> None:
        self.errors += len(subjects)
        for subject in subjects:
            self._metrics.publish_errors.labels(self._subjects.named(subject)).inc()
        now_s = self._clock.monotonic()
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            log.warning("features.not_published", count=len(subjects), so_far=self.errors, error=why)


def _packed(messages: list[tuple[str, bytes]]) -> bytes:
    return b"".join([b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(payload), payload) for subject, payload in messages])
