"""Whether every trade arrived: finds what is missing at once, holds what follows, and merges what was fetched.

Pure: times come in, events and asks go out. Two rules, by what the venue proves (`Proof.detects`):

- `ids`: trades of a symbol are numbered 1 by 1. A jump is a gap, known to the trade.
- anything else: ids only tell trades apart. A gap is what may have been missed while a line was down, or when its own
  numbering jumped; it is closed when fetched trades reach back to one known before it.

Whatever was said to be missing and comes after all is published, whenever it comes: nothing is given up for good.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from marketd.model.events import NOTHING_THERE, REPAIRING, Event, Gap, GapState, Trade
from marketd.model.intervals import Interval, Intervals
from marketd.model.marks import is_number
from marketd.venues.venue import Span

SECOND = 1_000_000_000
RECENT_MAX = 16_384  # ids remembered per symbol where the venue does not number its trades
JUMP_MAX = 1_000  # a larger jump of ids, and any step back, is believed only when the next trade confirms it
RESTART_NS = 60 * SECOND  # a lower id this much later in the venue's time: its numbering may have begun anew
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
    held: list[Trade] = msgspec.field(default_factory=list)
    told: list[Gap] = msgspec.field(default_factory=list)  # what ended while its trades are held: said after them
    hold_until: int | None = None  # ns; None: nothing is held
    last_ts: int | None = None  # the venue's time of the newest trade
    # `ids`
    last: int | None = None  # the newest id seen
    missing: Intervals = msgspec.field(default_factory=Intervals)
    given_up: Intervals = msgspec.field(default_factory=Intervals)  # said to be unrecoverable or not to exist
    voided: Intervals = msgspec.field(default_factory=Intervals)  # missing ids of a numbering that the venue left
    suspect: Trade | None = None  # its id is too far off to be believed alone
    alone: int | None = None  # the first id: nothing vouches for it but what follows
    # otherwise
    recent: OrderedDict[str, int] = msgspec.field(default_factory=OrderedDict)  # id -> how many came before
    times: OrderedDict[str, int | None] = msgspec.field(default_factory=OrderedDict)  # id -> the venue's time
    count: int = 0
    edge_ts: int | None = None  # trades of this time and before are not, or no longer, remembered
    open_since: int | None = None  # time of the last trade known before the gap that is open
    open_mark: int = 0  # what came before this count was known before the gap
    proven: bool = False  # fetched trades reach back to before the gap
    repairs: int = 0  # asked for and not ended
    compared_ts: int | None = None  # what came before it was compared with REST


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
        on_disbelieved: Callable[[Trade], None] = lambda trade: None,
    ) -> None:
        self._venue, self._numbered, self._ask = venue, numbered, ask
        self._on_duplicate, self._on_disbelieved = on_duplicate, on_disbelieved
        self._hold_ns, self._hold_events = int(hold_s * SECOND), hold_events
        self._tracks: dict[str, Track] = {}
        self._holding: set[str] = set()  # with trades held, or one that is not believed yet

    def track(self, symbol: str) -> Track:
        found = self._tracks.get(symbol)
        if found is None:
            found = self._tracks[symbol] = Track(symbol)
        return found

    def seed(self, symbol: str, trade_id: str, ts: int | None) -> None:
        """Start after what the sinks already hold."""
        track = self.track(symbol)
        track.last_ts = ts
        if not self._numbered:
            self._remember(track, trade_id, ts)
        elif is_number(trade_id):
            track.last = track.alone = int(trade_id)

    def resume(self, symbol: str, span: Span) -> None:
        """A gap that an earlier run left open. The caller asks for its repair."""
        track = self.track(symbol)
        if self._numbered:
            if span.from_id is not None and span.to_id is not None:
                # Beyond the newest trade known nothing is open yet: the repair from there covers it; twice would be a duplicate.
                known = -1 if track.last is None else track.last
                track.missing.add(int(span.from_id), min(int(span.to_id), known) + 1)
            return
        since = min((ts for ts in (span.from_ts, track.open_since, track.last_ts) if ts is not None), default=None)
        if since is not None:
            track.open_since, track.open_mark, track.proven = since, 0, False
            track.edge_ts = since - 1 if track.edge_ts is None else min(track.edge_ts, since - 1)
            track.repairs += 1

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
        if last is None:
            track.alone = number
        if last is None or number == last + 1:
            track.last, track.last_ts = number, trade.ts_event
            if track.suspect is not None:
                self._disbelieve(track)
            if track.hold_until is None:
                return (trade,)
            return self._hold(track, trade)
        if number <= last:
            return self._late(track, trade, number)
        return self._jumped(track, trade, number, last)

    def overlap(self, trades: Sequence[Trade], now: int) -> list[Event]:
        """Recent trades that the venue repeats on subscribing, oldest first."""
        if not trades:
            return []
        track = self.track(trades[0].symbol)
        if track.last is None and not track.recent:
            return [event for trade in trades for event in self.take(trade)]
        if self._numbered:
            reach = (track.last or 0) + JUMP_MAX
            near, far = [[one for one in trades if (int(one.trade_id) > reach) == is_far] for is_far in (False, True)]
            out = self._fetched_by_id(track, near, "repeated on subscribing", "repeated on subscribing")
            return out + [event for trade in far for event in self.take(_late(trade))]
        out = self.fetched(track.symbol, trades, "in what the venue repeats on subscribing")
        return out + self._close(track, None, now) if track.proven else out

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
                    self._ask(Repair(symbol, Span(str(track.last + 1), None, track.last_ts, None), cause))
            elif track.recent:
                track.proven = False
                if track.open_since is None:
                    track.open_since, track.open_mark = track.last_ts or now, track.count
                    track.hold_until = now + self._hold_ns
                    self._holding.add(symbol)
                    out.append(self._gap(symbol, "found", None, None, track.open_since, now, cause, now))
                track.repairs += 1
                # Without an end: the venue's clock may be ahead of ours.
                self._ask(Repair(symbol, Span(None, None, track.open_since, None), cause))
        return out

    def folded(self, symbol: str) -> None:
        """A repair of this symbol was not begun because another, still to begin, will ask for the same time and more."""
        track = self._tracks.get(symbol)
        if track is not None and track.repairs:
            track.repairs -= 1

    def fetched(
        self, symbol: str, trades: Sequence[Trade], cause: str = "found by comparing with REST", *, goes_on: bool = False
    ) -> list[Event]:
        """Trades fetched over REST, oldest first, merged with what is held. `goes_on`: the page after the one before."""
        track = self._tracks.get(symbol)
        if track is None:
            return []
        return self._fetched_by_id(track, trades) if self._numbered else self._fetched_by_time(track, trades, cause, goes_on)

    def repairing(self, repair: Repair, now: int) -> list[Event]:
        """Its repair begins: what is still missing of it is said once more, so that the ledger knows."""
        track, span = self._tracks.get(repair.symbol), repair.span
        if track is None:
            return []
        cause = REPAIRING + repair.cause
        if not self._numbered:
            since = track.open_since
            return [] if since is None else [self._gap(track.symbol, "found", None, None, since, now, cause, now)]
        if span.from_id is None or span.to_id is None:
            return []
        holes = _within(track.missing, int(span.from_id), int(span.to_id) + 1)
        return [self._ids_gap(track, "found", *hole, cause, now) for hole in holes]

    def still_missing(self, symbol: str, span: Span) -> Span | None:
        """What is left to fetch of a gap; None when pages fetched for others, or late trades, have filled it."""
        track = self._tracks.get(symbol)
        if track is None or track.last is None or span.from_id is None or span.to_id is None or int(span.to_id) > track.last:
            return span
        holes = _within(track.missing, int(span.from_id), int(span.to_id) + 1)
        return span._replace(from_id=str(holes[0].start), to_id=str(holes[-1].stop - 1)) if holes else None

    def repaired(self, symbol: str, span: Span | None, failure: str | None, now: int = 0, absent: bool = False) -> list[Event]:
        """The repair of `span` ended. What is still missing of it is given up with `failure` as the cause; with `absent` the
        venue's own list shows that it never had those ids. Without a last id nothing is: only what was found is known."""
        track = self._tracks.get(symbol)
        if track is None:
            return []
        if not self._numbered:
            track.repairs = max(0, track.repairs - 1)
            return self._close(track, failure, now) if track.repairs == 0 else []
        if span is not None and span.from_id is not None and span.to_id is not None:
            start, stop = int(span.from_id), int(span.to_id) + 1
            holes = _within(track.missing, start, stop)
            solid = Intervals([(start, stop)])
            for hole in [*holes, *_within(track.given_up, start, stop), *_within(track.voided, start, stop)]:
                solid.remove(*hole)
            track.told += [self._ids_gap(track, "filled", part.start, part.stop, "fetched over REST", now) for part in solid]
            cause = NOTHING_THERE if absent else failure or "not in the venue's answer"
            for hole in holes:
                track.told.append(self._give_up(track, hole, "filled" if absent else "unrecoverable", cause, now))
        return self._settled(track)

    def due(self, now: int) -> list[Event]:
        """Holds that have lasted long enough: live goes on, repairs follow late."""
        out: list[Event] = []
        for symbol in list(self._holding):
            track = self._tracks[symbol]
            suspect = track.suspect
            if suspect is not None and suspect.ts_recv + self._hold_ns <= now:
                self._disbelieve(track)  # no trade confirmed it: REST will tell
                first = str((track.last or 0) + 1)
                self._ask(Repair(symbol, Span(first, None, track.last_ts, None), f"an id out of line, {suspect.trade_id}"))
            if track.hold_until is not None and track.hold_until <= now:
                out += self._release(track)
            elif track.hold_until is None and track.suspect is None:
                self._holding.discard(symbol)
        return out

    def _take_told(self, track: Track, trade: Trade) -> Sequence[Event]:
        if trade.trade_id in track.recent:
            self._on_duplicate(trade)
            return ()
        self._remember(track, trade.trade_id, trade.ts_event)
        return (trade,) if track.hold_until is None else self._hold(track, trade)

    def _remember(self, track: Track, trade_id: str, ts: int | None) -> None:
        track.count += 1
        track.recent[trade_id] = track.count
        track.times[trade_id] = ts
        if len(track.recent) > RECENT_MAX:
            oldest, _ = track.recent.popitem(last=False)
            self._forget_before(track, track.times.pop(oldest))
        elif track.count == 1 and ts is not None:
            track.edge_ts = ts - 1  # of the same moment, others may be missing
        if ts is not None and (track.last_ts is None or ts > track.last_ts):
            track.last_ts = ts

    @staticmethod
    def _forget_before(track: Track, ts: int | None) -> None:
        if ts is not None and (track.edge_ts is None or ts > track.edge_ts):
            track.edge_ts = ts

    def _fetched_by_time(self, track: Track, trades: Sequence[Trade], cause: str, goes_on: bool) -> list[Event]:
        if not track.recent:
            return []  # nothing to compare with
        out: list[Event] = []
        if trades and not goes_on and not self._reaches_back(track, trades):
            out += self.lost([track.symbol], "what REST offers begins after the last known trade", trades[-1].ts_recv)
        for trade in trades:
            ts = trade.ts_event
            known = track.recent.get(trade.trade_id)
            if track.open_since is not None:
                is_before = known <= track.open_mark if known is not None else ts is not None and ts < track.open_since
                track.proven = track.proven or is_before
            if known is not None or (ts is not None and track.edge_ts is not None and ts <= track.edge_ts):
                continue
            self._remember(track, trade.trade_id, ts)
            track.held.append(_late(trade))
        if track.hold_until is not None:
            return out
        out = self._flush(track)
        if out and track.open_since is None:
            now = trades[-1].ts_recv
            times = [event.ts_event for event in out if event.ts_event is not None]
            first, final = min(times, default=None), max(times, default=None)
            found = self._gap(track.symbol, "found", None, None, first, final, cause, now)
            return [found, *out, self._gap(track.symbol, "filled", None, None, first, final, cause, now)]
        return out

    @staticmethod
    def _reaches_back(track: Track, trades: Sequence[Trade]) -> bool:
        last = track.last_ts
        return any(one.trade_id in track.recent or one.ts_event is None or last is None or one.ts_event < last for one in trades)

    def _fetched_by_id(
        self, track: Track, trades: Sequence[Trade], news: str = "fetched before the line told", how: str = "fetched over REST"
    ) -> list[Event]:
        out: list[Event] = []
        ahead, back = Intervals(), Intervals()
        for trade in trades:
            number = int(trade.trade_id)
            if number in track.missing:
                track.missing.remove(number, number + 1)
            elif number in track.given_up:
                track.given_up.remove(number, number + 1)
                back.add(number, number + 1)
            elif track.last is not None and number > track.last:
                if number > track.last + 1:  # the fetched page starts beyond: what lies between is missing too
                    out += self._open(track, track.last + 1, number - 1, trade.ts_recv, "missing in the venue's answer")
                track.last, track.last_ts = number, trade.ts_event
                ahead.add(number, number + 1)
            else:
                continue
            track.held.append(_late(trade))
        now = trades[-1].ts_recv if trades else 0
        out += [self._ids_gap(track, "found", *part, news, now) for part in ahead]
        for parts in (ahead, back):
            track.told += [self._ids_gap(track, "filled", *part, how, now) for part in parts]
        return out + self._settled(track)

    def _late(self, track: Track, trade: Trade, number: int) -> Sequence[Event]:
        if number in track.missing:
            track.missing.remove(number, number + 1)
            cause = "arrived out of order"
        elif number in track.given_up:
            track.given_up.remove(number, number + 1)
            cause = "arrived after all"
        elif _may_be_anew(track, trade, number):
            return self._stepped_back(track, trade, number)
        else:
            self._on_duplicate(trade)
            return ()
        track.told.append(self._ids_gap(track, "filled", number, number + 1, cause, trade.ts_recv))
        if track.hold_until is None:
            track.held.append(_late(trade))
            return self._flush(track)
        return self._hold(track, trade) or (() if track.missing else self._release(track))

    def _jumped(self, track: Track, trade: Trade, number: int, last: int) -> Sequence[Event]:
        if number - last > JUMP_MAX:
            suspect = self._confirmed(track, trade, number)
            if suspect is None:
                return ()
            return [*self._leap(track, suspect, int(suspect.trade_id), last), *self.take(trade)]
        return self._leap(track, trade, number, last)

    def _leap(self, track: Track, trade: Trade, number: int, last: int) -> list[Event]:
        out = self._open(track, last + 1, number - 1, trade.ts_recv, f"trade ids jump from {last} to {number}", trade.ts_event)
        track.last, track.last_ts = number, trade.ts_event
        return [*out, *self._hold(track, trade)]

    def _stepped_back(self, track: Track, trade: Trade, number: int) -> Sequence[Event]:
        suspect = self._confirmed(track, trade, number)
        if suspect is None:
            return ()
        first = int(suspect.trade_id)
        cause = f"the venue's numbering went back from {track.last} to {first}"
        out: list[Event] = self._release(track)
        since, now = track.last_ts, trade.ts_recv
        out.append(self._gap(track.symbol, "unrecoverable", None, None, since, suspect.ts_event, cause, now))
        out += [self._ids_gap(track, "unrecoverable", *hole, cause, now) for hole in track.missing]
        for hole in track.missing:
            track.voided.add(*hole)
        _bound(track.voided)
        track.last, track.last_ts, track.missing, track.given_up = first, suspect.ts_event, Intervals(), Intervals()
        return [*out, suspect, *self.take(trade)]

    def _confirmed(self, track: Track, trade: Trade, number: int) -> Trade | None:
        """The trade before, if this one goes on from it; else this one is the one in doubt."""
        suspect = track.suspect
        if suspect is not None and 0 < number - int(suspect.trade_id) <= JUMP_MAX:
            track.suspect = None
            return suspect
        if suspect is not None:
            self._disbelieve(track)
        track.suspect = trade
        self._holding.add(track.symbol)
        return None

    def _disbelieve(self, track: Track) -> None:
        suspect, track.suspect = track.suspect, None
        if suspect is not None:
            self._on_disbelieved(suspect)

    def _open(self, track: Track, first: int, final: int, now: int, cause: str, to_ts: int | None = None) -> list[Event]:
        track.missing.add(first, final + 1)
        track.voided.remove(first, final + 1)
        track.last = max(track.last or 0, final)
        if track.hold_until is None:
            track.hold_until = now + self._hold_ns
            self._holding.add(track.symbol)
        span = Span(str(first), str(final), track.last_ts, to_ts)
        self._ask(Repair(track.symbol, span, cause))
        out: list[Event] = [self._gap(track.symbol, "found", span.from_id, span.to_id, span.from_ts, to_ts, cause, now)]
        while len(track.missing) > MISSING_MAX:
            out.append(self._give_up(track, next(iter(track.missing)), "unrecoverable", "too many holes at once", now))
        return out

    def _give_up(self, track: Track, hole: Interval, state: GapState, cause: str, now: int) -> Gap:
        track.missing.remove(*hole)
        track.given_up.add(*hole)
        _bound(track.given_up)
        return self._ids_gap(track, state, *hole, cause, now)

    def _close(self, track: Track, failure: str | None, now: int) -> list[Event]:
        if track.open_since is None:
            return []
        since, track.open_since = track.open_since, None
        state: GapState = "filled" if track.proven else "unrecoverable"
        cause = "fetched trades reach back to known ones"
        if not track.proven:
            cause = failure or "what the venue still offers does not reach back to the last known trade"
        return [*self._release(track), self._gap(track.symbol, state, None, None, since, now, cause, now)]

    def _hold(self, track: Track, trade: Trade) -> Sequence[Event]:
        track.held.append(trade)
        return self._release(track) if len(track.held) >= self._hold_events else ()

    def _settled(self, track: Track) -> list[Event]:
        """What can be said now: everything, unless later trades wait for what is missing."""
        if track.hold_until is not None and track.missing:
            return self._release(track) if len(track.held) >= self._hold_events else []
        return self._release(track)

    def _release(self, track: Track) -> list[Event]:
        track.hold_until = None
        return self._flush(track)

    def _flush(self, track: Track) -> list[Event]:
        held, track.held = track.held, []
        told, track.told = track.told, []
        if self._numbered:
            held.sort(key=lambda trade: int(trade.trade_id))
        else:
            held.sort(key=lambda trade: trade.ts_event or trade.ts_recv)  # stable: arrival breaks ties
        return [*held, *told]

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


def _may_be_anew(track: Track, trade: Trade, number: int) -> bool:
    """Whether a lower id may be of another numbering: much later, or far below a first one that none has followed."""
    if track.last is not None and track.last == track.alone and track.last - number > JUMP_MAX:
        return True
    return trade.ts_event is not None and track.last_ts is not None and trade.ts_event > track.last_ts + RESTART_NS


def _within(missing: Intervals, start: int, stop: int) -> list[Interval]:
    return [Interval(max(a, start), min(b, stop)) for a, b in missing if a < stop and b > start]


def _bound(holes: Intervals) -> None:
    while len(holes) > MISSING_MAX:
        holes.remove(*next(iter(holes)))
