"""A capture through the same decoders, continuity and books as a live feed, without any I/O and without a clock of its own.

Time is the capture's. REST answers come from the capture too: an answer belongs to the question that would have asked for it.
"""

from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlsplit

import structlog

from marketd.errors import BadFrame, MarketdError
from marketd.metrics import Metrics
from marketd.model.events import Event
from marketd.model.instruments import Instrument, Instruments
from marketd.venues.continuity import Repair
from marketd.venues.feed import FeedConfig
from marketd.venues.intake import Intake
from marketd.venues.notices import Acked, Declined, Lost, Notice
from marketd.venues.raw import keep_raw
from marketd.venues.repair import from_the_last_known
from marketd.venues.venue import Answer, Line, Request, Venue

TICK_NS = 20_000_000
log = structlog.get_logger("replay")


class Replay:
    """One venue's part of a capture. Feed it records in order, then `end` it."""

    def __init__(self, venue: Venue, config: FeedConfig, publish: Callable[[Sequence[Event]], None], metrics: Metrics) -> None:
        self.venue = venue = keep_raw(venue) if config.keep_raw else venue
        self.intake = Intake(
            venue,
            publish,
            self,
            metrics,
            hold_s=config.hold_s,
            hold_events=config.hold_events,
            book_depth=config.book_depth,
            book_interval_ms=config.book_interval_ms,
            deltas=config.book_deltas,
        )
        self.intake.takes_all = True
        self.unused = 0  # REST answers that no question asked for
        self._instruments: Instruments = self._take_instruments(SpelledInstruments(venue.name))
        self._lines: dict[int, Line] = {}
        self._waiting: list[tuple[Repair, Request]] = []
        self._ticked = 0
        self._now = 0

    def opened(self, connection: int, ts: int) -> None:
        """A line is open again. Its answers name requests that this line never made, so opening stands for them."""
        self._at(ts)
        self._lines[connection] = self.venue.open_line(self._instruments)
        self.intake.acked(list(self.intake.streams), ts)

    def frame(self, connection: int, ts: int, frame: bytes) -> None:
        """A frame that came in."""
        self._at(ts)
        line = self._lines.get(connection)
        if line is None:
            line = self._lines[connection] = self.venue.open_line(self._instruments)
        try:
            self.intake.take(line.read(frame, ts), connection, frame, ts)
        except BadFrame as error:
            self.intake.bad(error)

    def closed(self, connection: int, ts: int, why: str) -> None:
        self._at(ts)
        if self._lines.pop(connection, None) is not None and not self._lines:
            self.intake.down(list(self.intake.streams), why or "the connection ended", ts)

    def answer(self, ts: int, url: str, answer: Answer) -> None:
        """A REST answer: to the first question that would have asked for it."""
        self._at(ts)
        try:
            if not url:
                self._unnamed(ts, answer)
            elif self._is_answer_to(self.venue.instruments_request(), url):
                self._instruments = self._take_instruments(Instruments(self.venue.read_instruments(answer)))
            elif not self._repairs(ts, url, answer) and not self._snapshots(ts, url, answer):
                self.unused += 1
        except MarketdError as error:
            log.warning("replay.answer_failed", venue=self.venue.name, url=url.partition("?")[0], reason=str(error))

    def end(self) -> None:
        """The capture is over: holds end, and what was never answered is said to be missing."""
        for repair, _ in self._waiting:
            cause = "the capture holds no answer"
            self.intake.publish(self.intake.continuity.repaired(repair.symbol, repair.span, cause, self._now))
        self._waiting.clear()
        self.intake.tick(self._now + TICK_NS)
        self.intake.close()

    def repair(self, repair: Repair) -> None:
        instrument = self._instruments.get(repair.symbol)
        request = None if instrument is None else self.venue.trades_request(instrument, from_the_last_known(repair.span))
        if request is None:
            cause = "the venue offers no way to fetch trades"
            self.intake.publish(self.intake.continuity.repaired(repair.symbol, repair.span, cause, self._now))
        else:
            self._waiting.append((repair, request))

    def notice(self, connection: int, notice: Notice) -> None:
        if isinstance(notice, Acked):
            self.intake.want([one for one in notice.wanted if one not in self.intake.streams], self._now)
            self.intake.acked(notice.wanted, self._now)
        elif isinstance(notice, Declined) and notice.permanent:
            self.intake.refused(notice.wanted, notice.words, self._now)
        elif isinstance(notice, Lost):
            self.intake.lost(list(self.intake.streams), notice.cause, self._now)

    def _at(self, ts: int) -> None:
        self._now = max(self._now, ts)
        if ts - self._ticked >= TICK_NS:
            self._ticked = ts
            self.intake.tick(ts)

    def _take_instruments(self, instruments: Instruments) -> Instruments:
        self.intake.instruments = instruments
        return instruments

    def _repairs(self, ts: int, url: str, answer: Answer) -> bool:
        for index, (repair, request) in enumerate(self._waiting):
            if not self._is_answer_to(request, url):
                continue
            page = self.venue.read_trades(answer, self._instruments[repair.symbol], repair.span, ts)
            goes_on = request != self.venue.trades_request(self._instruments[repair.symbol], from_the_last_known(repair.span))
            merged = self.intake.continuity.fetched(repair.symbol, self.intake.admit(page.trades), goes_on=goes_on)
            self.intake.publish(merged)
            if page.more is not None:
                self._waiting[index] = (repair, page.more)
            else:
                del self._waiting[index]
                self.intake.publish(
                    self.intake.continuity.repaired(repair.symbol, repair.span, None, ts, absent=bool(page.trades))
                )
            return True
        return False

    def _snapshots(self, ts: int, url: str, answer: Answer) -> bool:
        """Recordings ask for more or fewer levels than we would: the path and the symbol tell."""
        asked = dict(parse_qsl(urlsplit(url).query))
        for instrument in self._candidates(asked):
            request = self.venue.snapshot_request(instrument)
            if request is not None and urlsplit(url).path.endswith(request.path.rpartition("/")[2]):
                self.intake.fetched_book(self.venue.read_snapshot(answer, instrument, ts))
                return True
        return False

    def _unnamed(self, ts: int, answer: Answer) -> None:
        """Some recordings keep a body without its address: it can only be the book of the one symbol that waits for one."""
        waiting = self.intake.books.unsynced()
        if self.intake.books.by_rest and len(waiting) == 1:
            self.intake.fetched_book(self.venue.read_snapshot(answer, self._instruments[waiting[0]], ts))
        else:
            self.unused += 1

    def _candidates(self, asked: dict[str, str]) -> list[Instrument]:
        named = asked.get("symbol", "")
        instrument = self._instruments.by_venue_symbol(named) if named else None
        return [] if instrument is None else [instrument]

    def _is_answer_to(self, request: Request, url: str) -> bool:
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query))
        return parts.path.endswith(urlsplit(request.path).path) and all(
            asked.get(key) == value for key, value in request.params.items()
        )


class SpelledInstruments(Instruments):
    """For recordings without the venue's list: a symbol is the venue's own spelling, joined."""

    def __init__(self, venue: str) -> None:
        super().__init__()
        self._venue = venue
        self.symbols = _Spelled(self)

    def by_venue_symbol(self, venue_symbol: str) -> Instrument | None:
        return self.get(self.symbols[venue_symbol])

    def get(self, symbol: str) -> Instrument | None:
        return super().get(symbol) or super().get(self.learn(symbol))

    def __getitem__(self, symbol: str) -> Instrument:
        return super().get(symbol) or self._ours[self.learn(symbol)]

    def learn(self, venue_symbol: str) -> str:
        symbol = "".join(letter for letter in venue_symbol if letter.isalnum())
        if symbol[:1] == "t" and symbol[1:].isupper():
            symbol = symbol[1:]
        self._ours.setdefault(symbol, Instrument(self._venue, symbol, venue_symbol, symbol, ""))
        return symbol


class _Spelled(dict[str, str]):
    def __init__(self, instruments: SpelledInstruments) -> None:
        super().__init__()
        self._instruments = instruments

    def __missing__(self, venue_symbol: str) -> str:
        symbol = self[venue_symbol] = self._instruments.learn(venue_symbol)
        return symbol

    def get(self, venue_symbol: str, default: str | None = None) -> str:  # type: ignore[override]
        return self[venue_symbol]

    def __contains__(self, venue_symbol: object) -> bool:
        return isinstance(venue_symbol, str)
