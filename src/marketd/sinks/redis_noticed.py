"""What was noticed about the server of late: another writer of our streams, and what it no longer has."""

from collections.abc import Iterable, Mapping

import structlog

from marketd.clock import Clock
from marketd.model.marks import Series
from marketd.sinks.redis_entry import stream_of

LATELY_NS = 300_000_000_000  # so long another writer is said to be there, and what was lost
SHOWN = 5  # streams named in a line
log = structlog.get_logger("redis")


class Noticed:
    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock = url, clock
        self._others: dict[str, tuple[str, int]] = {}  # streams that another writer was seen in: who, and when (ns)
        self._lost: tuple[str, int] | None = None  # in words, and when (ns)

    @property
    def others(self) -> dict[str, str]:
        """Streams that another writer was seen in, and who."""
        since = self._clock.now_ns() - LATELY_NS
        return {stream: writer for stream, (writer, seen) in self._others.items() if seen > since}

    @property
    def lost(self) -> str | None:
        return self._lost[0] if self._lost is not None and self._lost[1] > self._clock.now_ns() - LATELY_NS else None

    def writers(self, found: Mapping[Series, str], us: str) -> None:
        """Entries may be there twice now. It is said once for each writer, until that has been gone for a while."""
        for (venue, symbol), other in found.items():
            stream = stream_of(symbol)
            if other not in self.others.values():
                log.warning("redis.two_writers", symbol=symbol, venue=venue, stream=stream, other=other, us=us)
            self._others[stream] = (other, self._clock.now_ns())

    def loss(self, series: Iterable[Series]) -> None:
        """What the server had acknowledged is gone."""
        names = sorted({stream_of(symbol) for _, symbol in series})
        if names:
            shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
            what = f"{self._url} no longer has what it had acknowledged, in {shown}"
            self._lost = (what, self._clock.now_ns())
            log.error("redis.lost", streams=shown, text=f"redis: {what}")
