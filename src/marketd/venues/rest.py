"""A venue's REST side: every question passes the governor, every refusal is heard."""

from typing import Protocol

import structlog

from marketd.clock import Clock
from marketd.errors import Disconnected, Refused
from marketd.metrics import Metrics
from marketd.net.capture import Capture
from marketd.net.governor import Governor, Priority
from marketd.net.http import Http
from marketd.venues.venue import Answer, Limits, Request, Venue

PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 3600.0  # a longer wish is asked again then
PAUSE_S_UNSTATED = 60.0  # where a venue bans without saying for how long
TOO_MANY = frozenset({403, 418, 429})
log = structlog.get_logger("rest")


class Service(Protocol):
    """What is asked: a venue, or whoever else answers questions over REST."""

    @property
    def name(self) -> str: ...

    @property
    def rest_url(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    def read_refusal(self, answer: Answer) -> Exception | None:
        """A Refused if the answer is one."""
        ...


class Asker:
    """Asks one service, politely."""

    def __init__(
        self,
        service: Service,
        base: str,
        http: Http,
        governor: Governor,
        clock: Clock,
        metrics: Metrics,
        capture: Capture | None = None,
    ) -> None:
        self.base, self.governor = base.rstrip("/"), governor
        self._service = service
        self._http, self._clock, self._metrics, self._capture = http, clock, metrics, capture
        self._is_own = self.base == service.rest_url.rstrip("/")

    async def ask(self, request: Request, priority: Priority) -> Answer:
        """The answer to a request. Raises Refused in the venue's own words, or Disconnected when there is no answer."""
        await self.governor.turn(request.weight, priority, request.bucket)
        base = request.base if request.base and self._is_own else self.base
        url = f"{base}{request.path}"
        name = self._service.name
        try:
            status, headers, body = await self._http.get(url, request.params, request.headers)
            answer = Answer(status, headers, body, self._clock.now_ns())
        except Disconnected:
            self._metrics.rest_requests.labels(name, "no answer").inc()
            raise
        finally:
            self._metrics.rest_weight.labels(name).set(self.governor.used_ratio())
        if self._capture is not None:
            self._capture.rest(answer.ts_recv, name, url, request.params, answer.status, answer.headers, answer.body)
        header = self._service.limits.used_header
        if header and answer.headers.get(header, "").isdecimal():
            self.governor.observe(float(answer.headers[header]))
        refusal = self._service.read_refusal(answer)
        if refusal is not None:
            self._heard(refusal)
            raise refusal
        self._metrics.rest_requests.labels(name, "ok").inc()
        return answer

    def _heard(self, refusal: Exception) -> None:
        self._metrics.rest_requests.labels(self._service.name, "refused").inc()
        if not isinstance(refusal, Refused) or refusal.permanent:
            return
        if refusal.retry_after_s:
            wait_s = min(PAUSE_S_MAX, max(PAUSE_S_MIN, refusal.retry_after_s))
        elif refusal.status in TOO_MANY:
            wait_s = PAUSE_S_UNSTATED
        else:
            return
        self.governor.pause(wait_s)
        log.warning("rest.refused", venue=self._service.name, status=refusal.status, reason=str(refusal), wait_s=wait_s)


class Rest(Asker):
    """Asks one venue, politely."""

    def __init__(
        self,
        venue: Venue,
        base: str,
        http: Http,
        governor: Governor,
        clock: Clock,
        metrics: Metrics,
        capture: Capture | None = None,
    ) -> None:
        super().__init__(venue, base, http, governor, clock, metrics, capture)
        self.venue = venue

    async def file(self, url: str) -> tuple[int, bytes]:
        """Status and content of a file on another host of the venue, which is no part of the REST allowance. Raises
        Disconnected."""
        status, _, body = await self._http.get(url)
        return status, body
