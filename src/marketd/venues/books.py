"""The books of one venue, each in sync or silent: joins snapshots and deltas, and says which book needs asking for anew.

Pure: times come with the events or as arguments (ns), what to send goes out as data. Nothing of a book leaves here unless it
is in sync and not crossed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from marketd.model.book import Book
from marketd.model.digits import is_plain
from marketd.model.events import BookDelta, BookL2, BookSnapshot, Event, Gap, Level
from marketd.venues.notices import Checksum

SyncState = Literal["waiting", "in_sync", "resyncing"]
Checks = Callable[[str, Sequence[Level], Sequence[Level]], int | None]  # symbol, bids, asks -> the venue's checksum

UNUSABLE = (ValueError, ArithmeticError)  # what a book raises for a level that is no number
SECOND = 1_000_000_000
BUFFER_MAX = 4_096  # deltas of one book that wait for its snapshot; beyond it the oldest go and a newer snapshot is needed
ANSWER_WITHIN = 10 * SECOND  # an ask without a snapshot for so long is asked again
FIRST_DELTA_WITHIN = 2 * SECOND  # a REST snapshot is asked for after the first delta, or after so long without one
RETRY_MIN, RETRY_MAX = SECOND, 60 * SECOND  # between asks for the same book; the first is at once
STEADY = 60 * SECOND  # in sync for so long, a book has its first ask at once again
CHECKED_LEVELS = 25  # the most that any venue's checksum covers


class BookState(NamedTuple):
    """What /status says of a book."""

    symbol: str
    state: SyncState
    since: int  # ns
    cause: str  # of the last break, "" if there was none
    updated: int | None  # ts_recv of the last change
    resyncs: int
    levels: int
    next_ask: int | None  # ns; when the next snapshot is due to be asked for


@dataclass(slots=True)
class _Kept:
    """One book and where it stands."""

    symbol: str
    book: Book
    since: int
    state: SyncState = "waiting"
    cause: str = ""
    buffer: list[BookDelta] = field(default_factory=list)
    resyncs: int = 0
    asks: int = 0  # since the book was last steady
    asked_at: int = 0
    ask_at: int = 0
    is_refreshing: bool = False  # in sync, and a new snapshot is wanted meanwhile
    updated: int | None = None
    ts_event: int | None = None
    viewed_at: int = 0
    viewed: tuple[list[Level], list[Level]] | None = None
    plain: set[str] = field(default_factory=set)  # sizes of the last look
    gap: Gap | None = None  # found and not yet filled

    @property
    def wants_snapshot(self) -> bool:
        return self.state != "in_sync" or self.is_refreshing


class BookKeeper:
    """The state machine of each book: `waiting` for the first snapshot, `in_sync`, `resyncing` after a break.

    - `by_rest`: snapshots are asked for by REST, so deltas are buffered and joined by sequence. Otherwise the stream sends
      snapshots among the deltas, and asking means subscribing again.
    - `deltas`: whether deltas are released; then each is judged for crossing, which costs as much as a view. False: only views.
    """

    def __init__(
        self,
        venue: str,
        depth: int | None = None,
        *,
        by_rest: bool,
        deltas: bool = True,
        view_depth: int = 20,
        interval_ns: int = SECOND // 10,
        checks: Checks | None = None,
    ) -> None:
        self.venue, self.depth, self.by_rest, self.deltas = venue, depth, by_rest, deltas
        self.view_depth, self.interval_ns = view_depth, interval_ns
        self.dropped: Counter[str] = Counter()  # deltas not applied, by reason: old, not_in_sync, buffer_full, gap_in_buffer
        self.snapshots_old = 0  # snapshots older than the first buffered delta, or than the book
        self._checks = checks
        self._kept: dict[str, _Kept] = {}
        self._changed: dict[str, _Kept] = {}  # in sync, changed since their last view
        self._wanting: dict[str, _Kept] = {}
        self._spoilt_ones: set[str] = set()  # found by someone who asked: said at the next look

    def reset(self, symbols: Iterable[str], cause: str, now_ns: int) -> list[Event]:
        """Start these from empty: at first, after a reconnect, after a loss on the line. Returns the gaps this opens."""
        opened: list[Event] = []
        for symbol in symbols:
            kept = self._kept.get(symbol)
            if kept is None:
                self._start(symbol, now_ns)
            else:
                opened += self._break(kept, cause, now_ns)
                kept.buffer.clear()
                kept.ask_at = max(kept.ask_at, now_ns + self._patience)
        return opened

    def distrust(self, symbols: Iterable[str], cause: str, now_ns: int) -> list[Event]:
        """Something of these may have been missed on a line that goes on: start over at once. Returns the gaps this opens."""
        return [event for one in symbols if (kept := self._kept.get(one)) for event in self._break(kept, cause, now_ns)]

    def forget(self, symbols: Iterable[str]) -> None:
        """These are no longer subscribed."""
        for symbol in symbols:
            for table in (self._kept, self._changed, self._wanting):
                table.pop(symbol, None)

    def on_delta(self, delta: BookDelta) -> list[Event]:
        """What may be published of it: the delta itself, a gap that it reveals, or nothing."""
        try:
            return self._on_delta(delta)
        except UNUSABLE:
            return self._spoilt(delta.symbol, delta.ts_recv)

    def _on_delta(self, delta: BookDelta) -> list[Event]:
        kept = self._kept.get(delta.symbol) or self._start(delta.symbol, delta.ts_recv)
        if kept.state != "in_sync":
            if self.by_rest:
                self._keep(kept, delta)
            else:
                self.dropped["not_in_sync"] += 1
            return []
        seq, known = delta.seq, kept.book.seq
        if seq is not None and known is not None:
            if seq <= known:
                self.dropped["old"] += 1
                return []
            if delta.prev_seq is not None and delta.prev_seq > known:
                gap = self._break(kept, "sequence", delta.ts_recv, known + 1, delta.prev_seq)
                if self.by_rest:
                    self._keep(kept, delta)
                return gap
        self._apply(kept, delta)
        if kept.is_refreshing and self.by_rest:
            self._keep(kept, delta)
        if not self.deltas:
            return []
        return self._break(kept, "crossed", delta.ts_recv) if kept.book.is_crossed else [delta]

    def on_snapshot(self, snapshot: BookSnapshot) -> list[Event]:
        """Join it with what is buffered. In sync, the answer is a full view (after `filled`, where a gap was open)."""
        try:
            return self._on_snapshot(snapshot)
        except UNUSABLE:
            return self._spoilt(snapshot.symbol, snapshot.ts_recv)

    def _on_snapshot(self, snapshot: BookSnapshot) -> list[Event]:
        kept = self._kept.get(snapshot.symbol) or self._start(snapshot.symbol, snapshot.ts_recv)
        opened: list[Event] = []
        if self.by_rest:
            if self._is_too_old(kept, snapshot):
                self.snapshots_old += 1
                self._ask_later(kept, snapshot.ts_recv)
                return []
        elif kept.state == "in_sync":
            # The venue starts its book over: whoever follows the deltas has to as well.
            opened = self._break(kept, kept.cause if kept.is_refreshing else "replaced", snapshot.ts_recv)
        buffered = [delta for delta in kept.buffer if not (delta.seq and snapshot.seq) or delta.seq > snapshot.seq]
        kept.book.apply_snapshot(snapshot.bids, snapshot.asks, snapshot.seq)
        kept.updated, kept.ts_event = snapshot.ts_recv, snapshot.ts_event
        for delta in buffered:
            self._apply(kept, delta)
        if kept.book.is_crossed:
            opened += self._break(kept, "crossed", snapshot.ts_recv)
            kept.buffer = buffered
            self._ask_later(kept, snapshot.ts_recv)
            return opened
        return opened + self._in_sync(kept, snapshot.ts_recv)

    def on_checksum(self, notice: Checksum, now_ns: int) -> list[Event]:
        """Compare with the book as it is now; a difference breaks this book only."""
        kept = self._kept.get(notice.symbol)
        if kept is None or kept.state != "in_sync" or self._checks is None:
            return []
        try:
            ours = self._checks(notice.symbol, *kept.book.view(CHECKED_LEVELS))
        except UNUSABLE:
            return self._spoilt(notice.symbol, now_ns)
        return [] if ours is None or ours == notice.value else self._break(kept, "checksum", now_ns)

    def due_views(self, now_ns: int) -> list[Event]:
        """The full views that are due: of each book whose best levels changed, at most one per interval. And the gaps of
        books found crossed instead."""
        due: list[Event] = []
        while self._spoilt_ones:
            due += self._spoilt(self._spoilt_ones.pop(), now_ns)
        for kept in list(self._changed.values()):
            if now_ns - kept.viewed_at >= self.interval_ns:
                try:
                    due += self._look(kept, now_ns)
                except UNUSABLE:
                    due += self._spoilt(kept.symbol, now_ns)
        return due

    def _spoilt(self, symbol: str, now_ns: int) -> list[Event]:
        """A level of this book is no number: what else was changed with it is not known."""
        kept = self._kept.get(symbol)
        return [] if kept is None else self._break(kept, "impossible value", now_ns)

    def view(self, symbol: str) -> BookL2 | None:
        """The book as it is now, for whoever asks; None while it is not in sync."""
        kept = self._kept.get(symbol)
        try:
            if kept is None or kept.state != "in_sync" or kept.book.is_crossed:
                return None
            return self._event(kept, self._best(kept))
        except UNUSABLE:
            self._spoilt_ones.add(symbol)
            return None

    def wants(self, now_ns: int) -> dict[str, str]:
        """Which books need a snapshot now, and why. Say `asked` when asking."""
        return {symbol: kept.cause or "start" for symbol, kept in self._wanting.items() if self._asks_at(kept) <= now_ns}

    def next_want_ns(self) -> int | None:
        """When `wants` will next name a book; None while all are well."""
        return min(map(self._asks_at, self._wanting.values()), default=None)

    def asked(self, symbol: str, now_ns: int) -> None:
        """A snapshot of it was asked for: not wanted again until that had its time."""
        kept = self._kept.get(symbol)
        if kept is not None:
            kept.asks += 1
            kept.asked_at = now_ns
            kept.ask_at = now_ns + max(ANSWER_WITHIN, self._pause(kept))

    def ask_failed(self, symbol: str, now_ns: int) -> None:
        """The ask came to nothing: wanted again after a pause that grows."""
        if symbol in self._kept:
            self._ask_later(self._kept[symbol], now_ns)

    def is_in_sync(self, symbol: str) -> bool:
        kept = self._kept.get(symbol)
        return kept is not None and kept.state == "in_sync"

    def stale(self, now_ns: int, limit_ns: int) -> list[str]:
        """Books in sync without a change for longer than `limit_ns`."""
        return [
            kept.symbol for kept in self._kept.values() if kept.state == "in_sync" and now_ns - (kept.updated or 0) > limit_ns
        ]

    def unsynced(self) -> list[str]:
        """Books that nothing may be published of."""
        return [symbol for symbol, kept in self._kept.items() if kept.state != "in_sync"]

    def state(self, symbol: str) -> BookState | None:
        """For whoever asks about one book; its levels are counted one by one."""
        kept = self._kept.get(symbol)
        if kept is None:
            return None
        next_ask = self._asks_at(kept) if kept.wants_snapshot else None
        return BookState(symbol, kept.state, kept.since, kept.cause, kept.updated, kept.resyncs, len(kept.book), next_ask)

    def states(self) -> list[BookState]:
        return [state for symbol in self._kept if (state := self.state(symbol))]

    @property
    def _patience(self) -> int:
        """How long a fresh subscription has until its snapshot is asked for in particular."""
        return 0 if self.by_rest else ANSWER_WITHIN

    def _start(self, symbol: str, now_ns: int) -> _Kept:
        kept = _Kept(symbol, Book(self.depth, is_cut=self.by_rest), now_ns, ask_at=now_ns + self._patience)
        self._kept[symbol] = self._wanting[symbol] = kept
        return kept

    def _asks_at(self, kept: _Kept) -> int:
        """A REST snapshot older than the first delta is of no use, so the first delta is waited for, a little."""
        if self.by_rest and not kept.buffer and kept.state != "in_sync":
            return max(kept.ask_at, kept.since + FIRST_DELTA_WITHIN)
        return kept.ask_at

    def _pause(self, kept: _Kept) -> int:
        return min(RETRY_MIN << min(max(kept.asks - 1, 0), 10), RETRY_MAX)

    def _want(self, kept: _Kept, now_ns: int, steady_since: int) -> None:
        """The first ask after a steady time is at once."""
        if now_ns - steady_since >= STEADY:
            kept.asks = 0
        kept.ask_at = now_ns + (self._pause(kept) if kept.asks > 1 else 0)
        self._wanting[kept.symbol] = kept

    def _ask_later(self, kept: _Kept, now_ns: int) -> None:
        kept.ask_at = now_ns + self._pause(kept)

    def _keep(self, kept: _Kept, delta: BookDelta) -> None:
        """Buffer a delta. What is kept is without holes, so that a snapshot joins anywhere in it or not at all."""
        buffer = kept.buffer
        if buffer:
            last = buffer[-1].seq
            if last is not None and delta.seq is not None:
                if delta.seq <= last:
                    self.dropped["old"] += 1
                    return
                if delta.prev_seq is not None and delta.prev_seq > last:
                    self.dropped["gap_in_buffer"] += len(buffer)
                    buffer.clear()
            if len(buffer) >= BUFFER_MAX:
                self.dropped["buffer_full"] += 1
                del buffer[0]
        buffer.append(delta)

    def _is_too_old(self, kept: _Kept, snapshot: BookSnapshot) -> bool:
        if snapshot.seq is None:
            return False
        if kept.buffer:
            first = kept.buffer[0].prev_seq
            return first is not None and snapshot.seq < first
        return kept.state == "in_sync" and kept.book.seq is not None and snapshot.seq < kept.book.seq

    def _apply(self, kept: _Kept, delta: BookDelta) -> None:
        kept.book.apply_delta(delta.bids, delta.asks, delta.seq)
        kept.updated, kept.ts_event = delta.ts_recv, delta.ts_event
        self._changed[kept.symbol] = kept

    def _in_sync(self, kept: _Kept, now_ns: int) -> list[Event]:
        events: list[Event] = []
        if kept.state != "in_sync":
            kept.state, kept.since = "in_sync", now_ns
        if kept.gap is not None:
            events.append(_filled(kept.gap, now_ns))
            kept.gap = None
        kept.is_refreshing = False
        kept.buffer = []
        kept.viewed = None
        self._wanting.pop(kept.symbol, None)
        return events + self._look(kept, now_ns)

    def _break(self, kept: _Kept, cause: str, now_ns: int, from_id: int | None = None, to_id: int | None = None) -> list[Event]:
        """The book is no longer what the venue has: empty it and ask anew. Only the first break since the last sync is a gap."""
        known = kept.book.seq
        kept.book.clear()
        kept.viewed = None
        kept.is_refreshing = False
        kept.cause = cause
        self._changed.pop(kept.symbol, None)
        self._wanting[kept.symbol] = kept
        if kept.state != "in_sync":
            return []
        self._want(kept, now_ns, kept.since)
        kept.buffer = []
        kept.state, kept.since = "resyncing", now_ns
        kept.resyncs += 1
        if from_id is None and known is not None:
            from_id = known + 1
        kept.gap = Gap(
            self.venue,
            kept.symbol,
            kept.ts_event,
            now_ns,
            "book",
            "found",
            _text(from_id),
            _text(to_id),
            kept.updated,
            None,
            cause,
        )
        return [kept.gap]

    def _look(self, kept: _Kept, now_ns: int) -> list[Event]:
        """A view, if the best levels changed since the last one."""
        self._changed.pop(kept.symbol, None)
        if kept.book.is_crossed:
            return self._break(kept, "crossed", now_ns)
        if not kept.is_refreshing and kept.book.is_thin(self.view_depth):
            kept.is_refreshing, kept.cause = True, "thin"
            self._want(kept, now_ns, kept.asked_at)
        best = self._best(kept)
        if best == kept.viewed:
            return []
        kept.viewed, kept.viewed_at = best, now_ns
        return [self._event(kept, best)]

    def _best(self, kept: _Kept) -> tuple[list[Level], list[Level]]:
        """The best levels. The book looked at their prices, but at sizes only for being zero; most were here a look ago."""
        best = kept.book.view(self.view_depth)
        sizes = {size for side in best for _, size in side}
        if not all(map(is_plain, sizes - kept.plain)):
            raise ValueError("a size among the best levels is no plain number")
        kept.plain = sizes
        return best

    def _event(self, kept: _Kept, best: tuple[list[Level], list[Level]]) -> BookL2:
        return BookL2(self.venue, kept.symbol, kept.ts_event, kept.updated or kept.since, *best, kept.book.seq)


def _filled(gap: Gap, now_ns: int) -> Gap:
    return Gap(
        gap.venue, gap.symbol, gap.ts_event, now_ns, "book", "filled", gap.from_id, gap.to_id, gap.from_ts, now_ns, gap.cause
    )


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
