"""Keeps beside each trade the text of the venue's own trade object, where a sink wants it: nothing else pays for that.

A venue says where in its frames and REST bodies trades stand (`raw_trades`); it decodes as ever, and the texts are joined to
what it told by the ids.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast, runtime_checkable

import msgspec
from msgspec.structs import force_setattr

from marketd.model.events import Event, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.venues.notices import Notice, Overlap
from marketd.venues.venue import UNREADABLE, Answer, Line, Path, RawTrades, Span, TradesPage, Venue


@runtime_checkable
class ShowsTrades(Protocol):
    """A venue that says where its trades stand; one from another package may not."""

    raw_trades: RawTrades


def keep_raw(venue: Venue) -> Venue:
    """The same venue, whose trades carry `raw`; unchanged if it does not say where they stand."""
    return cast(Venue, _RawVenue(venue)) if isinstance(venue, ShowsTrades) else venue


class _RawVenue:
    """Everything is the venue's own; only where trades come from is looked over once more."""

    def __init__(self, venue: Venue) -> None:
        where = cast(ShowsTrades, venue).raw_trades
        self._venue = venue
        self._stream = Texts(where.stream, where.stream_id, where.id_ends_ours)
        self._rest = Texts([where.rest], where.rest_id, where.id_ends_ours)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def open_line(self, instruments: Instruments) -> Line:
        return cast(Line, _RawLine(self._venue.open_line(instruments), self._stream))

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        page = self._venue.read_trades(answer, instrument, span, ts_recv)
        if page.trades:
            self._rest.join(page.trades, answer.body)
        return page


class _RawLine:
    def __init__(self, line: Line, texts: "Texts") -> None:
        self._line, self._texts, self._read = line, texts, line.read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def read(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        said = self._read(frame, ts_recv)
        if len(said) == 1 and said[0].__class__ is Trade:  # most frames
            self._texts.join(cast(Sequence[Trade], said), frame)
        elif trades := list(_trades_of(said)):
            self._texts.join(trades, frame)
        return said


def _trades_of(said: Iterable[Event | Notice]) -> Iterator[Trade]:
    for one in said:
        if isinstance(one, Trade):
            yield one
        elif isinstance(one, Overlap):
            yield from one.trades


class Texts:
    """Finds the texts of trades, byte for byte."""

    def __init__(self, ways: Sequence[Path], place: str | int, ends_ours: bool) -> None:
        self._ways = [_way(path) for path in ways]
        self._id = _step(place)
        self._ends_ours = ends_ours

    def join(self, trades: Sequence[Trade], data: bytes) -> None:
        """Each trade gets its text. They are new and nobody has seen them yet, so frozen does not mean them."""
        texts: list[bytes] = []
        for way in self._ways:
            try:
                texts = way(data)
            except UNREADABLE:  # not of this shape
                continue
            if texts:
                break
        if len(trades) == len(texts) == 1:
            force_setattr(trades[0], "raw", texts[0].decode())
            return
        by_id: dict[str, list[bytes]] = {}
        for text in texts:
            by_id.setdefault(self._id_in(text), []).append(text)
        for trade in trades:
            found = by_id.get(trade.trade_id.rpartition("-")[2] if self._ends_ours else trade.trade_id)
            if found:  # two symbols of one frame may have the same number: in turn, as they stand there
                force_setattr(trade, "raw", (found.pop(0) if len(found) > 1 else found[0]).decode())

    def _id_in(self, text: bytes) -> str:
        try:
            (found,) = self._id(text)
            return str(msgspec.json.decode(found))
        except UNREADABLE:
            return ""


Way = Callable[[bytes], list[bytes]]
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _way(path: Path) -> Way:
    """What follows the path through a text. It may raise UNREADABLE where the text has another shape."""
    if not path:
        return lambda text: [text.strip()]
    steps = [_step(step) for step in path]
    first, rest = steps[0], steps[1:]

    def follow(text: bytes) -> list[bytes]:
        found = first(text)
        for step in rest:
            inner: list[bytes] = []
            for one in found:
                with suppress(*UNREADABLE):  # beside lists of trades may stand what is none
                    inner += step(one)
            found = inner
        return found

    return follow if rest else first


def _step(step: str | int | None) -> Way:
    if step is None:
        return lambda text: [bytes(one) for one in (_list(text) if text.lstrip()[:1] == b"[" else _object(text).values())]
    if isinstance(step, int):
        return lambda text: [bytes(_list(text)[step])]
    # A struct of that one key passes over all the others without making anything of them.
    shape = msgspec.defstruct("At", [("inner", msgspec.Raw)], rename={"inner": step})
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(shape).decode
    return lambda text: [bytes(decode(text).inner)]
