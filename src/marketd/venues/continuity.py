"""Whether every trade arrived: finds what is missing at once, holds what follows, and merges what was fetched.

Pure: times come in, events and asks go out. Two rules, by what the venue proves (`Proof.detects`):

- `ids`: trades of a symbol are numbered 1 by 1. A jump is a gap, known to the trade.
- anything else: ids only tell trades apart. A gap is what may have been missed while a line was down, or when its own
  numbering jumped; it is closed when fetched trades reach back to one already known.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from marketd.model.events import Event, Gap, GapState, Trade
from marketd.model.intervals import Interval, Intervals
from marketd.venues.venue import Span

SECOND = 1_000_000_000
RECENT_MAX = 16_384  # ids remembered per symbol where the venue does not number its trades
JUMP_MAX = 10_000_000  # a larger jump of ids is believed only when the next trade confirms it
RESTART_NS = 60 * SECOND  # a lower id this much later in the venue's time: its numbering began anew
MISSING_MAX = 10_000  # separate holes tracked per symbol; beyond, the oldest are given up


class Repair(msgspec.Struct):
    """A gap to be filled over REST."""

    symbol: str
    span: Span
    cause: str
    is_probe: bool = False  # nothing is known to be missing: only a question whether something is


class Track(msgspec.Struct):
    """What is known of one symbol's trades."""

    symbol: str
    last: int | None = None  # `ids`: the newest id seen
    last_ts: int | None = None
    missing: Intervals = msgspec.field(default_factory=Intervals)
    recent: OrderedDict[str, None] = msgspec.field(default_factory=OrderedDict)
    held: list[Trade] = msgspec.field(default_factory=list)
    hold_until: int | None = None  # ns; None: nothing is held
    suspect: int | None = None  # an id too far ahead to be believed alone
    open_since: int | None = None  # not `ids`: ts of the last trade known before the gap that is open
    proven: bool = False  # not `ids`: a fetched trade was one known before the gap


class Continuity:
    """The trades of one venue. Every method returns the events to publish, in order."""

    def __init__(
        self,
        venue: str,
        numbered: bool,
        ask: Callable[[Repair], None],
        *,
        hold_s: float = 2.0,
        hold_events: int = 10_000,
        on_duplicate: Callable[[Trade], None] = lambda trade: None,
    ) -> None:
        self._venue, self._numbered, self._ask, self._on_duplicate = venue, numbered, ask, on_duplicate
        self._hold_ns, self._hold_events = int(hold_s * SECOND), hold_events
        self._tracks: dict[str, Track] = {}
        self._holding: set[str] = set()

    def track(self, symbol: str) -> Track:
        found = self._tracks.get(symbol)
        if found is None:
            found = self._tracks[symbol] = Track(symbol)
        return found

    def seed(self, symbol: str, trade_id: str, ts: int | None) -> None:
        """Start after what the sinks already hold."""
        track = self.track(symbol)
        track.last_ts = ts
        if self._numbered:
            track.last = int(trade_id)
        else:
            track.recent[trade_id] = None

    def resume(self, symbol: str, span: Span) -> None:
        """A gap that an earlier run left open."""
        if self._numbered and span.from_id is not None and span.to_id is not None:
            self.track(symbol).missing.add(int(span.from_id), int(span.to_id) + 1)

    def forget(self, symbol: str) -> None:
        """The symbol is no longer wanted."""
        self._tracks.pop(symbol, None)
        self._holding.discard(symbol)

    def take(self, trade: Trade) -> Sequence[Event]:
        """A trade from the line."""
        track = self._tracks.get(trade.symbol) or self.track(trade.symbol)
        if not self._numbered:
            return self._take_told(track, trade)
        number = int(trade.trade_id)
        last = track.last
        if last is None or number == last + 1:
            track.last, track.last_ts = number, trade.ts_event
            if track.hold_until is None:
                return (trade,)
            track.held.append(trade)
            return self._release(track) if len(track.held) >= self._hold_events else ()
        if number <= last:
            return self._late(track, trade, number)
        return self._jumped(track, trade, number, last)

    def overlap(self, trades: Sequence[Trade], now: int) -> list[Event]:
        """Recent trades that the venue repeats on subscribing, oldest first."""
        if not trades:
            return []
        track = self.track(trades[0].symbol)
        known = track.last if self._numbered else (next(reversed(track.recent)) if track.recent else None)
        if known is None:
            return [event for trade in trades for event in self.take(trade)]
        out: list[Event] = []
        for trade in trades:
            out += self.fetched(trade.symbol, [trade]) if self._is_known_or_missing(track, trade) else self.take(_late(trade))
        if not self._numbered and track.proven:
            out += self.repaired(track.symbol, None, None)
        return out

    def last_trade(self, symbol: str, trade_id: str, now: int) -> list[Event]:
        """The venue's word on the newest id: reveals a lost last trade."""
        track = self.track(symbol)
        newest = int(trade_id)
        if not self._numbered or track.last is None or newest <= track.last:
            return []
        return self._open(track, track.last + 1, newest, now, "the venue's heartbeat names a newer trade")

    def lost(self, symbols: Iterable[str], cause: str, now: int) -> list[Event]:
        """Something may have been missed on these: ask, unless the numbering will tell by itself."""
        out: list[Event] = []
        for symbol in symbols:
            track = self.track(symbol)
            if self._numbered:
                if track.last is not None:
                    self._ask(Repair(symbol, Span(str(track.last + 1), None, track.last_ts, now), cause))
            elif track.recent and track.open_since is None:
                track.open_since, track.proven = track.last_ts or now, False
                track.hold_until = now + self._hold_ns
                self._holding.add(symbol)
                out.append(self._gap(symbol, "found", None, None, track.open_since, now, cause, now))
                self._ask(Repair(symbol, Span(None, None, track.open_since, now), cause))
        return out

    def fetched(self, symbol: str, trades: Sequence[Trade]) -> list[Event]:
        """Trades fetched over REST, oldest first, merged with what is held."""
        track = self.track(symbol)
        out: list[Event] = []
        before = track.last
        for trade in trades:
            if self._numbered:
                number = int(trade.trade_id)
                if track.last is not None and number > track.last:
                    if number > track.last + 1:  # the fetched page starts beyond: what lies between is missing too
                        out += self._open(track, track.last + 1, number - 1, trade.ts_recv, "missing in the venue's answer")
                    track.last, track.last_ts = number, trade.ts_event
                elif number in track.missing:
                    track.missing.remove(number, number + 1)
                else:
                    continue
            elif trade.trade_id in track.recent:
                track.proven = True
                continue
            else:
                self._remember(track, trade)
            track.held.append(_late(trade))
        if track.hold_until is None:
            out += self._sorted(track)
        elif self._numbered and not track.missing:
            out += self._release(track)
        if not out:
            return out
        now = trades[-1].ts_recv
        if not self._numbered and track.open_since is None:
            times = [trade.ts_event for trade in out if trade.ts_event is not None]
            first, final = min(times, default=None), max(times, default=None)
            cause = "found by comparing with REST"
            found = self._gap(symbol, "found", None, None, first, final, cause, now)
            return [found, *out, self._gap(symbol, "filled", None, None, first, final, cause, now)]
        if self._numbered and before is not None and track.last is not None and track.last > before:
            out.insert(0, self._ids_gap(track, "found", before + 1, track.last + 1, "fetched before the line told", now))
            out.append(self._ids_gap(track, "filled", before + 1, track.last + 1, "fetched over REST", now))
        return out

    def repaired(self, symbol: str, span: Span | None, failure: str | None, now: int = 0, absent: bool = False) -> list[Event]:
        """The repair of `span` ended. What is still missing of it is given up with `failure` as the cause; with `absent` the
        venue's own list shows that it never had those ids."""
        track = self.track(symbol)
        if not self._numbered:
            return self._closed(track, failure, now)
        out: list[Event] = []
        if span is not None and span.from_id is not None:
            start = int(span.from_id)
            stop = int(span.to_id) + 1 if span.to_id is not None else (track.last or start) + 1
            holes = _within(track.missing, start, stop)
            solid = Intervals([(start, stop)])
            for hole in holes:
                solid.remove(*hole)
                track.missing.remove(*hole)
            if span.to_id is not None:
                out += [self._ids_gap(track, "filled", part.start, part.stop, "fetched over REST", now) for part in solid]
            state: GapState = "filled" if absent else "unrecoverable"
            cause = "the venue has no such trades" if absent else failure or "not in the venue's answer"
            out += [self._ids_gap(track, state, hole.start, hole.stop, cause, now) for hole in holes]
        if track.hold_until is not None and not track.missing:
            out = self._release(track) + out
        return out

    def due(self, now: int) -> list[Event]:
        """Holds that have lasted long enough: live goes on, repairs follow late."""
        out: list[Event] = []
        for symbol in [one for one in self._holding if (self._tracks[one].hold_until or 0) <= now]:
            out += self._release(self._tracks[symbol])
        return out

    def _take_told(self, track: Track, trade: Trade) -> Sequence[Event]:
        if trade.trade_id in track.recent:
            self._on_duplicate(trade)
            return ()
        self._remember(track, trade)
        if track.hold_until is None:
            return (trade,)
        track.held.append(trade)
        return self._release(track) if len(track.held) >= self._hold_events else ()

    def _remember(self, track: Track, trade: Trade) -> None:
        track.recent[trade.trade_id] = None
        if len(track.recent) > RECENT_MAX:
            track.recent.popitem(last=False)
        if trade.ts_event is not None and (track.last_ts is None or trade.ts_event > track.last_ts):
            track.last_ts = trade.ts_event

    def _is_known_or_missing(self, track: Track, trade: Trade) -> bool:
        if self._numbered:
            return track.last is not None and int(trade.trade_id) <= track.last
        return trade.trade_id in track.recent

    def _late(self, track: Track, trade: Trade, number: int) -> Sequence[Event]:
        if number not in track.missing:
            if trade.ts_event is not None and track.last_ts is not None and trade.ts_event > track.last_ts + RESTART_NS:
                return self._renumbered(track, trade, number)
            self._on_duplicate(trade)
            return ()
        track.missing.remove(number, number + 1)
        filled = self._ids_gap(track, "filled", number, number + 1, "arrived out of order", trade.ts_recv)
        if track.hold_until is None:
            return (trade, filled)
        track.held.append(trade)
        if not track.missing:
            return [*self._release(track), filled]
        return (filled,)

    def _renumbered(self, track: Track, trade: Trade, number: int) -> list[Event]:
        cause = f"the venue's numbering went back from {track.last} to {number}"
        out: list[Event] = self._release(track)
        out.append(self._gap(track.symbol, "unrecoverable", None, None, track.last_ts, trade.ts_event, cause, trade.ts_recv))
        track.last, track.last_ts, track.missing = number, trade.ts_event, Intervals()
        return [*out, trade]

    def _jumped(self, track: Track, trade: Trade, number: int, last: int) -> list[Event]:
        if number - last > JUMP_MAX and (track.suspect is None or abs(number - track.suspect) > JUMP_MAX):
            track.suspect = number
            return []
        track.suspect = None
        out = self._open(track, last + 1, number - 1, trade.ts_recv, f"trade ids jump from {last} to {number}", trade.ts_event)
        track.last, track.last_ts = number, trade.ts_event
        track.held.append(trade)
        return out

    def _open(self, track: Track, first: int, final: int, now: int, cause: str, to_ts: int | None = None) -> list[Event]:
        track.missing.add(first, final + 1)
        track.last = max(track.last or 0, final)
        if track.hold_until is None:
            track.hold_until = now + self._hold_ns
            self._holding.add(track.symbol)
        span = Span(str(first), str(final), track.last_ts, to_ts)
        self._ask(Repair(track.symbol, span, cause))
        out: list[Event] = [self._gap(track.symbol, "found", span.from_id, span.to_id, span.from_ts, to_ts, cause, now)]
        while len(track.missing) > MISSING_MAX:
            oldest = next(iter(track.missing))
            track.missing.remove(*oldest)
            out.append(self._ids_gap(track, "unrecoverable", oldest.start, oldest.stop, "too many holes at once", now))
        return out

    def _closed(self, track: Track, failure: str | None, now: int) -> list[Event]:
        if track.open_since is None:
            return []
        since, track.open_since = track.open_since, None
        out: list[Event] = list(self._release(track)) if track.hold_until is not None else []
        if track.proven:
            return [
                *out,
                self._gap(track.symbol, "filled", None, None, since, now, "fetched trades reach back to known ones", now),
            ]
        cause = failure or "what the venue still offers does not reach back to the last known trade"
        return [*out, self._gap(track.symbol, "unrecoverable", None, None, since, now, cause, now)]

    def _release(self, track: Track) -> list[Event]:
        track.hold_until = None
        self._holding.discard(track.symbol)
        return self._sorted(track)

    def _sorted(self, track: Track) -> list[Event]:
        held, track.held = track.held, []
        if self._numbered:
            held.sort(key=lambda trade: int(trade.trade_id))
        else:
            held.sort(key=lambda trade: trade.ts_event or trade.ts_recv)  # stable: arrival breaks ties
        return list(held)

    def _ids_gap(self, track: Track, state: GapState, start: int, stop: int, cause: str, now: int) -> Gap:
        return self._gap(track.symbol, state, str(start), str(stop - 1), None, None, cause, now)

    def _gap(
        self,
        symbol: str,
        state: GapState,
        from_id: str | None,
        to_id: str | None,
        from_ts: int | None,
        to_ts: int | None,
        cause: str,
        now: int,
    ) -> Gap:
        return Gap(self._venue, symbol, None, now, "trade", state, from_id, to_id, from_ts, to_ts, cause)


def _late(trade: Trade) -> Trade:
    return trade if trade.repaired else msgspec.structs.replace(trade, repaired=True)


def _within(missing: Intervals, start: int, stop: int) -> list[Interval]:
    return [Interval(max(a, start), min(b, stop)) for a, b in missing if a < stop and b > start]
