"""Keeps beside each trade the text of the venue's own trade object, where a sink wants it: nothing else pays for that.

A venue says where in its frames and REST bodies trades stand (`raw_trades`); it decodes as ever, and the texts are joined to
what it told by the ids.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import msgspec

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
        self._venue = venue
        self._where = cast(ShowsTrades, venue).raw_trades

    def __getattr__(self, name: str) -> Any:
        return getattr(self._venue, name)

    def open_line(self, instruments: Instruments) -> Line:
        return cast(Line, _RawLine(self._venue.open_line(instruments), self._where))

    def read_trades(self, answer: Answer, instrument: Instrument, span: Span, ts_recv: int) -> TradesPage:
        page = self._venue.read_trades(answer, instrument, span, ts_recv)
        if page.trades:
            _join(page.trades, list(_at(answer.body, self._where.rest)), self._where.rest_id, self._where.id_ends_ours)
        return page


class _RawLine:
    def __init__(self, line: Line, where: RawTrades) -> None:
        self._line, self._where = line, where

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def read(self, frame: bytes, ts_recv: int) -> Sequence[Event | Notice]:
        said = self._line.read(frame, ts_recv)
        trades = list(_trades_of(said))
        if trades:
            where = self._where
            texts = next((found for path in where.stream if (found := list(_at(frame, path)))), [])
            _join(trades, texts, where.stream_id, where.id_ends_ours)
        return said


def _trades_of(said: Iterable[Event | Notice]) -> Iterator[Trade]:
    for one in said:
        if isinstance(one, Trade):
            yield one
        elif isinstance(one, Overlap):
            yield from one.trades


def _join(trades: Sequence[Trade], texts: Sequence[bytes], place: str | int, ends_ours: bool) -> None:
    """Each trade gets its text. They are new and nobody has seen them yet, so frozen does not mean them."""
    if len(trades) == len(texts) == 1:  # most frames
        msgspec.structs.force_setattr(trades[0], "raw", texts[0].decode())
        return
    by_id: dict[str, list[bytes]] = {}
    for text in texts:
        by_id.setdefault(_id(text, place), []).append(text)
    for trade in trades:
        found = by_id.get(trade.trade_id.rpartition("-")[2] if ends_ours else trade.trade_id)
        if found:  # two symbols of one frame may have the same number: in turn, as they stand there
            msgspec.structs.force_setattr(trade, "raw", (found.pop(0) if len(found) > 1 else found[0]).decode())


def _at(text: bytes, path: Path) -> Iterator[bytes]:
    """The texts that the path leads to, byte for byte."""
    if not path:
        yield text.strip()
        return
    step, rest = path[0], path[1:]
    try:
        inner: Iterable[Any]
        if step is None:
            inner = _list(text) if text.lstrip()[:1] == b"[" else _object(text).values()
        elif isinstance(step, int):
            inner = (_list(text)[step],)
        else:
            inner = (_object(text)[step],)
    except UNREADABLE:  # not of this shape
        return
    for one in inner:
        yield from _at(bytes(one), rest)


def _id(text: bytes, place: str | int) -> str:
    try:
        found = msgspec.json.decode(_list(text)[place] if isinstance(place, int) else _object(text)[place])
    except UNREADABLE:
        return ""
    return str(found)


_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
