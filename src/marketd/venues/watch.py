"""Once a second: which streams are live, quiet or stale, by each one's own pace.

A quiet stream is asked about over REST before anything is cut: only if the venue has news that its stream did not bring
is the subscription asked for again, and only if that did not help, or if the whole connection is mute, is it replaced.
Where there is nobody to ask, a mute connection is replaced once; the new one has no habit yet that it could break.
"""

from collections.abc import Iterable

import structlog

from marketd.clock import Clock
from marketd.model.instruments import Instrument
from marketd.net.governor import Priority
from marketd.venues.connection import Connection
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.repair import AUDIT, Repairs
from marketd.venues.shard import Shard
from marketd.venues.stream import Stream
from marketd.venues.venue import Span, Venue, Wanted

TIMES_STALE_MAX = 2
WITNESSES = 3  # trade streams of a mute connection that are asked about
AGAIN_S_MIN, AGAIN_S_MAX = 15.0, 300.0  # between two questions about the same silence
log = structlog.get_logger("feed")


class Silence:
    """What was done about one that is silent."""

    __slots__ = ("next_s", "pause_s", "times_stale")

    def __init__(self) -> None:
        self.next_s, self.pause_s, self.times_stale = 0.0, AGAIN_S_MIN, 0

    def is_due(self, now_s: float) -> bool:
        """True at first, then after pauses that grow."""
        if now_s < self.next_s:
            return False
        self.next_s = now_s + self.pause_s
        self.pause_s = min(AGAIN_S_MAX, self.pause_s * 2)
        return True


class Watch:
    """The judge of one venue's streams."""

    def __init__(
        self, venue: Venue, intake: Intake, repairs: Repairs, shards: Iterable[Shard], clock: Clock, audit_s: float
    ) -> None:
        self._venue, self._intake, self._repairs, self._shards, self._clock = venue, intake, repairs, shards, clock
        self._audit_s, self._audited_s = audit_s, clock.monotonic()
        self._silences: dict[Wanted | int, Silence] = {}  # of streams, and of connections by number

    def look(self, now: int) -> None:
        now_s = self._clock.monotonic()
        for wanted, stream in self._intake.streams.items():
            self._look_at(wanted, stream, now, now_s)
        for shard in self._shards:
            if shard.connection is not None:
                self._listen(shard, shard.connection, now, now_s)
        for gone in [one for one in self._silences if isinstance(one, Wanted) and one not in self._intake.streams]:
            del self._silences[gone]
        if self._audit_s and now_s - self._audited_s >= self._audit_s:
            self._audited_s = now_s
            self._audit(now)

    def news(self, symbol: str) -> None:
        """REST had trades that the stream of this symbol should have brought."""
        now, wanted = self._clock.now_ns(), Wanted("trade", symbol)
        stream = self._intake.streams.get(wanted)
        shard = self._shard_of(wanted)
        if stream is None or shard is None or shard.connection is None:
            return
        if shard.connection.is_mute(now):
            shard.connection.close("the connection is mute though the venue has news")
            return
        if stream.state not in ("quiet", "stale"):
            return
        if stream.become("stale", "the venue has newer trades than its stream brought", now):
            self._intake.status(symbol, "stale", stream.reason, now)
        silence = self._silences.setdefault(wanted, Silence())
        silence.times_stale += 1
        silence.next_s, silence.pause_s = self._clock.monotonic() + AGAIN_S_MIN, AGAIN_S_MIN
        if silence.times_stale >= TIMES_STALE_MAX:
            del self._silences[wanted]
            shard.connection.close(f"{symbol} stayed mute though the venue has news")
            return
        log.warning("feed.stale", venue=self._venue.name, symbol=symbol, reason=stream.reason)
        shard.connection.again([one for one in shard.wanted if one.symbol == symbol])

    def _look_at(self, wanted: Wanted, stream: Stream, now: int, now_s: float) -> None:
        cadence = stream.cadence
        cadence.learn(now)
        if stream.state == "refused":
            return
        if stream.state in ("dead", "pending"):
            if cadence.last_ns is not None and cadence.last_ns > stream.since_ns:
                stream.become("live", "data arrives", now)
            return
        if not cadence.is_odd(now):
            if cadence.count and stream.become("live", "data arrives", now):
                self._silences.pop(wanted, None)
            return
        if stream.state == "live":
            words = f"silent for {cadence.silence_s(now):.0f} s, usually {cadence.odd_after_s:.0f} s at most"
            stream.become("quiet", words, now)
        if wanted.channel == "trade":
            if self._silences.setdefault(wanted, Silence()).is_due(now_s):
                self._ask_about(wanted, now)
        elif self._is_traded(wanted.symbol) and self._silences.setdefault(wanted, Silence()).is_due(now_s):
            self._ask_again(wanted, stream, now)

    def _is_traded(self, symbol: str) -> bool:
        """Whether the symbol's trades go on: then its quotes or its book should move too."""
        trades = self._intake.streams.get(Wanted("trade", symbol))
        return trades is not None and trades.state == "live" and trades.cadence.rate > 0

    def _ask_again(self, wanted: Wanted, stream: Stream, now: int) -> None:
        shard = self._shard_of(wanted)
        if shard is None or shard.connection is None:
            return
        log.warning("feed.stale", venue=self._venue.name, symbol=wanted.symbol, channel=wanted.channel, reason=stream.reason)
        if wanted.channel == "book":
            self._intake.publish(self._intake.books.reset([wanted.symbol], "silent", now))
        shard.connection.again([wanted])

    def _listen(self, shard: Shard, connection: Connection, now: int, now_s: float) -> None:
        """A connection that brings nothing at all."""
        if not connection.is_mute(now):
            self._silences.pop(connection.number, None)
            return
        if not self._silences.setdefault(connection.number, Silence()).is_due(now_s):
            return
        known = [one for one in shard.wanted if one.channel == "trade" and self._can_ask(one)]
        if not known:
            connection.close("mute for longer than usual")
            return
        known.sort(key=lambda one: -self._intake.streams[one].cadence.rate)
        for one in known[:WITNESSES]:
            self._ask_about(one, now)

    def _can_ask(self, wanted: Wanted) -> bool:
        track, instrument = self._intake.continuity.track(wanted.symbol), self._intake.instruments.get(wanted.symbol)
        if wanted not in self._intake.streams or track.last_ts is None or instrument is None:
            return False
        return self._offers_trades(instrument, track.last_ts)

    def _offers_trades(self, instrument: Instrument, since: int) -> bool:
        return self._venue.trades_request(instrument, Span("1", None, since, None)) is not None

    def _ask_about(self, wanted: Wanted, now: int) -> None:
        if self._can_ask(wanted):
            track = self._intake.continuity.track(wanted.symbol)
            first = str(track.last + 1) if track.last is not None else None
            self._repairs.add(Repair(wanted.symbol, Span(first, None, track.last_ts, None), "silent", True), Priority.REPAIR)

    def _audit(self, now: int) -> None:
        """Where the stream proves nothing, compare with what REST says of the last minute."""
        proof = self._venue.proofs.get("trade")
        for wanted, stream in self._intake.streams.items():
            if proof is None or proof.detects == "ids" or wanted.channel != "trade" or stream.state != "live":
                continue
            track = self._intake.continuity.track(wanted.symbol)
            if track.recent and self._can_ask(wanted):
                since = (track.last_ts or now) - int(self._audit_s * 1e9)
                since = since if track.compared_ts is None else min(since, track.compared_ts)
                self._repairs.add(Repair(wanted.symbol, Span(None, None, since, None), AUDIT, True), Priority.AUDIT)

    def _shard_of(self, wanted: Wanted) -> Shard | None:
        return next((shard for shard in self._shards if wanted in shard.wanted), None)
