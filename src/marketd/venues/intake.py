"""From what a line read to what the bus gets: vetted, without duplicates, in order, and with every gap said.

No I/O and no waiting: live feeds and replay run the same code. What needs the wire is asked of `Asks`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from marketd.errors import BadFrame
from marketd.metrics import Metrics
from marketd.model.events import SYSTEM, BookDelta, BookSnapshot, Candle, Event, Gap, Quote, Status, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.marks import is_number
from marketd.model.vet import impossible
from marketd.model.wire import encode
from marketd.net.quarantine import Quarantine
from marketd.venues.books import BookKeeper
from marketd.venues.continuity import Continuity, Repair
from marketd.venues.notices import Checksum, LastTrade, Notice, Overlap, Unknown, Unsaid
from marketd.venues.stream import Stream
from marketd.venues.venue import Venue, Wanted

JUDGED_MIN = 20
NEVER = 2**63
ID_DIGITS_MAX = 19
KINDS_MAX = 256
SHOWN_MAX = 5  # frames of one kind of trouble that are logged whole
log = structlog.get_logger("feed")


class Asks(Protocol):
    """What the intake cannot do itself."""

    def repair(self, repair: Repair) -> None: ...

    def notice(self, connection: int, notice: Notice) -> None: ...


class Intake:
    """One venue's events on their way in."""

    def __init__(
        self,
        venue: Venue,
        publish: Callable[[Sequence[Event]], None],
        asks: Asks,
        metrics: Metrics,
        *,
        hold_s: float = 2.0,
        hold_events: int = 10_000,
        book_depth: int = 20,
        book_interval_ms: int = 100,
        deltas: bool = False,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._quarantine_file = quarantine
        self.venue, self._publish, self._asks, self._metrics = venue, publish, asks, metrics
        self.streams: dict[Wanted, Stream] = {}
        self._trades: dict[str, Stream] = {}
        self._quotes: dict[str, Stream] = {}
        self._books: dict[str, Stream] = {}
        self._candles: dict[tuple[str, str], Stream] = {}
        self._to_repair: list[Repair] = []  # asked for once what it is about is said
        self._is_numbered = "trade" in venue.proofs and venue.proofs["trade"].detects == "ids"
        self.continuity = Continuity(
            venue.name,
            self._is_numbered,
            self._to_repair.append,
            hold_s=hold_s,
            hold_events=hold_events,
            on_duplicate=lambda trade: self._duplicate("trade"),
            on_disbelieved=lambda trade: self._quarantine(trade, "trade id out of line", encode(trade)),
        )
        self.instruments = Instruments()  # the feed puts the venue's list here
        self.books = BookKeeper(
            venue.name,
            venue.book_depth,
            by_rest=venue.snapshot_request(Instrument(venue.name, "", "", "", "")) is not None,
            deltas=deltas,
            view_depth=book_depth,
            interval_ns=book_interval_ms * 1_000_000,
            checks=lambda symbol, bids, asks: (
                None if (one := self.instruments.get(symbol)) is None else venue.checksum(bids, asks, one)
            ),
        )
        self.missed_because: dict[Wanted, str] = {}  # until the next acknowledgement
        self._book_proof = venue.proofs["book"].detects if "book" in venue.proofs else "none"
        self.takes_all = False  # a replay has no list of what was asked for
        self.frames = 0
        self.frames_bad = 0
        self._judged = (0, 0)
        self.last_ns: int | None = None  # of the newest frame
        self.published_ns: int | None = None  # when a frame last had something for the bus
        self._shown: dict[str, int] = {}
        self._rules: dict[type, Callable[..., None]] = {
            Trade: self._trade,
            Quote: self._quote,
            BookDelta: self._delta,
            BookSnapshot: self._snapshot,
            Candle: self._candle,
            Overlap: self._overlap,
            LastTrade: self._last_trade,
            Checksum: self._checksum,
            Unknown: self._unknown,
            Unsaid: self._unsaid,
        }

    def want(self, wanted: Sequence[Wanted], now: int) -> None:
        """From now on these are expected; what is not is counted and left out."""
        for one in wanted:
            if one not in self.streams:
                self.streams[one] = stream = Stream(one, now)
                self._index(one)[self._key(one)] = stream
        self.books.reset([one.symbol for one in wanted if one.channel == "book"], "start", now)

    def unwant(self, wanted: Iterable[Wanted]) -> None:
        for one in wanted:
            self.missed_because.pop(one, None)
            if self.streams.pop(one, None) is not None:
                del self._index(one)[self._key(one)]
                if one.channel == "trade":
                    self.continuity.forget(one.symbol)
                elif one.channel == "book":
                    self.books.forget([one.symbol])

    def expects_trades(self, symbol: str) -> bool:
        return symbol in self._trades

    def acked(self, wanted: Iterable[Wanted], now: int) -> None:
        """The venue confirmed these: what was missed while they were away can be asked for now."""
        for one in wanted:
            stream = self.streams.get(one)
            if stream is not None and stream.state in ("dead", "pending", "refused"):
                if stream.state == "refused":
                    self.status(one.symbol, "connected", f"{one.channel}: the venue takes the subscription now", now)
                stream.become("live", "subscribed", now)
            cause = self.missed_because.pop(one, None)
            if cause is not None and one.channel == "trade":
                self.publish(self.continuity.lost([one.symbol], cause, now))

    def refused(self, wanted: Iterable[Wanted], words: str, now: int) -> None:
        """The venue said no to these, in its own words; the others go on."""
        for one in wanted:
            stream = self.streams.get(one)
            if stream is not None and stream.become("refused", words, now):
                log.warning(f"{self.venue.name}.subscribe_failed", symbol=one.symbol, channel=one.channel, reason=words)
                self.status(one.symbol, "refused", words, now)

    def lost(self, wanted: Iterable[Wanted], cause: str, now: int) -> None:
        """Something of these was lost on a line that goes on."""
        wanted = list(wanted)
        self.publish(self.continuity.lost({one.symbol for one in wanted if one.channel == "trade"}, cause, now))
        if self._book_proof != "checksum":  # a checksum tells which book is wrong, and only that one starts over
            self.publish(self.books.distrust([one.symbol for one in wanted if one.channel == "book"], cause, now))

    def down(self, wanted: Iterable[Wanted], why: str, now: int) -> None:
        """The line of these is gone."""
        wanted = list(wanted)
        for one in wanted:
            stream = self.streams.get(one)
            if stream is not None and stream.state != "refused":
                stream.become("dead", why, now)
                stream.seq = None
                self.missed_because[one] = f"the connection was down: {why}"
        self.publish(self.books.reset([one.symbol for one in wanted if one.channel == "book"], why, now))
        self.status(SYSTEM, "disconnected", why, now)

    def missed(self, wanted: Iterable[Wanted], why: str, now: int) -> None:
        """The line of these changed hands with a break between: what was missed is asked for when the new one answers."""
        wanted = list(wanted)
        for one in wanted:
            if one in self.streams:
                self.missed_because[one] = why
        self.publish(self.books.reset([one.symbol for one in wanted if one in self.streams and one.channel == "book"], why, now))

    def ended(self, connection: int, why: str, now: int) -> None:
        """A connection is gone: what followed its word listens to whoever speaks next; its books start over."""
        orphans = [stream for stream in self.streams.values() if stream.owner == connection]
        for stream in orphans:
            stream.owner = 0
        books = [stream.wanted.symbol for stream in orphans if stream.wanted.channel == "book"]
        if books and not self.books.by_rest:
            self.publish(self.books.reset(books, why, now))

    def alive(self, symbol: str, channel: str, now: int) -> None:
        """The venue says that nothing happened on this stream: it is no silence."""
        for wanted, stream in self.streams.items():
            if wanted.symbol == symbol and wanted.channel == channel:
                stream.cadence.last_ns = now

    def _index(self, wanted: Wanted) -> dict[object, Stream]:
        by_channel = {"trade": self._trades, "quote": self._quotes, "book": self._books, "candle": self._candles}
        return by_channel[wanted.channel]  # type: ignore[return-value]

    @staticmethod
    def _key(wanted: Wanted) -> object:
        return (wanted.symbol, wanted.timeframe) if wanted.channel == "candle" else wanted.symbol

    def take(self, items: Sequence[Event | Notice], connection: int, frame: bytes, ts_recv: int) -> None:
        """What one frame said."""
        self.frames += 1
        self.last_ns = ts_recv
        out: list[Event] = []
        try:
            for item in items:
                rule = self._rules.get(item.__class__)
                if rule is None:
                    self._asks.notice(connection, item)  # type: ignore[arg-type]
                else:
                    rule(item, out, connection, frame, ts_recv)
        finally:
            if out:  # also when a later part of the frame cannot be used
                self.published_ns = ts_recv
                self._publish(out)
            if self._to_repair:
                self._ask()

    def bad(self, error: BadFrame, wanted: Iterable[Wanted] = (), now: int = 0) -> None:
        """A frame that nobody understood: counted, the first ones shown, the stream goes on. Of the line's own `wanted`, books
        that nothing could prove wrong later start over: the frame may have been theirs."""
        self.frames_bad += 1
        if self._book_proof == "none":
            books = [one.symbol for one in wanted if one.channel == "book"]
            self.publish(self.books.distrust(books, "a frame could not be read", now))
        self._metrics.frames_bad.labels(self.venue.name, "malformed").inc()
        self._show("feed.bad_frame", "malformed", error.frame, error.reason)

    def fault(self, where: str, error: Exception, frame: bytes = b"") -> None:
        """A mistake of ours that must not stop the rest: counted, the first ones shown with their trace."""
        self._metrics.faults.labels(self.venue.name, where).inc()
        if frame:
            self.frames_bad += 1
            self._metrics.frames_bad.labels(self.venue.name, "fault").inc()
        if self._is_shown(where):
            shown = frame[:500].decode("utf-8", "replace")
            log.error("feed.fault", venue=self.venue.name, where=where, reason=repr(error), frame=shown, exc_info=error)

    def bad_ratio(self) -> float:
        """Share of frames not understood since this was last asked; 0 while too few came to tell."""
        good, bad = self.frames - self._judged[0], self.frames_bad - self._judged[1]
        if good + bad < JUDGED_MIN:
            return 0.0
        self._judged = (self.frames, self.frames_bad)
        return bad / (good + bad)

    def tick(self, now: int) -> None:
        """What time alone makes due: book views and holds that lasted long enough."""
        self.publish([*self.continuity.due(now), *self.books.due_views(now)])

    def close(self) -> None:
        """The feed stops: what was held back for a repair goes out now, its gap still said to be open."""
        self.publish(self.continuity.due(NEVER))

    def publish(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.__class__ is Gap and event.state == "found" and not event.is_repairing:
                stream = self._trades.get(event.symbol) if event.channel == "trade" else self._books.get(event.symbol)
                if stream is not None:
                    stream.gaps += 1
        if events:
            self._publish(events)
        self._ask()

    def _ask(self) -> None:
        while self._to_repair:
            self._asks.repair(self._to_repair.pop(0))

    def fetched_book(self, snapshot: BookSnapshot) -> None:
        """A book that came over REST."""
        out: list[Event] = []
        why = impossible(snapshot)
        if why is not None:
            self._quarantine(snapshot, why, encode(snapshot))
            self.books.ask_failed(snapshot.symbol, snapshot.ts_recv)
        elif snapshot.symbol in self._books:
            self._from_book(self.books.on_snapshot(snapshot), out, b"")
        if out:
            self._publish(out)

    def status(self, symbol: str, state: str, reason: str, now: int) -> None:
        self._publish((Status(self.venue.name, symbol, None, now, state, reason),))  # type: ignore[arg-type]

    def admit(self, trades: Iterable[Trade]) -> list[Trade]:
        """Fetched trades that can be true."""
        good = []
        for trade in trades:
            why = impossible(trade) or self._uncountable(trade)
            if why is None:
                good.append(trade)
            else:
                self._quarantine(trade, why, encode(trade))
        return good

    def _uncountable(self, trade: Trade) -> str | None:
        if self._is_numbered and not (is_number(trade.trade_id) and len(trade.trade_id) <= ID_DIGITS_MAX):
            return "trade id is no number"
        return None

    def _seen(self, stream: Stream, event: Event) -> None:
        cadence = stream.cadence
        cadence.count += 1
        cadence.last_ns = event.ts_recv
        if event.ts_event is not None:
            stream.lag_ns = event.ts_recv - event.ts_event

    def _trade(self, trade: Trade, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        stream = self._trades.get(trade.symbol) or self._unwanted(Wanted("trade", trade.symbol), frame, ts_recv)
        if stream is None:
            return None
        why = impossible(trade) or self._uncountable(trade)
        if why is not None:
            return self._quarantine(trade, why, frame)
        cadence = stream.cadence
        cadence.count += 1
        cadence.last_ns = ts_recv
        if trade.ts_event is not None:
            stream.lag_ns = ts_recv - trade.ts_event
        stream.price = trade.price
        if self.missed_because:
            self._is_back(stream.wanted, ts_recv)
        events = self.continuity.take(trade)
        if len(events) == 1 and events[0] is trade:
            out.append(trade)
        else:
            self._found(events, stream)
            out.extend(events)
        return None

    def _is_back(self, wanted: Wanted, now: int) -> None:
        """Data came before the answer to the subscription: what was missed ended before it."""
        if wanted in self.missed_because:
            self.acked([wanted], now)

    def _found(self, events: Sequence[Event], stream: Stream) -> None:
        stream.gaps += sum(1 for event in events if event.__class__ is Gap and event.state == "found")

    def _quote(self, quote: Quote, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        stream = self._quotes.get(quote.symbol) or self._unwanted(Wanted("quote", quote.symbol), frame, ts_recv)
        if stream is None:
            return None
        why = impossible(quote)
        if why is not None:
            return self._quarantine(quote, why, frame)
        if not self._is_owner(stream, connection, quote.seq):
            return self._duplicate("quote")
        self._seen(stream, quote)
        out.append(quote)
        return None

    def _is_owner(self, stream: Stream, connection: int, seq: int | None) -> bool:
        """While two connections run side by side the newer one's word counts; within one, the order of its numbers."""
        if connection < stream.owner:
            return False
        if seq is not None:
            if stream.seq is not None and seq <= stream.seq:
                return False
            stream.seq = seq
        stream.owner = connection
        return True

    def _delta(self, delta: BookDelta, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        stream = self._books.get(delta.symbol) or self._unwanted(Wanted("book", delta.symbol), frame, ts_recv)
        if stream is None:
            return
        if delta.seq is None and connection != stream.owner:
            return
        why = impossible(delta)
        if why is not None:  # its change is lost to the book, so the book starts anew
            self._quarantine(delta, why, frame)
            self._from_book(self.books.reset([delta.symbol], why, ts_recv), out, frame)
            return
        self._seen(stream, delta)
        self._from_book(self.books.on_delta(delta), out, frame)
        return

    def _snapshot(self, snapshot: BookSnapshot, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        stream = self._books.get(snapshot.symbol) or self._unwanted(Wanted("book", snapshot.symbol), frame, ts_recv)
        if stream is None:
            return
        if connection >= stream.owner:
            stream.owner = connection
            why = impossible(snapshot)
            if why is not None:
                self._quarantine(snapshot, why, frame)
                self._from_book(self.books.reset([snapshot.symbol], why, ts_recv), out, frame)
                return
            self._seen(stream, snapshot)
            self._from_book(self.books.on_snapshot(snapshot), out, frame)
        return

    def _from_book(self, events: Iterable[Event], out: list[Event], frame: bytes) -> None:
        for event in events:
            if event.__class__ is Gap and event.state == "found":
                self._metrics.resyncs.labels(self.venue.name, "gap").inc()
                self._books[event.symbol].gaps += 1
            out.append(event)

    def _candle(self, candle: Candle, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        wanted = Wanted("candle", candle.symbol, candle.timeframe)
        stream = self._candles.get((candle.symbol, candle.timeframe)) or self._unwanted(wanted, frame, ts_recv)
        if stream is None:
            return None
        why = impossible(candle)
        if why is not None:
            return self._quarantine(candle, why, frame)
        if self._is_owner(stream, connection, None):
            self._seen(stream, candle)
            out.append(candle)
        return None

    def _overlap(self, notice: Overlap, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        stream = self._trades.get(notice.symbol) or self._unwanted(Wanted("trade", notice.symbol), frame, ts_recv)
        if stream is None:
            return
        stream.cadence.last_ns = ts_recv
        self._is_back(stream.wanted, ts_recv)
        events = self.continuity.overlap(self.admit(notice.trades), ts_recv)
        self._found(events, stream)
        out.extend(events)
        return

    def _last_trade(self, notice: LastTrade, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        if notice.symbol in self._trades and is_number(notice.trade_id):
            self._is_back(Wanted("trade", notice.symbol), ts_recv)
            events = self.continuity.last_trade(notice.symbol, notice.trade_id, ts_recv)
            self._found(events, self._trades[notice.symbol])
            out.extend(events)

    def _checksum(self, notice: Checksum, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        stream = self._books.get(notice.symbol)
        if stream is not None and connection == stream.owner:
            self._from_book(self.books.on_checksum(notice, ts_recv), out, frame)

    def _unknown(self, notice: Unknown, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        self._metrics.frames_bad.labels(self.venue.name, "unknown").inc()
        self._show("feed.unknown_frame", f"unknown {notice.why}", frame, notice.why)

    def _unsaid(self, notice: Unsaid, out: list[Event], connection: int, frame: bytes, ts_recv: int) -> None:
        """Understood, and on purpose not used."""

    def _unwanted(self, wanted: Wanted, frame: bytes, ts_recv: int) -> Stream | None:
        if self.takes_all:
            self.want([wanted], ts_recv)
            return self.streams[wanted]
        self._metrics.frames_bad.labels(self.venue.name, "not subscribed").inc()
        self._show("feed.not_subscribed", f"not subscribed {wanted.channel}", frame, f"a {wanted.channel} that nobody asked for")
        return None

    def _duplicate(self, kind: str) -> None:
        self._metrics.duplicates.labels(self.venue.name, kind).inc()

    def _quarantine(self, event: Event, why: str, frame: bytes) -> None:
        self._metrics.events_quarantined.labels(self.venue.name, why).inc()
        if self._quarantine_file is not None:
            self._quarantine_file.keep(event.ts_recv, self.venue.name, event.symbol, why, frame)
        self._show("feed.quarantined", why, frame, f"{event.symbol}: {why}; kept out of the data")

    def _show(self, name: str, kind: str, frame: bytes, words: str) -> None:
        if self._is_shown(kind):
            log.warning(name, venue=self.venue.name, reason=words, frame=frame[:500].decode("utf-8", "replace"))

    def _is_shown(self, kind: str) -> bool:
        """Whether trouble of this kind is still news."""
        if kind not in self._shown and len(self._shown) >= KINDS_MAX:
            kind = "other"
        self._shown[kind] = self._shown.get(kind, 0) + 1
        return self._shown[kind] <= SHOWN_MAX
