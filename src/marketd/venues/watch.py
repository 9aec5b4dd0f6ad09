"""Once a second: which streams are live, quiet or stale, by each one's own pace.

A quiet stream is asked about over REST before anything is cut: only if the venue has news that its stream did not bring
is the subscription asked for again, and only if that did not help is the connection replaced.
"""

from collections.abc import Iterable

import structlog

from marketd.clock import Clock
from marketd.net.governor import Priority
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.repair import Repairs
from marketd.venues.shard import Shard
from marketd.venues.venue import Span, Venue, Wanted

TIMES_STALE_MAX = 2
log = structlog.get_logger("feed")


class Watch:
    """The judge of one venue's streams."""

    def __init__(
        self, venue: Venue, intake: Intake, repairs: Repairs, shards: Iterable[Shard], clock: Clock, audit_s: float
    ) -> None:
        self._venue, self._intake, self._repairs, self._shards, self._clock = venue, intake, repairs, shards, clock
        self._audit_s, self._audited_s = audit_s, clock.monotonic()
        self._stale_times: dict[Wanted, int] = {}

    def look(self, now: int) -> None:
        for wanted, stream in self._intake.streams.items():
            cadence = stream.cadence
            cadence.learn(now)
            if stream.state in ("refused", "dead"):
                continue
            if not cadence.is_odd(now):
                if cadence.count and stream.become("live", "data arrives", now):
                    self._stale_times.pop(wanted, None)
            elif stream.state == "live":
                words = f"silent for {cadence.silence_s(now):.0f} s, usually {cadence.odd_after_s:.0f} s at most"
                stream.become("quiet", words, now)
                self._ask_about(wanted, now)
        if self._audit_s and self._clock.monotonic() - self._audited_s >= self._audit_s:
            self._audited_s = self._clock.monotonic()
            self._audit(now)

    def news(self, symbol: str) -> None:
        """REST had trades that the stream of this symbol should have brought."""
        now, wanted = self._clock.now_ns(), Wanted("trade", symbol)
        stream = self._intake.streams.get(wanted)
        if stream is None or stream.state not in ("quiet", "stale"):
            return
        if stream.become("stale", "the venue has newer trades than its stream brought", now):
            self._intake.status(symbol, "stale", stream.reason, now)
        times = self._stale_times[wanted] = self._stale_times.get(wanted, 0) + 1
        for shard in self._shards:
            if wanted in shard.wanted and shard.connection is not None:
                if times >= TIMES_STALE_MAX:
                    self._stale_times.pop(wanted)
                    shard.connection.close(f"{symbol} stayed mute though the venue has news")
                else:
                    log.warning("feed.stale", venue=self._venue.name, symbol=symbol, reason=stream.reason)
                    shard.connection.again([one for one in shard.wanted if one.symbol == symbol])

    def _ask_about(self, wanted: Wanted, now: int) -> None:
        track = self._intake.continuity.track(wanted.symbol)
        if wanted.channel == "trade" and track.last_ts is not None:
            first = str(track.last + 1) if track.last is not None else None
            self._repairs.add(Repair(wanted.symbol, Span(first, None, track.last_ts, now), "silent", True), Priority.AUDIT)

    def _audit(self, now: int) -> None:
        """Where the stream proves nothing, compare with what REST says of the last minute; and go on asking about the silent."""
        proof = self._venue.proofs.get("trade")
        for wanted, stream in self._intake.streams.items():
            if proof is None or wanted.channel != "trade" or stream.state in ("refused", "dead"):
                continue
            if stream.state in ("quiet", "stale"):
                self._ask_about(wanted, now)
            elif proof.detects != "ids":
                track = self._intake.continuity.track(wanted.symbol)
                if track.recent:
                    since = (track.last_ts or now) - int(self._audit_s * 1e9)
                    self._repairs.add(Repair(wanted.symbol, Span(None, None, since, now), "audit", True), Priority.AUDIT)
